package store

import "go.etcd.io/bbolt"

// NoSync spares tests of other things the wait for the disk.
func (db *DB) NoSync() { db.bolt.NoSync = true }

// Profiles is how many profiles are stored.
func (db *DB) Profiles() int {
	n := 0
	_ = db.view(func(tx *bbolt.Tx) error {
		for _, v := range scan(tx.Bucket(bucketProfiles), nil) {
			part, err := readChunk(v, nil)
			if err != nil {
				return err
			}
			for _, p := range part {
				if p.class != noClass {
					n++
				}
			}
		}
		return nil
	})
	return n
}

// SetFormat makes the file one of another format.
func (db *DB) SetFormat(n int) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.update(func(*bbolt.Tx) error {
		db.meta.Format = n
		return nil
	})
}

// ReadSection and ReadRow are what reads the journal.
func ReadSection(v []byte) error {
	var s section
	v = seal(append(startValue(nil), v...))
	if err := readSection(v, &s); err != nil {
		return err
	}
	for i, row := range s.rows {
		if _, _, err := readRow(row, words{"\x00\x00\x00\x00word"}); err != nil {
			return err
		}
		if got, err := rowAt(v, s.offs[i]); err != nil || string(got) != string(row) {
			panic("a row is not where its section says")
		}
	}
	return nil
}

// ReadValues decodes a value as everything that a value can be.
func ReadValues(v []byte) {
	v = seal(append(startValue(nil), v...))
	if rows, err := blockRows(v, nil); err == nil {
		for _, row := range rows {
			_, _, _ = readRow(row, nil)
			_, _ = rowProfile(row)
			_, _, _ = findRow(v, rowID(row))
		}
	}
	if o, err := readOrders(v); err == nil {
		for i := range o.n {
			_ = o.order(i)
			_ = o.scans[o.scan(i)]
		}
	}
	_, _ = readChunk(v, nil)
	_, _, _ = readClass(v)
	_, _ = storedHardware(v)
	_, _ = readEvents(v)
	_, _ = readEnded(v)
	var s scopeValue
	_ = s.decode(v)
}
