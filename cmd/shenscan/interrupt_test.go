package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// TestInterrupt stops commands in the middle of a call: each says at once which
// one ends, ends soon, and never with the exit code of one that is done.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	slow, err := ecssim.ParseLatency("2s")
	if err != nil {
		t.Fatal(err)
	}
	for command, limit := range map[string]time.Duration{
		"check i-bp67acfmxazb4p0001 --target ecs.g8i": 6 * time.Second,
		"doctor --store STORE":                        6 * time.Second,
		"scan --store STORE":                          12 * time.Second,
	} {
		home := t.TempDir()
		args := strings.Fields(strings.ReplaceAll(command, "STORE", filepath.Join(home, "store")))
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			sim := simulator(t, ecssim.Options{Seed: 3, Instances: 50, Regions: 2, Latency: slow})
			p := start(t, append(env(), "TMPDIR="+home), shenscan, append(args, "--endpoint", sim.URL)...)
			eventually(t, "it waits for an answer", func() bool { return sim.Stats().InFlight > 0 })
			begun := time.Now()
			if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			<-p.done
			if code := p.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(p.output(), args[0]+" ") || !strings.Contains(p.output(), "interrupted") {
				t.Errorf("exit %d: %s", code, p.output())
			}
			if took := time.Since(begun); took > limit {
				t.Errorf("it took %s", took)
			}
			if left, _ := filepath.Glob(filepath.Join(home, "shenscan-*")); len(left) > 0 {
				t.Errorf("%s are left", left)
			}
		})
	}
}

// classify is stopped while it waits for a line that nobody writes.
func TestClassifyIsInterruptedWhileItReads(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(shenscan, "classify")
	cmd.Env, cmd.Dir = env(), t.TempDir()
	var said strings.Builder
	cmd.Stderr = &said
	lines, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	_, err = fmt.Fprintln(lines, "CentOS 7.9")
	if err == nil {
		_, err = bufio.NewReader(answers).ReadString('\n')
	}
	if err == nil {
		err = cmd.Process.Signal(os.Interrupt)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it ends with a code
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(said.String(), "classify was interrupted") {
		t.Errorf("exit %d: %s", code, said.String())
	}
}
