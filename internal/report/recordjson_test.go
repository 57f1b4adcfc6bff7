package report_test

import (
	"bytes"
	"encoding/json"
	"iter"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// filled fills v with random values, of every field that there is.
func filled(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"", "cn-hangzhou", "CentOS  7.9 64位", "a\"b\\c<&>", "\x1b[31mred\x7f", "\u202eright to left\u2028", "\xff\xfe", "𝄞", "observed_at"}[r.IntN(9)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 1)
	case reflect.Int, reflect.Int64:
		v.SetInt(r.Int64N(5))
	case reflect.Uint8:
		v.SetUint(r.Uint64N(3))
	case reflect.Slice:
		if n := r.IntN(3); n > 0 || r.IntN(2) == 0 { // nil, empty or not
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			filled(r, v.Index(i))
		}
	case reflect.Map:
		if r.IntN(3) > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range r.IntN(4) {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				filled(r, key)
				filled(r, value)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			filled(r, v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(r.Int64N(4e9), r.Int64N(1e9)).UTC()))
			return
		}
		for _, field := range v.Fields() {
			filled(r, field)
		}
	default:
		panic("no values of kind " + v.Kind().String())
	}
}

// A record in a report is the record's own JSON, whatever is in it and
// whatever came before it.
func TestRecordsAreEncodedAsTheyAre(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var records []*record.Record
	for i := range 3000 {
		rec := new(record.Record)
		filled(r, reflect.ValueOf(rec).Elem())
		if i > 0 && r.IntN(2) == 0 { // shares its classification, or a part of it
			rec.Classification = records[r.IntN(i)].Classification
			switch r.IntN(5) {
			case 0:
				rec.OS.Version += "1"
			case 1:
				rec.Legacy = !rec.Legacy
			case 2:
				rec.Conflicts = nil
			}
		}
		records = append(records, rec)
	}
	var all iter.Seq2[*record.Record, error] = func(yield func(*record.Record, error) bool) {
		for _, rec := range records {
			if !yield(rec, nil) {
				return
			}
		}
	}
	var lines, object bytes.Buffer
	if err := report.Write(&lines, report.JSONL, &report.Report{Instances: all}, options()); err != nil {
		t.Fatal(err)
	}
	if err := report.Write(&object, report.JSON, &report.Report{Instances: all}, options()); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n")
	if len(got) != len(records)+1 { // the last one says that no scan read them to the end
		t.Fatalf("%d lines for %d records", len(got), len(records))
	}
	var plain record.Encoder
	for i, rec := range records {
		var want bytes.Buffer
		changed := record.VerdictChanged{Before: records[max(0, i-1)], After: rec, Cause: "observation"}
		if i%7 == 0 {
			changed.Before = nil
		}
		event, err := plain.AppendChanged(nil, &changed)
		if err != nil {
			t.Fatal(err)
		}
		if asIs, err := json.Marshal(&changed); err != nil || string(event) != string(asIs) {
			t.Fatalf("the data of event %d is\n%s\nwant\n%s, %v", i, event, asIs, err)
		}
		if err := report.WriteJSONLine(&want, report.Tidy(rec)); err != nil {
			t.Fatal(err)
		}
		if line := strings.TrimSuffix(want.String(), "\n"); got[i] != line {
			t.Fatalf("record %d is\n%s\nwant\n%s", i, got[i], line)
		}
	}
	if !strings.HasSuffix(object.String(), "\"instances\":[\n"+strings.Join(got[:len(records)], ",\n")+"\n]}\n") {
		t.Error("the one object holds other records than the lines")
	}
}
