package format_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// value makes a value of parts: numbers as varints, strings behind their length,
// bytes as they are.
func value(parts ...any) []byte {
	b := format.Start(nil)
	for _, part := range parts {
		switch x := part.(type) {
		case int:
			b = binary.AppendUvarint(b, uint64(x))
		case uint64:
			b = binary.AppendUvarint(b, x)
		case int64:
			b = binary.AppendVarint(b, x)
		case string:
			b = format.AppendString(b, x)
		case []byte:
			b = append(b, x...)
		}
	}
	return format.Seal(b)
}

// body is a value without its head, as a row is.
func body(parts ...any) []byte { return value(parts...)[5:] }

func corrupt(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("%s: %v", what, err)
	}
}

// damaged calls read with a value that is cut short at each byte, with one that
// has a byte too much, and with one whose checksum is wrong.
func damaged(t *testing.T, what string, sound []byte, read func([]byte) error) {
	t.Helper()
	if err := read(sound); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	for n := 5; n < len(sound); n++ {
		corrupt(t, fmt.Sprintf("%s of %d bytes instead of %d", what, n, len(sound)), read(format.Seal(slices.Clone(sound[:n]))))
	}
	corrupt(t, what+" with a byte too much", read(format.Seal(append(slices.Clone(sound), 0))))
	wrong := slices.Clone(sound)
	wrong[0]++
	corrupt(t, what+" with another checksum", read(wrong))
}

// A value is known by its head: whole, of this version, and unchanged.
func TestHeadsOfValues(t *testing.T) {
	if got, err := format.Unseal("it", format.Sealed("")); err != nil || len(got) != 0 {
		t.Errorf("an empty body: %q, %v", got, err)
	}
	if got, err := format.Unseal("it", format.Sealed("a body that is longer than its head")); err != nil || string(got) != "a body that is longer than its head" {
		t.Errorf("%q, %v", got, err)
	}
	_, err := format.Unseal("it", format.Sealed("")[:4])
	corrupt(t, "four bytes", err)
	for version, want := range map[byte]error{0: format.ErrCorrupt, 2: format.ErrNewer} {
		v := format.Sealed("body")
		v[4] = version
		if _, err := format.Unseal("it", format.Seal(v)); !errors.Is(err, want) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	parts, err := format.Strings("it", body("a", "", strings.Repeat("b", 200)))
	if err != nil || len(parts) != 3 || string(parts[0]) != "a" || len(parts[1]) != 0 || len(parts[2]) != 200 {
		t.Errorf("%q, %v", parts, err)
	}
	_, err = format.Strings("it", body("a", "b")[:3])
	corrupt(t, "strings that are cut short", err)
	_, err = format.Strings("it", bytes.Repeat([]byte{0xFF}, 11))
	corrupt(t, "a length that no number can say", err)
	cause := errors.New("cause")
	if err := format.OrCorrupt(cause, "text"); !errors.Is(err, cause) || errors.Is(err, format.ErrCorrupt) {
		t.Errorf("with a cause: %v", err)
	}
	corrupt(t, "without a cause", format.OrCorrupt(nil, "text"))
}

// Bodies in JSON, plain and compressed, come back; one byte more than is allowed
// does not.
func TestBodiesInJSON(t *testing.T) {
	in := map[string]string{"key": strings.Repeat("value ", 100)}
	plain, err := format.JSON(in)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := format.Packed(in)
	if err != nil {
		t.Fatal(err)
	}
	const size = len(`{"key":""}`) + 600
	var fromPlain, fromPacked map[string]string
	if err := format.ReadJSON("it", plain, &fromPlain); err != nil || !maps.Equal(in, fromPlain) {
		t.Errorf("plain: %v, %v", fromPlain, err)
	}
	if err := format.ReadPacked("it", packed, size, &fromPacked); err != nil || !maps.Equal(in, fromPacked) {
		t.Errorf("packed: %v, %v", fromPacked, err)
	}
	corrupt(t, "more than is allowed", format.ReadPacked("it", packed, size-1, &fromPacked))
	for name, damage := range map[string]func([]byte) []byte{
		"another checksum": func(b []byte) []byte { b[0]++; return b },
		"another body":     func(b []byte) []byte { return format.Seal(b[:len(b)-1]) },
		"no body":          func(b []byte) []byte { return format.Seal(b[:5]) },
	} {
		corrupt(t, "plain, "+name, format.ReadJSON("it", damage(slices.Clone(plain)), &fromPlain))
		corrupt(t, "packed, "+name, format.ReadPacked("it", damage(slices.Clone(packed)), 1<<20, &fromPacked))
	}
	corrupt(t, "packed, no JSON", format.ReadPacked("it", format.Pack([]byte("{")), 1<<20, &fromPacked))
	if _, err := format.JSON(func() {}); err == nil {
		t.Error("a function has no JSON")
	}
	if _, err := format.Packed(func() {}); err == nil {
		t.Error("a function has no JSON")
	}
}

// Numbers in keys come back, and keys of another length are damage.
func TestKeys(t *testing.T) {
	if n, err := format.JournalNumber(format.JournalKey(7, math.MaxUint64-1)); err != nil || n != math.MaxUint64-1 {
		t.Errorf("%d, %v", n, err)
	}
	for _, n := range []int{11, 13} {
		_, err := format.JournalNumber(make([]byte, n))
		corrupt(t, fmt.Sprintf("a journal key of %d bytes", n), err)
	}
	if n, err := format.Number32(format.Key32(math.MaxUint32)); err != nil || n != math.MaxUint32 {
		t.Errorf("%d, %v", n, err)
	}
	for _, n := range []int{3, 5} {
		_, err := format.Number32(make([]byte, n))
		corrupt(t, fmt.Sprintf("a key of %d bytes", n), err)
	}
	if got := string(format.Key64(1)); got != "\x00\x00\x00\x00\x00\x00\x00\x01" {
		t.Errorf("%q", got)
	}
	if got := string(format.RowKey(1, []byte("i-instance"))); got != "\x00\x00\x00\x01i-instance" {
		t.Errorf("%q", got)
	}
	if got := string(format.HistoryPrefix(1, []byte("i"))); got != "\x00\x00\x00\x01i\x00" {
		t.Errorf("%q", got)
	}
	if got := string(format.ProgressKey("scan", 1)); got != "scan\x00\x00\x00\x00\x01" {
		t.Errorf("%q", got)
	}
}

// A class has at most MaxTargets targets, with and without what a waiver made of it.
func TestClassesKeepToTheirBounds(t *testing.T) {
	levels := func(n int) string { return strings.Repeat("c", n) }
	for _, legacy := range []bool{true, false} {
		in := outcome.Class{Levels: "cciu", Standings: "abcd", Family: "centos", Version: "7.9", Legacy: legacy}
		damaged(t, "a class", format.ClassValue(&in), func(v []byte) error {
			got, err := format.ReadClass(v)
			if err == nil && got != in {
				t.Errorf("%+v came back as %+v", in, got)
			}
			return err
		})
		waived := outcome.Class{Levels: "cccc", Standings: "dcba", Family: "centos", Version: "7.9", Legacy: legacy}
		damaged(t, "waived verdicts", format.WaivedValue(&waived), func(v []byte) error {
			got := in
			err := format.ReadWaived(v, &got)
			if want := waived; err == nil && got != want {
				t.Errorf("%+v came back as %+v", want, got)
			}
			return err
		})
	}
	for name, c := range map[string]struct {
		levels, standings int
		sound             bool
	}{
		"as many as may be": {format.MaxTargets, format.MaxTargets, true},
		"a level more":      {format.MaxTargets + 1, format.MaxTargets, false},
		"a standing more":   {format.MaxTargets, format.MaxTargets + 1, false},
	} {
		class := outcome.Class{Levels: levels(c.levels), Standings: levels(c.standings)}
		if _, err := format.ReadClass(format.ClassValue(&class)); (err == nil) != c.sound {
			t.Errorf("%s: %v", name, err)
		}
		if err := format.ReadWaived(format.WaivedValue(&class), new(outcome.Class)); (err == nil) != c.sound {
			t.Errorf("%s, waived: %v", name, err)
		}
	}
}

// Profiles come back in their places, the empty ones too, up to the largest number.
func TestProfilesKeepToTheirBounds(t *testing.T) {
	in := []format.Profile{{Software: 1, Hardware: 2, Class: 0}, {Class: format.NoClass}, {Software: format.MaxProfile, Hardware: format.MaxProfile, Class: format.MaxProfile - 1}, {Class: format.NoClass}}
	damaged(t, "profiles", format.ProfilesValue(in), func(v []byte) error {
		got, err := format.ReadProfiles(v, nil)
		if err == nil && !slices.Equal(got, in) {
			t.Errorf("%v came back as %v", in, got)
		}
		return err
	})
	full := slices.Repeat([]format.Profile{{Software: 1 << 13, Hardware: 1 << 13, Class: 1 << 13}}, format.MaxChunk)
	if got, err := format.ReadProfiles(format.ProfilesValue(full), in[:1]); err != nil || !slices.Equal(got[1:], full) || got[0] != in[0] {
		t.Errorf("a full chunk: %d profiles, %v", len(got), err)
	}
	_, err := format.ReadProfiles(format.ProfilesValue(append(full, in[0])), nil)
	corrupt(t, "one more than a chunk has", err)
	if n := testing.AllocsPerRun(10, func() { format.ProfilesValue(full[:128]) }); n != 1 {
		t.Errorf("a value takes %v allocations", n)
	}
	const beyond = format.MaxProfile + 1
	for name, v := range map[string][]byte{"class": value(1, beyond, 0, 0), "software": value(1, 1, beyond, 0), "hardware": value(1, 1, 0, beyond)} {
		_, err := format.ReadProfiles(v, nil)
		corrupt(t, "a "+name+" beyond the largest", err)
	}
	for name, v := range map[string][]byte{"class": value(1, format.MaxProfile, 0, 0), "software": value(1, 1, format.MaxProfile, 0), "hardware": value(1, 1, 0, format.MaxProfile)} {
		if _, err := format.ReadProfiles(v, nil); err != nil {
			t.Errorf("the largest %s: %v", name, err)
		}
	}
}

// A section has what its page had, in its order, and each row where it says.
func TestSectionsComeBack(t *testing.T) {
	const most = math.MaxInt32
	var w format.SectionWriter
	for range 2 { // a writer is used again
		w.Reset("scan", -5)
		rows := []string{"first row", "x", strings.Repeat("y", 300)}
		var offsets []int
		for i, ordinal := range []uint32{5, most, 0} {
			offsets = append(offsets, w.Row(ordinal, []byte(rows[i])))
		}
		for _, ordinal := range []uint32{most, 0, 7} {
			w.Saw(ordinal)
		}
		if w.Changed != 3 || w.Unchanged != 3 {
			t.Errorf("%d changed, %d unchanged", w.Changed, w.Unchanged)
		}
		v, rowsAt := w.Value()
		var got format.Section
		damaged(t, "a section", v, func(v []byte) error { return format.ReadSection(v, &got) })
		if err := format.ReadSection(v, &got); err != nil {
			t.Fatal(err)
		}
		if got.Scan != "scan" || got.Order != -5 || !slices.Equal(got.Ordinals, []uint32{5, most, 0}) || !slices.Equal(got.Seen, []uint32{most, 0, 7}) {
			t.Errorf("%+v", got)
		}
		for i, want := range rows {
			row, err := format.RowAt(v, got.Offsets[i])
			if err != nil || string(row) != want || string(got.Rows[i]) != want || int(got.Offsets[i]) != rowsAt+offsets[i] {
				t.Errorf("row %d at %d: %q and %q, %v", i, got.Offsets[i], row, got.Rows[i], err)
			}
		}
	}
	_, err := format.RowAt([]byte{1}, 5)
	corrupt(t, "a row behind the end", err)
	for name, ordinals := range map[string][]int64{
		"below none": {-1}, "beyond the most": {most + 1}, "beyond it in two steps": {most, 1}, "below none in two": {5, -6},
		"the widest step": {math.MaxInt64}, "the widest step back": {math.MinInt64}, "twice the widest": {1, math.MaxInt64},
	} {
		seen, changed := []any{"scan", int64(0), 0, len(ordinals)}, []any{"scan", int64(0), len(ordinals)}
		for _, step := range ordinals {
			seen, changed = append(seen, step), append(changed, step, "row")
		}
		corrupt(t, "ordinals of seen rows "+name, format.ReadSection(value(seen...), new(format.Section)))
		corrupt(t, "ordinals of changed rows "+name, format.ReadSection(value(append(changed, 0)...), new(format.Section)))
	}
	w.Reset("scan", 0)
	for i := range uint32(100) {
		w.Row(i, make([]byte, 50))
		w.Saw(i)
	}
	if n := testing.AllocsPerRun(10, func() { w.Value() }); n != 1 {
		t.Errorf("a value takes %v allocations", n)
	}
}

// A dictionary numbers what is short, as long as there is room, and numbers it
// again when it is read back.
func TestDictionariesAreBounded(t *testing.T) {
	const words, values, list, longest = 8192, 256, 65536, 128
	d := format.NewDict()
	zone, ok := d.Word("zone")
	if again, known := d.Word("zone"); !ok || !known || again != zone || d.At(zone) != "zone" {
		t.Errorf("a word again: %d and %d", zone, again)
	}
	if _, ok := d.Word(strings.Repeat("w", longest)); !ok {
		t.Error("the longest word has no number")
	}
	if _, ok := d.Word(strings.Repeat("w", longest+1)); ok {
		t.Error("a word that is too long has a number")
	}
	if _, ok := d.Value(zone, strings.Repeat("w", longest+1)); ok {
		t.Error("a value that is too long has a number")
	}
	if _, ok := d.Value(zone, strings.Repeat("w", longest)); !ok {
		t.Error("the longest value has no number")
	}
	other, _ := d.Word("other")
	first, _ := d.Value(zone, "same")
	second, _ := d.Value(other, "same")
	if third, _ := d.Value(zone, "same"); first == second || first != third {
		t.Errorf("values of two keys: %d, %d, %d", first, second, third)
	}
	if got := d.Plain(); !slices.Equal(got, []string{"zone", strings.Repeat("w", longest), "other"}) {
		t.Errorf("words: %q", got)
	}
	fresh := maps.Collect(d.Fresh())
	if len(fresh) != 6 || fresh[first] != "\x00\x00\x00\x01same" || fresh[zone] != "\x00\x00\x00\x00zone" {
		t.Errorf("%v", fresh)
	}
	for range d.Fresh() {
		break // who has seen enough may stop
	}
	d.Stored()
	if len(maps.Collect(d.Fresh())) != 0 {
		t.Error("what is stored is fresh")
	}
	last, _ := d.Word("last")
	if fresh := maps.Collect(d.Fresh()); len(fresh) != 1 || fresh[last] != "\x00\x00\x00\x00last" {
		t.Errorf("%v", fresh)
	}
	back := format.NewDict()
	for n, entry := range d.Words() {
		if err := back.Restore(uint32(n), entry); err != nil {
			t.Fatal(err)
		}
	}
	if n, ok := back.Word("zone"); !ok || n != zone {
		t.Errorf("the word is %d, it was %d", n, zone)
	}
	if a, _ := back.Value(zone, "same"); a != first {
		t.Errorf("the value is %d, it was %d", a, first)
	}
	if b, _ := back.Value(other, "same"); b != second || len(maps.Collect(back.Fresh())) != 0 {
		t.Errorf("the value of the other key is %d, it was %d", b, second)
	}
	for name, c := range map[string]struct {
		n     uint32
		entry string
		sound bool
	}{
		"the next, empty":         {7, "\x00\x00\x00\x00", true},
		"cut short":               {7, "\x00\x00\x00", false},
		"one number too early":    {6, "\x00\x00\x00\x00x", false},
		"one number too late":     {8, "\x00\x00\x00\x00x", false},
		"a value of the last":     {7, "\x00\x00\x00\x07x", true},
		"a value of what follows": {7, "\x00\x00\x00\x08x", false},
	} {
		d := format.NewDict()
		for n, entry := range back.Words() {
			if err := d.Restore(uint32(n), entry); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Restore(c.n, c.entry); (err == nil) != c.sound || err != nil && !errors.Is(err, format.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}

	full := format.NewDict()
	for i := range words - 1 {
		full.Word(fmt.Sprint(i))
	}
	if got := full.Plain(); len(got) != words-1 {
		t.Errorf("%d words are listed", len(got))
	}
	if _, ok := full.Word("the last"); !ok || full.Plain() != nil {
		t.Error("the last word is not taken, or words are listed though there may be more")
	}
	if _, ok := full.Word("one more"); ok {
		t.Error("one word more than there is room for has a number")
	}
	if n, ok := full.Word("5"); !ok || n != 5 {
		t.Errorf("a word that is known: %d", n)
	}
	n := words
	for key := uint32(0); n < list; key++ {
		for i := range values {
			if _, ok := full.Value(key, fmt.Sprint(i)); !ok {
				t.Fatalf("value %d of key %d, the %d. entry, has no number", i, key, n)
			}
			n++
		}
		if _, ok := full.Value(key, "one more"); ok {
			t.Fatal("one value more than there is room for has a number")
		}
	}
	if _, ok := full.Value(words-1, "one more"); ok {
		t.Error("one entry more than there is room for has a number")
	}
}

// testRows are rows that differ in what is numbered, spelt out or left out.
func testRows() []event.Row {
	long := strings.Repeat("long", 40)
	rows := []event.Row{
		{ID: "i-1", Name: "name", Zone: "zone-a", Status: "Running", NetworkType: "vpc", CreationTime: "2017-12-10T04:04Z", CPU: 4, MemoryMiB: 8192, Tags: []ecs.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "a"}}},
		{ID: "i-2", Zone: "zone-b", Status: "Stopped", NetworkType: "classic", CreationTime: "of old", CPU: -1, MemoryMiB: math.MaxInt32},
		{ID: "i-3", Zone: long, Status: "Running", CreationTime: "", CPU: math.MinInt32, Tags: []ecs.Tag{{Key: long, Value: "a"}, {Key: "env", Value: long}, {Key: "env", Value: ""}}},
		{ID: "i-4", Zone: "zone-a", Status: "prod", NetworkType: "env", Tags: []ecs.Tag{{Key: "team", Value: "prod"}, {Key: "prod", Value: "prod"}}},
	}
	for i := range 1100 { // more words than a page numbers
		rows = append(rows, event.Row{ID: fmt.Sprint("i-5", i), Zone: "zone-a", Status: fmt.Sprint("status ", i), NetworkType: "vpc", CreationTime: "0000-00-00T00:00Z", Tags: []ecs.Tag{{Key: fmt.Sprint("key ", i), Value: "prod"}, {Key: "env", Value: fmt.Sprint("value ", i)}}})
	}
	return rows
}

// encode makes rows of rows, the profile of each its place.
func encode(dict *format.Dict, rows []event.Row) [][]byte {
	codec := format.RowCodec{Dict: dict}
	in := event.RowsOf(rows).Reader(nil)
	codec.Page(len(in.Words))
	var out [][]byte
	for in.Next() {
		out = append(out, codec.Append(nil, in, uint32(len(out))))
	}
	return out
}

// Rows come back as they were, and equal rows have equal bytes in whatever page
// they came.
func TestRowsComeBack(t *testing.T) {
	dict, rows := format.NewDict(), testRows()
	encoded := encode(dict, rows)
	words := dict.Words()
	backwards := slices.Clone(rows)
	slices.Reverse(backwards)
	again := encode(dict, backwards)
	for i, row := range encoded {
		want := rows[i]
		got, profile, err := format.ReadRow(row, words)
		if err != nil || int(profile) != i {
			t.Fatalf("row %d: profile %d, %v", i, profile, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row %d: %s", i, diff)
		}
		other, _, err := format.ReadRow(again[len(rows)-1-i], words)
		if err != nil || !cmp.Equal(got, other) {
			t.Errorf("row %d of another page: %+v, %v", i, other, err)
		}
		if id := string(format.RowID(row)); id != want.ID {
			t.Errorf("row %d has the id %q", i, id)
		}
		id, name, profile := format.RowHead(row)
		if string(id) != want.ID || string(name) != want.Name || int(profile) != i {
			t.Errorf("row %d begins with %q, %q, %d", i, id, name, profile)
		}
		if p, ok := format.RowProfile(row); !ok || int(p) != i {
			t.Errorf("row %d has profile %d, %t", i, p, ok)
		}
		if got := format.RowStatus(row, words); got != want.Status {
			t.Errorf("row %d has the status %q", i, got)
		}
		keys := []string{"env", "team", "key 7", strings.Repeat("long", 40)}
		values := make([]string, len(keys))
		found, created, err := format.RowTags(row, words, keys, values)
		minute, _ := event.PackMinute(want.CreationTime)
		if err != nil || created != minute {
			t.Errorf("row %d was created at %d, want %d, %v", i, created, minute, err)
		}
		for k, key := range keys {
			last := ""
			for _, tag := range want.Tags {
				if tag.Key == key {
					last = tag.Value
					found--
				}
			}
			if values[k] != last {
				t.Errorf("row %d has %s %q, want %q", i, key, values[k], last)
			}
		}
		if found != 0 {
			t.Errorf("row %d: %d tags too many are found", i, found)
		}
	}
	if got := encode(dict, rows[:4]); !cmp.Equal(got, encoded[:4]) {
		t.Error("the same page has other bytes")
	}
}

// A row that is cut short, refers to words that are not there or has numbers out
// of bounds is damage.
func TestRowsOfAnotherShapeAreRefused(t *testing.T) {
	words := format.Words{"\x00\x00\x00\x00zone"}
	sound := []any{"id", "name", 5, 1, 0, "status", 1, 0, "created", int64(2), int64(3), 1, 1, 0, "value"}
	change := func(at int, part any) []byte {
		parts := slices.Clone(sound)
		parts[at] = part
		return body(parts...)
	}
	row, profile, err := format.ReadRow(body(sound...), words)
	want := event.Row{ID: "id", Name: "name", Zone: "zone", Status: "status", NetworkType: "zone", CreationTime: "created", CPU: 2, MemoryMiB: 3, Tags: []ecs.Tag{{Key: "zone", Value: "value"}}}
	if err != nil || profile != 5 || !cmp.Equal(row, want) {
		t.Fatalf("%+v, %d, %v", row, profile, err)
	}
	whole := body(sound...)
	for n := range whole {
		if _, _, err := format.ReadRow(whole[:n], words); err == nil {
			t.Errorf("a row of %d bytes instead of %d is read", n, len(whole))
		}
	}
	for name, c := range map[string]struct {
		row   []byte
		sound bool
	}{
		"the largest profile":       {change(2, format.MaxProfile), true},
		"a profile beyond":          {change(2, format.MaxProfile+1), false},
		"a profile far beyond":      {change(2, 1<<32+5), false},
		"most CPUs":                 {change(9, int64(math.MaxInt32)), true},
		"more CPUs than a number":   {change(9, int64(math.MaxInt32+1)), false},
		"less CPUs than a number":   {change(9, int64(math.MinInt32-1)), false},
		"more memory than a number": {change(10, int64(math.MaxInt32+1)), false},
		"a zone that is not there":  {change(3, 2), false},
		"a tag that is not there":   {change(12, 2), false},
		"more tags than bytes":      {change(11, 5), false},
		"a byte behind it":          {append(body(sound...), 0), false},
	} {
		_, _, err := format.ReadRow(c.row, words)
		if (err == nil) != c.sound {
			t.Errorf("%s: %v", name, err)
		}
		if _, ok := format.RowProfile(c.row); strings.Contains(name, "profile") && ok != c.sound {
			t.Errorf("%s: %t", name, ok)
		}
	}
	if _, ok := format.RowProfile(whole[:3]); ok {
		t.Error("a row that is cut short has a profile")
	}
	var value [1]string
	for name, row := range map[string][]byte{"a key": change(12, 2), "a skipped value": whole[:len(whole)-1]} {
		if _, _, err := format.RowTags(row, words, []string{"other"}, value[:]); err == nil {
			t.Errorf("%s that is not there is passed over", name)
		}
	}
	if _, _, err := format.RowTags(whole[:len(whole)-1], words, []string{"zone"}, value[:]); err == nil {
		t.Errorf("a value that is cut short is %q", value[0])
	}
	numbered := slices.Clone(sound)
	numbered = append(numbered[:13], 1)
	if found, created, err := format.RowTags(body(numbered...), words, []string{"zone"}, value[:]); err != nil || value[0] != "zone" || found != 1 || created != 0 {
		t.Errorf("a value by its number: %q, %v", value[0], err)
	}
	if _, _, err := format.RowTags(body(numbered...), words, []string{"other"}, value[:]); err != nil || value[0] != "" {
		t.Errorf("what the row before had is left: %q, %v", value[0], err)
	}
	numbered[13] = 2
	if _, _, err := format.RowTags(body(numbered...), words, []string{"zone"}, value[:]); err == nil {
		t.Error("a value whose number is not there is read")
	}
}

// A row is found by its id in its block, and nothing is found beside it.
func TestRowsAreFoundInTheirBlock(t *testing.T) {
	var rows [][]byte
	for i := range format.MaxBlock {
		rows = append(rows, body(fmt.Sprintf("i-%04d", 2*i), "name", i))
	}
	block := format.AppendBlock(nil, rows)
	for i := range 2 * format.MaxBlock {
		row, place, err := format.FindRow(block, fmt.Appendf(nil, "i-%04d", i))
		if found := row != nil; err != nil || found != (i%2 == 0) || found && (place != i/2 || !bytes.Equal(row, rows[i/2])) {
			t.Errorf("i-%04d: place %d, %t, %v", i, place, row != nil, err)
		}
	}
	if row, _, err := format.FindRow(block, []byte("i")); row != nil || err != nil {
		t.Errorf("before all: %q, %v", row, err)
	}
	wrong := slices.Clone(block)
	wrong[0]++
	_, _, err := format.FindRow(wrong, []byte("i-0000"))
	corrupt(t, "another checksum", err)
	_, err = format.BlockRows(wrong, nil)
	corrupt(t, "another checksum", err)
	_, _, err = format.FindRow(format.Seal(slices.Clone(block[:len(block)-1])), []byte("i-9999"))
	corrupt(t, "a row that is cut short", err)
}

// The scans of a block's rows come back, whether neighbours share one or not.
func TestScansOfRowsComeBack(t *testing.T) {
	names := []string{"a", "b", "c"}
	for _, scans := range [][]uint32{{0, 0, 1}, {0, 1, 0, 1}, {2, 2, 2}, {1, 0, 0, 0, 2, 1}} {
		back, err := format.ReadOrders(format.AppendOrders(nil, make([]int64, len(scans)), scans, names))
		if err != nil {
			t.Fatal(err)
		}
		for i, scan := range scans {
			if got := back.Scans[back.Scan(i)]; got != names[scan] {
				t.Errorf("%v: row %d is of %s", scans, i, got)
			}
		}
	}
}

// The key of a tag may be the last word that has a number: values that are too long
// for one stand behind it in full.
func TestTagKeysAreFoundWhereTheyAreTheLastWord(t *testing.T) {
	dict, long := format.NewDict(), strings.Repeat("long", 40)
	row := encode(dict, []event.Row{{ID: "i-1", Tags: []ecs.Tag{{Key: "team", Value: long}}}})[0]
	words, values := dict.Words(), make([]string, 1)
	if last := words[len(words)-1]; !strings.HasSuffix(last, "team") {
		t.Fatalf("the last word is %q", last)
	}
	if _, _, err := format.RowTags(row, words, []string{"team"}, values); err != nil || values[0] != long {
		t.Errorf("%q, %v", values[0], err)
	}
}
