//go:build chaos

package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestASecondJudgeIsFound puts a second judge, or a second answer, into each
// place where one could creep in. The tests that rows, totals, groups and exit
// code are of one judgement must fail of each.
func TestASecondJudgeIsFound(t *testing.T) {
	for name, p := range map[string]patch{
		"rows are of the stored rules, whatever rules are asked for": {"sink/store/view.go", "\twanted.foreign = !v.own\n", "\twanted.foreign = false\n"},
		"totals are the stored ones, whatever rules are asked for":   {"sink/store/view.go", "if v.own && v.f.scopesOnly() {", "if v.f.scopesOnly() {"},
		"totals are the stored ones, whatever is left out":           {"sink/store/view.go", "if v.own && v.f.scopesOnly() {", "if v.own {"},
		"the exit code is counted from the whole store":              {"sink/store/view.go", "\tbyTarget = map[string]int{}\n\tfor _, sc := range v.scopes {", "\tbyTarget = map[string]int{}\n\tfor _, sc := range v.snap.scopes {"},
		"the exit code looks at the first target alone":              {"sink/store/view.go", "\t\t\t\tif classCount.Level(t).AtLeast(level) {", "\t\t\t\tif t == 0 && classCount.Level(t).AtLeast(level) {"},
		"groups are counted without the filter":                      {"sink/store/view.go", "\tf := v.f\n\tf.Gone = false\n", "\tf := Filter{}\n"},
		"groups are judged without waivers":                          {"sink/store/alike.go", "\tif !c.v.j.waivers {", "\tif true {"},
	} {
		t.Run(name, func(t *testing.T) { secondJudge(t, p) })
	}
}

func secondJudge(t *testing.T, p patch) {
	path, err := filepath.Abs(filepath.Join("../..", p.file))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(body), p.old); n != 1 {
		t.Fatalf("%s holds %q %d times, not once: bring the mutant up to date", p.file, p.old, n)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(body), p.old, p.mistaken, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	// The binary of the tests is the program that they start, the overlay with it.
	cmd := exec.Command("go", "test", "-count=1", "-run", "TestOneAnswer$|TestViewAddsUp$", "./cmd/shenscan", "./sink/store")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Error("nobody noticed")
	case !strings.Contains(string(out), "--- FAIL: TestOneAnswer") && !strings.Contains(string(out), "--- FAIL: TestViewAddsUp"):
		t.Errorf("the test did not run: %v\n%.3000s", err, out)
	}
}
