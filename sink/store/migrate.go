package store

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
)

// migrate moves a file of an older format to this one.
//
// In format 1 every profile was a value of its own: its class in full, the
// number of its software, its hardware in full. Rows are the same in both.
func migrate(tx *bbolt.Tx, m *meta) error {
	for _, name := range [][]byte{bucketHardware, bucketClasses} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	old := tx.Bucket(bucketProfiles)
	if old == nil {
		return fmt.Errorf("%w: part %q is missing", ErrCorrupt, bucketProfiles)
	}
	var list []profile
	ps, cs := newProfiles(maphash.MakeSeed()), newClasses()
	for k, v := range scan(old, nil) {
		id, err := number32(k)
		if err != nil || id > maxProfile {
			return orCorrupt(err, "profile number out of range")
		}
		c, facts, err := readClass(v)
		if err != nil {
			return fmt.Errorf("profile %d: %w", id, err)
		}
		software, n := binary.Uvarint(facts)
		if n <= 0 || software > maxProfile {
			return fmt.Errorf("%w: profile %d names no software", ErrCorrupt, id)
		}
		h, err := event.DecodeHardware(facts[n:])
		if err != nil {
			return fmt.Errorf("%w: profile %d: %w", ErrCorrupt, id, err)
		}
		for len(list) <= int(id) {
			list = append(list, profile{class: noClass})
		}
		list[id] = profile{uint32(software), ps.hardwareOf(h), cs.number(c)}
	}
	if err := tx.DeleteBucket(bucketProfiles); err != nil {
		return err
	}
	b, err := tx.CreateBucket(bucketProfiles)
	if err != nil {
		return err
	}
	for from := 0; from < len(list); from += maxChunk {
		if err := b.Put(key32(uint32(from/maxChunk)), chunkValue(list[from:min(from+maxChunk, len(list))])); err != nil {
			return err
		}
	}
	if err := ps.storeParts(tx); err != nil {
		return err
	}
	if err := cs.store(tx); err != nil {
		return err
	}
	m.Format = format
	v, err := jsonValue(m)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketMeta).Put(keyMeta, v)
}
