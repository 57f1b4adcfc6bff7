package store

import (
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Scans returns the scans that run, then up to n that ended, the newest first.
// Scans and rescans are mixed.
func (db *DB) Scans(n int) ([]record.Scan, error) { return db.published().scans(n) }

func (r *reading) scans(limit int) ([]record.Scan, error) {
	var running, ended []record.Scan
	err := r.view(func(tx *bbolt.Tx) error {
		for k := range entries(tx.Bucket(bucketScans), nil) {
			state, err := readRunning(tx, k)
			if err != nil {
				return err
			}
			if state.Planned {
				running = append(running, state.Report())
			}
		}
		for _, kind := range []byte("sz") {
			found, err := lastEnded(tx, kind, limit)
			if err != nil {
				return err
			}
			for _, e := range found {
				ended = append(ended, e.Scan)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(running, func(a, b record.Scan) int { return b.StartedAt.Compare(a.StartedAt) })
	slices.SortStableFunc(ended, func(a, b record.Scan) int { return b.EndedAt.Compare(*a.EndedAt) })
	return append(running, ended[:min(limit, len(ended))]...), nil
}

// Running returns the scans and rescans that run, the newest first.
func (db *DB) Running() ([]record.Scan, error) { return db.published().scans(0) }

// LastScan is the id of the scan that ended last, "" where none has: a rescan is
// none.
func (db *DB) LastScan() (id string, err error) {
	err = db.view(func(tx *bbolt.Tx) error {
		found, err := lastEnded(tx, 's', 1)
		for _, ended := range found {
			id = ended.Scan.ID
		}
		return err
	})
	return id, err
}

// lastEnded returns the n last ended scans of a kind, the newest first.
func lastEnded(tx *bbolt.Tx, kind byte, n int) ([]*endedScan, error) {
	var out []*endedScan
	c := tx.Bucket(bucketEnded).Cursor()
	after, _ := c.Seek([]byte{kind + 1})
	for k, v := prev(c, after); k != nil && k[0] == kind && len(out) < n; k, v = c.Prev() {
		e, err := readEnded(v)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func readRunning(tx *bbolt.Tx, id []byte) (*scans.Scan, error) {
	state := scans.New(string(id), "")
	if err := format.ReadJSON("scan", tx.Bucket(bucketScans).Get(id), state); err != nil {
		return nil, err
	}
	for _, v := range entries(tx.Bucket(bucketProgress), append(append([]byte(nil), id...), 0)) {
		scope := &scans.Scope{}
		if err := format.ReadJSON("progress of a scan", v, scope); err != nil {
			return nil, err
		}
		scope.Recount()
		state.Progress[scope.Key] = scope
	}
	return state, nil
}

// Scan returns a scan that runs or is remembered, or ErrNotFound.
func (db *DB) Scan(id string) (*record.Scan, error) { return db.published().scan(id) }

func (r *reading) scan(id string) (*record.Scan, error) {
	var out *record.Scan
	err := r.view(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketScans).Get([]byte(id)) != nil {
			state, err := readRunning(tx, []byte(id))
			if err != nil {
				return err
			}
			r := state.Report()
			out = &r
			return nil
		}
		if key := tx.Bucket(bucketEndedIDs).Get([]byte(id)); key != nil {
			endedScan, err := readEnded(tx.Bucket(bucketEnded).Get(key))
			if err != nil {
				return err
			}
			out = &endedScan.Scan
		}
		return nil
	})
	if err == nil && out == nil {
		err = fmt.Errorf("scan %.64q: %w", id, ErrNotFound)
	}
	return out, err
}

func (r *reading) trend(n int) ([]TrendPoint, error) {
	out := []TrendPoint{}
	err := r.view(func(tx *bbolt.Tx) error {
		found, err := lastEnded(tx, 's', n)
		for _, e := range found {
			if e.Trend != nil {
				out = append(out, *e.Trend)
			}
		}
		return err
	})
	slices.Reverse(out)
	return out, err
}
