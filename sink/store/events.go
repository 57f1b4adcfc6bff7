package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
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
	Judgement string        `json:"judgement,omitempty"`
	Time      time.Time     `json:"time"`
	Change    *VerdictEvent `json:"change,omitempty"` // either this
	Scan      *record.Scan  `json:"scan,omitempty"`   // or this

	changed *event.VerdictChanged // what Change is encoded from, when it is stored
}

// VerdictEvent tells of a verdict that changed. Its records are encoded when it
// is stored and published as they are: two records are some 8 KB, nearly all of
// which they share with others.
type VerdictEvent struct {
	Account    string `json:"account"`
	Region     string `json:"region"`
	InstanceID string `json:"instance_id"`
	Data       []byte `json:"-"` // an event.VerdictChanged in JSON
}

// Question is what the store wants to know of a producer before it decides a
// scope. It stays in the store until QuestionsPut.
type Question struct {
	Key   uint64            `json:"key"` // ascending, without meaning beyond this store
	Check *event.ScopeCheck `json:"check"`
}

// scanEvent notes that a scan started or ended.
func (a *applier) scanEvent(s record.Scan) {
	a.out.Scans = append(a.out.Scans, s)
	a.events = append(a.events, Event{At: a.msg.Position, Index: a.event, Time: utc(a.msg.Stored), Scan: &s})
	a.event++
}

// A queue holds what is to be published, in the order in which it happened.
// Events and questions wait in queues of their own: a scan ends when its
// questions are answered, and must not wait for a hundred thousand events of
// verdicts that moved in it.
type queue[T any] struct {
	bucket []byte
	last   func(*meta) *uint64 // key of the newest entry
	sent   func(*meta) *uint64 // entries up to here are published
	key    func(*T) *uint64
	// beside is given what was put beside an entry; nil where nothing is.
	beside func(*T, []byte)
}

var (
	eventQueue = queue[Event]{
		bucketOutbox,
		func(m *meta) *uint64 { return &m.Outbox },
		func(m *meta) *uint64 { return &m.Sent },
		func(e *Event) *uint64 { return &e.Key },
		func(e *Event, data []byte) {
			if e.Change != nil {
				e.Change.Data = data
			}
		},
	}
	questionQueue = queue[Question]{
		bucketQuestions,
		func(m *meta) *uint64 { return &m.Questions },
		func(m *meta) *uint64 { return &m.Asked },
		func(q *Question) *uint64 { return &q.Key },
		nil,
	}
)

// chunkEntries is how many entries of a queue share one value.
const chunkEntries = 64

// put writes the entries to the end of the queue, each with what beside appends
// for it, unless it is nil.
func (q *queue[T]) put(tx *bbolt.Tx, m *meta, entries []T, beside func(data []byte, entry *T) ([]byte, error)) error {
	bucket := tx.Bucket(q.bucket)
	last := q.last(m)
	var body, data []byte
	for chunk := range slices.Chunk(entries, chunkEntries) {
		body = body[:0]
		for i := range chunk {
			*last++
			*q.key(&chunk[i]) = *last
			if beside != nil {
				var err error
				if data, err = beside(data[:0], &chunk[i]); err != nil {
					return fmt.Errorf("%s: %w", q.bucket, err)
				}
			}
			entry, err := json.Marshal(&chunk[i])
			if err != nil {
				return fmt.Errorf("%s: %w", q.bucket, err)
			}
			body = format.AppendString(format.AppendString(body, entry), data)
		}
		if err := bucket.Put(format.Key64(*last), format.Pack(body)); err != nil {
			return err
		}
	}
	return nil
}

func (q *queue[T]) read(v []byte) ([]T, error) {
	what := string(q.bucket) + " entry"
	body, err := format.Unpack(what, v, 256<<20)
	if err != nil {
		return nil, err
	}
	parts, err := format.Strings(what, body)
	if err != nil {
		return nil, err
	}
	if len(parts)%2 != 0 {
		return nil, fmt.Errorf("%w: %s has another shape", ErrCorrupt, what)
	}
	out := make([]T, len(parts)/2)
	for i := range out {
		if err := json.Unmarshal(parts[2*i], &out[i]); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
		}
		if q.beside != nil {
			q.beside(&out[i], parts[2*i+1])
		}
	}
	return out, nil
}

// mostHeld is how many events of one transaction are held in memory, and those
// of one page on top: an event takes some 2 KB until it is encoded, and a sink
// that was away for long may read of tens of thousands of instances at a time
// that have changed.
const mostHeld = 1024

// flushEvents puts the events into the outbox, in the transaction.
func (a *applier) flushEvents() error {
	err := eventQueue.put(a.tx, &a.db.meta, a.events, a.eventData)
	clear(a.events)
	a.events = a.events[:0]
	return err
}

// eventData appends the data of a verdict that changed.
func (a *applier) eventData(data []byte, told *Event) ([]byte, error) {
	change := told.changed
	if change == nil {
		return data, nil
	}
	told.Change = &VerdictEvent{Account: change.After.Account, Region: change.After.Region, InstanceID: change.After.InstanceID}
	return a.db.records.AppendChanged(data, change)
}

// waiting returns up to limit entries after the key that are not yet published.
func (q *queue[T]) waiting(db *DB, after uint64, limit int) ([]T, error) {
	var out []T
	err := db.view(func(tx *bbolt.Tx) error {
		var m meta
		if err := format.ReadJSON("meta", tx.Bucket(bucketMeta).Get(keyMeta), &m); err != nil {
			return err
		}
		after = max(after, *q.sent(&m))
		c := tx.Bucket(q.bucket).Cursor()
		for k, v := c.Seek(format.Key64(after + 1)); k != nil && len(out) < limit; k, v = c.Next() {
			chunk, err := q.read(v)
			if err != nil {
				return err
			}
			for i := range chunk {
				if *q.key(&chunk[i]) > after && len(out) < limit {
					out = append(out, chunk[i])
				}
			}
		}
		return nil
	})
	return out, err
}

// published forgets the entries up to the key.
func (q *queue[T]) published(db *DB, upto uint64) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	upto = min(upto, *q.last(&db.meta))
	if upto <= *q.sent(&db.meta) {
		return nil
	}
	return db.update(func(tx *bbolt.Tx) error {
		*q.sent(&db.meta) = upto
		bucket := tx.Bucket(q.bucket)
		var keys [][]byte
		for k := range entries(bucket, nil) {
			if binary.BigEndian.Uint64(k) > upto {
				break
			}
			keys = append(keys, bytes.Clone(k))
		}
		return deleteKeys(bucket, keys)
	})
}

// Outbox returns up to limit events after the key that are not yet delivered,
// in the order in which they happened. Begin with key 0.
func (db *DB) Outbox(after uint64, limit int) ([]Event, error) {
	return eventQueue.waiting(db, after, limit)
}

// Delivered forgets the events up to the key: they were published.
func (db *DB) Delivered(upto uint64) error { return eventQueue.published(db, upto) }

// Questions returns up to limit questions that were not yet put to a producer,
// in the order in which they arose.
func (db *DB) Questions(limit int) ([]Question, error) {
	return questionQueue.waiting(db, 0, limit)
}

// QuestionsPut forgets the questions up to the key: they were published.
func (db *DB) QuestionsPut(upto uint64) error { return questionQueue.published(db, upto) }
