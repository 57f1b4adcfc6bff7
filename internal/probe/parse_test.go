package probe_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/rules"
)

const soundUnix = `shenscan-probe 1 unix
system=Linux
kernel=3.10.0-1160.el7.x86_64
machine=x86_64
release.redhat-release=CentOS Linux release 7.9.2009 (Core)
default=3.10.0-1160.el7.x86_64
kernel.1=3.10.0-1160.el7.x86_64
kernel.1.initramfs=read
kernel.1.virtio=builtin
kernel.1.virtio_ring=builtin
kernel.1.virtio_pci=builtin
kernel.1.virtio_blk=initramfs
kernel.1.nvme=initramfs
kernel.1.nvme_core=initramfs
kernels=1
fstab=0
bootloader=0
end=16
`

const soundWindows = `shenscan-probe 1 windows
caption=Microsoft Windows Server 2012 R2 Datacenter
version=6.3.9600
csd=
machine=AMD64
viostor.start=0
viostor.override=none
viostor.file=yes
stornvme.start=0
stornvme.override=3
stornvme.file=yes
xen.services=
xen.hidden=
xen.packages=0
security=
sfc=whole
end=15
`

func TestSoundAnswers(t *testing.T) {
	for _, c := range []struct {
		name, platform, output string
		want                   rules.GuestFacts
	}{
		{"unix", probe.Unix, soundUnix, rules.GuestFacts{
			Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: "3.10.0-1160.el7.x86_64", Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.Yes, DeviceNames: rules.No,
		}},
		{"windows, with the ends of lines that it writes; StartOverride wins", probe.Windows, strings.ReplaceAll(soundWindows, "\n", "\r\n"), rules.GuestFacts{
			Release: "Microsoft Windows Server 2012 R2 Datacenter", Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.No, XenResidue: rules.No, SystemFiles: rules.Yes,
		}},
		{"windows that could look at little", probe.Windows, "shenscan-probe 1 windows\ncaption=Microsoft Windows Server 2008 Standard\ncsd=Service Pack 2\nmachine=x86\n" +
			"viostor.start=unread\nstornvme.start=absent\nxen.services=\nxen.hidden=\nxen.packages=unread\nsecurity=360tray,360sd\nsfc=damaged\nend=10\n", rules.GuestFacts{
			Release: "Microsoft Windows Server 2008 Standard Service Pack 2", Architecture: "i386", NVMe: rules.No, SecuritySoft: rules.Yes, SystemFiles: rules.No,
		}},
		{"windows with what Xen left", probe.Windows, strings.Replace(soundWindows, "xen.hidden=", "xen.hidden=VEN_5853", 1), rules.GuestFacts{
			Release: "Microsoft Windows Server 2012 R2 Datacenter", Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.No, XenResidue: rules.Yes, SystemFiles: rules.Yes,
		}},
		{"freebsd with its setting", probe.Unix, "shenscan-probe 1 unix\nsystem=FreeBSD\nkernel=13.2-RELEASE\nmachine=amd64\nfreebsd=13.2-RELEASE-p4\nmaxphys=65536\nfstab=1\nbootloader=unread\nend=7\n", rules.GuestFacts{
			Release: "FreeBSD 13.2-RELEASE-p4", Architecture: "amd64", FreeBSDPatch: rules.Yes, DeviceNames: rules.Yes,
		}},
		{"freebsd 12: the setting is not its patch", probe.Unix, "shenscan-probe 1 unix\nsystem=FreeBSD\nkernel=12.1-RELEASE\nmachine=amd64\nfreebsd=12.1-RELEASE\nmaxphys=65536\nfstab=0\nbootloader=unread\nend=7\n", rules.GuestFacts{
			Release: "FreeBSD 12.1-RELEASE", Architecture: "amd64",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := probe.Read(c.platform, c.output)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatIsNotRead(t *testing.T) {
	change := func(from, to string) string {
		if !strings.Contains(soundUnix, from) {
			t.Fatalf("%q is not in the sound answer", from)
		}
		return strings.Replace(soundUnix, from, to, 1)
	}
	for _, c := range []struct{ name, output, cause string }{
		{"empty", "", "empty"},
		{"an error of the shell", "sh: 1: Syntax error", "does not begin"},
		{"another version", change("probe 1", "probe 2"), "another version"},
		{"the other platform's", soundWindows, "does not begin"},
		{"cut between lines", soundUnix[:strings.Index(soundUnix, "kernels=")], "cut short"},
		{"cut within a line", soundUnix[:strings.Index(soundUnix, "kernels=")+4], "cut short"},
		{"cut before its end", strings.TrimSuffix(soundUnix, "end=16\n"), "cut short"},
		{"cut within its end", strings.TrimSuffix(soundUnix, "6\n"), "not as many"},
		{"a line is missing", change("fstab=0\n", ""), "not as many"},
		{"a key twice", change("fstab=0\n", "fstab=0\nfstab=0\n"), "twice"},
		{"a key that no script has", change("fstab=0", "root=0"), "none of the script's"},
		{"a kernel that no script has", change("kernel.1.nvme=", "kernel.9.nvme="), "none of the script's"},
		{"it goes on", soundUnix + "fstab=1\n", "goes on"},
		{"control characters", change("7.9.2009", "7.9\x1b[2J"), "no printable"},
		{"not ASCII", change("7.9.2009", "7.9\xff"), "no printable"},
		{"a line that is too long", change("7.9.2009", strings.Repeat("9", 400)), "no key and value"},
		{"too many bytes", soundUnix + strings.Repeat("\n", 20<<10), "more than the script prints"},
		{"too many lines", "shenscan-probe 1 unix\n" + strings.Repeat("a=1\n", 300), "301 lines"},
		{"a state that no script prints", change("kernel.1.nvme=initramfs", "kernel.1.nvme=yes"), "nothing of nvme"},
		{"a driver is missing", change("kernel.1.nvme=initramfs", "freebsd="), "nothing of nvme"},
		{"a number that is none", change("fstab=0", "fstab=-1"), "no number"},
		{"no kernel", change("\nkernel=3.10.0-1160.el7.x86_64", "\nkernel="), "no kernel"},
		{"two systems in one machine", change("default=", "os.PRETTY_NAME=Ubuntu 20.04.6 LTS\ndefault="), "not as many"},
		{"files that name two systems", strings.Replace(change("default=", "os.PRETTY_NAME=Ubuntu 20.04.6 LTS\ndefault="), "end=16", "end=17", 1), "different systems"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := probe.Read(probe.Unix, c.output)
			var unread *probe.UnreadError
			if !errors.As(err, &unread) || !strings.Contains(unread.Cause, c.cause) {
				t.Errorf("got %v, want %q", err, c.cause)
			}
			if got != (rules.GuestFacts{}) {
				t.Errorf("evidence all the same: %+v", got)
			}
		})
	}
}

// Whatever a machine prints, nothing is taken of it unless all of it is sound,
// and no text of it reaches an error.
func FuzzRead(f *testing.F) {
	f.Add(soundUnix, false)
	f.Add(soundWindows, true)
	f.Add("shenscan-probe 1 unix\nend=0\n", false)
	f.Add("shenscan-probe 1 unix\nsystem=FreeBSD\nkernel=13\nmaxphys=\nend=3", false)
	for _, name := range []string{"debian-trixie", "debian-bookworm"} {
		if b, err := os.ReadFile("testdata/recorded/" + name + ".txt"); err == nil {
			f.Add(string(b), false)
		}
	}
	f.Fuzz(func(t *testing.T, output string, windows bool) {
		platform := probe.Unix
		if windows {
			platform = probe.Windows
		}
		got, err := probe.Read(platform, output)
		if err != nil {
			var unread *probe.UnreadError
			if !errors.As(err, &unread) || got != (rules.GuestFacts{}) || len(err.Error()) > 200 {
				t.Fatalf("%v %+v", err, got)
			}
			return
		}
		for _, text := range []string{got.Release, got.Kernel, got.Architecture} {
			if len(text) > 800 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%q", text)
			}
		}
		// A sound answer that loses its end is none.
		if cut, err := probe.Read(platform, strings.TrimRight(output, "\r\n")[:len(strings.TrimRight(output, "\r\n"))-1]); err == nil {
			t.Fatalf("cut by one byte and read: %+v", cut)
		}
	})
}
