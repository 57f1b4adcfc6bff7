//go:build linux

package docs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestNewcomer goes the way of somebody who has never seen shenscan, and says how
// long each step takes: a clone, the binary, the first report, the first command on
// an account of one's own, which fails for lack of keys and says so, and the first
// plan.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("this is no clone: there is nothing to clone")
	}
	home := t.TempDir()
	clone, bin := filepath.Join(home, "shenscan"), filepath.Join(home, "bin", "shenscan")
	begun := time.Now()
	step := func(what string, code int, dir, name string, args ...string) string {
		t.Helper()
		from := time.Now()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		if name == bin { // whose home has no keys, as a newcomer's
			cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home}
		}
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatalf("%s: %v", what, err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Fatalf("%s: exit %d instead of %d\n%s", what, got, code, out)
		}
		t.Logf("%6.1fs after the start, %5.1fs: %s", time.Since(begun).Seconds(), time.Since(from).Seconds(), what)
		return string(out)
	}
	says := func(said string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%q is not said:\n%s", want, said)
			}
		}
	}
	step("clone", 0, home, "git", "clone", "--quiet", "--depth", "1", "file://"+root, clone)
	step("build", 0, clone, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/shenscan")
	says(step("help", 0, home, bin), "shenscan demo", "shenscan scan")
	says(step("first report", 0, home, bin, "demo", "--store", "fleet", "--html", "report.html"), "Verdicts", "Next", "shenscan plan --store fleet")
	for _, command := range []string{"doctor", "scan"} {
		says(step(command+" of an own account, without keys", 1, home, bin, command, "--store", "own"),
			"no Alibaba Cloud credentials were found: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET", "aliyun configure")
	}
	says(step("first plan", 0, home, bin, "plan", "--store", "fleet", "--target", "shenlong-8", "--out", "plan.html"), "")
	step("a part of it for each owner", 0, home, bin, "plan", "--store", "fleet", "--target", "shenlong-8", "--split-by-owner", "pack")
	for _, file := range []string{"report.html", "plan.html", "pack/index.html", "pack/owner-payments.xlsx"} {
		if info, err := os.Stat(filepath.Join(home, file)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", file, err)
		}
	}
}
