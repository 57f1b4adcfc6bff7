//go:build linux

package docs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A block runs as printed in a sandbox: network, mount and process namespaces of
// its own. The folder is this repository, /etc and /var/lib can be written, and
// nothing of all that is left behind; loopback is the only network, so that the
// ports that the guide prints are free and nothing leaves the machine.

var (
	whole    = flag.Bool("whole", false, "run every block, also those that need a simulated cloud, a NATS server or all roles (make test/docs)")
	only     = flag.String("only", "", "run blocks whose page and line start with this alone")
	natsTool = flag.String("nats", "", "the nats command line client, for -whole")
)

const (
	sandboxVariable = "SHENSCAN_DOCS_SANDBOX"
	longestBlock    = 3 * time.Minute // seconds, on a machine that does nothing else
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(sandboxVariable); folder != "" {
		fmt.Fprintln(os.Stderr, "sandbox:", enter(folder, os.Args[1:]))
		os.Exit(98)
	}
	flag.Parse()
	// A sandbox waits more than it computes, whatever the number of CPUs is.
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		if err := parallel.Value.Set("4"); err != nil {
			panic(err)
		}
	}
	os.Exit(withPrograms(m))
}

// programs is the folder of what sandboxes find first on their PATH.
var programs string

func withPrograms(m *testing.M) int {
	var err error
	if programs, err = os.MkdirTemp("", "shenscan-docs-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	return m.Run()
}

// enter furnishes the namespaces that this process was started in and becomes
// the script that runs a block.
func enter(folder string, args []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to this sandbox: %w", err)
	}
	_ = syscall.Mount("proc", "/proc", "proc", 0, "") // some containers forbid it, and few blocks look at processes
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a folder in memory: %w", err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	work := filepath.Join(folder, "work")
	for i, over := range [][2]string{{root, work}, {"/etc", "/etc"}, {"/var/lib", "/var/lib"}} {
		upper, inner := fmt.Sprintf("%s/upper%d", folder, i), fmt.Sprintf("%s/inner%d", folder, i)
		for _, d := range []string{upper, inner, work} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		if err := syscall.Mount("overlay", over[1], "overlay", 0, "lowerdir="+over[0]+",upperdir="+upper+",workdir="+inner); err != nil {
			return fmt.Errorf("mount an overlay on %s: %w", over[1], err)
		}
	}
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := furnish(root, work); err != nil {
		return err
	}
	if err := os.Chdir(work); err != nil {
		return err
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, sandboxVariable+"=") })
	return syscall.Exec(bash, append([]string{"bash", "docs/testdata/sandbox.sh"}, args...), env)
}

// loopbackUp brings the one network interface of the sandbox up.
func loopbackUp() error {
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer syscall.Close(s)
	var request struct { // struct ifreq with flags
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("bring loopback up: %w", errno)
	}
	return nil
}

// furnish puts down what the guide takes for there: the configuration file, an
// overlay of rules, a list of names, and the host name of the NATS server.
func furnish(root, work string) error {
	for _, folder := range []string{"/etc/shenscan", "/var/lib/shenscan"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	for _, c := range [][2]string{
		{"deploy/shenscan.yaml", "/etc/shenscan/shenscan.yaml"},
		{"deploy/shenscan.yaml", filepath.Join(work, "shenscan.yaml")},
		{"docs/overlay.example.yaml", filepath.Join(work, "my-rules.yaml")},
		{"internal/ecs/ecsfile/testdata/DescribeInstances.recorded.troubleshooter.01.json", filepath.Join(work, "instances.json")},
		{"internal/ecs/ecsfile/testdata/DescribeImages.recorded.troubleshooter.01.json", filepath.Join(work, "images.json")},
		{"docs/overlay.example.yaml", filepath.Join(work, "rules-of-last-year.yaml")},
	} {
		text, err := os.ReadFile(filepath.Join(root, c[0]))
		if err != nil {
			return err
		}
		if err := os.WriteFile(c[1], text, 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(work, "os-names.txt"), []byte("CentOS  5.8 64位\nUbuntu  22.04 64位\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile("/etc/hosts", []byte("127.0.0.1 localhost nats\n"), 0o644) //nolint:gosec // an overlay of this sandbox
}

// generatedMarks are the marks of the reference, which is written from the
// commands and has no place for comments: the section, and what its examples
// count on.
var generatedMarks = map[string]string{
	"shenscan config":       "runs with cloud",
	"shenscan config check": "runs with cloud",
	"shenscan config show":  "runs with cloud",
	"shenscan check":        "not run: the id is that of an instance of an account",
	"shenscan classify":     "runs with nothing, exits 3",
	"shenscan dead":         "not run: the numbers are those of letters that are there",
	"shenscan demo":         "runs with cloud", // which it does not need, but it takes longer than `go test` should
	"shenscan doctor":       "runs with cloud",
	"shenscan plan":         "runs with store",
	"shenscan producer":     "runs with server",
	"shenscan report":       "runs with store",
	"shenscan ready":        "runs with deployment",
	"shenscan rescan":       "runs with deployment",
	"shenscan scan":         "runs with cloud",
	"shenscan serve":        "runs with cloud",
	"shenscan simulate":     "",
	"shenscan sink":         "runs with server",
	"shenscan worker":       "runs with server",
	"shenscan store":        "runs with store",
	"shenscan rules":        "runs with nothing, exits 1",
	"rules that compare":    "runs with store",
}

// furnishing is held by the test that makes the programs.
var furnishing sync.Mutex

// setup is what all sandboxes share: a folder with the programs, made once.
func setup(t *testing.T) (bin string) {
	t.Helper()
	furnishing.Lock()
	defer furnishing.Unlock()
	bin = programs
	if _, err := os.Stat(filepath.Join(bin, "shenscan-program")); err == nil {
		return bin
	}
	build := func(output, dir string, args ...string) {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"build", "-ldflags", "-s -w", "-o", filepath.Join(bin, output)}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", output, err, out)
		}
	}
	build("shenscan-program", "..", "./cmd/shenscan")
	if *whole {
		build("nats-server", "..", "github.com/nats-io/nats-server/v2")
		if *natsTool == "" {
			t.Fatal("-whole needs -nats with the path of the nats command line client: make test/docs")
		}
		tool, err := filepath.Abs(*natsTool)
		if err != nil {
			t.Fatal(err)
		}
		keys := exec.CommandContext(t.Context(), "../deploy/nats/keys.sh", filepath.Join(bin, "keys"))
		if out, err := keys.CombinedOutput(); err != nil {
			t.Fatalf("keys.sh: %v\n%s", err, out)
		}
		if err := os.Symlink(tool, filepath.Join(bin, "nats")); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// goEnvironment is what the commands of Go need to know in a sandbox.
var goEnvironment = sync.OnceValue(func() (environment []string) {
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOFLAGS", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"} {
		if value, err := exec.CommandContext(context.Background(), "go", "env", name).Output(); err == nil {
			environment = append(environment, name+"="+strings.TrimSpace(string(value)))
		}
	}
	return environment
})

// sandbox returns a command that runs a block, and the folder of what it reports.
func sandbox(ctx context.Context, t *testing.T, bin string, with, script string) (cmd *exec.Cmd, out string) {
	t.Helper()
	folder := t.TempDir()
	out = t.TempDir()
	file := filepath.Join(out, "block.sh")
	if err := os.WriteFile(file, []byte(script+":\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(ctx, self, with, file)
	cmd.Env = []string{
		sandboxVariable + "=" + folder, "SANDBOX_OUT=" + out, "SANDBOX_KEYS=" + filepath.Join(bin, "keys"), "HOME=" + out, "LANG=C.UTF-8",
		"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"),
	}
	cmd.Env = append(cmd.Env, goEnvironment()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd, out
}

// run runs a script in a sandbox and returns what it printed and what failed.
func run(t *testing.T, bin, with, script string) (printed string, failed []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longestBlock)
	defer cancel()
	cmd, out := sandbox(ctx, t, bin, with, script)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		failed = append(failed, "did not end within "+longestBlock.String())
	} else if err != nil {
		failed = append(failed, "the sandbox: "+err.Error())
	}
	if text, err := os.ReadFile(filepath.Join(out, "failed")); err == nil {
		failed = append(failed, strings.Split(strings.TrimSpace(string(text)), "\n")...)
	}
	if len(failed) > 0 {
		logs, _ := os.ReadFile(filepath.Join(out, "logs"))
		both.Write(logs)
	}
	return both.String(), failed
}

// excerpt is the end of what a block printed, its lines cut.
func excerpt(printed string) string {
	lines := strings.Split(printed, "\n")
	for i, line := range lines {
		if runes := []rune(line); len(runes) > 300 {
			lines[i] = string(runes[:300]) + "…"
		}
	}
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// needSandbox skips where the kernel gives no namespaces.
func needSandbox(t *testing.T, bin string) {
	t.Helper()
	printed, failed := run(t, bin, "", "true\n")
	if len(failed) == 0 {
		return
	}
	if *whole {
		t.Fatalf("no sandbox: %v\n%s", failed, printed)
	}
	t.Skipf("this machine gives no namespaces: %v\n%s", failed, printed)
}

// console takes a block of commands and their output apart.
func console(text string) (script, output string, err error) {
	first, rest, _ := strings.Cut(text, "\n")
	script, ok := strings.CutPrefix(first, "$ ")
	if !ok || strings.Contains(rest, "\n$ ") {
		return "", "", errors.New("a console block has one command, behind $, and what it prints")
	}
	return script + "\n", rest, nil
}

func TestBlocksWorkAsPrinted(t *testing.T) {
	t.Parallel()
	bin := setup(t)
	needSandbox(t, bin)
	before := map[string]string{} // page: what its later blocks need
	ran := 0
	var list, left strings.Builder // for whoever reads what was run
	unrun := 0
	for _, b := range all(t) {
		if b.page == "docs/COMMANDS.md" {
			continue // below
		}
		if b.with == "before" {
			before[b.page] += b.text
			continue
		}
		if b.with == "not" {
			unrun++
			fmt.Fprintf(&left, "\n  %s: %s", b, b.reason)
		}
		if b.with == "not" || b.with != "" && !*whole || !strings.HasPrefix(b.String(), *only) {
			continue
		}
		ran++
		fmt.Fprintf(&list, "\n  %s, with %s", b, cmp.Or(b.with, "the program alone"))
		first := before[b.page]
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel()
			try(t, bin, b, first)
		})
	}
	t.Logf("%d blocks ran:%s", ran, &list)
	t.Logf("%d blocks are not run, since they need what is not here:%s", unrun, &left)
	if ran < 3 && *only == "" {
		t.Errorf("%d blocks ran", ran)
	}
}

// try runs one block.
func try(t *testing.T, bin string, b block, before string) {
	script, want := b.text, ""
	if b.language == "console" {
		var err error
		if script, want, err = console(b.text); err != nil {
			t.Fatal(err)
		}
	}
	printed, failed := run(t, bin, b.with, before+script)
	failed = slices.DeleteFunc(failed, func(f string) bool {
		status, _, _ := strings.Cut(f, " ")
		return slices.Contains(b.statuses, status)
	})
	if len(failed) > 0 {
		t.Errorf("these failed, of\n%s\n- %s\n%s", script, strings.Join(failed, "\n- "), excerpt(printed))
	}
	if b.language == "console" && printed != want {
		t.Errorf("%s printed\n%s\nand the page says\n%s", script, printed, want)
	}
}

// placeholders are ids in examples that only a reader's own cloud may have.
// What names one may end with "not found": 1, 4 where it asked the cloud, and 2
// where it would have removed it or no such scan is known. The saved answers of a few images make a scan
// partial: 4.
var placeholders = []string{"i-bp67acfmxazb4p", "s-20261123T", "--region ap-southeast-2", "instances.json"}

// alternatives are the examples of one block, each a line that stands alone; a
// line for another terminal belongs to the one before.
func alternatives(b block) (found []block) {
	for line := range strings.Lines(b.text) {
		if strings.Contains(line, "# in another terminal") && len(found) > 0 {
			found[len(found)-1].text += line
			continue
		}
		one := b
		one.text = line
		if slices.ContainsFunc(placeholders, func(p string) bool { return strings.Contains(line, p) }) {
			notFound := "1"
			switch {
			case strings.HasPrefix(line, "shenscan rescan "), strings.Contains(line, "instances.json"):
				notFound = "4"
			case strings.HasPrefix(line, "shenscan store forget "), strings.HasPrefix(line, "shenscan report --of-scan "):
				notFound = "2"
			}
			one.statuses = append(slices.Clone(one.statuses), notFound)
		}
		found = append(found, one)
	}
	return found
}

func TestExamplesOfTheReferenceWork(t *testing.T) {
	t.Parallel()
	bin := setup(t)
	needSandbox(t, bin)
	text := pages(t)["docs/COMMANDS.md"]
	used := map[string]bool{}
	examples := 0
	for _, section := range strings.Split(text, "\n## ")[1:] {
		name, _, _ := strings.Cut(section, "\n")
		found, _ := blocks("docs/COMMANDS.md", section)
		for _, b := range found {
			if !b.isCommands() {
				continue
			}
			key := name
			switch {
			case strings.HasPrefix(name, "shenscan store "):
				key = "shenscan store"
			case strings.Contains(b.text, "rules preview") || strings.Contains(b.text, "explain i-"):
				key = "rules that compare"
			case strings.HasPrefix(name, "shenscan rules"):
				key = "shenscan rules"
			}
			mark, ok := generatedMarks[key]
			if !ok {
				t.Errorf("%s has examples and no mark in generatedMarks", name)
				continue
			}
			used[key] = true
			if mark != "" {
				if err := b.mark("<!-- " + mark + " -->"); err != nil {
					t.Error(err)
				}
			}
			if b.with == "not" || b.with != "" && !*whole || !strings.HasPrefix("docs/COMMANDS.md:"+name, *only) {
				continue
			}
			for i, one := range alternatives(b) {
				examples++
				t.Run(fmt.Sprintf("%s %d", name, i+1), func(t *testing.T) {
					t.Parallel()
					try(t, bin, one, "")
				})
			}
		}
	}
	t.Logf("%d examples of docs/COMMANDS.md ran", examples)
	for key := range generatedMarks {
		if !used[key] {
			t.Errorf("generatedMarks has %q, which has no examples", key)
		}
	}
}

// What a block gets wrong is seen: each of these must fail.
func TestTheSandboxSeesWhatFails(t *testing.T) {
	t.Parallel()
	bin := setup(t)
	needSandbox(t, bin)
	for script, want := range map[string]string{ // a failing command in the middle of a pipe too
		"shenscan scam | cat":                   "2 shenscan scam",
		"shenscan scam":                         "2 shenscan scam",
		"shenscan classify x >/dev/null\nfalse": "1 false",
		"curl -s 127.0.0.1:10471/nowhere":       "22 curl",
		"curl -s 127.0.0.1:1":                   "7 curl",
		"shenscan worker":                       "ended shenscan worker",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			if printed, failed := run(t, bin, "", "shenscan simulate >/dev/null\n"+script+"\n"); len(failed) == 0 || !strings.HasPrefix(failed[len(failed)-1], want) {
				t.Errorf("%s: failed with %q, want %q\n%s", script, failed, want, excerpt(printed))
			}
		})
	}
}
