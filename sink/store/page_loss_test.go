package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

// readRows lists the store in one go, as a report does.
func readRows(t *testing.T, path string) ([]string, error) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes)})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	var rows []*record.Record
	for r, err := range db.Instances(t.Context(), store.Filter{}) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return lines(rows), nil
}

// threeScopes is a store of 3,000 instances in three regions, without free
// space.
func threeScopes(t *testing.T) []byte {
	t.Helper()
	db := fresh(t)
	r := rand.New(rand.NewPCG(7, 7))
	s := newStream()
	for i, scope := range []ecs.Scope{hangzhou, {Account: "main", Region: "cn-beijing"}, {Account: "other", Region: "cn-hangzhou"}} {
		s.now += 1000
		apply(t, db, s.put(whole(fmt.Sprint("s", i), scope, s.now-500, fleetOf(r, 1000)...)...))
	}
	path := filepath.Join(t.TempDir(), "dense.db")
	if err := db.Compact(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNoDamagedPageLosesARow clears and cuts into every page in turn: either
// that is found, or every row is there.
func TestNoDamagedPageLosesARow(t *testing.T) {
	t.Parallel()
	whole := threeScopes(t)
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := readRows(t, path)
	if err != nil || len(want) == 0 {
		t.Fatalf("%d rows, %v", len(want), err)
	}
	for at := 0; at+4096 <= len(whole); at += 4096 {
		for name, damage := range map[string]func(page []byte){
			"zeroed":       func(page []byte) { clear(page) },
			"end zeroed":   func(page []byte) { clear(page[2048:]) },
			"head zeroed":  func(page []byte) { clear(page[:2048]) },
			"set to 0xff":  func(page []byte) { copy(page, bytes.Repeat([]byte{0xff}, len(page))) },
			"a page ahead": func(page []byte) { copy(page, whole[(at+4096)%len(whole):]) },
		} {
			b := bytes.Clone(whole)
			damage(b[at : at+4096])
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := readRows(t, path)
			if err != nil {
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("page %d %s: %v", at/4096, name, err)
				}
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("page %d %s: %d rows of %d, and no error", at/4096, name, len(got), len(want))
			}
		}
	}
}
