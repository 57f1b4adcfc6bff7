package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// saved is the path of a recorded answer.
func saved(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../internal/ecs/ecsfile/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScanOfSavedAnswers scans recorded bodies without any key: the same report
// as of the cloud, and no word that it is whole where it is not.
func TestScanOfSavedAnswers(t *testing.T) {
	t.Parallel()
	noKeys := []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}
	whole := saved(t, "DescribeInstances.recorded.troubleshooter.01.json")
	r := run(t, noKeys, "scan", "--from", whole, "--output", "json")
	var got struct {
		Scan struct {
			State     string
			Instances int
			Scopes    []struct{ Account, Region, Completeness string }
		}
		Instances []struct {
			OS struct{ Family string }
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 {
		t.Fatalf("exit %d, %v\n%s", r.code, err, r.stderr)
	}
	families := map[string]int{}
	for _, x := range got.Instances {
		families[x.OS.Family]++
	}
	if got.Scan.State != "complete" || got.Scan.Instances != 24 || len(got.Scan.Scopes) != 1 || got.Scan.Scopes[0].Account != "offline" ||
		families["alinux"] != 18 || families["ubuntu"] != 6 {
		t.Errorf("%+v, %v", got.Scan, families)
	}
	if !strings.Contains(r.stderr, "7 images are not in the files") {
		t.Errorf("the images that are not known are not named:\n%s", r.stderr)
	}

	item := saved(t, "DescribeInstances.recorded.cloudmux-one-item.json")
	r = run(t, noKeys, "scan", "--account", "acme", "--from", item, "--store", t.TempDir())
	if r.code != 4 || !strings.Contains(r.stderr, "single items") || !strings.Contains(r.stdout, "acme") {
		t.Errorf("exit %d for an item of which nobody knows whether it is all\n%s\n%s", r.code, r.stdout, r.stderr)
	}
	if strings.Contains(r.stdout, "shenscan doctor") || !strings.Contains(r.stdout, "shenscan scan --store") || !strings.Contains(r.stdout, "--from "+item) {
		t.Errorf("the next steps lead from files to the cloud:\n%s", r.stdout)
	}

	for _, args := range [][]string{
		{"scan", "--from", "missing.json"},
		{"scan", "--from", item, "--nats-url", "nats://127.0.0.1:1"},
		{"scan", "--from", item, "--account", "a", "--account", "b"},
		{"scan", item},
	} {
		if r := run(t, noKeys, args...); r.code != 2 || r.stderr == "" {
			t.Errorf("%v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
}

// TestNextStepsNeverLeadFromADemoToTheCloud: neither the demo nor what is printed
// about its store later names a command that asks the real cloud; flags that were
// given are repeated.
func TestNextStepsNeverLeadFromADemoToTheCloud(t *testing.T) {
	t.Parallel()
	environ, dir := []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}, t.TempDir()
	r := run(t, environ, "demo", "--instances", "300", "--regions", "3", "--store", dir, "--html", "")
	later := run(t, environ, "report", "--store", dir, "--target", "shenlong-8", "--tag", "team=core")
	for _, out := range []string{r.stdout, later.stdout} {
		if strings.Contains(out, "shenscan scan") || strings.Contains(out, "shenscan doctor") || !strings.Contains(out, "shenscan plan --store "+dir) {
			t.Errorf("the next steps:\n%s", out[strings.Index(out, "\nNext"):])
		}
	}
	if !strings.Contains(later.stdout, "--target shenlong-8 --tag team=core --out plan.html") {
		t.Errorf("the flags are not repeated:\n%s", later.stdout[strings.Index(later.stdout, "\nNext"):])
	}
	plan := run(t, environ, "plan", "--store", dir, "--target", "shenlong-8", "--owner-tag", "team", "--tag", "env=prod")
	if want := "shenscan plan --store " + dir + " --target shenlong-8 --owner-tag team --tag env=prod --split-by-owner plan"; !strings.Contains(plan.stdout, want) {
		t.Errorf("want %q in\n%s", want, plan.stdout)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	if r := run(t, environ, "report", "--store", dir, "--out", page); r.code != 0 {
		t.Fatal(r.stderr)
	}
	if body, err := os.ReadFile(page); err != nil || !strings.HasPrefix(string(body), "<!doctype html>") {
		t.Errorf("a file whose name ends in .html begins %.40q, %v", body, err)
	}
}

func TestWhatWasMeantIsNamed(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"reprot":                         `did you mean "report"?`,
		"rules lst":                      `did you mean "list"?`,
		"scan --regoin x":                `did you mean "region"?`,
		"classify x --target shenlong8":  `did you mean "shenlong-8"?`,
		"plan --store x --account 1 --x": "unknown flag: --x",
	} {
		r := run(t, []string{"PATH=/usr/bin:/bin", "HOME=" + t.TempDir()}, strings.Fields(args)...)
		if r.code != 2 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, want %q in %q", args, r.code, want, r.stderr)
		}
	}
	if r := run(t, []string{"PATH=/usr/bin:/bin"}, "--version"); r.code != 0 || !strings.HasPrefix(r.stdout, "shenscan ") {
		t.Errorf("--version: exit %d, %q", r.code, r.stdout)
	}
}
