package store_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/sink/store"
)

// TestFormat1IsMoved opens a store that the build before format 2 wrote, beside
// what that build said of it: 300 instances of the simulator.
func TestFormat1IsMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	gunzip(t, filepath.Join("testdata", "v1", "store.db.gz"), path)
	text, err := os.ReadFile(filepath.Join("testdata", "v1", "fleet.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	counts := map[[4]string]int{} // family, version, legacy, verdict on shenlong-7
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		want[f[2]] = f
		counts[[4]string{f[5], f[6], f[7], strings.Split(f[8], ",")[2]}]++
	}
	for range 2 { // moved, then as it is
		db := open(t, path, newJudge("other rules", oldOnes))
		if err := db.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !db.NeedsReclassify() {
			t.Error("the rule set of the old build was forgotten")
		}
		got := map[[4]string]int{}
		for _, g := range db.Summary().Groups {
			if g.Target == "shenlong-7" {
				got[[4]string{g.OSFamily, g.OSVersion, strconv.FormatBool(g.Legacy), g.Verdict}] += g.Instances
			}
		}
		if diff := cmp.Diff(counts, got); diff != "" {
			t.Errorf("what was counted (-then +now):\n%s", diff)
		}
		seen := 0
		for r, err := range db.Instances(t.Context(), store.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			seen++
			if f := want[r.InstanceID]; f == nil || r.Account != f[0] || r.Region != f[1] || r.InstanceType != f[3] || r.ImageID != f[4] {
				t.Errorf("%s/%s %s on %s from %s, was %v", r.Account, r.Region, r.InstanceID, r.InstanceType, r.ImageID, f)
			}
		}
		if seen != len(want) {
			t.Errorf("%d instances of %d", seen, len(want))
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db := open(t, path, newJudge("other rules", oldOnes))
	if _, err := db.Reclassify(t.Context(), newJudge("other rules", oldOnes)); err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if sum := db.Summary(); sum.Instances != len(want) || sum.Ruleset != "other rules" {
		t.Errorf("%+v", sum)
	}
}

func gunzip(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
