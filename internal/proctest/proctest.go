// Package proctest is what tests that run shenscan as processes share: free
// addresses, processes that end with their test and show their output where it
// fails, and waiting for what they say over HTTP; how many of them run at
// once, where their files are, and how much garbage they collect.
package proctest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sideBySide is how many tests of a package run at once where they wait more than
// they compute.
const sideBySide = 12

// Waits is called by the TestMain of a package whose tests wait for processes and
// servers more than they compute: as many of them run side by side as do not get
// into each other's way, whatever the number of CPUs is. -parallel says otherwise.
func Waits() {
	flag.Parse()
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() != strconv.Itoa(runtime.GOMAXPROCS(0)) {
		return
	}
	if err := parallel.Value.Set(strconv.Itoa(sideBySide)); err != nil {
		panic(err)
	}
}

// Temporary files are kept in memory where it has a folder with so much space, in
// bytes, that the tests of all packages together do not fill it.
const (
	memoryFolder = "/dev/shm"
	memorySpace  = 4 << 30
)

// Tests keep little and allocate much, for answers that they read once: the garbage
// collector waits for so much in percent of what is live, and not beyond mostHeap
// bytes in all. GOGC in the environment says otherwise.
const (
	gcPercent = 400
	mostHeap  = 1 << 30
)

// CollectLess is the part of Run that a TestMain calls which runs its tests otherwise.
func CollectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		debug.SetMemoryLimit(mostHeap)
	}
}

// Run runs the tests of a package with a folder of their own for temporary files,
// in memory if there is room, removes it, and returns the exit code. The tests make
// and remove thousands of small files, and would wait for a disk to write each.
// They collect less garbage than a program should.
func Run(m *testing.M) (code int) {
	CollectLess()
	parent := os.TempDir()
	var space syscall.Statfs_t
	if syscall.Statfs(memoryFolder, &space) == nil && space.Bavail*uint64(space.Bsize) >= memorySpace { //nolint:gosec // sizes of blocks are positive
		parent = memoryFolder
	}
	folder, err := os.MkdirTemp(parent, "shenscan-tests-")
	if err == nil {
		err = os.Setenv("TMPDIR", folder)
	}
	if err == nil {
		code = m.Run()
	}
	if err := errors.Join(err, os.RemoveAll(folder)); err != nil {
		fmt.Fprintln(os.Stderr, "temporary files of the tests:", err)
		return 1
	}
	return code
}

// FreeAddress is an address of loopback on which nobody listens right now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// FreePort is the port of a FreeAddress.
func FreePort(t testing.TB) int {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return addr.Port
}

// Listens says, as an error, that nobody listens on an address.
func Listens(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// mostAnswer bounds what Get reads.
const mostAnswer = 64 << 20

// Get returns the body of an answer; one that is not 200 is an error which has it.
func Get(url string) (string, error) {
	resp, err := http.Get(url) //nolint:gosec // tests ask processes of their own
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, bytes.TrimSpace(body))
	}
	return string(body), err
}

// Until asks again and again until ok returns nil, for limit at most, and returns
// what it said last.
func Until(t testing.TB, limit time.Duration, ok func() error) error {
	t.Helper()
	for begin := time.Now(); ; {
		err := ok()
		if err == nil || time.Since(begin) >= limit {
			return err
		}
		select {
		case <-t.Context().Done():
			return fmt.Errorf("the test ends: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Output is what a process has written. It is safe for concurrent use.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String is all of it so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// Process runs until it is stopped or its test ends.
type Process struct {
	label string
	cmd   *exec.Cmd
	out   Output
	done  chan struct{}
}

// stopTime is how long a process may take to stop.
const stopTime = 20 * time.Second

// Start starts a program in a folder, with env beside the environment of the test.
func Start(t testing.TB, label, dir string, env []string, program string, args ...string) *Process {
	t.Helper()
	process := &Process{label: label, cmd: exec.Command(program, args...), done: make(chan struct{})} //nolint:gosec // it ends by a signal
	process.cmd.Dir, process.cmd.Env = dir, append(os.Environ(), env...)
	process.cmd.Stdout, process.cmd.Stderr = &process.out, &process.out
	if err := process.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", label, err)
	}
	go func() { _ = process.cmd.Wait(); close(process.done) }()
	t.Cleanup(func() {
		process.Stop(t)
		if t.Failed() {
			t.Logf("--- %s\n%s", label, process.Output())
		}
	})
	return process
}

// Output is what the process has written so far, on either stream.
func (p *Process) Output() string { return p.out.String() }

// Signal sends a signal to the process.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", p.label, err)
	}
}

// Stop asks the process to stop, also one that was held up by a signal, and waits
// until it has. It is safe to call twice.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	for _, s := range []syscall.Signal{syscall.SIGCONT, syscall.SIGTERM} {
		_ = p.cmd.Process.Signal(s) // one that has ended refuses by itself
	}
	select {
	case <-p.done:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Errorf("%s did not stop within %s\n%s", p.label, stopTime, p.Output())
	}
}
