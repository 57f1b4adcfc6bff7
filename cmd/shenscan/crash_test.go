//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// A crash is not wrong usage: whoever restarts shenscan after a failure leaves
// it alone after exit code 2. SIGQUIT ends a Go program as a crash does.
func TestACrashIsNotWrongUsage(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 50, Regions: 1, Seed: 5})
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -c 0; exec "$0" "$@"`, shenscan, "serve", "--endpoint", sim.URL, "--store", t.TempDir(), "--listen", "")
	cmd.Env, cmd.Dir = env(), t.TempDir()
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 64)
	if _, err := out.Read(said); err != nil { // that it runs
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 1<<16); ; {
		if _, err := out.Read(buf); err != nil {
			break
		}
	}
	_ = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT || cmd.ProcessState.ExitCode() == 2 {
		t.Errorf("a crash ends with %v", cmd.ProcessState)
	}
	for _, unit := range []string{"shenscan.service", "shenscan-producer.service", "shenscan-worker@.service", "shenscan-sink.service"} {
		body, err := os.ReadFile("../../deploy/systemd/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"Restart=on-failure\n", "RestartPreventExitStatus=2\n", "LimitCORE=0\n"} {
			if !strings.Contains(string(body), line) {
				t.Errorf("%s lacks %q", unit, line)
			}
		}
	}
}
