package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
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
			reader := changeReader{sc: sc, since: since, after: format.Key32(sc.no)}
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
	after []byte // key of the last entry that was looked at; at first what all of the scope begin with
	done  bool
	out   []*Moved
}

func (r *changeReader) chunk(tx *bbolt.Tx) error {
	r.out = r.out[:0]
	prefix := format.Key32(r.sc.no)
	cursor := tx.Bucket(bucketHistory).Cursor()
	key, value := cursor.Seek(r.after)
	if bytes.Equal(key, r.after) {
		key, value = cursor.Next()
	}
	for range chunkChanges {
		if r.done = !bytes.HasPrefix(key, prefix); r.done {
			break
		}
		if err := r.entry(key, value); err != nil {
			return err
		}
		r.after = append(r.after[:0], key...)
		key, value = cursor.Next()
	}
	return r.name(tx)
}

// entry takes an entry that is not older than the time asked for.
func (r *changeReader) entry(key, value []byte) error {
	const scope, number = 4, 9 // bytes before the id and behind it
	if len(key) < scope+number {
		return fmt.Errorf("%w: history key %x", ErrCorrupt, key)
	}
	if r.older(value) {
		return nil
	}
	var change record.Change
	if err := format.ReadJSON("history", value, &change); err != nil {
		return err
	}
	// A rule set takes effect between two messages, at the time of the first.
	if change.At.After(r.since) || change.Cause == "ruleset" && change.At.Equal(r.since) {
		r.out = append(r.out, &Moved{Account: r.sc.key.Account, Region: r.sc.key.Region, InstanceID: string(key[scope : len(key)-number]), Change: change})
	}
	return nil
}

// name finds the names of the instances that are in the chunk.
func (r *changeReader) name(tx *bbolt.Tx) error {
	if len(r.out) == 0 {
		return nil
	}
	var ids []string
	for _, moved := range r.out {
		ids = append(ids, moved.InstanceID)
	}
	found, err := lookup(tx, r.sc.no, slices.Compact(ids))
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
// asked for: most of a long history is. What is damaged, or does not begin with its
// time, is left to the decoder.
func (r *changeReader) older(v []byte) bool {
	body, _ := format.Unseal("history", v)
	rest, _ := bytes.CutPrefix(body, []byte(`{"at":"`))
	text, _, _ := bytes.Cut(rest, []byte{'"'})
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return err == nil && at.Before(r.since)
}
