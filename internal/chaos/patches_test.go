//go:build chaos || soak

package chaos

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patch is a mistake put into one file of the product, by an overlay: the tree
// is not touched.
type patch struct{ file, old, mistaken string }

// mutate builds a shenscan with the mistakes in it.
func mutate(t *testing.T, patches ...patch) string {
	t.Helper()
	dir, replace := t.TempDir(), map[string]string{}
	for i, p := range patches {
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
		changed := filepath.Join(dir, fmt.Sprintf("mutant%d.go", i))
		if err := os.WriteFile(changed, []byte(strings.Replace(string(body), p.old, p.mistaken, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = changed
	}
	overlay, bin := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "shenscan")
	spec, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, spec, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := build(bin, "../../cmd/shenscan", "-overlay", overlay); err != nil {
		t.Fatal(err)
	}
	return bin
}

// wrongClock gives the processes a clock that is wrong by what a file says at
// that moment. It is built in for these tests alone: the product has no such
// thing. Signatures of calls keep the machine's clock, since the cloud refuses
// others.
var wrongClock = patch{"cmd/shenscan/serve.go", "opts.Now = time.Now", `opts.Now = func() time.Time {
		text, _ := os.ReadFile(os.Getenv("CLOCK"))
		wrong, _ := time.ParseDuration(string(text))
		return time.Now().Add(wrong)
	}`}

// setClock makes the clock of a process, by its number, wrong from now on.
func (r *rig) setClock(process int, wrong time.Duration) {
	r.t.Helper()
	if err := os.WriteFile(r.clockFile(process), []byte(wrong.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
}
