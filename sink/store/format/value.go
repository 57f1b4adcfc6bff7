package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// valueVersion is the version of the form of values.
const valueVersion = 1

// Start begins a value at the end of b, which must be empty: four bytes of room
// for the checksum, then the version. Append the body and call Seal.
func Start(b []byte) []byte { return append(b, 0, 0, 0, 0, valueVersion) }

// Seal writes the checksum of everything behind it into the first four bytes of
// a value that Start began, and returns the value.
func Seal(b []byte) []byte {
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// Unseal returns the body of a value, which aliases it, after it found its
// checksum right and its version known; otherwise ErrCorrupt or ErrNewer, with
// the name of what was read.
func Unseal(what string, value []byte) ([]byte, error) {
	switch {
	case len(value) < 5:
		return nil, fmt.Errorf("%w: %s is cut short", ErrCorrupt, what)
	case binary.LittleEndian.Uint32(value) != crc32.Checksum(value[4:], castagnoli):
		return nil, fmt.Errorf("%w: checksum of %s does not match", ErrCorrupt, what)
	case value[4] > valueVersion:
		return nil, fmt.Errorf("%w: %s has version %d, this binary knows %d", ErrNewer, what, value[4], valueVersion)
	case value[4] == 0:
		return nil, fmt.Errorf("%w: %s has no version", ErrCorrupt, what)
	}
	return value[5:], nil
}

var errShort = errors.New("cut short")

// dec reads the flat encoding: unsigned and zig-zag varints, and strings behind
// their length. The first error sticks; everything after it
// reads as zero, so that callers check once. Byte slices alias the input.
type dec struct {
	b    []byte
	text string // b once more, where strings are to share it; or ""
	off  int
	bad  bool
}

func (d *dec) fail() {
	d.bad = true
	d.off = len(d.b)
}

func (d *dec) err() error {
	if d.bad {
		return errShort
	}
	return nil
}

func (d *dec) more() bool { return d.off < len(d.b) }

func (d *dec) byte() byte {
	if d.off >= len(d.b) {
		d.fail()
		return 0
	}
	c := d.b[d.off]
	d.off++
	return c
}

func (d *dec) uint() uint64 {
	if d.off < len(d.b) && d.b[d.off] < 0x80 {
		d.off++
		return uint64(d.b[d.off-1])
	}
	v, n := binary.Uvarint(d.b[d.off:])
	if n <= 0 {
		d.fail()
		return 0
	}
	d.off += n
	return v
}

func (d *dec) int() int64 {
	u := d.uint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *dec) bytes() []byte {
	n := d.uint()
	return d.take(n)
}

func (d *dec) take(n uint64) []byte {
	if n > uint64(len(d.b)-d.off) {
		d.fail()
		return nil
	}
	b := d.b[d.off : d.off+int(n)]
	d.off += int(n)
	return b
}

func (d *dec) str() string {
	b := d.bytes()
	if d.text != "" && !d.bad {
		return d.text[d.off-len(b) : d.off]
	}
	return string(b)
}

// count reads a number of elements of at least least bytes each.
func (d *dec) count(least int) int {
	n := d.uint()
	if n > uint64((len(d.b)-d.off)/max(least, 1)) {
		d.fail()
		return 0
	}
	return int(n)
}

// AppendString appends a string behind its length.
func AppendString[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Strings splits what AppendString appended again and again, and nothing else.
// The parts alias b.
func Strings(what string, b []byte) ([][]byte, error) {
	var out [][]byte
	decoder := dec{b: b}
	for decoder.more() {
		out = append(out, decoder.bytes())
	}
	if decoder.bad {
		return nil, fmt.Errorf("%w: %s has another shape", ErrCorrupt, what)
	}
	return out, nil
}

// Sealed is the value of a body: Start, the body and Seal in one.
func Sealed[T string | []byte](body T) []byte {
	return Seal(append(Start(make([]byte, 0, 5+len(body))), body...))
}
