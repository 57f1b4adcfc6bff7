package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	main "github.com/shenscan/shenscan/cmd/shenscan"
	"github.com/shenscan/shenscan/internal/proctest"
)

// TestMain lets the binary of the tests be the commands that they start: called
// as shenscan it is shenscan, called as nats-server it is NATS. Nothing is built
// and linked a second time. Links to it under these names come first in PATH.
// Called as shenscan-again it is shenscan for one command line after another.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "shenscan":
		main.Main()
	case "nats-server":
		main.NATSServer()
		return
	case "shenscan-again":
		main.Commands(os.Stdin, os.Stdout)
		return
	}
	proctest.Waits()
	os.Exit(func() int {
		links, err := os.MkdirTemp("", "shenscan-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(links)
		self, err := os.Executable()
		for _, name := range []string{"shenscan", "nats-server", "shenscan-again"} {
			if err == nil {
				err = os.Symlink(self, filepath.Join(links, name))
			}
		}
		if err == nil {
			err = os.Setenv("PATH", links+string(os.PathListSeparator)+os.Getenv("PATH"))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer runners.stop()
		return proctest.Run(m)
	}())
}

// runTime is how long a command that ends by itself may take.
const runTime = 5 * time.Minute

type result struct {
	stdout, stderr string
	code           int
}

// run executes a command line to its end, in a process that ran others before.
func run(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	if slices.ContainsFunc(environ, readOnce) {
		return runAlone(t, environ, args...)
	}
	out := t.TempDir()
	stdout, stderr := filepath.Join(out, "stdout"), filepath.Join(out, "stderr")
	code, err := runners.run(command{Args: args, Env: environ, Dir: t.TempDir(), Stdout: stdout, Stderr: stderr})
	read := func(path string) string {
		content, failed := os.ReadFile(path)
		err = errors.Join(err, failed)
		return string(content)
	}
	r := result{read(stdout), read(stderr), code}
	t.Logf("shenscan %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	if err != nil {
		t.Fatalf("run %v: %v", args, err)
	}
	return r
}

// runAlone executes the binary to its end, in a process of its own.
func runAlone(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	cmd := exec.Command(shenscan, args...)
	cmd.Env = environ
	cmd.Dir = t.TempDir()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(runTime, func() { _ = cmd.Process.Kill() })
		err = cmd.Wait()
		late.Stop()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", args, err)
	}
	r := result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	t.Logf("shenscan %s: exit %d\n%s", strings.Join(args, " "), r.code, r.stderr)
	return r
}

// readOnce says whether Go reads a variable of the environment, NAME=value, once
// for all the life of a process.
func readOnce(variable string) bool {
	name, _, _ := strings.Cut(strings.ToUpper(variable), "=")
	return name == "TZ" || strings.HasPrefix(name, "GO") || strings.HasSuffix(name, "_PROXY")
}

// command is what a runner runs: see runCommands.
type command struct {
	Args, Env           []string
	Dir, Stdout, Stderr string
}

// runner is a process that runs commands, one after another.
type runner struct {
	cmd      *exec.Cmd
	in       io.Closer
	commands *json.Encoder
	codes    *json.Decoder
	crash    proctest.Output
}

// runners are as many processes as commands ran at once.
var runners = &pool{}

type pool struct {
	mu   sync.Mutex
	idle []*runner
}

// run executes a command in a runner that is idle, or in a new one.
func (p *pool) run(c command) (code int, err error) {
	var r *runner
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		r, p.idle = p.idle[last], p.idle[:last]
	}
	p.mu.Unlock()
	if r == nil {
		if r, err = newRunner(); err != nil {
			return 0, err
		}
	}
	late := time.AfterFunc(runTime, func() { _ = r.cmd.Process.Kill() })
	err = errors.Join(r.commands.Encode(c), r.codes.Decode(&code))
	if !late.Stop() || err != nil {
		return 0, errors.Join(err, r.cmd.Process.Kill(), r.cmd.Wait(), errors.New(r.crash.String()))
	}
	p.mu.Lock()
	p.idle = append(p.idle, r)
	p.mu.Unlock()
	return code, nil
}

// stop ends the runners, which are idle where all tests have ended.
func (p *pool) stop() {
	for _, r := range p.idle {
		_ = r.in.Close() // it has no other command to wait for
		_ = r.cmd.Wait()
	}
}

func newRunner() (*runner, error) {
	r := &runner{cmd: exec.Command("shenscan-again")}
	r.cmd.Stderr = &r.crash
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.in, r.commands, r.codes = in, json.NewEncoder(in), json.NewDecoder(out)
	return r, r.cmd.Start()
}
