package ecsfile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsfile"
	"github.com/shenscan/shenscan/internal/ecs/ecstest"
	"github.com/shenscan/shenscan/rules"
)

func open(t *testing.T, files ...string) (*ecsfile.Source, error) {
	t.Helper()
	return ecsfile.Open(t.Context(), "offline", files, ecsfile.DefaultLimits())
}

func mustOpen(t *testing.T, files ...string) *ecsfile.Source {
	t.Helper()
	s, err := open(t, files...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// written makes files of texts and returns their names.
func written(t *testing.T, texts ...string) []string {
	t.Helper()
	names := make([]string, len(texts))
	for i, text := range texts {
		names[i] = filepath.Join(t.TempDir(), fmt.Sprintf("%d.json", i))
		if err := os.WriteFile(names[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func scope(region string) ecs.Scope { return ecs.Scope{Account: "offline", Region: region} }

// lastDoubt walks a region to its end and returns how many rows it has and the
// doubt of its last page.
func lastDoubt(t *testing.T, s *ecsfile.Source, region string) (rows int, doubt string) {
	t.Helper()
	q := ecs.Query{}
	for {
		p, err := s.Instances(t.Context(), scope(region), q)
		if err != nil {
			t.Fatal(err)
		}
		rows += len(p.Instances)
		if p.NextToken == "" {
			if p.Doubt != nil {
				doubt = p.Doubt.Error()
			}
			return rows, doubt
		}
		if p.Doubt != nil {
			t.Errorf("a page that is not the last one carries a doubt: %v", p.Doubt)
		}
		q.NextToken = p.NextToken
	}
}

// TestRecordedBodies reads what real calls answered; see testdata/SOURCES.tsv.
func TestRecordedBodies(t *testing.T) {
	for _, tc := range []struct {
		file, region string
		rows         int
		doubt        string // part of it, "" where the listing is whole
	}{
		{"DescribeInstances.recorded.troubleshooter.01.json", "cn-hangzhou", 24, ""},
		{"DescribeInstances.recorded.troubleshooter.02.json", "cn-beijing", 2, ""},
		{"DescribeInstances.recorded.troubleshooter.03.json", "cn-hongkong", 1, ""},
		{"DescribeInstances.recorded.troubleshooter.04.json", "cn-heyuan", 12, ""},
		{"DescribeInstances.recorded.troubleshooter.05.json", "cn-shanghai", 4, ""},
		{"DescribeInstances.recorded.connext.json", "cn-hangzhou", 2, ""},
		{"DescribeInstances.recorded.apsara-stack.json", "cn-sz-gjjy-d01", 1, ""},
		{"DescribeInstances.fixture.footmark.01.json", "cn-shenzhen", 1, ""},
		{"DescribeInstances.doc.zh-old.01.json", "cn-shenzhen", 1, ""},
		{"DescribeInstances.doc.en.01.json", "cn-hangzhou", 1, "NextToken is left over"},
		{"DescribeInstances.recorded.cloudmux-one-item.json", "cn-beijing", 1, "single items"},
	} {
		t.Run(tc.file, func(t *testing.T) {
			s := mustOpen(t, filepath.Join("testdata", tc.file))
			rows, doubt := lastDoubt(t, s, tc.region)
			if rows != tc.rows || (doubt == "") != (tc.doubt == "") || !strings.Contains(doubt, tc.doubt) {
				t.Errorf("%d rows with doubt %q, want %d with %q", rows, doubt, tc.rows, tc.doubt)
			}
			regions, err := s.Regions(t.Context(), "offline")
			if err != nil || len(regions) != 1 || regions[0].ID != tc.region {
				t.Errorf("regions %v, %v", regions, err)
			}
		})
	}
}

func row(id, region string) string {
	return fmt.Sprintf(`{"InstanceId":%q,"RegionId":%q,"InstanceType":"ecs.c5.large","ImageId":"m-1","CreationTime":"2020-01-01T00:00Z"}`, id, region)
}

func answer(extra string, rows ...string) string {
	return fmt.Sprintf(`{"RequestId":"r","Instances":{"Instance":[%s]}%s}`, strings.Join(rows, ","), extra)
}

func TestWhatSpeaksAgainstAWholeListingIsSaid(t *testing.T) {
	a, b, c := row("i-a", "cn-x"), row("i-b", "cn-x"), row("i-c", "cn-x")
	for _, tc := range []struct {
		name  string
		texts []string
		rows  int
		doubt string
	}{
		{"a count that agrees", []string{answer(`,"TotalCount":2`, a, b)}, 2, ""},
		{"a count in quotes that agrees", []string{answer(`,"TotalCount":"2"`, a, b)}, 2, ""},
		{"no count and no token, as the pager of the CLI prints it", []string{answer("", a, b)}, 2, ""},
		{"a larger count", []string{answer(`,"TotalCount":54`, a, b)}, 2, "count 54 instances and the files hold 2"},
		{"pages that add up", []string{
			answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1`, a, b), answer(`,"TotalCount":3,"PageSize":2,"PageNumber":2`, c),
		}, 3, ""},
		{"the same page twice", []string{
			answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1`, a, b), answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1`, a, b),
		}, 2, "count 3 instances and the files hold 2"},
		{"two first pages of two listings that count the same", []string{
			answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1`, a, b), answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1`, c, row("i-d", "cn-x")),
		}, 4, "pages are missing"},
		{"a whole listing does not make up for part of another", []string{
			answer(`,"TotalCount":3`, a, b, c), answer(`,"TotalCount":54`, row("i-d", "cn-x")),
		}, 4, "count 54 instances and the files hold 1"},
		{"a token that is followed up", []string{answer(`,"NextToken":"t"`, a), answer(`,"NextToken":""`, b)}, 2, ""},
		{"a token whose last page is empty", []string{answer(`,"NextToken":"t"`, a), answer(`,"NextToken":""`)}, 1, ""},
		{"a token left over", []string{answer(`,"TotalCount":1,"NextToken":"t"`, a)}, 1, "NextToken is left over"},
		{"an answer that says in other words that it goes on", []string{answer(`,"HasMore":true`, a)}, 1, "says that there are more"},
		{"the same in another spelling", []string{answer(`,"isTruncated":"TRUE"`, a)}, 1, "says that there are more"},
		{"a word that nobody knows", []string{answer(`,"HasMore":"maybe"`, a)}, 1, "says that there are more"},
		{"an empty answer that says so", []string{answer(`,"TotalCount":1`, a), answer(`,"TotalCount":1,"HasMore":true`)}, 1, "says that there are more"},
		{"an answer that says that it is the last", []string{answer(`,"TotalCount":1,"HasMore":false`, a)}, 1, ""},
		{"pages of which all but the last say that they go on", []string{
			answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1,"HasMore":true`, a, b), answer(`,"TotalCount":3,"PageSize":2,"PageNumber":2,"HasMore":false`, c),
		}, 3, ""},
		{"pages of which the last says that it goes on", []string{
			answer(`,"TotalCount":3,"PageSize":2,"PageNumber":1,"HasMore":true`, a, b), answer(`,"TotalCount":3,"PageSize":2,"PageNumber":2,"HasMore":true`, c),
		}, 3, "says that there are more"},
		{"a token that is followed up, beside the same in words", []string{answer(`,"NextToken":"t","HasMore":true`, a), answer(`,"NextToken":"","HasMore":false`, b)}, 2, ""},
		{"an empty answer that counts some", []string{answer(`,"TotalCount":1`, a), answer(`,"TotalCount":7`)}, 1, "count 7 instances and the files hold 0"},
		{"a failed call", []string{answer(`,"TotalCount":1`, a), `{"Code":"Throttling.User","Message":"slow down","RequestId":"r"}`}, 1, "failed call: Throttling.User"},
		{"items alone", []string{a + "\n" + b + "\n"}, 2, "single items"},
		{"a list of items", []string{"[" + a + "," + b + "]"}, 2, "single items"},
		{"items that stand in a listing, too", []string{answer(`,"TotalCount":2`, a, b), b}, 2, ""},
		{"an image that is another in another file", []string{
			answer(`,"TotalCount":1`, a), `{"Images":{"Image":[{"ImageId":"m-1","OSName":"CentOS 5.8"}]}}`, `{"Images":{"Image":[{"ImageId":"m-1","OSName":"CentOS 7.9"}]}}`,
		}, 1, "image m-1 stands in the files twice"},
		{"an image that is another in one answer", []string{
			answer(`,"TotalCount":1`, a), `{"Images":{"Image":[{"ImageId":"m-1","OSName":"CentOS 5.8"},{"ImageId":"m-1","OSName":"CentOS 7.9"}]}}`,
		}, 1, "image m-1 stands in the files twice"},
		{"an image that was deprecated meanwhile", []string{
			answer(`,"TotalCount":1`, a), `{"Images":{"Image":[{"ImageId":"m-1","OSName":"CentOS 5.8","Status":"Available"}]}}`, `{"Images":{"Image":[{"ImageId":"m-1","OSName":"CentOS 5.8","Status":"Deprecated"}]}}`,
		}, 1, ""},
		{"facts that differ", []string{answer(`,"TotalCount":1`, a), answer(`,"TotalCount":1`, strings.Replace(a, "m-1", "m-2", 1))}, 1, "different facts"},
		{"an id that is none", []string{answer(`,"TotalCount":2`, a, row("", "cn-x"))}, 1, "no usable id"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rows, doubt := lastDoubt(t, mustOpen(t, written(t, tc.texts...)...), "cn-x")
			if rows != tc.rows || (doubt == "") != (tc.doubt == "") || !strings.Contains(doubt, tc.doubt) {
				t.Errorf("%d rows with doubt %q, want %d with %q", rows, doubt, tc.rows, tc.doubt)
			}
		})
	}
}

func TestWrongInputIsNamedByFileAndLine(t *testing.T) {
	a := row("i-a", "cn-x")
	for _, tc := range []struct{ name, text, want string }{
		{"not JSON", a + "\n" + a + "\nnonsense\n", "0.json, line 3: this is not JSON"},
		{"cut short", "{\n\"Instances\": {\n\"Instance\": [", "0.json, line 3: this is not JSON"},
		{"a bare word", a + "\n\"text\"\n", "0.json, line 2: \"text\": neither an answer"},
		{"an object of something else", "{\"hello\":\n1}", "0.json, line 1: neither an answer"},
		{"a list within a list", "[\n[" + a + "]]", "0.json, line 2: a list within a list"},
		{"a value of another type", "{\"Instances\":{\"Instance\":[\n{\"InstanceId\":\n{}}]}}", "0.json, line 3: not as the API spells it at /Instances/Instance/0/InstanceId"},
		{"no rows at all", `{"Instances":{}}`, "the answer has no Instances.Instance"},
		{"a key that comes twice", `{"TotalCount":1,"TotalCount":2,"Instances":{"Instance":[]}}`, "line 1: this is not JSON: duplicate object member name"},
		{"a count under two names", `{"TotalCount":1,"totalCount":2,"Instances":{"Instance":[` + a + `]}}`, "under two names"},
		{"a region that is none", row("i-a", "../../etc"), "is no region id"},
		{"more text than an instance has", strings.Replace(a, "m-1", strings.Repeat("m", 70_000), 1), "bytes of text"},
		{"an empty answer alone", answer(`,"TotalCount":0`), "an empty answer names no region"},
		{"a failed call alone", `{"Code":"Forbidden.RAM","Message":"no","RequestId":"r"}`, "failed call: Forbidden.RAM"},
		{"images alone", `{"Images":{"Image":[{"ImageId":"m-1"}]}}`, "add answers of DescribeInstances"},
		{"nothing", "", "hold no instance, image or instance type"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := open(t, written(t, tc.text)...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	if _, err := open(t, "testdata/none.json"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "none.json") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestLimitsHold(t *testing.T) {
	two := written(t, row("i-a", "cn-x")+row("i-b", "cn-x"))
	l := ecsfile.DefaultLimits()
	l.Instances = 1
	if _, err := ecsfile.Open(t.Context(), "offline", two, l); err == nil || !strings.Contains(err.Error(), "more than 1 instances") {
		t.Errorf("instances: %v", err)
	}
	l = ecsfile.DefaultLimits()
	l.Object = 100
	if _, err := ecsfile.Open(t.Context(), "offline", two, l); err == nil || !strings.Contains(err.Error(), "line 1: a JSON object is too large") {
		t.Errorf("object: %v", err)
	}
}

func TestAnImageThatIsNotInTheFilesIsNotKnownRatherThanDeleted(t *testing.T) {
	images := "testdata/DescribeImages.recorded.aliyun-cli.01.json"
	s := mustOpen(t, "testdata/DescribeInstances.recorded.troubleshooter.01.json", images, "testdata/DescribeInstanceTypes.doc.zh.01.json")
	got, err := s.Images(t.Context(), scope("cn-hangzhou"), []string{"win2016_64_dtc_1607_en-us_40G_alibase_20170915.vhd", "m-elsewhere", "m-elsewhere"})
	if err != nil || len(got) != 2 {
		t.Fatalf("%d images, %v", len(got), err)
	}
	if got[0].Facts.Presence != rules.ImageFound || got[0].Facts.OSName == "" || got[1].Facts.Presence != rules.ImageNotAsked {
		t.Errorf("%+v", got)
	}
	if s.MissingImages() == 0 {
		t.Error("no image of the instances is missing, although none of theirs is in the files")
	}
	types, err := s.InstanceTypes(t.Context(), "offline")
	if err != nil || len(types) != 1 || types[0].ID == "" {
		t.Errorf("types %v, %v", types, err)
	}
}

func TestAnswersOfOtherActionsAreLeftOutAndNamed(t *testing.T) {
	s := mustOpen(t, "testdata/DescribeInstances.recorded.connext.json", "testdata/DescribeDisks.doc.en.01.json")
	if diff := cmp.Diff([]string{"testdata/DescribeDisks.doc.en.01.json, line 1"}, s.Skipped); diff != "" {
		t.Error(diff)
	}
}

func TestFilesOfOtherShellsAreRead(t *testing.T) {
	text := answer(`,"TotalCount":1`, row("i-a", "cn-x"))
	utf16 := []byte{0xff, 0xfe}
	for i := range len(text) {
		utf16 = append(utf16, text[i], 0)
	}
	for _, body := range []string{"\ufeff" + text, string(utf16), strings.ReplaceAll(text, ",", ",\r\n")} {
		if rows, doubt := lastDoubt(t, mustOpen(t, written(t, body)...), "cn-x"); rows != 1 || doubt != "" {
			t.Errorf("%d rows, doubt %q", rows, doubt)
		}
	}
}

// TestItAnswersLikeTheAPI holds what callers of ecs.API rely on.
func TestItAnswersLikeTheAPI(t *testing.T) {
	var lines strings.Builder
	const n = 730
	for i := range n {
		created := time.Date(2019, 1, 1+i/3, 0, 0, 0, 0, time.UTC).Format("2006-01-02T15:04Z")
		if i == 5 {
			created = "once"
		}
		fmt.Fprintf(&lines, "{\"InstanceId\":\"i-%04d\",\"ZoneId\":\"cn-x-h\",\"InstanceType\":\"ecs.c5.large\",\"CreationTime\":%q}\n", i, created)
	}
	s := mustOpen(t, written(t, lines.String())...)
	cut := time.Date(2019, 4, 1, 0, 0, 0, 0, time.UTC)
	seen := map[string]int{}
	for _, q := range []ecs.Query{{CreatedTo: cut.Add(-time.Minute)}, {CreatedFrom: cut}} {
		part, err := ecstest.Walk(t.Context(), s, scope("cn-x"), q)
		if err != nil {
			t.Fatal(err)
		}
		counted, err := s.CountInstances(t.Context(), scope("cn-x"), q)
		if err != nil || counted != len(part) || len(part) == 0 {
			t.Errorf("%d counted, %d listed, %v", counted, len(part), err)
		}
		for i := range part {
			seen[part[i].ID]++
		}
	}
	if len(seen) != n {
		t.Errorf("%d of %d instances in two parts", len(seen), n)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s is in %d parts", id, times)
		}
	}
	got, err := s.Instances(t.Context(), scope("cn-x"), ecs.Query{InstanceIDs: []string{"i-0007", "i-none"}})
	if err != nil || len(got.Instances) != 1 || got.Instances[0].ID != "i-0007" {
		t.Errorf("%+v, %v", got, err)
	}
	for name, tc := range map[string]struct {
		call func(context.Context) error
		want ecs.Class
	}{
		"another account": {func(ctx context.Context) error { _, err := s.Regions(ctx, "other"); return err }, ecs.BadRequest},
		"another region":  {func(ctx context.Context) error { return s.VerifyAccess(ctx, scope("cn-none")) }, ecs.RegionClosed},
		"a foreign token": {func(ctx context.Context) error {
			_, err := s.Instances(ctx, scope("cn-x"), ecs.Query{NextToken: "99999"})
			return err
		}, ecs.TokenExpired},
		"too many ids": {func(ctx context.Context) error {
			_, err := s.Instances(ctx, scope("cn-x"), ecs.Query{InstanceIDs: make([]string, ecs.MaxPage+1)})
			return err
		}, ecs.BadRequest},
		"stock": {func(ctx context.Context) error {
			_, err := s.Stock(ctx, scope("cn-x"), ecs.StockQuery{})
			return err
		}, ecs.BadRequest},
		"types that no file holds": {func(ctx context.Context) error { _, err := s.InstanceTypes(ctx, "offline"); return err }, ecs.BadRequest},
	} {
		if err := tc.call(t.Context()); err == nil || ecs.ClassOf(err) != tc.want {
			t.Errorf("%s: %v", name, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := tc.call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end: %v", name, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(body) < 8<<10 {
			f.Add(body)
		}
	}
	f.Add([]byte("[" + row("i-a", "cn-x") + "]\n" + row("i-b", "")))
	f.Fuzz(func(t *testing.T, body []byte) {
		name := filepath.Join(t.TempDir(), "f.json")
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ecsfile.Open(t.Context(), "offline", []string{name}, ecsfile.DefaultLimits())
		if err != nil {
			return
		}
		regions, err := s.Regions(t.Context(), "offline")
		if err != nil || len(regions) == 0 {
			t.Fatal(len(regions), err)
		}
		total := 0
		for _, r := range regions {
			all, err := ecstest.Walk(t.Context(), s, scope(r.ID), ecs.Query{})
			if err != nil || len(all) == 0 {
				t.Fatalf("%s: %d rows, %v", r.ID, len(all), err)
			}
			total += len(all)
		}
		if n, _, _ := s.Counts(); n != total {
			t.Fatalf("%d counted, %d listed", n, total)
		}
	})
}

func TestAFolderIsToldFromTheFilesInIt(t *testing.T) {
	dir := t.TempDir()
	if _, err := open(t, dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "*.json")) {
		t.Errorf("a folder: %v", err)
	}
}
