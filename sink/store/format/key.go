package format

import (
	"encoding/binary"
	"fmt"
)

// JournalKey is the key of an entry of a scope's journal.
func JournalKey(scope uint32, number uint64) []byte {
	return binary.BigEndian.AppendUint64(Key32(scope), number)
}

// JournalNumber is the number of the entry with a key.
func JournalNumber(k []byte) (uint64, error) {
	if len(k) != 12 {
		return 0, fmt.Errorf("%w: journal key %x", ErrCorrupt, k)
	}
	return binary.BigEndian.Uint64(k[4:]), nil
}

// Key32 is a number as a key, or as the scope that a key begins with.
func Key32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// Key64 is a number as a key.
func Key64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// RowKey is the key of what belongs to an instance of a scope, and of the block
// that begins with it.
func RowKey(scope uint32, id []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(id)), scope), id...)
}

// Number32 is the number that Key32 made a key of.
func Number32(k []byte) (uint32, error) {
	if len(k) != 4 {
		return 0, fmt.Errorf("%w: key %x", ErrCorrupt, k)
	}
	return binary.BigEndian.Uint32(k), nil
}

// HistoryPrefix is what the keys of an instance's changes begin with.
func HistoryPrefix(scope uint32, id []byte) []byte { return append(RowKey(scope, id), 0) }

// ProgressKey is the key of what a scan has committed of a scope.
func ProgressKey(scan string, scope uint32) []byte {
	return append(append([]byte(scan), 0), Key32(scope)...)
}
