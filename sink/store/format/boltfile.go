package format

import (
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

func readBoltMeta(b []byte) (boltMeta, bool) {
	if len(b) < pageHead+64 {
		return boltMeta{}, false
	}
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
}

// CheckPages finds out whether the structure of a bbolt file is sound. It reads
// the headers of pages, not what they hold. A file that cannot be read at all
// is left for bbolt to complain about.
func CheckPages(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil //nolint:nilerr // bbolt says it better
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%w: not a file", ErrCorrupt)
	}
	c := &pageCheck{f: f}
	if err := c.run(info.Size()); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// newestMeta returns the meta page that bbolt would use.
func (c *pageCheck) newestMeta() error {
	b := make([]byte, pageHead+64)
	found := false
	sizes := []int64{512, 1024, 2048, 4096, 8192, 16384, 32768, 65536}
	for _, at := range append([]int64{0}, sizes...) {
		if _, err := c.f.ReadAt(b, at); err != nil {
			continue
		}
		m, ok := readBoltMeta(b)
		if !ok || at > 0 && uint64(at) != m.pageSize {
			continue
		}
		if !found || m.txid > c.meta.txid {
			c.meta, found = m, true
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

func (c *pageCheck) run(size int64) error {
	if err := c.newestMeta(); err != nil {
		return err
	}
	if c.meta.high < 4 || c.meta.high > uint64(size)/c.meta.pageSize {
		return fmt.Errorf("%d pages are in use, the file holds %d: it is cut short", c.meta.high, uint64(size)/c.meta.pageSize)
	}
	c.used = make([]bool, c.meta.high)
	c.used[0], c.used[1] = true, true
	if err := c.tree(c.meta.root, 0); err != nil {
		return err
	}
	return c.freelist()
}

// head reads a page's header and elements; it claims the page.
func (c *pageCheck) head(id uint64) (flags uint16, elems []byte, size uint64, err error) {
	le := binary.LittleEndian
	if id < 2 || id >= c.meta.high {
		return 0, nil, 0, fmt.Errorf("page %d does not exist", id)
	}
	var h [pageHead]byte
	if _, err := c.f.ReadAt(h[:], int64(id*c.meta.pageSize)); err != nil {
		return 0, nil, 0, fmt.Errorf("page %d: %w", id, err)
	}
	flags, count, overflow := le.Uint16(h[8:]), uint64(le.Uint16(h[10:])), uint64(le.Uint32(h[12:]))
	if le.Uint64(h[:]) != id {
		return 0, nil, 0, fmt.Errorf("page %d says it is page %d", id, le.Uint64(h[:]))
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
	if flags == flagFreelist {
		if count == 0xFFFF {
			var n [8]byte
			if _, err := c.f.ReadAt(n[:], int64(id*c.meta.pageSize+pageHead)); err != nil {
				return 0, nil, 0, fmt.Errorf("page %d: %w", id, err)
			}
			count = le.Uint64(n[:]) + 1
		}
		count = (count + 1) / 2 // 8 bytes each
	}
	if count > (size-pageHead)/pageElem+1 || flags != flagFreelist && pageHead+count*pageElem > size {
		return 0, nil, 0, fmt.Errorf("page %d has %d elements, more than fit", id, count)
	}
	n := min(pageHead+count*pageElem, size)
	elems = make([]byte, n-pageHead)
	if _, err := c.f.ReadAt(elems, int64(id*c.meta.pageSize+pageHead)); err != nil {
		return 0, nil, 0, fmt.Errorf("page %d: %w", id, err)
	}
	return flags, elems, size, nil
}

// tree walks the pages of one bucket.
func (c *pageCheck) tree(id uint64, depth int) error {
	if depth > maxDepth {
		return errors.New("the pages are nested too deeply")
	}
	flags, elems, size, err := c.head(id)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	switch flags {
	case flagBranch:
		if len(elems) == 0 {
			return fmt.Errorf("branch page %d is empty", id)
		}
		for at := 0; at < len(elems); at += pageElem {
			pos, ksize := uint64(le.Uint32(elems[at:])), uint64(le.Uint32(elems[at+4:]))
			if pageHead+uint64(at)+pos+ksize > size {
				return fmt.Errorf("page %d has a key beyond its end", id)
			}
			if err := c.tree(le.Uint64(elems[at+8:]), depth+1); err != nil {
				return err
			}
		}
		return nil
	case flagLeaf:
		for at := 0; at < len(elems); at += pageElem {
			if err := c.leafElem(id, size, elems, at, depth); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("page %d is neither branch nor leaf", id)
}

func (c *pageCheck) leafElem(id, size uint64, elems []byte, at, depth int) error {
	le := binary.LittleEndian
	e := elems[at:]
	flags, pos, ksize, vsize := le.Uint32(e), uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
	value := pageHead + uint64(at) + pos + ksize
	if ksize == 0 || value+vsize > size {
		return fmt.Errorf("page %d has a value beyond its end", id)
	}
	if flags&flagBucket == 0 {
		return nil
	}
	if vsize < 16 {
		return fmt.Errorf("page %d has a bucket without a head", id)
	}
	head := make([]byte, vsize)
	if _, err := c.f.ReadAt(head, int64(id*c.meta.pageSize+value)); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if root := le.Uint64(head); root != 0 {
		return c.tree(root, depth+1)
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
	for i := range count {
		at := pageHead + i*pageElem
		end := uint64(at) + uint64(le.Uint32(b[at+4:])) + uint64(le.Uint32(b[at+8:])) + uint64(le.Uint32(b[at+12:]))
		if le.Uint32(b[at:]) != 0 || le.Uint32(b[at+8:]) == 0 || end > uint64(len(b)) {
			return fmt.Errorf("page %d has a small bucket with a value beyond its end", id)
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
	var h [pageHead + 8]byte
	if _, err := c.f.ReadAt(h[:], int64(c.meta.freelist*c.meta.pageSize)); err != nil {
		return fmt.Errorf("freelist: %w", err)
	}
	n := int(le.Uint16(h[10:]))
	if n == 0xFFFF {
		n, list = int(le.Uint64(h[pageHead:])), list[8:]
	}
	if n < 0 || n > len(list)/8 {
		return errors.New("the freelist is cut short")
	}
	last := uint64(0)
	for i := range n {
		id := le.Uint64(list[i*8:])
		if id <= last || id >= c.meta.high || c.used[id] {
			return fmt.Errorf("the freelist holds page %d, which is not free", id)
		}
		last = id
	}
	return nil
}
