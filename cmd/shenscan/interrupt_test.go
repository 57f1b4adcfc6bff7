package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// TestInterrupt stops commands in the middle: each says at once which one ends,
// ends soon, and never with the exit code of one that is done.
func TestInterrupt(t *testing.T) {
	slow, err := ecssim.ParseLatency("2s")
	if err != nil {
		t.Fatal(err)
	}
	sim := simulator(t, ecssim.Options{Seed: 3, Instances: 50, Regions: 2, Latency: slow})
	home := t.TempDir()
	dir := filepath.Join(home, "store")
	for _, line := range []string{
		"classify",
		"check i-bp67acfmxazb4p0001 --target ecs.g8i --endpoint " + sim.URL,
		"doctor --store " + dir + " --endpoint " + sim.URL,
		"scan --store " + dir + " --endpoint " + sim.URL,
	} {
		args := strings.Fields(line)
		t.Run(args[0], func(t *testing.T) {
			p := start(t, append(env(), "TMPDIR="+home), shenscan, args...)
			if args[0] == "classify" { // it reads what nobody writes
				p.kill()
				input, waits, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				defer waits.Close()
				defer input.Close()
				cmd := exec.Command(shenscan, args...)
				cmd.Stdin = input
				var said strings.Builder
				cmd.Stderr = &said
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(time.Second, func() { _ = cmd.Process.Signal(os.Interrupt) })
				_ = cmd.Wait()
				if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(said.String(), "classify was interrupted") {
					t.Errorf("exit %d: %s", code, said.String())
				}
				return
			}
			begun := time.Now()
			time.AfterFunc(time.Second, func() { _ = p.cmd.Process.Signal(os.Interrupt) })
			<-p.done
			if code := p.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(p.output(), args[0]+" ") || !strings.Contains(p.output(), "interrupted") {
				t.Errorf("exit %d: %s", code, p.output())
			}
			if took := time.Since(begun); args[0] != "scan" && took > 6*time.Second || took > 12*time.Second {
				t.Errorf("it took %s", took)
			}
			if left, _ := filepath.Glob(filepath.Join(home, "shenscan-*")); len(left) > 0 {
				t.Errorf("%s are left", left)
			}
		})
	}
}
