package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Moved is one change of one instance.
type Moved struct {
	Account, Region, InstanceID, InstanceName string
	record.Change
}

// chunkChanges is how many entries of the history one read transaction covers.
const chunkChanges = 4096

// changesSince ranges over what is remembered to have changed after a time, by
// account, region and instance, the oldest change of each first: verdicts,
// instances that appeared in a scope that had been read before, that went or
// came back. Of each instance no more than Options.HistoryPerInstance changes
// are remembered. It holds no transaction while the caller has one. The range
// ends with an error, if there is one.
func (r *reading) changesSince(ctx context.Context, since time.Time, within func(*scopeSnap) bool) iter.Seq2[*Moved, error] {
	return func(yield func(*Moved, error) bool) {
		for _, sc := range r.scopes() {
			if !within(sc) {
				continue
			}
			reader := changeReader{sc: sc, since: since}
			for !reader.done {
				err := ctx.Err()
				if err == nil {
					err = r.view(reader.chunk)
				}
				if err != nil {
					yield(nil, fmt.Errorf("read the history of %s: %w", sc.key, err))
					return
				}
				for _, m := range reader.out {
					if !yield(m, nil) {
						return
					}
				}
			}
		}
	}
}

// changeReader reads the history of one scope in chunks.
type changeReader struct {
	sc    *scopeSnap
	since time.Time
	after []byte // key of the last entry that was looked at
	done  bool
	out   []*Moved
}

func (r *changeReader) chunk(tx *bbolt.Tx) error {
	r.out = r.out[:0]
	prefix := format.Key32(r.sc.no)
	cursor := tx.Bucket(bucketHistory).Cursor()
	key, value := cursor.Seek(prefix)
	if r.after != nil {
		if key, value = cursor.Seek(r.after); bytes.Equal(key, r.after) {
			key, value = cursor.Next()
		}
	}
	var ids []string
	for range chunkChanges {
		if key == nil || !bytes.HasPrefix(key, prefix) {
			r.done = true
			break
		}
		if len(key) < len(prefix)+9 {
			return fmt.Errorf("%w: history key %x", ErrCorrupt, key)
		}
		r.after = append(r.after[:0], key...)
		if r.older(value) {
			key, value = cursor.Next()
			continue
		}
		var change record.Change
		if err := format.ReadJSON("history", value, &change); err != nil {
			return err
		}
		// A rule set takes effect between two messages, at the time of the first.
		if change.At.After(r.since) || change.Cause == "ruleset" && change.At.Equal(r.since) {
			id := string(key[len(prefix) : len(key)-9])
			if len(ids) == 0 || ids[len(ids)-1] != id {
				ids = append(ids, id)
			}
			r.out = append(r.out, &Moved{Account: r.sc.key.Account, Region: r.sc.key.Region, InstanceID: id, Change: change})
		}
		key, value = cursor.Next()
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := lookup(tx, r.sc.no, ids)
	if err != nil {
		return err
	}
	for _, moved := range r.out {
		if f, ok := found[moved.InstanceID]; ok {
			_, name, _ := format.RowHead(f.row)
			moved.InstanceName = string(name)
		}
	}
	return nil
}

// older tells, without decoding a whole entry, that it was before the time
// asked for: most of a long history is. An entry that does not begin with its
// time is left to the decoder.
func (r *changeReader) older(v []byte) bool {
	body, err := format.Unseal("history", v)
	if err != nil {
		return false
	}
	rest, ok := bytes.CutPrefix(body, []byte(`{"at":"`))
	end := bytes.IndexByte(rest, '"')
	if !ok || end < 0 {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, string(rest[:end]))
	return err == nil && at.Before(r.since)
}
