package plan_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report/reporttest"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
)

// owned gives each record of a fleet one of the owners.
func owned(f *reporttest.Fleet, owners []string) iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		n := 0
		for rec, err := range f.All() {
			own := *rec
			own.Tags = map[string]string{}
			if name := owners[n%len(owners)]; name != "" {
				own.Tags["team"] = name
			}
			if n++; !yield(&own, err) {
				return
			}
		}
	}
}

// cells are the texts of a column by instance, over all sheets of a wave.
func cells(t *testing.T, path, title string) map[string]string {
	t.Helper()
	book, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	out := map[string]string{}
	for _, name := range book.GetSheetList()[1:] {
		rows, err := book.GetRows(name)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.Index(rows[0], title)
		if at < 0 {
			t.Fatalf("%s: no column %q in %v", name, title, rows[0])
		}
		for _, row := range rows[1:] {
			if _, twice := out[row[0]]; twice {
				t.Errorf("%s: %s stands in it twice", path, row[0])
			}
			text := ""
			if at < len(row) {
				text = row[at]
			}
			out[row[0]] = text
		}
	}
	return out
}

func csvColumn(t *testing.T, path, title string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	id, at := slices.Index(rows[0], "instance_id"), slices.Index(rows[0], title)
	out := map[string]string{}
	for _, row := range rows[1:] {
		out[row[id]] = row[at]
	}
	return out
}

var listedID = regexp.MustCompile(`\["(i-[^"]+)","`)

// TestEveryRowOfEveryOwnerIsInExactlyOneFile opens a pack with the parsers that
// its readers use.
func TestEveryRowOfEveryOwnerIsInExactlyOneFile(t *testing.T) {
	f := reporttest.New(2500, 9)
	f.Fail()
	o := options(t, "shenlong-6", &f.Summary)
	o.OwnerTags = []string{"team", "owner"}
	owners := []string{"payments", "Payments", "支付", "支", "../../etc/passwd", "=cmd|' /C calc'!A0", strings.Repeat("x", 200), ""}
	p := build(t, owned(f, owners), o)
	dir := filepath.Join(t.TempDir(), "a", "pack")
	parts, err := plan.WritePack(dir, p, lang.English)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != len(owners) {
		t.Fatalf("%d parts for %d owners", len(parts), len(owners))
	}
	wantFiles := []string{"index.csv", "index.html"}
	seen := map[string]string{}
	for _, part := range parts {
		want := map[string]string{}
		for _, w := range p.Waves {
			for it := range w.Items {
				if it.Owner == part.Owner {
					want[it.InstanceID] = it.Replacement.Type
				}
			}
		}
		if len(want) == 0 {
			t.Fatalf("owner %q has nothing", part.Owner)
		}
		base := filepath.Join(dir, part.File)
		if diff := gocmp.Diff(want, cells(t, base+".xlsx", "recommended type")); diff != "" {
			t.Errorf("workbook of %q (-want +got):\n%.2000s", part.Owner, diff)
		}
		if diff := gocmp.Diff(want, csvColumn(t, base+".csv", "replacement_type")); diff != "" {
			t.Errorf("CSV of %q (-want +got):\n%.2000s", part.Owner, diff)
		}
		page, err := os.ReadFile(base + ".html")
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for _, m := range listedID.FindAllSubmatch(page, -1) {
			ids[string(m[1])] = true
		}
		if !maps.EqualFunc(want, ids, func(string, bool) bool { return true }) {
			t.Errorf("page of %q lists %d instances, %d are its own", part.Owner, len(ids), len(want))
		}
		if !strings.Contains(string(page), p.Completeness) {
			t.Errorf("page of %q does not say how complete it is", part.Owner)
		}
		for id := range want {
			if seen[id] != "" {
				t.Errorf("%s is in %s and in %s", id, seen[id], part.File)
			}
			seen[id] = part.File
		}
		wantFiles = append(wantFiles, part.File+".html", part.File+".csv", part.File+".xlsx")
	}
	if len(seen) != p.Instances {
		t.Errorf("%d of %d instances are in some file", len(seen), p.Instances)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		files = append(files, e.Name())
	}
	slices.Sort(wantFiles)
	if diff := gocmp.Diff(wantFiles, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(string(index), `href="`+part.File+`.xlsx"`) {
			t.Errorf("the index does not lead to %s", part.File)
		}
	}
	if _, err := plan.WritePack(dir, p, lang.English); !errors.Is(err, plan.ErrNotEmpty) {
		t.Errorf("a second pack into the same folder: %v", err)
	}
}

// A pack takes the place of an empty folder alone: a file that stands under its
// name is somebody's, and is as it was.
func TestAPackReplacesNoFile(t *testing.T) {
	f := reporttest.New(20, 9)
	p, dir := build(t, f.All(), options(t, "shenlong-6", &f.Summary)), t.TempDir()
	file, link, folder := filepath.Join(dir, "notes.txt"), filepath.Join(dir, "link"), filepath.Join(dir, "empty")
	if err := errors.Join(os.WriteFile(file, []byte("mine"), 0o600), os.Mkdir(folder, 0o700), os.Symlink(folder, link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, filepath.Join(file, "below")} {
		if parts, err := plan.WritePack(path, p, lang.English); err == nil {
			t.Errorf("%s: a pack of %d parts was written", path, len(parts))
		}
	}
	if _, err := plan.WritePack(file, p, lang.English); !errors.Is(err, plan.ErrNoFolder) {
		t.Errorf("err = %v", err)
	}
	if b, err := os.ReadFile(file); string(b) != "mine" {
		t.Errorf("the file holds %q (%v)", b, err)
	}
	if to, err := os.Readlink(link); to != folder {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	if _, err := plan.WritePack(folder, p, lang.English); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAWorkbookHasASheetAWaveAndSaysWhatToDo(t *testing.T) {
	f := reporttest.New(300, 9)
	p := build(t, f.All(), options(t, "shenlong-6", &f.Summary))
	dir := filepath.Join(t.TempDir(), "pack")
	parts, err := plan.WritePack(dir, p, lang.English)
	if err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenFile(filepath.Join(dir, parts[0].File+".xlsx"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	filled := 1 // the cover
	for _, w := range parts[0].Plan.Waves {
		if w.Instances > 0 {
			filled++
		}
	}
	if sheets := book.GetSheetList(); len(sheets) != filled {
		t.Errorf("sheets %v for %d waves with instances", sheets, filled-1)
	}
	rows, err := book.GetRows("OS minor upgrade")
	if err != nil {
		t.Fatal(err)
	}
	what := rows[1][slices.Index(rows[0], "what to do, in order")]
	if !strings.HasPrefix(what, "minor-upgrade to ") || !strings.Contains(what, "\n1) ") {
		t.Errorf("what to do: %q", what)
	}
	if choices, err := book.GetDataValidations("OS minor upgrade"); err != nil || len(choices) != 1 || !strings.Contains(choices[0].Formula1, "no,yes") {
		t.Errorf("the column done offers %v, %v", choices, err)
	}
}

func TestTooManyOwnersAreRefused(t *testing.T) {
	f := reporttest.New(plan.MaxOwners+1, 9)
	o := options(t, "shenlong-6", &f.Summary)
	o.OwnerTags = []string{"team"}
	names := make([]string, plan.MaxOwners+1)
	for i := range names {
		names[i] = fmt.Sprint("machine-", i)
	}
	dir := filepath.Join(t.TempDir(), "pack")
	if _, err := plan.WritePack(dir, build(t, owned(f, names), o), lang.English); !errors.Is(err, plan.ErrTooManyOwners) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused pack left %v", err)
	}
}

// TestWaivedIsAWaveOfItsOwn: a waiver mends nothing, whatever it makes of the
// verdict.
func TestWaivedIsAWaveOfItsOwn(t *testing.T) {
	waive := func(rec *record.Record) {
		for i := range rec.Verdicts {
			v := &rec.Verdicts[i]
			v.Waiver = &rules.Waiver{ID: "ours", Was: v.Level, Until: "2026-12-31", Reason: "the vendor supports it."}
			v.Level = rules.Compatible
		}
	}
	f := facts("CentOS  5.8 64位", "linux", "ecs.g5.large")
	o := options(t, "shenlong-6", nil)
	p := build(t, one(t, f, waive), o)
	it := only(t, p)
	if at := slices.IndexFunc(p.Waves, func(w *plan.Wave) bool { return w.Instances == 1 }); p.Waves[at].ID != waves.Waived {
		t.Errorf("wave %s", p.Waves[at].ID)
	}
	if want := "Waived, until 2026-12-31, because the vendor supports it. Without the waiver it is incompatible."; it.Note != want || it.Waiver == nil {
		t.Errorf("note %q, want %q", it.Note, want)
	}
	expired := build(t, one(t, f, nil), o) // without the waiver it is in the wave of its verdict
	if at := slices.IndexFunc(expired.Waves, func(w *plan.Wave) bool { return w.Instances == 1 }); expired.Waves[at].ID != waves.MinorUpgrade {
		t.Errorf("wave %s once the waiver ended", expired.Waves[at].ID)
	}
}

func TestOwnersFallBackAndWindowsAreOnesOwnRules(t *testing.T) {
	o := options(t, "shenlong-6", nil)
	o.OwnerTags = []string{"team", "owner"}
	tagged := func(tags map[string]string) func(*record.Record) {
		return func(rec *record.Record) { rec.Tags = tags }
	}
	f := facts("Ubuntu 22.04 64位", "linux", "ecs.g5.large")
	env := func(want string) func(*record.Record) bool {
		return func(rec *record.Record) bool { return rec.Tags["env"] == want }
	}
	o.Windows = []plan.Window{{Name: "pilot", From: "2026-12-01", Until: "2026-12-12", Fits: env("test")}, {Name: "production", Fits: env("prod")}}
	for _, tc := range []struct {
		tags          map[string]string
		account       bool
		owner, window string
	}{
		{map[string]string{"team": "a", "owner": "b", "env": "prod"}, true, "a", "production"},
		{map[string]string{"team": "", "owner": "b", "env": "test"}, false, "b", "pilot, 2026-12-01 to 2026-12-12"},
		{nil, true, "account a", ""},
		{nil, false, "", ""},
	} {
		o.OwnerAccount = tc.account
		if it := only(t, build(t, one(t, f, tagged(tc.tags)), o)); it.Owner != tc.owner || it.Window != tc.window {
			t.Errorf("%v: owner %q, window %q", tc.tags, it.Owner, it.Window)
		}
	}
}
