package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/sink/store"
	"github.com/shenscan/shenscan/sink/store/format"
)

// joined makes a store of five instances in two regions, of which one region has
// a journal beside its blocks, and returns its file.
func joined(t *testing.T) []byte {
	t.Helper()
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "centos 5.8"}, machine{id: "i-2", os: "debian 12"}, machine{id: "i-3", os: "debian 7"})...))
	apply(t, db, s.put(whole("s2", beijing, 10, machine{id: "i-4", os: "debian 12"})...))
	apply(t, db, s.put(page("r1", rescanKind, hangzhou, "1.0", "1.0", 0, 20, machine{id: "i-2", os: "centos 5.8"}, machine{id: "i-5", os: "debian 12"})))
	return compacted(t, db)
}

// compacted is the file of a store without free space, which is copied sooner.
func compacted(t *testing.T, db *store.DB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dense.db")
	if err := errors.Join(db.Compact(t.Context(), path), db.Close()); err != nil {
		t.Fatal(err)
	}
	return mustRead(t, path)
}

// part is a bucket of a store's file with what the tests do to it.
type part struct {
	*bbolt.Bucket
	t *testing.T
}

func (p part) put(k, v []byte) {
	p.t.Helper()
	if err := p.Put(slices.Clone(k), slices.Clone(v)); err != nil {
		p.t.Fatal(err)
	}
}

func (p part) drop(k []byte) {
	p.t.Helper()
	if err := p.Delete(slices.Clone(k)); err != nil {
		p.t.Fatal(err)
	}
}

func (p part) first() (k, v []byte) { return p.Cursor().First() }

func (p part) last() (k, v []byte) { return p.Cursor().Last() }

// renamed puts the last value under another key.
func (p part) renamed(key []byte) {
	p.t.Helper()
	k, v := p.last()
	v = slices.Clone(v)
	p.drop(k)
	p.put(key, v)
}

// text replaces a part of the JSON of the first value.
func (p part) text(old, changed string) {
	p.t.Helper()
	k, v := p.first()
	body, err := format.Unseal("a value", v)
	if err != nil || !strings.Contains(string(body), old) {
		p.t.Fatalf("%q is not in %s: %v", old, body, err)
	}
	p.put(k, format.Sealed(strings.Replace(string(body), old, changed, 1)))
}

// section replaces the value of a journal entry by one of other ordinals.
func (p part) section(ordinals func(i int, ordinal uint32) uint32, seen ...uint32) {
	p.t.Helper()
	k, v := p.first()
	var had format.Section
	if err := format.ReadSection(v, &had); err != nil {
		p.t.Fatal(err)
	}
	var w format.SectionWriter
	w.Reset(had.Scan, had.Order)
	for i, row := range had.Rows {
		w.Row(ordinals(i, had.Ordinals[i]), row)
	}
	for _, ordinal := range seen {
		w.Saw(ordinal)
	}
	is, _ := w.Value()
	p.put(k, is)
}

// changed is the path of a store's file once change was made to what it holds.
func changed(t *testing.T, file []byte, change func(tx *bbolt.Tx)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		change(tx)
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// Values that are whole each by itself may still not fit each other, as a file that
// was pieced together does not. Whoever opens it is told, and never shown a fleet that lacks
// what did not fit.
func TestPartsThatDoNotFitAreDamage(t *testing.T) {
	short, far := []byte{0, 0, 1}, format.Key32(1<<31)
	same := func(_ int, ordinal uint32) uint32 { return ordinal }
	profiles := func(p part, change func(*format.Profile)) {
		k, v := p.first()
		list, err := format.ReadProfiles(v, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		change(&list[len(list)-1])
		p.put(k, format.ProfilesValue(list))
	}
	base := joined(t)
	for name, c := range map[string]struct {
		bucket string
		damage func(p part)
	}{
		"a word of no number":            {"strings", func(p part) { p.renamed(short) }},
		"a word that is missing":         {"strings", func(p part) { k, _ := p.first(); p.drop(k) }},
		"software of no number":          {"software", func(p part) { p.renamed(short) }},
		"software of too large a number": {"software", func(p part) { p.renamed(far) }},
		"software that is none":          {"software", func(p part) { k, _ := p.first(); p.put(k, format.Sealed("none")) }},
		"a machine of no number":         {"hardware", func(p part) { p.renamed(short) }},
		"a machine behind a gap":         {"hardware", func(p part) { p.renamed(format.Key32(7)) }},
		"a machine that is none":         {"hardware", func(p part) { k, _ := p.first(); p.put(k, format.Sealed("none")) }},
		"a class of no number":           {"classes", func(p part) { p.renamed(short) }},
		"a class that is missing":        {"classes", func(p part) { k, _ := p.first(); p.drop(k) }},
		"the last class is missing":      {"classes", func(p part) { k, _ := p.last(); p.drop(k) }},
		"a class that is there twice":    {"classes", func(p part) { _, v := p.first(); k, _ := p.last(); p.put(k, v) }},
		"profiles of no number":          {"profiles", func(p part) { p.renamed(short) }},
		"profiles of too large a number": {"profiles", func(p part) { p.renamed(format.Key32(format.MaxProfile/format.MaxChunk + 1)) }},
		"profiles behind a gap":          {"profiles", func(p part) { p.renamed(format.Key32(1)) }},
		"profiles that are missing":      {"profiles", func(p part) { k, _ := p.first(); p.drop(k) }},
		"a profile that is missing":      {"profiles", func(p part) { profiles(p, func(is *format.Profile) { is.Class = format.NoClass }) }},
		"a profile of no class": {"profiles", func(p part) {
			profiles(p, func(is *format.Profile) { is.Class = uint32(p.Bucket.Tx().Bucket([]byte("classes")).Stats().KeyN) })
		}},
		"a profile on no machine":    {"profiles", func(p part) { profiles(p, func(is *format.Profile) { is.Hardware = 1 }) }},
		"a region of no number":      {"scopes", func(p part) { p.renamed(short) }},
		"a region of more rows":      {"scopes", func(p part) { p.text(`"rows":3`, `"rows":4`) }},
		"a region of fewer rows":     {"scopes", func(p part) { p.text(`"rows":3`, `"rows":2`) }},
		"a block that is missing":    {"blocks", func(p part) { k, _ := p.first(); p.drop(k) }},
		"a block under another name": {"blocks", func(p part) { p.renamed(format.RowKey(2, []byte("i-3"))) }},
		"a block and its times under another name": {"blocks", func(p part) {
			name := format.RowKey(2, []byte("i-3"))
			p.renamed(name)
			part{p.Bucket.Tx().Bucket([]byte("orders")), p.t}.renamed(name)
		}},
		"a block that is empty":             {"blocks", func(p part) { k, _ := p.first(); p.put(k, format.AppendBlock(nil, nil)) }},
		"a block of another region":         {"blocks", func(p part) { _, v := p.last(); k, _ := p.first(); p.put(k, v) }},
		"times that are missing":            {"orders", func(p part) { k, _ := p.first(); p.drop(k) }},
		"times of another block":            {"orders", func(p part) { _, v := p.last(); k, _ := p.first(); p.put(k, v) }},
		"a journal of no number":            {"journal", func(p part) { k, _ := p.last(); p.renamed(append(slices.Clone(k), 0)) }},
		"a journal that names another row":  {"journal", func(p part) { p.section(func(i int, n uint32) uint32 { return []uint32{0, n}[i] }) }},
		"a journal that leaves out a row":   {"journal", func(p part) { p.section(func(i int, n uint32) uint32 { return n + uint32(i) }) }},
		"a journal that saw a row too many": {"journal", func(p part) { p.section(same, 4) }},
		"no settings":                       {"meta", func(p part) { k, _ := p.first(); p.put(k, format.Sealed("{")) }},
	} {
		t.Run(name, func(t *testing.T) {
			path := changed(t, base, func(tx *bbolt.Tx) { c.damage(part{tx.Bucket([]byte(c.bucket)), t}) })
			db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: newJudge("a", oldOnes)})
			if err == nil {
				t.Errorf("it was opened; a check says %v", errors.Join(db.Check(t.Context()), db.Close()))
			} else if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// The largest number that software may have is one.
func TestTheLargestNumberOfSoftwareIsRead(t *testing.T) {
	path := changed(t, joined(t), func(tx *bbolt.Tx) {
		p := part{tx.Bucket([]byte("software")), t}
		_, v := p.first()
		p.put(format.Key32(format.MaxProfile), v)
	})
	checked(t, open(t, path, newJudge("a", oldOnes)))
}

// Who opens a store keeps the index in memory of the regions that are written to at the
// moment, which have a journal, and of no others.
func TestOnlyRegionsWithAJournalStayInMemory(t *testing.T) {
	db := open(t, changed(t, joined(t), func(*bbolt.Tx) {}), newJudge("a", oldOnes))
	if got := db.InMemory(); len(got) != 1 || got[0] != "cn-hangzhou" {
		t.Errorf("in memory are %v", got)
	}
}

// What opening a store does not read, a check does: each part of it is named where
// it is missing, and where a value of it is damaged.
func TestACheckReadsEveryPart(t *testing.T) {
	j := newJudge("a", oldOnes)
	j.waive, j.until = map[string]string{"waive": "yes"}, "2026-12-31"
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), j), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}}, machine{id: "i-2", os: "debian 12"}, machine{id: "i-3", os: "debian 7"})...))
	batch := s.put(whole("s2", hangzhou, 20, machine{id: "i-1", os: "centos 5.8"}, machine{id: "i-2", os: "debian 7"})...)
	batch = append(batch, s.put(&event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceProbe, At: at(30), Items: []event.EvidenceItem{{ID: "i-2", Asked: at(30)}}})...)
	if _, err := db.Apply(t.Context(), batch); err != nil { // and nobody answers where i-3 is
		t.Fatal(err)
	}
	apply(t, db, s.put(page("r1", rescanKind, beijing, "1.0", "1.0", 0, 20, machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}})))
	base := compacted(t, db)
	found := func(path string) error {
		db, err := store.Open(t.Context(), store.Options{Path: path, Classifier: j, Today: func() string { return "2026-11-23" }})
		if err != nil {
			return err
		}
		return errors.Join(db.Check(t.Context()), db.Close())
	}
	if err := found(changed(t, base, func(*bbolt.Tx) {})); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"meta", "strings", "profiles", "software", "hardware", "classes", "scopes", "blocks", "orders", "journal", "history", "waived", "scans", "progress",
		"ended", "endedids", "outbox", "questions", "points", "parts", "evidence",
	} {
		err := found(changed(t, base, func(tx *bbolt.Tx) {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				t.Fatal(err)
			}
		}))
		if !errors.Is(err, store.ErrCorrupt) || name != "meta" && !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%s is missing: %v", name, err)
		}
		if name == "endedids" { // their values are keys, of scans that are not there then
			continue
		}
		var values [][]byte
		changed(t, base, func(tx *bbolt.Tx) {
			cursor := tx.Bucket([]byte(name)).Cursor()
			for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
				values = append(values, slices.Clone(v))
			}
		})
		if len(values) == 0 {
			t.Errorf("%s is empty: the test proves nothing", name)
		}
		for _, value := range values {
			path := changed(t, base, func(*bbolt.Tx) {})
			file := mustRead(t, path)
			db := open(t, path, j)
			// It is damaged under the store that has it open: what was read then counts no more.
			damaged := slices.Clone(value)
			damaged[len(value)-1] ^= 1
			under, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = under.WriteAt(bytes.ReplaceAll(file, value, damaged), 0)
			if err := errors.Join(err, under.Close()); err != nil {
				t.Fatal(err)
			}
			if err := db.Check(t.Context()); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s is damaged: %v", name, err)
			}
		}
	}
	if err := found(changed(t, base, func(tx *bbolt.Tx) {
		p := part{tx.Bucket([]byte("endedids")), t}
		k, v := p.first()
		p.put(k, append(slices.Clone(v), 'x'))
	})); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("the id of a scan that is not there: %v", err)
	}
	for order, rows := range map[string][]int{"another order": {0, 2, 1}, "one of them twice": {0, 1, 1}} {
		err := found(changed(t, base, func(tx *bbolt.Tx) {
			p := part{tx.Bucket([]byte("blocks")), t}
			k, v := p.first()
			had, err := format.BlockRows(v, nil)
			if err != nil || len(had) != 3 {
				t.Fatal(len(had), err)
			}
			var is [][]byte
			for _, i := range rows {
				is = append(is, had[i])
			}
			p.put(k, format.AppendBlock(nil, is))
		}))
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "out of order") {
			t.Errorf("rows in %s: %v", order, err)
		}
	}
}
