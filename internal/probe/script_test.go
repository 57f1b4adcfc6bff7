package probe_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/rules"
)

// shells are those that the script promises to run under, as far as they are
// here.
func shells(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for name, args := range map[string][]string{"dash": {"dash"}, "bash": {"bash", "--posix"}, "ash": {"busybox", "ash"}} {
		if path, err := exec.LookPath(args[0]); err == nil {
			out[name] = append([]string{path}, args[1:]...)
		}
	}
	need := append([]string{"cpio"}, map[bool][]string{true: {"dash", "busybox", "bash"}}[os.Getenv("CI") != ""]...)
	for _, tool := range need {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not here; .ci/run installs it", tool)
		}
		t.Skipf("%s is not here: apt-get install cpio busybox", tool)
	}
	return out
}

// unixScript is the script as the binary holds it.
func unixScript(t *testing.T) string {
	t.Helper()
	s, ok := probe.ScriptFor("linux")
	if !ok {
		t.Fatal("no script for linux")
	}
	return s.Content
}

// within is the script with a directory for the root of the file system and a
// uname of that machine's: tests alone change it so.
func within(t *testing.T, root, tools string) string {
	t.Helper()
	script := unixScript(t)
	for from, to := range map[string]string{"\nR=\n": "\nR='" + root + "'\n", "\nPATH=": "\nPATH='" + tools + "':"} {
		if strings.Count(script, from) != 1 {
			t.Fatalf("the script has %q %d times", from, strings.Count(script, from))
		}
		script = strings.Replace(script, from, to, 1)
	}
	return script
}

func run(t *testing.T, shell []string, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell[0], shell[1:]...)
	cmd.Stdin = strings.NewReader(script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %v\n%s", shell, err, stderr.String())
	}
	return string(out)
}

// An archive is a cpio archive of empty files, as initramfs hold them.
func archive(names ...string) []byte {
	var b bytes.Buffer
	entry := func(name, data string) {
		fmt.Fprintf(&b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
		b.WriteString(name + "\x00")
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
		b.WriteString(data)
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	for _, name := range names {
		name, data, _ := strings.Cut(name, "=")
		entry(name, data)
	}
	entry("TRAILER!!!", "")
	for b.Len()%512 != 0 {
		b.WriteByte(0)
	}
	return b.Bytes()
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// layout is a root file system by path.
type layout map[string]string

func (l layout) lay(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range l {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// kernel adds a kernel: its configuration, its module tree and its initramfs.
func (l layout) kernel(release, config string, builtin, modules []string, initramfs string, content []byte) layout {
	l["boot/vmlinuz-"+release] = "kernel"
	if config != "" {
		l["boot/config-"+release] = config
	}
	if builtin != nil {
		l["lib/modules/"+release+"/modules.builtin"] = "kernel/" + strings.Join(builtin, "\nkernel/") + "\n"
	}
	for _, m := range modules {
		l["lib/modules/"+release+"/kernel/"+m] = "module"
	}
	if initramfs != "" {
		l["boot/"+initramfs] = string(content)
	}
	return l
}

const (
	el5 = "2.6.18-398.el5"
	el6 = "2.6.32-642.el6.x86_64"
	el7 = "3.10.0-1160.el7.x86_64"
	old = "3.10.0-514.el7.x86_64"
	el8 = "4.18.0-553.el8_10.x86_64"
)

// virtioModules are where EL 5 and 6 keep the drivers.
var virtioModules = []string{"drivers/virtio/virtio.ko", "drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio_pci.ko", "drivers/block/virtio_blk.ko"}

var nvmeModules = []string{"drivers/nvme/host/nvme.ko.xz", "drivers/nvme/host/nvme-core.ko.xz"}

func inLib(names []string) (out []string) {
	for _, n := range names {
		out = append(out, "lib/"+filepath.Base(n))
	}
	return out
}

func el7Root(initramfs []byte) layout {
	return layout{
		"etc/redhat-release":  "CentOS Linux release 7.9.2009 (Core)\n",
		"etc/centos-release":  "CentOS Linux release 7.9.2009 (Core)\n",
		"etc/os-release":      "NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\n",
		"etc/fstab":           "# a comment\n#/dev/vda1 / ext4 defaults 1 1\nUUID=1114fe9e / ext4 defaults 1 1\n",
		"etc/default/grub":    "GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX=\"crashkernel=auto\"\n",
		"boot/grub2/grubenv":  "# GRUB Environment Block\nsaved_entry=CentOS Linux (" + el7 + ") 7 (Core)\n######\n",
		"boot/grub2/grub.cfg": grub2("${saved_entry}", "CentOS Linux ("+old+") 7 (Core)", old, "CentOS Linux ("+el7+") 7 (Core)", el7),
	}.kernel(el7, "CONFIG_VIRTIO=y\n# CONFIG_X is not set\nCONFIG_VIRTIO_BLK=m\n", []string{"drivers/virtio/virtio.ko", "drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio_pci.ko"},
		append([]string{"drivers/block/virtio_blk.ko.xz"}, nvmeModules...), "initramfs-"+el7+".img", initramfs).
		kernel(old, "", []string{"drivers/virtio/virtio.ko"}, []string{"drivers/block/virtio_blk.ko"}, "", nil)
}

// grub2 is a configuration as grub2-mkconfig writes it, with pairs of title and
// kernel.
func grub2(def string, entries ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "if [ \"${next_entry}\" ] ; then\n   set default=\"${next_entry}\"\nelse\n   set default=\"%s\"\nfi\n", def)
	for i := 0; i < len(entries); i += 2 {
		fmt.Fprintf(&b, "menuentry '%s' --class gnu-linux --unrestricted $menuentry_id_option 'gnulinux' {\n\tload_video\n\tlinux16 /boot/vmlinuz-%s root=UUID=1114fe9e ro\n\tinitrd16 /boot/initramfs-%s.img\n}\n", entries[i], entries[i+1], entries[i+1])
	}
	return b.String()
}

func microcode(rest []byte) []byte {
	return append(archive("kernel/x86/microcode/GenuineIntel.bin=TRAILER!!! stands in a file, too"), rest...)
}

func TestScriptReadsRoots(t *testing.T) {
	el7Names := []string{"usr/lib/modules/" + el7 + "/kernel/drivers/block/virtio_blk.ko.xz"}
	el7NVMe := append([]string{"usr/lib/modules/" + el7 + "/kernel/drivers/nvme/host/nvme.ko.xz", "usr/lib/modules/" + el7 + "/kernel/drivers/nvme/host/nvme-core.ko.xz"}, el7Names...)
	el5Root := layout{
		"etc/redhat-release": "CentOS release 5.11 (Final)\n",
		"etc/fstab":          "LABEL=/ / ext3 defaults 1 1\n/dev/xvdb1 /data ext3 defaults 0 0\n",
		"boot/grub/grub.conf": "default=0\ntimeout=5\ntitle CentOS (" + el5 + ")\n\troot (hd0,0)\n\tkernel /boot/vmlinuz-" + el5 + " ro root=LABEL=/\n\tinitrd /boot/initrd-" + el5 + ".img\n" +
			"title other\n\tkernel /boot/vmlinuz-2.6.18-8.el5xen ro root=/dev/xvda1\n",
	}.kernel(el5, "CONFIG_VIRTIO=m\nCONFIG_VIRTIO_BLK=m\n", nil, virtioModules, "initrd-"+el5+".img", zipped(archive(inLib(virtioModules)...)))
	for _, c := range []struct {
		name    string
		running string
		root    layout
		want    rules.GuestFacts
	}{
		{
			"el5: virtio in the initrd, a second disk by its name, no NVMe at all", el5, el5Root,
			rules.GuestFacts{Release: "CentOS release 5.11 (Final)", Kernel: el5, Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.No, DeviceNames: rules.Yes},
		},
		{
			"el6: the modules are there, and not in the initramfs", el6,
			layout{
				"etc/redhat-release": "CentOS release 6.8 (Final)\n", "etc/fstab": "UUID=1 / ext4 defaults 1 1\n",
				"boot/grub/grub.conf": "default=0\ntitle CentOS\n\tkernel /vmlinuz-" + el6 + " ro root=UUID=1\n",
			}.kernel(el6, "", []string{"drivers/ata/libata.ko"}, append(virtioModules, "drivers/block/nvme.ko"), "initramfs-"+el6+".img", zipped(archive("lib/libata.ko"))),
			rules.GuestFacts{Release: "CentOS release 6.8 (Final)", Kernel: el6, Architecture: "x86_64", Virtio: rules.No, NVMe: rules.No, DeviceNames: rules.No},
		},
		{
			"el7: the saved entry's kernel counts, behind microcode", old,
			el7Root(microcode(zipped(archive(el7Names...)))),
			rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: el7, Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.No, DeviceNames: rules.No},
		},
		{
			"el7: NVMe in the initramfs", el7,
			el7Root(zipped(archive(el7NVMe...))),
			rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: el7, Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.Yes, DeviceNames: rules.No},
		},
		{
			"el7: an initramfs that is cut short is not read", el7,
			el7Root(zipped(archive(el7NVMe...))[:90]),
			rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: el7, Architecture: "x86_64", DeviceNames: rules.No},
		},
		{
			"el7: archives that are not compressed", el7,
			el7Root(microcode(archive(el7NVMe...))),
			rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: el7, Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.Yes, DeviceNames: rules.No},
		},
		{
			"el8: an entry of the boot loader specification", el8,
			layout{
				"etc/redhat-release": "Rocky Linux release 8.10 (Green Obsidian)\n", "etc/fstab": "UUID=1 / xfs defaults 0 0\n",
				"etc/os-release":     "ID=\"rocky\"\nVERSION_ID=\"8.10\"\nPRETTY_NAME=\"Rocky Linux 8.10 (Green Obsidian)\"\n",
				"boot/grub2/grubenv": "saved_entry=abc-" + el8 + "\nkernelopts=root=/dev/vda1 ro\n", "boot/grub2/grub.cfg": "blscfg\n",
				"boot/loader/entries/abc-" + el8 + ".conf": "title Rocky\nlinux /vmlinuz-" + el8 + "\noptions $kernelopts\n",
			}.kernel(el8, "", []string{"drivers/virtio/virtio.ko.xz", "drivers/virtio/virtio_ring.ko.xz", "drivers/virtio/virtio_pci.ko.xz", "drivers/block/virtio_blk.ko.xz", "drivers/nvme/host/nvme.ko.xz", "drivers/nvme/host/nvme-core.ko.xz"}, nil, "", nil),
			rules.GuestFacts{Release: "Rocky Linux release 8.10 (Green Obsidian)", Kernel: el8, Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.Yes, DeviceNames: rules.Yes},
		},
		{
			"two kernels that differ, and nothing says which one starts", el7,
			func() layout {
				l := el7Root(zipped(archive(el7Names...)))
				delete(l, "boot/grub2/grub.cfg")
				delete(l, "boot/grub2/grubenv")
				delete(l, "etc/default/grub")
				l.kernel(old, "", nil, nil, "initramfs-"+old+".img", zipped(archive("x")))
				return l
			}(),
			rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: el7, Architecture: "x86_64", NVMe: rules.No},
		},
		{
			"sles: the service pack stands beside the release", "3.0.101-63-default",
			layout{
				"etc/SuSE-release": "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n", "etc/fstab": "UUID=1 / ext3 acl 1 1\n",
				"boot/grub/menu.lst": "default 0\ntitle SLES\n    root (hd0,0)\n    kernel /boot/vmlinuz-3.0.101-63-default root=/dev/xvda1 showopts\n",
			}.kernel("3.0.101-63-default", "CONFIG_VIRTIO=m\n", []string{"drivers/ata/ahci.ko"}, nil, "initrd-3.0.101-63-default", zipped(archive(inLib(virtioModules)...))),
			rules.GuestFacts{Release: "SUSE Linux Enterprise Server 11 (x86_64) SP4", Kernel: "3.0.101-63-default", Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.No, DeviceNames: rules.Yes},
		},
		{
			"debian before os-release", "2.6.32-5-amd64",
			layout{"etc/debian_version": "6.0.9\n", "etc/fstab": "UUID=1 / ext3 errors=remount-ro 0 1\n"},
			rules.GuestFacts{Release: "Debian GNU/Linux 6.0.9", Kernel: "2.6.32-5-amd64", Architecture: "x86_64"},
		},
		{
			"ubuntu: debian_version is another system's", "3.2.0-126-generic",
			layout{
				"etc/debian_version": "wheezy/sid\n", "etc/fstab": "UUID=1 / ext4 errors=remount-ro 0 1\n",
				"etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\nDISTRIB_DESCRIPTION=\"Ubuntu 12.04.5 LTS\"\n",
				"etc/os-release":  "NAME=\"Ubuntu\"\nID=ubuntu\nPRETTY_NAME=\"Ubuntu precise (12.04.5 LTS)\"\nVERSION_ID=\"12.04\"\n",
			}.kernel("3.2.0-126-generic", "CONFIG_VIRTIO=y\nCONFIG_VIRTIO_RING=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=y\n", nil, nil, "", nil),
			rules.GuestFacts{Release: "Ubuntu precise (12.04.5 LTS)", Kernel: "3.2.0-126-generic", Architecture: "x86_64", Virtio: rules.Yes},
		},
		{"nothing at all", "5.4.0", layout{}, rules.GuestFacts{Kernel: "5.4.0", Architecture: "x86_64"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root, tools := c.root.lay(t), t.TempDir()
			uname := fmt.Sprintf("#!/bin/sh\ncase $1 in -s) echo Linux ;; -r) echo %s ;; -m) echo x86_64 ;; esac\n", c.running)
			if err := os.WriteFile(filepath.Join(tools, "uname"), []byte(uname), 0o755); err != nil {
				t.Fatal(err)
			}
			for name, shell := range shells(t) {
				output := run(t, shell, within(t, root, tools))
				got, err := probe.Read(probe.Unix, output)
				if err != nil {
					t.Fatalf("%s: %v\n%s", name, err, output)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: %s\n%s", name, diff, output)
				}
			}
		})
	}
}

// The script as it is, on the machine that runs the test: it is read, and the
// machine is as it was.
func TestScriptRunsHereAndWritesNothing(t *testing.T) {
	home, tmp := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("TMPDIR", tmp)
	t.Chdir(home)
	for name, shell := range shells(t) {
		output := run(t, shell, unixScript(t))
		got, err := probe.Read(probe.Unix, output)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, output)
		}
		if got.Kernel == "" || got.Architecture == "" {
			t.Errorf("%s: no kernel or architecture\n%s", name, output)
		}
	}
	for _, dir := range []string{home, tmp} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v %v is left in %s", err, left, dir)
		}
	}
}

// What was written down of machines' answers reads as those machines are.
func TestRecordedAnswers(t *testing.T) {
	want := map[string]rules.GuestFacts{}
	for file, release := range map[string]string{"debian-bullseye": "11.11", "debian-bookworm": "12.15", "debian-trixie": "13.8", "debian-forky": "forky/sid"} {
		want["testdata/recorded/"+file+".txt"] = rules.GuestFacts{Release: "Debian GNU/Linux " + release, Virtio: rules.Yes, NVMe: rules.Yes}
	}
	files, err := filepath.Glob("testdata/recorded/*.txt")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w, ok := want[filepath.ToSlash(file)]
		got, err := probe.Read(probe.Unix, string(b))
		got.Kernel, got.Architecture = "", ""
		if !ok || err != nil {
			t.Fatalf("%s: known %v, %v", file, ok, err)
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// Nothing that writes stands in a script: a reviewer reads both, and this test
// keeps the words out that would make one write, change or fetch something.
func TestScriptsOnlyRead(t *testing.T) {
	for _, osType := range []string{"linux", "windows"} {
		s, _ := probe.ScriptFor(osType)
		if len(s.Content) > 16<<10 {
			t.Errorf("%s: %d bytes; a command takes 18 KB", osType, len(s.Content))
		}
		for i, line := range strings.Split(s.Content, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, word := range []string{
				"<<", "rm ", "mv ", "cp ", "tee ", "touch ", "mktemp", "mount ", "sed -i", "curl", "wget", "sudo", "eval", "modprobe", "lsinitrd", "lsinitramfs",
				"Set-", "New-Item", "Remove-", "Out-File", "Add-Content", "Invoke-", "Start-Process", "sfc.exe", "sfc /", "reg add", "WriteAll", "DownloadString",
				"{{",
			} {
				if strings.Contains(line, word) {
					t.Errorf("%s line %d: %q\n%s", osType, i+1, word, line)
				}
			}
			bare := strings.NewReplacer(">/dev/null", "", ">&2", "").Replace(line)
			if osType == "linux" && strings.Contains(bare, ">") && !strings.Contains(bare, "n > ") {
				t.Errorf("%s line %d writes to a file?\n%s", osType, i+1, line)
			}
		}
	}
}
