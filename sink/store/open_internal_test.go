package store

import (
	"path/filepath"
	"testing"
	"time"
)

// A file that another one took the place of is let go of, and the one that is there
// now is opened in its stead.
func TestTheFileOfTheNameIsOpened(t *testing.T) {
	options := Options{Path: filepath.Join(t.TempDir(), "store.db"), LockWait: time.Second}
	if err := create(&options); err != nil {
		t.Fatal(err)
	}
	db := &DB{o: options}
	for range 2 {
		if inPlace, err := db.openOnce(); err != nil || !inPlace {
			t.Fatalf("in place: %t, %v", inPlace, err)
		}
		if err := db.InPlace(); err != nil {
			t.Error(err)
		}
		if err := db.shut(); err != nil {
			t.Error(err)
		}
	}
}
