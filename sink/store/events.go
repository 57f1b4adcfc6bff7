package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Event is something that happened and is to be published. It stays in the
// outbox until Delivered.
type Event struct {
	Key   uint64         `json:"key"` // ascending, without meaning beyond this store
	At    event.Position `json:"at"`
	Index int            `json:"index"` // within the message at At, or within a change of judgement
	// Judgement names the rule set, and the day, that caused it: nothing that was
	// observed did.
	Judgement string                `json:"judgement,omitempty"`
	Time      time.Time             `json:"time"`
	Change    *event.VerdictChanged `json:"change,omitempty"` // either this
	Scan      *record.Scan          `json:"scan,omitempty"`   // or this
	Check     *event.ScopeCheck     `json:"check,omitempty"`  // or this, which is for a producer
}

// scanEvent notes that a scan started or ended.
func (a *applier) scanEvent(s record.Scan) {
	a.out.Scans = append(a.out.Scans, s)
	a.events = append(a.events, Event{At: a.msg.Position, Index: a.event, Time: utc(a.msg.Stored), Scan: &s})
	a.event++
}

// chunkEvents is how many events share one value of the outbox.
const chunkEvents = 64

// storeEvents writes the events of the transaction to the outbox.
func (a *applier) storeEvents() error {
	bucket := a.tx.Bucket(bucketOutbox)
	for len(a.events) > 0 {
		n := min(len(a.events), chunkEvents)
		chunk := a.events[:n]
		a.events = a.events[n:]
		for i := range chunk {
			a.db.meta.Outbox++
			chunk[i].Key = a.db.meta.Outbox
		}
		v, err := format.Packed(chunk)
		if err != nil {
			return fmt.Errorf("outbox: %w", err)
		}
		if err := bucket.Put(format.Key64(chunk[n-1].Key), v); err != nil {
			return err
		}
	}
	return nil
}

// Outbox returns up to limit events after the key that are not yet delivered,
// in the order in which they happened. Begin with key 0.
func (db *DB) Outbox(after uint64, limit int) ([]Event, error) {
	var out []Event
	err := db.view(func(tx *bbolt.Tx) error {
		var m meta
		if err := format.ReadJSON("meta", tx.Bucket(bucketMeta).Get(keyMeta), &m); err != nil {
			return err
		}
		after = max(after, m.Sent)
		c := tx.Bucket(bucketOutbox).Cursor()
		for k, v := c.Seek(format.Key64(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			chunk, err := readEvents(v)
			if err != nil {
				return err
			}
			for i := range chunk {
				if chunk[i].Key > after && len(out) < limit {
					out = append(out, chunk[i])
				}
			}
		}
		return nil
	})
	return out, err
}

func readEvents(v []byte) ([]Event, error) {
	var out []Event
	err := format.ReadPacked("outbox entry", v, 256<<20, &out)
	return out, err
}

// Delivered forgets the events up to the key: they were published.
func (db *DB) Delivered(upto uint64) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	upto = min(upto, db.meta.Outbox)
	if upto <= db.meta.Sent {
		return nil
	}
	return db.update(func(tx *bbolt.Tx) error {
		db.meta.Sent = upto
		bucket := tx.Bucket(bucketOutbox)
		var keys [][]byte
		c := bucket.Cursor()
		for k, _ := c.First(); k != nil && binary.BigEndian.Uint64(k) <= upto; k, _ = c.Next() {
			keys = append(keys, append([]byte(nil), k...))
		}
		for _, k := range keys {
			if err := bucket.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
}
