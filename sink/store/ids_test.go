package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/sink/store"
)

// No scan has an id that is empty or longer than one can be: asking for one finds nothing,
// and is no error of the store.
func TestNoScanHasAnIDThatCannotBe(t *testing.T) {
	for _, had := range []bool{false, true} {
		db, s := fresh(t), newStream()
		if s.now = 50; had {
			apply(t, db, s.put(append(whole("s1", hangzhou, 10, machine{id: "i-1"}), planned("s2", scanKind, 20, hangzhou))...))
		}
		for _, id := range []string{"", strings.Repeat("x", 201), strings.Repeat("x", 1<<16)} {
			if got, err := db.Scan(id); got != nil || !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a scan of %d bytes, with others: %t: %+v, %v", len(id), had, got, err)
			}
			if got, err := db.Asked(id, []string{"i-1"}); got != nil || !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a rescan of %d bytes, with others: %t: %+v, %v", len(id), had, got, err)
			}
		}
	}
}
