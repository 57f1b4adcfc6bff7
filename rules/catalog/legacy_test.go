package catalog_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// said is where a statement of the vendor's page on legacy operating systems
// stands in the product: in a rule's page, a remedy or a check, by words that
// carry it.
type said struct{ where, words string }

// legacyPage is every statement of the page by its number in
// testdata/legacy-page.tsv.
var legacyPage = map[string][]said{
	"1":  {{"remedy after-failed-move", "kernel panic, blue screen, INACCESSIBLE_BOOT_DEVICE"}},
	"2":  {{"rule virtio.unverified", "runs on Xen, where virtio drivers are not needed"}, {"family ecs.t1", "xen"}, {"family ecs.s1", "xen"}},
	"3":  {{"rule virtio.unverified", "every other machine needs them"}, {"family ecs.g5", "kvm"}},
	"4":  {{"rule virtio.unverified", "every other machine needs them"}, {"family ecs.g7", "shenlong"}},
	"5":  {{"remedy install-virtio", "=m must be in the initramfs; absent needs another kernel"}},
	"6":  {{"rule el5.kernel-old", "2.6.18-348"}, {"rule el5.kernel-oldest", "the running one is older"}, {"rule nvme.kernel-old", "the running kernel is older"}},
	"7":  {{"check sfc", "the registry"}, {"remedy install-virtio", "check the file systems (fsck)"}},
	"8":  {{"check restart", "Restart the instance before the move"}},
	"9":  {{"check snapshot", "snapshots of all disks right before the move"}},
	"10": {{"check custom-image-trial", "Create a custom image and start a test instance of the target family"}},
	"11": {{"rule windows.old", "Windows Server 2003 and earlier"}},
	"12": {{"rule windows.2008", "on condition that the Xen registry values are cleared"}, {"remedy clear-xen-registry", "hide_devices"}},
	"13": {{"rule el5.release", "5.8 and earlier are not supported on SHENLONG"}, {"rule el5.kernel-old", "2.6.18-348"}},
	"14": {{"rule debian.6-early", "may not run on plain KVM either"}, {"rule debian.6-early", "minor-upgrade to 6.0.10"}},
	"15": {{"rule freebsd.old", "FreeBSD earlier than 11 is not supported"}, {"rule freebsd.11-12", "apply-freebsd-patch"}, {"remedy apply-freebsd-patch", "Support for FreeBSD 11 and 12 on Alibaba Cloud"}},
	"16": {{"rule ubuntu.old", "Ubuntu 10 and earlier are not supported"}, {"rule ubuntu.12-15", "kernel 3.2"}},
	"17": {{"rule image.never-public", "never provided a public image"}},
	"18": {{"rule sles.old", "10 and earlier are not supported"}},
	"19": {{"rule opensuse.old", "earlier than 13 is not supported"}},
	"20": {{"rule gentoo.xen-only", "support Xen only"}, {"rule gentoo.xen-only", "upgrade-gentoo"}, {"remedy upgrade-gentoo", "no Gentoo image since 2016"}},
	"21": {{"rule el6", "7th and later demand more"}},
	"22": {{"remedy replace-os", "Replace operating system"}, {"remedy replace-os", "life cycles"}},
	"23": {{"remedy replace-os", "attach it to another instance as a data disk"}},
	"24": {{"remedy replace-os", "migrate services and databases"}},
	"25": {{"remedy replace-os", "the choice of images is wide, and it takes a few clicks"}},
	"26": {{"remedy replace-os", "The system disk is lost; applications are installed anew"}},
	"27": {{"rule el5.release", "minor-upgrade to 5.11"}},
	"28": {{"remedy minor-upgrade", "Data and services stay as they are"}},
	"29": {{"remedy minor-upgrade", "no security fixes and none of what later releases bring"}},
	"30": {{"remedy stay-gen5", "ecs.n4, ecs.xn4, ecs.c5"}},
	"31": {{"rule virtio.missing", "not loaded at boot"}, {"rule windows.security-software", "security software"}},
	"32": {{"remedy install-virtio", "install the official kernel of the release again"}},
	"33": {{"remedy after-failed-move", "ask technical support for the WinPE 3.0 ISO, check the virtio driver in Device Manager"}},
	"34": {{"check sfc", "the registry"}},
	"35": {{"check remove-security-software", "360 Total Security"}},
}

// Every statement of the vendor's page is in the product.
func TestEveryStatementOfTheLegacyPageIsSaid(t *testing.T) {
	r := load(t)
	def := r.Definition()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "legacy-page.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(b)), "\n")[1:]
	if len(rows) != 35 || len(legacyPage) != 35 {
		t.Fatalf("%d statements, %d places", len(rows), len(legacyPage))
	}
	for _, row := range rows {
		no, statement, _ := strings.Cut(row, "\t")
		if len(legacyPage[no]) == 0 {
			t.Errorf("statement %s is nowhere: %s", no, statement)
		}
		for _, s := range legacyPage[no] {
			if !strings.Contains(text(r, def, s.where), s.words) {
				t.Errorf("statement %s (%s): %s does not say %q", no, statement, s.where, s.words)
			}
		}
	}
}

// text is all that one part of the rule set says.
func text(r *rules.Ruleset, def *rules.Definition, where string) string {
	kind, id, _ := strings.Cut(where, " ")
	switch kind {
	case "rule":
		page, err := catalog.Page(r, id)
		if err != nil {
			return err.Error()
		}
		return page
	case "check":
		return def.Checks[id]
	case "family":
		info := r.Families().Lookup("", id)
		return info.Virtualization
	}
	d := def.Remedies[id]
	return strings.Join([]string{d.Text, d.Benefit, strings.Join(d.Families, ", "), strings.Join(d.Steps, "\n"), d.Drawback}, "\n")
}
