package format_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/sink/store/format"
)

// The layout of a bbolt file, written from its documentation.
const (
	pageHead, pageElement                 = 16, 16
	branchPage, leafPage, freePage        = 0x01, 0x02, 0x10
	bucketElement                         = 0x01
	noFreelist                     uint64 = math.MaxUint64
)

// boltImage is a bbolt file that a test makes page by page.
type boltImage struct {
	b    []byte
	page int // bytes of a page
}

func newBoltImage(pages, pageSize int) *boltImage {
	return &boltImage{make([]byte, pages*pageSize), pageSize}
}

// meta writes both heads, the second of which is the newer one.
func (m *boltImage) meta(root, freelist, high uint64) {
	for i := range 2 {
		m.metaPage(i, uint32(m.page), root, freelist, high, uint64(5+i))
	}
}

func (m *boltImage) metaPage(page int, pageSize uint32, root, freelist, high, txid uint64) {
	le := binary.LittleEndian
	b := m.b[page*m.page+pageHead:]
	le.PutUint32(b, 0xED0CDAED)
	le.PutUint32(b[4:], 2)
	le.PutUint32(b[8:], pageSize)
	le.PutUint64(b[16:], root)
	le.PutUint64(b[32:], freelist)
	le.PutUint64(b[40:], high)
	le.PutUint64(b[48:], txid)
	sum := fnv.New64a()
	sum.Write(b[:56])
	le.PutUint64(b[56:], sum.Sum64())
}

// head writes the head of a page.
func (m *boltImage) head(page, flags, count, overflow int) []byte {
	b := m.b[page*m.page:]
	binary.LittleEndian.PutUint64(b, uint64(page))
	binary.LittleEndian.PutUint16(b[8:], uint16(flags))
	binary.LittleEndian.PutUint16(b[10:], uint16(count))
	binary.LittleEndian.PutUint32(b[12:], uint32(overflow))
	return b
}

// element is one of a leaf or, with a child, of a branch.
type element struct {
	flags      uint32
	key, value string
	child      uint64
}

// elements writes elements behind a head of a page, and keys and values behind
// them.
func elements(b []byte, list []element) {
	le := binary.LittleEndian
	at := pageHead + len(list)*pageElement
	for i, e := range list {
		place := pageHead + i*pageElement
		if e.child != 0 {
			le.PutUint32(b[place:], uint32(at-place))
			le.PutUint32(b[place+4:], uint32(len(e.key)))
			le.PutUint64(b[place+8:], e.child)
		} else {
			le.PutUint32(b[place:], e.flags)
			le.PutUint32(b[place+4:], uint32(at-place))
			le.PutUint32(b[place+8:], uint32(len(e.key)))
			le.PutUint32(b[place+12:], uint32(len(e.value)))
		}
		at += copy(b[at:], e.key+e.value)
	}
}

func (m *boltImage) leaf(page int, list ...element) {
	elements(m.head(page, leafPage, len(list), 0), list)
}

func (m *boltImage) branch(page int, list ...element) {
	elements(m.head(page, branchPage, len(list), 0), list)
}

func (m *boltImage) free(page int, ids ...uint64) {
	b := m.head(page, freePage, len(ids), 0)
	for i, id := range ids {
		binary.LittleEndian.PutUint64(b[pageHead+8*i:], id)
	}
}

// bucket is the value of a bucket whose keys are on a page, or, on page 0, in
// what follows.
func bucket(root uint64, inline string) string {
	return string(binary.LittleEndian.AppendUint64(nil, root)) + "\x00\x00\x00\x00\x00\x00\x00\x00" + inline
}

// inline is a bucket within a value.
func inline(list ...element) string {
	b := make([]byte, 1024)
	binary.LittleEndian.PutUint16(b[8:], leafPage)
	binary.LittleEndian.PutUint16(b[10:], uint16(len(list)))
	elements(b, list)
	n := pageHead + len(list)*pageElement
	for _, e := range list {
		n += len(e.key) + len(e.value)
	}
	return string(b[:n])
}

// soundImage has a bucket within its root, one of two leaves under a branch, and
// a free page, the fifth.
func soundImage() *boltImage {
	m := newBoltImage(8, 512)
	m.meta(3, 2, 8)
	m.free(2, 5)
	m.leaf(3, element{bucketElement, "a", bucket(0, inline(element{0, "k", "v", 0}, element{0, "l", "w", 0})), 0}, element{bucketElement, "b", bucket(4, ""), 0})
	m.branch(4, element{0, "c", "", 6}, element{0, "m", "", 7})
	m.leaf(6, element{0, "c", "1", 0}, element{0, "d", "2", 0})
	m.leaf(7, element{0, "m", "3", 0}, element{0, "n", "4", 0})
	return m
}

// small has a root without keys on its third page and no list of free pages.
func small(pages, pageSize int) *boltImage {
	m := newBoltImage(pages, pageSize)
	m.meta(2, noFreelist, uint64(pages))
	m.leaf(2)
	return m
}

// chain has as many branches, each below the other, and a leaf below them all.
func chain(branches int) *boltImage {
	m := newBoltImage(3+branches, 512)
	m.meta(2, noFreelist, uint64(3+branches))
	for i := range branches {
		m.branch(2+i, element{0, "k", "", uint64(3 + i)})
	}
	m.leaf(2+branches, element{0, "k", "v", 0})
	return m
}

// nested has as many buckets, each within the other.
func nested(buckets int) *boltImage {
	m := newBoltImage(3+buckets, 512)
	m.meta(2, noFreelist, uint64(3+buckets))
	for i := range buckets {
		m.leaf(2+i, element{bucketElement, "k", bucket(uint64(3+i), ""), 0})
	}
	m.leaf(2 + buckets)
	return m
}

// wide has a root of two pages, on the second of which stands a key with its
// bucket.
func wide(key string) *boltImage {
	m := newBoltImage(5, 512)
	m.meta(2, noFreelist, 5)
	elements(m.head(2, leafPage, 2, 1), []element{{0, "a", string(make([]byte, 600)), 0}, {bucketElement, key, bucket(4, ""), 0}})
	m.leaf(4)
	return m
}

// straddling has a root of two pages, and a key over the end of the first.
func straddling(key string) *boltImage {
	m := newBoltImage(4, 512)
	m.meta(2, noFreelist, 4)
	elements(m.head(2, leafPage, 2, 1), []element{{0, "a", string(make([]byte, 440)), 0}, {0, key + string(make([]byte, 60)), "", 0}})
	return m
}

// reseal changes a byte of a head and makes its checksum right.
func (m *boltImage) reseal(page, at int) {
	b := m.b[page*m.page+pageHead:]
	b[at]++
	sum := fnv.New64a()
	sum.Write(b[:56])
	binary.LittleEndian.PutUint64(b[56:], sum.Sum64())
}

// A bbolt file is sound up to each of its bounds and damaged one step beyond it;
// damage is told and never a panic.
func TestPagesKeepToTheirBounds(t *testing.T) {
	le := binary.LittleEndian
	full := string(make([]byte, 512-pageHead-pageElement-1)) // of a page with one key of a byte
	change := func(m *boltImage, f func(m *boltImage)) *boltImage { f(m); return m }
	list := func(n int) []uint64 { // so many free pages
		var ids []uint64
		for i := range n {
			ids = append(ids, uint64(4+i))
		}
		return ids
	}
	freelist := func(f func(m *boltImage, b []byte)) *boltImage {
		return change(small(100, 512), func(m *boltImage) {
			m.meta(2, 3, 100)
			f(m, m.head(3, freePage, 0xFFFF, 0))
		})
	}
	for name, c := range map[string]struct {
		m     *boltImage
		sound bool
	}{
		"the sound one":                          {soundImage(), true},
		"more bytes than are in use":             {change(soundImage(), func(m *boltImage) { m.b = append(m.b, 1) }), true},
		"a byte is cut off":                      {change(soundImage(), func(m *boltImage) { m.b = m.b[:len(m.b)-1] }), false},
		"four pages":                             {small(4, 512), true},
		"three pages":                            {small(3, 512), false},
		"pages of 65536 bytes":                   {small(4, 65536), true},
		"pages of 131072 bytes":                  {small(4, 131072), false},
		"pages of 256 bytes":                     {small(8, 256), false},
		"pages of 768 bytes":                     {small(4, 768), false},
		"what looks like a head on another page": {change(small(10, 512), func(m *boltImage) { m.metaPage(8, 512, 1, noFreelist, 10, 99) }), true},
		"the root is a head":                     {change(soundImage(), func(m *boltImage) { m.meta(1, 2, 8) }), false},
		"the root is the last page":              {change(small(4, 512), func(m *boltImage) { m.meta(3, noFreelist, 4); m.leaf(3) }), true},
		"the root is behind the last page":       {change(small(4, 512), func(m *boltImage) { m.meta(4, noFreelist, 4) }), false},
		"a page says it is another":              {change(soundImage(), func(m *boltImage) { le.PutUint64(m.b[6*512:], 7) }), false},
		"a page that runs to the end":            {change(small(4, 512), func(m *boltImage) { m.head(2, leafPage, 0, 1) }), true},
		"a page that runs over the end":          {change(small(4, 512), func(m *boltImage) { m.head(2, leafPage, 0, 2) }), false},
		"a page that runs into another":          {change(soundImage(), func(m *boltImage) { m.head(6, leafPage, 2, 1) }), false},
		"a page with two parents":                {change(soundImage(), func(m *boltImage) { m.branch(4, element{0, "c", "", 6}, element{0, "m", "", 6}) }), false},
		"a page that is no part of a tree":       {change(soundImage(), func(m *boltImage) { m.head(6, freePage, 0, 0) }), false},

		"a value that fills its page":       {change(soundImage(), func(m *boltImage) { m.leaf(7, element{0, "m", full, 0}) }), true},
		"a value that is a byte longer":     {change(soundImage(), func(m *boltImage) { m.leaf(7, element{0, "m", full, 0}); m.b[7*512+pageHead+12]++ }), false},
		"a value that is shorter than none": {change(soundImage(), func(m *boltImage) { le.PutUint32(m.b[7*512+pageHead+12:], math.MaxUint32) }), false},
		"a leaf with a key of no bytes":     {change(soundImage(), func(m *boltImage) { m.leaf(6, element{0, "", "1", 0}) }), false},
		"a key twice":                       {change(soundImage(), func(m *boltImage) { m.leaf(6, element{0, "d", "1", 0}, element{0, "d", "2", 0}) }), false},
		"keys that descend":                 {change(soundImage(), func(m *boltImage) { m.leaf(6, element{0, "e", "1", 0}, element{0, "d", "2", 0}) }), false},
		"a key before that of its branch":   {change(soundImage(), func(m *boltImage) { m.leaf(7, element{0, "l", "1", 0}) }), false},
		"a key before that of the next":     {change(soundImage(), func(m *boltImage) { m.leaf(6, element{0, "l", "1", 0}) }), true},
		"a key as that of the next":         {change(soundImage(), func(m *boltImage) { m.leaf(6, element{0, "m", "1", 0}) }), false},
		"a leaf without keys":               {change(soundImage(), func(m *boltImage) { m.leaf(6) }), true},
		"a branch without children":         {change(soundImage(), func(m *boltImage) { m.branch(4) }), false},
		"a branch whose keys descend":       {change(soundImage(), func(m *boltImage) { m.branch(4, element{0, "m", "", 7}, element{0, "c", "", 6}) }), false},
		"a branch whose key ends its page":  {change(soundImage(), func(m *boltImage) { m.branch(4, element{0, "c", "", 6}, element{0, "m" + full[17:], "", 7}); m.leaf(7) }), true},
		"a branch whose key is a byte more": {change(soundImage(), func(m *boltImage) {
			m.branch(4, element{0, "c", "", 6}, element{0, "m" + full[17:], "", 7})
			m.leaf(7)
			m.b[4*512+pageHead+pageElement+4]++
		}), false},
		"a branch with too many elements":    {change(soundImage(), func(m *boltImage) { m.head(4, branchPage, 32, 0) }), false},
		"a leaf with too many elements":      {change(soundImage(), func(m *boltImage) { m.head(6, leafPage, 32, 0) }), false},
		"branches as deep as is allowed":     {chain(64), true},
		"branches that are a page deeper":    {chain(65), false},
		"a bucket on a page":                 {change(small(4, 512), func(m *boltImage) { m.leaf(2, element{bucketElement, "a", bucket(3, ""), 0}); m.leaf(3) }), true},
		"a bucket whose head is cut short":   {change(small(4, 512), func(m *boltImage) { m.leaf(2, element{bucketElement, "a", bucket(3, "")[:15], 0}); m.leaf(3) }), false},
		"a bucket on a page that is not":     {change(small(4, 512), func(m *boltImage) { m.leaf(2, element{bucketElement, "a", bucket(4, ""), 0}) }), false},
		"small bucket: empty":                {small1(inline()), true},
		"small bucket: none":                 {small1(""), false},
		"small bucket: head cut short":       {small1(inline()[:15]), false},
		"small bucket: another kind of page": {small1(replace(inline(), 8, branchPage)), false},
		"small bucket: pages behind it":      {small1(replace(inline(), 12, 1)), false},
		"small bucket: an element too much":  {small1(replace(inline(element{0, "k", "", 0}), 10, 2)), false},
		"small bucket: elements alone":       {small1(replace(inline(element{0, "\x01", "", 0}), 20, 0)[:32]), true},
		"small bucket: elements cut short":   {small1(replace(inline(element{0, "\x01", "", 0}), 20, 0)[:31]), false},
		"small bucket: a value to its end":   {small1(inline(element{0, "k", "value", 0})), true},
		"small bucket: a value cut short":    {small1(inline(element{0, "k", "value", 0})[:37]), false},
		"small bucket: a bucket in it":       {small1(inline(element{bucketElement, "k", "value", 0})), false},
		"small bucket: a key of no bytes":    {small1(inline(element{0, "", "value", 0})), false},
		"small bucket: keys that descend":    {small1(inline(element{0, "l", "", 0}, element{0, "k", "", 0})), false},

		"heads that are of no bbolt file":     {change(soundImage(), func(m *boltImage) { m.reseal(0, 0); m.reseal(1, 0) }), false},
		"heads of another version of bbolt":   {change(soundImage(), func(m *boltImage) { m.reseal(0, 4); m.reseal(1, 4) }), false},
		"a root two pages behind the last":    {change(small(8, 512), func(m *boltImage) { m.meta(6, noFreelist, 5); m.leaf(6) }), false},
		"a list of free pages on the last":    {change(small(5, 512), func(m *boltImage) { m.meta(2, 4, 5); m.free(4, 3) }), true},
		"a key that runs over its first page": {straddling("b"), true},
		"one that descends there":             {straddling("A"), false},
		"an unused page is cut off":           {change(small(5, 512), func(m *boltImage) { m.b = m.b[:4*512] }), false},
		"a root on a page that is not in use": {change(small(6, 512), func(m *boltImage) { m.meta(5, noFreelist, 5); m.leaf(5) }), false},
		"empty leaves whose branch descends":  {change(soundImage(), func(m *boltImage) { m.branch(4, element{0, "m", "", 6}, element{0, "c", "", 7}); m.leaf(6); m.leaf(7) }), false},
		"buckets as deep as is allowed":       {nested(64), true},
		"buckets that are a level deeper":     {nested(65), false},
		"values that run over several pages":  {wide("b"), true},
		"keys in a later page that descend":   {wide("A"), false},

		"no list of free pages":            {change(soundImage(), func(m *boltImage) { m.meta(3, noFreelist, 8) }), true},
		"free list: of no page":            {change(soundImage(), func(m *boltImage) { m.free(2) }), true},
		"free list: is a leaf":             {change(small(4, 512), func(m *boltImage) { m.meta(2, 3, 4); m.leaf(3) }), false},
		"free list: page that is not":      {change(soundImage(), func(m *boltImage) { m.meta(3, 8, 8) }), false},
		"free list: a page in use":         {change(soundImage(), func(m *boltImage) { m.free(2, 6) }), false},
		"free list: itself":                {change(soundImage(), func(m *boltImage) { m.free(2, 2) }), false},
		"free list: the last page":         {change(small(5, 512), func(m *boltImage) { m.meta(2, 3, 5); m.free(3, 4) }), true},
		"free list: behind the last page":  {change(small(5, 512), func(m *boltImage) { m.meta(2, 3, 5); m.free(3, 5) }), false},
		"free list: a page twice":          {change(small(6, 512), func(m *boltImage) { m.meta(2, 3, 6); m.free(3, 4, 4) }), false},
		"free list: ascending":             {change(small(6, 512), func(m *boltImage) { m.meta(2, 3, 6); m.free(3, 4, 5) }), true},
		"free list: descending":            {change(small(6, 512), func(m *boltImage) { m.meta(2, 3, 6); m.free(3, 5, 4) }), false},
		"free list: an odd number":         {change(small(7, 512), func(m *boltImage) { m.meta(2, 3, 7); m.free(3, 4, 5, 6) }), true},
		"free list: fills its page":        {change(small(100, 512), func(m *boltImage) { m.meta(2, 3, 100); m.free(3, list(62)...) }), true},
		"free list: one more than fits":    {change(small(100, 512), func(m *boltImage) { m.meta(2, 3, 100); m.free(3, list(62)...); m.head(3, freePage, 63, 0) }), false},
		"free list: many more than fit":    {change(small(100, 512), func(m *boltImage) { m.meta(2, 3, 100); m.free(3, list(62)...); m.head(3, freePage, 80, 0) }), false},
		"long free list: fills its page":   {freelist(func(_ *boltImage, b []byte) { longList(b, 61, list(61)) }), true},
		"long free list: one more":         {freelist(func(_ *boltImage, b []byte) { longList(b, 62, list(61)) }), false},
		"long free list: of no page":       {freelist(func(_ *boltImage, b []byte) { longList(b, 0, nil) }), true},
		"long free list: a page in use":    {freelist(func(_ *boltImage, b []byte) { longList(b, 2, []uint64{2, 4}) }), false},
		"long free list: the largest":      {freelist(func(_ *boltImage, b []byte) { longList(b, math.MaxUint64, nil) }), false},
		"long free list: a negative count": {freelist(func(_ *boltImage, b []byte) { longList(b, 1<<63, nil) }), false},
		"long free list: overflows to few": {freelist(func(_ *boltImage, b []byte) { longList(b, 1<<61-1, nil) }), false},
	} {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, c.m.b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := format.CheckPages(path); (err == nil) != c.sound || err != nil && !errors.Is(err, format.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// small1 is a file with a bucket within its root.
func small1(inline string) *boltImage {
	m := small(4, 512)
	m.leaf(2, element{bucketElement, "a", bucket(0, inline), 0})
	return m
}

func replace(text string, at int, b byte) string {
	return text[:at] + string([]byte{b}) + text[at+1:]
}

// longList writes a list of free pages whose number stands behind the head.
func longList(b []byte, n uint64, ids []uint64) {
	binary.LittleEndian.PutUint64(b[pageHead:], n)
	for i, id := range ids {
		binary.LittleEndian.PutUint64(b[pageHead+8+8*i:], id)
	}
}

// What is wrong is said: a file that is cut short with both of its sizes, and what
// is no file.
func TestDamageIsNamed(t *testing.T) {
	m := small(5, 512)
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, m.b[:4*512], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := format.CheckPages(path); err == nil || !strings.Contains(err.Error(), "5 pages are in use, the file holds 4") {
		t.Errorf("a file that is cut short: %v", err)
	}
	if err := format.CheckPages(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a file") {
		t.Errorf("a folder: %v", err)
	}
}

// The newer of two heads counts, by whatever size of page the second one is found.
func TestTheNewerHeadCountsWhereverItStands(t *testing.T) {
	for size := 512; size <= 65536; size *= 2 {
		for newer := range 2 {
			m := small(4, size)
			m.metaPage(newer, uint32(size), 2, noFreelist, 4, 9)
			m.metaPage(1-newer, uint32(size), 1, noFreelist, 4, 8) // its root is a head
			path := filepath.Join(t.TempDir(), fmt.Sprint(size, newer))
			if err := os.WriteFile(path, m.b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := format.CheckPages(path); err != nil {
				t.Errorf("pages of %d bytes, head %d is the newer one: %v", size, newer, err)
			}
		}
	}
}
