package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// ErrNoStore is returned where nothing was ever scanned.
var ErrNoStore = errors.New("nothing was scanned yet")

// OpenStore opens an existing store to read it with a rule set and targets of
// the caller's choice, the built-in ones where none are named.
func OpenStore(ctx context.Context, dir string, overlays, targets []string) (*store.DB, error) {
	path := StoreFile(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no store in %s: %w; run `shenscan scan`, or name another folder with --store", dir, ErrNoStore)
	}
	c, err := Classifier(overlays, targets)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, store.Options{Path: path, Classifier: c})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// CheckStore reads the whole store and says how it is.
func CheckStore(ctx context.Context, dir string) (string, error) {
	c, err := Classifier(nil, nil)
	if err != nil {
		return "", err
	}
	db, err := store.Open(ctx, store.Options{Path: StoreFile(dir), Classifier: c})
	if err != nil {
		return "", err
	}
	if err := db.Check(ctx); err != nil {
		return "", errors.Join(err, db.Close())
	}
	s := db.Summary()
	return fmt.Sprintf("sound; %d instances, %d gone, %d bytes", s.Instances, s.Gone, db.Size()), db.Close()
}

// StoreReport is the report of a scan, or of all that the store holds where
// scan is "".
func StoreReport(ctx context.Context, db *store.DB, scan, since string) (*report.Report, error) {
	r := &report.Report{Summary: *db.Summary(), Instances: db.Instances(ctx, store.Filter{})}
	// The reader waited for the end of the scan, or has the file to itself:
	// nothing more is coming in.
	r.Summary.CaughtUp = true
	last := scan
	if last == "" {
		scans, err := db.Scans(50)
		if err != nil {
			return nil, err
		}
		for _, s := range scans {
			if s.Kind == "scan" && s.State != record.ScanRunning {
				last = s.ID
				break
			}
		}
	}
	if last != "" {
		s, err := db.Scan(last)
		if err != nil {
			return nil, fmt.Errorf("scan %q: %w", last, err)
		}
		r.Scan = *s
	}
	for _, sc := range r.Summary.Scopes {
		r.Failures = append(r.Failures, sc.Failures...)
	}
	if since != "" {
		s, err := changedSince(db, since)
		if err != nil {
			return nil, err
		}
		r.Since = s
	}
	return r, nil
}

// changedSince collects what changed after the named scan ended.
func changedSince(db *store.DB, scan string) (*report.Since, error) {
	s, err := db.Scan(scan)
	if err != nil {
		return nil, fmt.Errorf("--since %q: %w; `shenscan report --scans` lists the scans", scan, err)
	}
	if s.EndedAt == nil {
		return nil, fmt.Errorf("--since %q: that scan has not ended", scan)
	}
	out := &report.Since{ScanID: scan, At: *s.EndedAt}
	scans, err := db.Scans(1000)
	if err != nil {
		return nil, err
	}
	for _, later := range scans {
		if later.EndedAt != nil && later.EndedAt.After(*s.EndedAt) {
			out.New += later.New
			out.Gone += later.Gone
			out.Changed += later.Changed
		}
	}
	return out, nil
}
