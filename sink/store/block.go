package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// maxBlock is the number of rows in a block: enough that the keys and pages of
// bbolt cost little, few enough that one lookup reads little.
const maxBlock = 256

// appendBlock encodes rows, which are sorted by id.
func appendBlock(b []byte, rows [][]byte) []byte {
	b = startValue(b)
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for _, r := range rows {
		b = binary.AppendUvarint(b, uint64(len(r)))
		b = append(b, r...)
	}
	return seal(b)
}

// blockRows returns the rows of a block; they alias v.
func blockRows(v []byte, into [][]byte) ([][]byte, error) {
	body, err := unseal("block", v)
	if err != nil {
		return nil, err
	}
	d := dec{b: body}
	n := d.count(2)
	if n > maxBlock {
		d.fail()
	}
	for range n {
		into = append(into, d.bytes())
	}
	if d.bad || d.more() {
		return nil, fmt.Errorf("%w: block has another shape", ErrCorrupt)
	}
	return into, nil
}

// findRow returns the row with the id and its place in the block, or nil.
func findRow(v, id []byte) ([]byte, int, error) {
	body, err := unseal("block", v)
	if err != nil {
		return nil, 0, err
	}
	d := dec{b: body}
	n := d.count(2)
	for i := range n {
		row := d.bytes()
		if d.bad {
			return nil, 0, fmt.Errorf("%w: block has another shape", ErrCorrupt)
		}
		switch bytes.Compare(rowID(row), id) {
		case 0:
			return row, i, nil
		case 1:
			return nil, 0, nil
		}
	}
	return nil, 0, nil
}

// stamp is when and by which scan a row was last observed.
type stamp struct {
	order int64 // unix nanoseconds
	scan  string
}

// appendOrders encodes the stamps of a block: offsets from the smallest order
// in as few bytes as they need, and a table of the few distinct scans.
func appendOrders(b []byte, orders []int64, scans []uint32, names []string) []byte {
	b = startValue(b)
	b = binary.AppendUvarint(b, uint64(len(orders)))
	base, top := orders[0], orders[0]
	for _, o := range orders {
		base, top = min(base, o), max(top, o)
	}
	width := 0
	for span := uint64(top) - uint64(base); span > 0; span >>= 8 {
		width++
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(base))
	b = append(b, byte(width))
	var buf [8]byte
	for _, o := range orders {
		binary.LittleEndian.PutUint64(buf[:], uint64(o)-uint64(base))
		b = append(b, buf[:width]...)
	}
	var table []uint32
	index := make([]byte, 0, maxBlock)
	for i, s := range scans {
		if i > 0 && s == scans[i-1] {
			index = append(index, index[i-1])
			continue
		}
		j := 0
		for j < len(table) && table[j] != s {
			j++
		}
		if j == len(table) {
			table = append(table, s)
		}
		index = append(index, byte(j)) // at most maxBlock distinct
	}
	b = binary.AppendUvarint(b, uint64(len(table)))
	for _, s := range table {
		b = appendStr(b, names[s])
	}
	if len(table) > 1 {
		b = append(b, index...)
	}
	return seal(b)
}

// orders is a decoded value of the orders bucket; it aliases the value.
type orders struct {
	n     int
	base  uint64
	width int
	off   []byte
	scans []string
	index []byte
}

func readOrders(v []byte) (orders, error) {
	body, err := unseal("orders", v)
	if err != nil {
		return orders{}, err
	}
	d := dec{b: body}
	o := orders{n: int(d.uint())}
	if head := d.take(8); head != nil {
		o.base = binary.LittleEndian.Uint64(head)
	}
	o.width = int(d.byte())
	if o.n > maxBlock || o.width > 8 {
		d.fail()
	}
	o.off = d.take(uint64(o.n * o.width))
	for range d.count(1) {
		o.scans = append(o.scans, d.str())
	}
	if len(o.scans) > 1 {
		o.index = d.take(uint64(o.n))
	}
	if d.bad || d.more() || len(o.scans) == 0 {
		return orders{}, fmt.Errorf("%w: orders have another shape", ErrCorrupt)
	}
	for _, i := range o.index {
		if int(i) >= len(o.scans) {
			return orders{}, fmt.Errorf("%w: orders name a scan that is not there", ErrCorrupt)
		}
	}
	return o, nil
}

func (o *orders) order(i int) int64 {
	var v uint64
	for j := o.width - 1; j >= 0; j-- {
		v = v<<8 | uint64(o.off[i*o.width+j])
	}
	return int64(o.base + v)
}

// scan returns the place of row i's scan in o.scans.
func (o *orders) scan(i int) int {
	if o.index == nil {
		return 0
	}
	return int(o.index[i])
}
