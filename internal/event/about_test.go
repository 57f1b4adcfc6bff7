package event_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/event"
)

func TestEveryMessageSaysWhatItIsAbout(t *testing.T) {
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden messages: %v", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		m, err := event.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		about := event.AboutOf(m)
		want := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".hex"), "_", ".")
		if about.Type != want || about.Scan == "" && want != "evidence.read" { // evidence is of no scan
			t.Errorf("%s is about %+v, want type %s and a scan", file, about, want)
		}
		if args := about.LogArgs(); len(args) < 2 || args[0] != "scan" && want != "evidence.read" {
			t.Errorf("%s is logged as %v", file, args)
		}
		seen[about.Type] = true
	}
	if len(seen) != len(files) {
		t.Errorf("%d types in %d files", len(seen), len(files))
	}
	if got := event.AboutOf(nil); got != (event.About{}) {
		t.Errorf("nothing is about %+v", got)
	}
}
