package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// Damage that comes while a store is open is told by whoever reads the instances it hit, and
// of no other: nobody is told that they are not there, and none is left out of a list.
func TestDamageUnderAnOpenStoreIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		bucket string
		change func(orders [][]byte) []byte // of the larger block; those of the smaller one are the last
		hit    string
	}{
		"fewer stamps than rows": {"orders", func(v [][]byte) []byte { return v[1] }, "i-2"},
		"stamps that do not fit": {"orders", func(v [][]byte) []byte { return v[0][:len(v[0])-1] }, "i-1"},
		"no stamps":              {"orders", func([][]byte) []byte { return nil }, "i-1"},
		"rows that do not fit":   {"blocks", func(v [][]byte) []byte { return v[0][:len(v[0])-1] }, "i-1"},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes)), newStream()
			s.now = 50
			apply(t, db, s.put(whole("s1", beijing, 10, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"}, machine{id: "i-3", os: "debian 12"})...))
			apply(t, db, s.put(whole("s2", hangzhou, 10, machine{id: "i-9", os: "debian 12"})...))
			err := db.Damage(func(tx *bbolt.Tx) error {
				bucket := tx.Bucket([]byte(c.bucket))
				var keys, values [][]byte
				for k, v := range bucketOf(bucket) {
					keys, values = append(keys, k), append(values, v)
				}
				if changed := c.change(values); changed != nil {
					return bucket.Put(keys[0], changed)
				}
				return bucket.Delete(keys[0])
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Get("prod", "cn-beijing", c.hit); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: %v", c.hit, err)
			}
			if _, err := db.Locate([]string{c.hit}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("where %s is: %v", c.hit, err)
			}
			if found, err := db.Get("prod", "cn-hangzhou", "i-9"); err != nil || found.Record.InstanceID != "i-9" {
				t.Errorf("i-9: %v", err)
			}
			view := viewOf(t, db, store.Filter{})
			told := error(nil)
			for _, err := range view.Instances(t.Context()) {
				told = errors.Join(told, err)
			}
			if !errors.Is(told, store.ErrCorrupt) {
				t.Errorf("the list: %v", told)
			}
			for order, by := range sortings() {
				if _, err := view.Sorted(t.Context(), by.by, nil, 10); !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("by %s: %v", order, err)
				}
			}
			for what, f := range map[string]store.Filter{"text": {Query: "i-"}, "tag": {Scope: scopeOf(t, "status=Running")}} {
				if _, err := db.View(t.Context(), nil, f); !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("a view by %s: %v", what, err)
				}
			}
			if _, err := db.View(t.Context(), newJudge("b", map[string]rules.Level{}), store.Filter{}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("a view by other rules: %v", err)
			}
		})
	}
}

// bucketOf copies what a bucket holds.
func bucketOf(b *bbolt.Bucket) func(yield func(k, v []byte) bool) {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		for k, v := c.First(); k != nil && yield(slices.Clone(k), slices.Clone(v)); k, v = c.Next() {
			continue
		}
	}
}

// A part of the file that is lost under an open store leaves no instance out in silence:
// whoever reads all instances of a region is told that it lists fewer than there are.
func TestNoReaderLeavesOutWhatWasLost(t *testing.T) {
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), newJudge("a", oldOnes)), newStream()
	s.now = 50
	var fleet []machine
	for i := range 600 {
		fleet = append(fleet, machine{id: fmt.Sprintf("i-%03d", i), os: "debian 12"})
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	err := db.Damage(func(tx *bbolt.Tx) error {
		for _, name := range []string{"blocks", "orders"} {
			bucket := tx.Bucket([]byte(name))
			key, _ := bucket.Cursor().Last()
			if err := bucket.Delete(slices.Clone(key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	view := viewOf(t, db, store.Filter{})
	told := error(nil)
	for _, err := range view.Instances(t.Context()) {
		told = errors.Join(told, err)
	}
	if !errors.Is(told, store.ErrCorrupt) || !strings.HasPrefix(told.Error(), "read prod/cn-hangzhou: store is damaged: ") || !strings.HasSuffix(told.Error(), "instances are listed, of 600 that are counted; see `shenscan store check`") {
		t.Errorf("the list: %v", told)
	}
	for order, by := range sortings() {
		by.by.Down = true
		if order == "class" {
			by.by.Back = true // else it is read by class alone
		}
		if _, err := view.Sorted(t.Context(), by.by, nil, 10); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("by %s: %v", order, err)
		}
	}
	if _, err := view.Alike(t.Context()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("what is judged alike: %v", err)
	}
	if _, err := db.View(t.Context(), nil, store.Filter{Query: "i-"}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a view by text: %v", err)
	}
	if _, err := db.View(t.Context(), newJudge("b", map[string]rules.Level{}), store.Filter{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a view by other rules: %v", err)
	}
}
