package probe_test

import (
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/probe"
)

func TestReadConsole(t *testing.T) {
	const booted = "[    0.000000] Linux version 3.10.0-693.el7.x86_64 (builder@kbuilder.dev.centos.org) (gcc) #1 SMP\n" +
		"[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=UUID=1114fe9e-2309-4580-b183-d778e6d97397 ro password=hunter2\n" +
		"[    0.812345] systemd[1]: Detected virtualization kvm.\n"
	for name, tt := range map[string]struct {
		log  string
		want probe.Console
	}{
		"login": {
			booted + "\r\nCentOS Linux 7 (Core)\r\nKernel 3.10.0-693.el7.x86_64 on an x86_64\r\n\r\niZbp1h4 login: ",
			probe.Console{Kernel: "3.10.0-693.el7.x86_64", Root: "UUID=1114fe9e-2309-4580-b183-d778e6d97397", End: probe.BootLogin, Excerpt: "iZbp1h4 login:"},
		},
		// The example of the documents, which has no line of the kernel.
		"issue": {
			"Welcome to CentOS \n\nChecking filesystems\nCentOS release 6.8 (Final)\nKernel 2.6.32-696.3.2.el6.i686 on an i686\n\niZ2zed96e462ayr1qz login:",
			probe.Console{Kernel: "2.6.32-696.3.2.el6.i686", End: probe.BootLogin, Excerpt: "iZ2zed96e462ayr1qz login:"},
		},
		"panic": {
			booted + "[    1.5] VFS: Cannot open root device \"vda1\" or unknown-block(0,0)\n[    1.6] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n[    1.7] reboot: Power down\n",
			probe.Console{Kernel: "3.10.0-693.el7.x86_64", Root: "UUID=1114fe9e-2309-4580-b183-d778e6d97397", End: probe.BootPanic, Excerpt: "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"},
		},
		"panic_after_login":     {booted + "h login:\nKernel panic - not syncing: Fatal exception\n", probe.Console{Kernel: "3.10.0-693.el7.x86_64", Root: "UUID=1114fe9e-2309-4580-b183-d778e6d97397", End: probe.BootPanic, Excerpt: "Kernel panic - not syncing: Fatal exception"}},
		"login_of_before":       {"old login:\n[    0.0] Linux version 4.4.0-117-generic (buildd@lgw01)\n", probe.Console{Kernel: "4.4.0-117-generic"}},
		"panic_of_before":       {"Kernel panic - not syncing: x\nLinux version 4.4.0-117-generic (buildd@lgw01)\nh login:", probe.Console{Kernel: "4.4.0-117-generic", End: probe.BootLogin, Excerpt: "h login:"}},
		"shut_down":             {"Linux version 4.4.0-117-generic (x)\nh login:\nreboot: Power down\n", probe.Console{Kernel: "4.4.0-117-generic", Excerpt: "reboot: Power down"}},
		"emergency":             {"Linux version 5.4.0 (x)\nALERT!  /dev/xvda1 does not exist.  Dropping to a shell!\n", probe.Console{Kernel: "5.4.0", End: probe.BootStuck, Excerpt: "ALERT!  /dev/xvda1 does not exist.  Dropping to a shell!"}},
		"boot_loader":           {"error: no such device.\nEntering rescue mode...\ngrub rescue> ", probe.Console{End: probe.BootStuck, Excerpt: "grub rescue>"}},
		"colours":               {"Linux version 5.4.0 (x)\n\x1b[32mhost\x1b[0m login: \x1b[K", probe.Console{Kernel: "5.4.0", End: probe.BootLogin, Excerpt: "host login:"}},
		"quoted_in_a_sentence":  {"Linux version 5.4.0 (x)\nsshd: she said Kernel panic - not syncing\nmy friend login: no\n", probe.Console{Kernel: "5.4.0"}},
		"last_login":            {"Linux version 5.4.0 (x)\nLast login: Mon\n", probe.Console{Kernel: "5.4.0"}},
		"hostile_kernel":        {"Linux version 5.4.0$(reboot) (x)\n", probe.Console{}},
		"kernel_without_an_end": {"Linux version 5.4.0" + strings.Repeat("a", 100) + "\n", probe.Console{}},
		"hostile_root":          {"Linux version 5.4.0 (x)\nKernel command line: root=<script> ro\n", probe.Console{Kernel: "5.4.0"}},
		"empty":                 {"", probe.Console{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := probe.ReadConsole([]byte(tt.log)); got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// Whatever a machine writes there, what is read is bounded and of its shape, and
// a password beside it is in none of it.
func FuzzReadConsole(f *testing.F) {
	f.Add([]byte("Linux version 5.4.0 (x)\nCommand line: root=/dev/vda1 ro\nhost login:"))
	f.Add([]byte("Kernel panic - not syncing: \x1b]0;\x07\xff\xfe"))
	f.Add([]byte("\r\r\x1b[\x1b[31m"))
	f.Fuzz(func(t *testing.T, log []byte) {
		c := probe.ReadConsole(log)
		for _, s := range []string{c.Kernel, c.Root, c.Excerpt} {
			if len(s) > 160 {
				t.Errorf("%d bytes: %q", len(s), s)
			}
			for i := range len(s) {
				if s[i] < ' ' || s[i] > '~' {
					t.Errorf("%q is not printable", s)
				}
			}
		}
		if c.End != probe.BootOpen && c.Excerpt == "" {
			t.Errorf("%s without the line that says it", c.End)
		}
		if probe.ParseBootEnd(c.End.String()) != c.End {
			t.Errorf("%s is read back as another", c.End)
		}
	})
}
