package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The layout of a bbolt file, version 2. A page that does not keep to it makes
// bbolt panic, fault or run in circles, which nobody can catch; so the pages
// are checked before bbolt sees them.
const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	pageHead     = 16
	pageElem     = 16
	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	flagBucket   = 0x01 // of a leaf element
	noFreelist   = ^uint64(0)
	maxDepth     = 64
)

// boltMeta is the part of a bbolt meta page that matters.
type boltMeta struct {
	pageSize, root, freelist, high, txid uint64
}

func readBoltMeta(b *[pageHead + 64]byte) (boltMeta, bool) {
	m := b[pageHead:]
	le := binary.LittleEndian
	h := fnv.New64a()
	_, _ = h.Write(m[:56])
	if le.Uint32(m) != boltMagic || le.Uint32(m[4:]) != boltVersion || h.Sum64() != le.Uint64(m[56:]) {
		return boltMeta{}, false
	}
	return boltMeta{uint64(le.Uint32(m[8:])), le.Uint64(m[16:]), le.Uint64(m[32:]), le.Uint64(m[40:]), le.Uint64(m[48:])}, true
}

// pageCheck walks the pages of a bbolt file.
type pageCheck struct {
	f    io.ReaderAt
	meta boltMeta
	used []bool
	last struct { // the page that was read last, without what runs over its end
		id    uint64
		bytes []byte
	}
}

// CheckPages finds out whether the structure of a bbolt file is sound: its pages
// and the order of its keys, without which a search passes rows by in silence.
// It does not read values. A file that cannot be read at all is left for bbolt
// to complain about.
func CheckPages(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return nil //nolint:nilerr // bbolt says it better
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a file", ErrCorrupt)
	}
	c := &pageCheck{f: file}
	if err := c.run(info.Size()); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// newestMeta finds the meta page that bbolt would use. There are
// two, the second one page into the file; how long a page is stands in both, so each
// place where it can stand is tried, and it counts where it says the same.
func (c *pageCheck) newestMeta() error {
	var b [pageHead + 64]byte
	found := false
	sizes := []int64{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}
	for _, at := range append([]int64{0}, sizes...) {
		if _, err := c.f.ReadAt(b[:], at); err != nil {
			continue
		}
		boltMeta, ok := readBoltMeta(&b)
		if !ok || at > 0 && uint64(at) != boltMeta.pageSize {
			continue
		}
		if !found || boltMeta.txid > c.meta.txid {
			c.meta, found = boltMeta, true
		}
	}
	if !found {
		return errors.New("no valid meta page: not a store, or its head was overwritten")
	}
	if s := c.meta.pageSize; s < 512 || s > 65536 || s&(s-1) != 0 {
		return fmt.Errorf("page size %d", s)
	}
	return nil
}

// run goes through the trees and the list of free pages, none of which may name a page
// that another names or that the file does not have.
func (c *pageCheck) run(size int64) error {
	if err := c.newestMeta(); err != nil {
		return err
	}
	if c.meta.high < 4 || c.meta.high > uint64(size)/c.meta.pageSize {
		return fmt.Errorf("%d pages are in use, the file holds %d: it is cut short", c.meta.high, uint64(size)/c.meta.pageSize)
	}
	c.used = make([]bool, c.meta.high)
	c.used[0], c.used[1] = true, true
	if err := c.tree(c.meta.root, 0, nil, nil); err != nil {
		return err
	}
	return c.freelist()
}

// head reads a page's header and elements, of a list of free pages all that it has
// room for; it claims the page.
func (c *pageCheck) head(id uint64) (flags uint16, elems []byte, size uint64, err error) {
	le := binary.LittleEndian
	if id < 2 || id >= c.meta.high {
		return 0, nil, 0, fmt.Errorf("page %d does not exist", id)
	}
	raw, err := c.bytes(id, 0, pageHead)
	if err != nil {
		return 0, nil, 0, err
	}
	flags, count, overflow := le.Uint16(raw[8:]), uint64(le.Uint16(raw[10:])), uint64(le.Uint32(raw[12:]))
	if le.Uint64(raw) != id {
		return 0, nil, 0, fmt.Errorf("page %d says it is page %d", id, le.Uint64(raw))
	}
	if overflow >= c.meta.high-id {
		return 0, nil, 0, fmt.Errorf("page %d runs over the end", id)
	}
	for i := id; i <= id+overflow; i++ {
		if c.used[i] {
			return 0, nil, 0, fmt.Errorf("page %d is used twice", i)
		}
		c.used[i] = true
	}
	size = (overflow + 1) * c.meta.pageSize
	switch most := (size - pageHead) / pageElem; {
	case flags == flagFreelist: // says further on how many ids it has
		count = most
	case count > most:
		return 0, nil, 0, fmt.Errorf("page %d has %d elements, more than fit", id, count)
	}
	if elems, err = c.bytes(id, pageHead, count*pageElem); err != nil {
		return 0, nil, 0, err
	}
	return flags, elems, size, nil
}

// keysInOrder reads the keys of a page, which must ascend from least to before
// most; nil bounds nothing.
type keysInOrder struct {
	page        uint64
	least, most []byte
	last        []byte
}

// next takes the next key of the page, which must lie behind the one before and within
// what the page above says of this one.
func (k *keysInOrder) next(key []byte) error {
	switch {
	case k.last == nil && bytes.Compare(key, k.least) < 0, k.last != nil && bytes.Compare(key, k.last) <= 0, k.most != nil && bytes.Compare(key, k.most) >= 0:
		return fmt.Errorf("page %d has a key out of order", k.page)
	}
	k.last = key
	return nil
}

// bytes reads a part of a page that lies within it. What it returns stays as it
// is.
func (c *pageCheck) bytes(id, at, length uint64) ([]byte, error) {
	if at+length > c.meta.pageSize {
		b := make([]byte, length)
		if _, err := c.f.ReadAt(b, int64(id*c.meta.pageSize+at)); err != nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
		return b, nil
	}
	if c.last.id != id { // no page of a tree has the number 0
		b := make([]byte, c.meta.pageSize)
		if _, err := c.f.ReadAt(b, int64(id*c.meta.pageSize)); err != nil {
			return nil, fmt.Errorf("page %d: %w", id, err)
		}
		c.last.id, c.last.bytes = id, b
	}
	return c.last.bytes[at : at+length : at+length], nil
}

// tree walks the pages of one bucket, whose keys are least or more and less
// than most.
func (c *pageCheck) tree(id uint64, depth int, least, most []byte) error {
	if depth > maxDepth {
		return errors.New("the pages are nested too deeply")
	}
	flags, elems, size, err := c.head(id)
	if err != nil {
		return err
	}
	keys := &keysInOrder{page: id, least: least, most: most}
	switch flags {
	case flagBranch:
		return c.branch(id, size, elems, depth, keys)
	case flagLeaf:
		for at := 0; at < len(elems); at += pageElem {
			if err := c.leafElem(id, size, elems, at, depth, keys); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("page %d is neither branch nor leaf", id)
}

// branch walks the children of a page, each between its key and the next one's.
func (c *pageCheck) branch(id, size uint64, elems []byte, depth int, order *keysInOrder) error {
	if len(elems) == 0 {
		return fmt.Errorf("branch page %d is empty", id)
	}
	le := binary.LittleEndian
	var keys [][]byte
	for at := 0; at < len(elems); at += pageElem {
		pos, ksize := pageHead+uint64(at)+uint64(le.Uint32(elems[at:])), uint64(le.Uint32(elems[at+4:]))
		if pos+ksize > size {
			return fmt.Errorf("page %d has a key beyond its end", id)
		}
		key, err := c.bytes(id, pos, ksize)
		if err == nil {
			err = order.next(key)
		}
		if err != nil {
			return err
		}
		keys = append(keys, key)
	}
	for i, key := range keys {
		most := order.most
		if i+1 < len(keys) {
			most = keys[i+1]
		}
		if err := c.tree(le.Uint64(elems[i*pageElem+8:]), depth+1, key, most); err != nil {
			return err
		}
	}
	return nil
}

func (c *pageCheck) leafElem(id, size uint64, elems []byte, at, depth int, order *keysInOrder) error {
	le := binary.LittleEndian
	e := elems[at:]
	flags, pos, ksize, vsize := le.Uint32(e), uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
	keyAt := pageHead + uint64(at) + pos
	value := keyAt + ksize
	if ksize == 0 || value+vsize > size {
		return fmt.Errorf("page %d has a value beyond its end", id)
	}
	key, err := c.bytes(id, keyAt, ksize)
	if err == nil {
		err = order.next(key)
	}
	if err != nil {
		return err
	}
	if flags&flagBucket == 0 {
		return nil
	}
	if vsize < 16 {
		return fmt.Errorf("page %d has a bucket without a head", id)
	}
	head, err := c.bytes(id, value, vsize)
	if err != nil {
		return err
	}
	if root := le.Uint64(head); root != 0 {
		return c.tree(root, depth+1, nil, nil)
	}
	return c.inline(id, head[16:])
}

// inline checks a bucket that lies within its parent's value.
func (c *pageCheck) inline(id uint64, b []byte) error {
	le := binary.LittleEndian
	if len(b) < pageHead || le.Uint16(b[8:]) != flagLeaf || le.Uint32(b[12:]) != 0 {
		return fmt.Errorf("page %d has a small bucket of another shape", id)
	}
	count := int(le.Uint16(b[10:]))
	if pageHead+count*pageElem > len(b) {
		return fmt.Errorf("page %d has a small bucket that is cut short", id)
	}
	keys := &keysInOrder{page: id}
	for i := range count {
		at := pageHead + i*pageElem
		key := uint64(at) + uint64(le.Uint32(b[at+4:]))
		value := key + uint64(le.Uint32(b[at+8:]))
		if le.Uint32(b[at:]) != 0 || le.Uint32(b[at+8:]) == 0 || value+uint64(le.Uint32(b[at+12:])) > uint64(len(b)) {
			return fmt.Errorf("page %d has a small bucket with a value beyond its end", id)
		}
		if err := keys.next(b[key:value]); err != nil {
			return err
		}
	}
	return nil
}

// freelist makes sure that no page in use counts as free.
func (c *pageCheck) freelist() error {
	if c.meta.freelist == noFreelist {
		return nil
	}
	flags, list, _, err := c.head(c.meta.freelist)
	if err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	if flags != flagFreelist {
		return fmt.Errorf("page %d is no freelist", c.meta.freelist)
	}
	le := binary.LittleEndian
	head, err := c.bytes(c.meta.freelist, 0, pageHead+8)
	if err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	count := int(le.Uint16(head[10:]))
	if count == 0xFFFF {
		count, list = int(le.Uint64(head[pageHead:])), list[8:]
	}
	if count < 0 || count > len(list)/8 {
		return errors.New("the freelist is cut short")
	}
	last := uint64(0)
	for i := range count {
		id := le.Uint64(list[i*8:])
		if id <= last || id >= c.meta.high || c.used[id] {
			return fmt.Errorf("the freelist holds page %d, which is not free", id)
		}
		last = id
	}
	return nil
}
