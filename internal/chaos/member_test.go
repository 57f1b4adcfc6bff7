//go:build chaos || powercut || scale || soak

package chaos

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/proctest"
)

// member is one process of a rig. A supervisor starts it again whenever it
// ends, as an operator's would, until it is stopped.
type member struct {
	name, bin string
	args, env []string
	log       string // file

	mu      sync.Mutex
	cmd     *exec.Cmd
	stopped bool
	kills   int
	starts  int
	own     int // ends that nobody asked for
	done    chan struct{}
	last    error
}

// restartPause is how long a supervisor waits before it starts a member again.
const restartPause = 150 * time.Millisecond

func newMember(t *testing.T, dir, name, bin string, env []string, args ...string) *member {
	t.Helper()
	m := &member{name: name, bin: bin, args: args, env: env, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	if err := m.start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go m.supervise()
	t.Cleanup(func() {
		m.stop(syscall.SIGKILL)
		<-m.done
		if t.Failed() {
			t.Logf("%s (%s):\n%s", m.name, strings.Join(m.args, " "), tail(m.log, 3000))
		}
	})
	return m
}

func (m *member) start() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return nil
	}
	out, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(m.bin, m.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = m.env, out, out, filepath.Dir(m.log)
	if err := cmd.Start(); err != nil {
		return err
	}
	m.cmd = cmd
	m.starts++
	return nil
}

func (m *member) supervise() {
	defer close(m.done)
	for {
		m.mu.Lock()
		cmd, kills := m.cmd, m.kills
		m.mu.Unlock()
		err := cmd.Wait()
		m.mu.Lock()
		m.last = err
		stopped := m.stopped
		if !stopped && m.kills == kills {
			m.own++
		}
		m.mu.Unlock()
		if stopped {
			return
		}
		time.Sleep(restartPause)
		if err := m.start(); err != nil {
			m.mu.Lock()
			m.last, m.stopped = err, true
			m.mu.Unlock()
			return
		}
		m.mu.Lock()
		stopped = m.stopped && m.cmd == cmd
		m.mu.Unlock()
		if stopped {
			return
		}
	}
}

// signal sends sig to the process that runs now.
func (m *member) signal(sig syscall.Signal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil { // a process that has ended refuses by itself
		_ = m.cmd.Process.Signal(sig)
	}
}

// kill ends the process at once; the supervisor starts it again.
func (m *member) kill() {
	m.mu.Lock()
	m.kills++
	m.mu.Unlock()
	m.signal(syscall.SIGKILL)
}

// stop ends the process for good.
func (m *member) stop(sig syscall.Signal) {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.signal(syscall.SIGCONT)
	m.signal(sig)
}

// terminate stops the member as an operator would and reports how it ended.
func (m *member) terminate() error {
	m.stop(syscall.SIGTERM)
	select {
	case <-m.done:
	case <-time.After(20 * time.Second):
		m.signal(syscall.SIGKILL)
		<-m.done
		return fmt.Errorf("%s did not stop within 20 s of SIGTERM", m.name)
	}
	if m.last != nil {
		return fmt.Errorf("%s after SIGTERM: %w", m.name, m.last)
	}
	return nil
}

// revive starts a stopped member again, with a supervisor of its own.
func (m *member) revive(t *testing.T) {
	t.Helper()
	<-m.done
	m.mu.Lock()
	m.stopped, m.done = false, make(chan struct{})
	m.mu.Unlock()
	if err := m.start(); err != nil {
		t.Fatalf("start %s: %v", m.name, err)
	}
	go m.supervise()
}

var crash = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ \[|WARNING: DATA RACE)`)

// crashes returns what the member's log says of a crash of its own, "" for
// nothing.
func (m *member) crashes() string {
	body, err := os.ReadFile(m.log)
	if err != nil {
		return err.Error()
	}
	at := crash.FindIndex(body)
	if at == nil {
		return ""
	}
	return m.name + ": " + string(body[at[0]:min(len(body), at[0]+3000)])
}

func tail(path string, n int) string {
	body, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(body[max(0, len(body)-n):]))
}

// within polls ok until it holds; what does not happen in time fails the test.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	if !happens(limit, ok) {
		t.Fatalf("did not happen within %s: %s", limit, what)
	}
}

func happens(limit time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

func listens(addr string) func() bool {
	return func() bool { return proctest.Listens(addr) == nil }
}
