package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// MaxBlock is the number of rows in a block: enough that the keys and pages of
// bbolt cost little, few enough that one lookup reads little.
const MaxBlock = 256

// AppendBlock appends the value of a block of rows, which are sorted by id.
func AppendBlock(b []byte, rows [][]byte) []byte {
	b = Start(b)
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for _, r := range rows {
		b = binary.AppendUvarint(b, uint64(len(r)))
		b = append(b, r...)
	}
	return Seal(b)
}

// BlockRows appends the rows of a block to into; they alias v.
func BlockRows(v []byte, into [][]byte) ([][]byte, error) {
	body, err := Unseal("block", v)
	if err != nil {
		return nil, err
	}
	decoder := dec{b: body}
	n := decoder.count(2)
	if n > MaxBlock {
		decoder.fail()
	}
	for range n {
		into = append(into, decoder.bytes())
	}
	if decoder.bad || decoder.more() {
		return nil, fmt.Errorf("%w: block has another shape", ErrCorrupt)
	}
	return into, nil
}

// FindRow returns the row with the id and its place in the block, or nil.
func FindRow(v, id []byte) ([]byte, int, error) {
	body, err := Unseal("block", v)
	if err != nil {
		return nil, 0, err
	}
	decoder := dec{b: body}
	n := decoder.count(2)
	for i := range n {
		row := decoder.bytes()
		if decoder.bad {
			return nil, 0, fmt.Errorf("%w: block has another shape", ErrCorrupt)
		}
		switch bytes.Compare(RowID(row), id) {
		case 0:
			return row, i, nil
		case 1:
			return nil, 0, nil
		}
	}
	return nil, 0, nil
}

// Stamp is when and by which scan a row was last observed.
type Stamp struct {
	Order int64 // unix nanoseconds, by which observations are ordered
	Scan  string
}

// Later is the stamp after another observation, which may be older. Of two at
// one time the later name of a scan counts, so that the order of arrival does
// not matter.
func (s Stamp) Later(order int64, scan string) Stamp {
	if order > s.Order || order == s.Order && scan > s.Scan {
		return Stamp{order, scan}
	}
	return s
}

// AppendOrders appends the value that goes with a block: when each of its rows
// was last observed, as offsets from the smallest order in as few bytes as they
// need, and by which scan, as places in a table of the few distinct ones. scans
// are places in names.
func AppendOrders(b []byte, orders []int64, scans []uint32, names []string) []byte {
	b = Start(b)
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
	index := make([]byte, 0, MaxBlock)
	for i, scan := range scans {
		if i > 0 && scan == scans[i-1] {
			index = append(index, index[i-1])
			continue
		}
		j := 0
		for j < len(table) && table[j] != scan {
			j++
		}
		if j == len(table) {
			table = append(table, scan)
		}
		index = append(index, byte(j)) // at most maxBlock distinct
	}
	b = binary.AppendUvarint(b, uint64(len(table)))
	for _, s := range table {
		b = AppendString(b, names[s])
	}
	if len(table) > 1 {
		b = append(b, index...)
	}
	return Seal(b)
}

// Orders is what goes with a block, decoded; it aliases the value.
type Orders struct {
	Len   int
	base  uint64
	width int
	off   []byte
	Scans []string
	index []byte
}

// ReadOrders decodes what AppendOrders wrote.
func ReadOrders(v []byte) (Orders, error) {
	body, err := Unseal("orders", v)
	if err != nil {
		return Orders{}, err
	}
	decoder := dec{b: body}
	orders := Orders{Len: int(decoder.uint())}
	if head := decoder.take(8); head != nil {
		orders.base = binary.LittleEndian.Uint64(head)
	}
	orders.width = int(decoder.byte())
	if orders.Len > MaxBlock || orders.width > 8 {
		decoder.fail()
	}
	orders.off = decoder.take(uint64(orders.Len * orders.width))
	for range decoder.count(1) {
		orders.Scans = append(orders.Scans, decoder.str())
	}
	if len(orders.Scans) > 1 {
		orders.index = decoder.take(uint64(orders.Len))
	}
	if decoder.bad || decoder.more() || len(orders.Scans) == 0 {
		return Orders{}, fmt.Errorf("%w: orders have another shape", ErrCorrupt)
	}
	for _, i := range orders.index {
		if int(i) >= len(orders.Scans) {
			return Orders{}, fmt.Errorf("%w: orders name a scan that is not there", ErrCorrupt)
		}
	}
	return orders, nil
}

// At is when row i was last observed, in unix nanoseconds.
func (o *Orders) At(i int) int64 {
	var v uint64
	for j := o.width - 1; j >= 0; j-- {
		v = v<<8 | uint64(o.off[i*o.width+j])
	}
	return int64(o.base + v)
}

// Scan returns the place of the scan that last observed row i in Scans.
func (o *Orders) Scan(i int) int {
	if o.index == nil {
		return 0
	}
	return int(o.index[i])
}
