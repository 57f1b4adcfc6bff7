package format_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/sink/store/format"
)

// Of two observations at one time the later name of a scan counts, in whatever
// order they come.
func TestTiesOfStampsDoNotDependOnTheirOrder(t *testing.T) {
	a, b := format.Stamp{Order: 5, Scan: "a"}, format.Stamp{Order: 5, Scan: "b"}
	if got := a.Later(5, "b"); got != b {
		t.Errorf("b after a: %+v", got)
	}
	if got := b.Later(5, "a"); got != b {
		t.Errorf("a after b: %+v", got)
	}
	if got := b.Later(6, "a"); got != (format.Stamp{Order: 6, Scan: "a"}) {
		t.Errorf("a newer one: %+v", got)
	}
	if got := b.Later(4, "c"); got != b {
		t.Errorf("an older one: %+v", got)
	}
}

// A block holds at most MaxBlock rows, and nothing behind them.
func TestBlocksKeepToTheirBounds(t *testing.T) {
	rows := make([][]byte, format.MaxBlock)
	for i := range rows {
		rows[i] = fmt.Appendf(nil, "row %d", i)
	}
	got, err := format.BlockRows(format.AppendBlock(nil, rows), nil)
	if err != nil || len(got) != format.MaxBlock {
		t.Errorf("a full block: %d rows, %v", len(got), err)
	}
	if _, err := format.BlockRows(format.AppendBlock(nil, append(rows, []byte("one more"))), nil); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("a row more than fits: %v", err)
	}
	whole := format.AppendBlock(nil, rows[:2])
	if _, err := format.BlockRows(format.Seal(append(whole, 0)), nil); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("a byte behind the last row: %v", err)
	}
	short := format.AppendBlock(nil, rows[:2])
	if _, err := format.BlockRows(format.Seal(short[:len(short)-1]), nil); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("a row that is cut short: %v", err)
	}
}

// Orders take as few bytes as their span needs, and come back as they went in.
func TestOrdersTakeWhatTheirSpanNeeds(t *testing.T) {
	size := func(orders ...int64) int {
		t.Helper()
		value := format.AppendOrders(nil, orders, make([]uint32, len(orders)), []string{"s"})
		back, err := format.ReadOrders(value)
		if err != nil || back.Len != len(orders) {
			t.Fatalf("%v: %+v, %v", orders, back, err)
		}
		for i, want := range orders {
			if got := back.At(i); got != want || back.Scan(i) != 0 {
				t.Errorf("%v: order %d is %d by scan %d", orders, i, got, back.Scan(i))
			}
		}
		return len(value)
	}
	const now = int64(1_700_000_000_000_000_000)
	alone := size(now, now)
	for _, c := range []struct{ span, width int64 }{{1, 1}, {255, 1}, {256, 2}, {65_535, 2}, {65_536, 3}, {1 << 32, 5}} {
		if got := size(now, now+c.span); got != alone+2*int(c.width) {
			t.Errorf("a span of %d takes %d bytes an order, want %d", c.span, (got-alone)/2, c.width)
		}
	}
	if got := size(math.MinInt64, math.MaxInt64); got != alone+16 {
		t.Errorf("the widest span takes %d bytes more, want 16", got-alone)
	}
	var scans []uint32
	var orders []int64
	var names []string
	for i := range format.MaxBlock {
		scans, orders, names = append(scans, uint32(i)), append(orders, now+int64(i)), append(names, fmt.Sprint("s", i))
	}
	back, err := format.ReadOrders(format.AppendOrders(nil, orders, scans, names))
	if err != nil || !slices.Equal(back.Scans, names) || back.Scan(format.MaxBlock-1) != format.MaxBlock-1 {
		t.Errorf("a full block, each row of a scan of its own: %v", err)
	}
}

// What does not have the shape of orders is damage and never read past its end.
func TestOrdersOfAnotherShapeAreRefused(t *testing.T) {
	orders := func(n uint64, width byte, offsets int, names []string, index ...byte) []byte {
		b := binary.AppendUvarint(format.Start(nil), n)
		b = append(binary.LittleEndian.AppendUint64(b, 7), width)
		b = append(b, make([]byte, offsets)...)
		b = binary.AppendUvarint(b, uint64(len(names)))
		for _, name := range names {
			b = format.AppendString(b, name)
		}
		return format.Seal(append(b, index...))
	}
	two := []string{"a", "b"}
	for name, c := range map[string]struct {
		value []byte
		sound bool
	}{
		"two rows of two scans":           {orders(2, 1, 2, two, 0, 1), true},
		"a full block":                    {orders(format.MaxBlock, 8, 8*format.MaxBlock, two[:1]), true},
		"a row more than fits":            {orders(format.MaxBlock+1, 0, 0, two[:1]), false},
		"offsets of nine bytes":           {orders(1, 9, 9, two[:1]), false},
		"no scan":                         {orders(1, 0, 0, nil), false},
		"a scan that is not there":        {orders(2, 1, 2, two, 0, 2), false},
		"a byte too much":                 {orders(2, 1, 2, two, 0, 1, 0), false},
		"offsets that are cut short":      {orders(2, 8, 3, nil), false},
		"more rows than a number can say": {orders(math.MaxUint64, 1, 0, two[:1]), false},
	} {
		if _, err := format.ReadOrders(c.value); (err == nil) != c.sound || err != nil && !errors.Is(err, format.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A bbolt file is read by the newer of its two heads that is whole, like bbolt
// does, wherever it stands.
func TestTheNewestSoundHeadOfAFileCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("b"))
			if err != nil {
				return err
			}
			return b.Put(fmt.Append(nil, i), make([]byte, 100))
		}); err != nil {
			t.Fatal(err)
		}
	}
	size := os.Getpagesize()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(change func([]byte)) error {
		t.Helper()
		b := slices.Clone(sound)
		change(b)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return format.CheckPages(path)
	}
	const head = 16 // bytes of a page before what it holds
	for _, at := range []int{0, size} {
		for name, offset := range map[string]int{"magic number": head, "version": head + 4, "checksum": head + 56} {
			if err := check(func(b []byte) { b[at+offset]++ }); err != nil {
				t.Errorf("the %s of the head at %d is damaged, the other head is whole: %v", name, at, err)
			}
		}
	}
	if err := check(func(b []byte) { b[head]++; b[size+head]++ }); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("both heads are damaged: %v", err)
	}
	if err := check(func(b []byte) { clear(b[:64]) }); err != nil {
		t.Errorf("the first head is blank: %v", err)
	}
	if err := format.CheckPages(t.TempDir()); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("a folder: %v", err)
	}
	if err := format.CheckPages(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("no file is for bbolt to complain about: %v", err)
	}
}
