package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// overlayOfTests judges some systems otherwise and waives some verdicts, so
// that totals of the built-in rules differ from its own for several reasons.
const overlayOfTests = `version: 1
overrides:
  - {rule: el7.late, verdicts: {shenlong-6: incompatible, shenlong-7: incompatible, shenlong-8: incompatible}, reason: A test says so.}
  - {rule: ubuntu.modern, verdicts: {shenlong-7: unknown, shenlong-8: unknown}, reason: A test says so.}
waivers:
  - {id: test.waived, scope: {regions: [cn-hangzhou]}, as: compatible, until: "2999-12-31", reason: A test says so.}
`

// answer is a report as JSON.
type answer struct {
	Summary   record.Summary   `json:"summary"`
	Instances []*record.Record `json:"instances"`
}

// counted counts the verdicts of rows.
func counted(targets []string, rows []*record.Record) map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, target := range targets {
		out[target] = map[string]int{"compatible": 0, "needs-action": 0, "unknown": 0, "incompatible": 0}
	}
	for _, r := range rows {
		for _, v := range r.Verdicts {
			out[v.Target][v.Level.String()]++
		}
	}
	return out
}

// tableCounts reads "target: incompatible, unknown, needs-action, compatible"
// where a report for people shows them.
func tableCounts(t *testing.T, text string, targets []string, row string) map[string]map[string]int {
	t.Helper()
	out := map[string]map[string]int{}
	for _, target := range targets {
		m := regexp.MustCompile(fmt.Sprintf(row, regexp.QuoteMeta(target))).FindStringSubmatch(text)
		if len(m) != 5 {
			t.Fatalf("no counts of %s in\n%.2000s", target, text)
		}
		out[target] = map[string]int{}
		for i, verdict := range []string{"incompatible", "unknown", "needs-action", "compatible"} {
			n, err := strconv.Atoi(strings.ReplaceAll(m[i+1], ",", ""))
			if err != nil {
				t.Fatal(err)
			}
			out[target][verdict] = n
		}
	}
	return out
}

// For every flag that says how a store is judged or narrowed, and every format,
// the rows add up to the totals, and the exit code follows from the rows.
func TestOneAnswer(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 400, Regions: 4, Seed: 18})
	store := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--out", filepath.Join(t.TempDir(), "first.txt")); r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(overlay, []byte(overlayOfTests), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{
		"as stored": nil, "rules": {"--rules", overlay}, "target": {"--target", "shenlong-8"},
		"family as target": {"--target", "ecs.g8i"}, "rules and targets": {"--rules", overlay, "--target", "kvm,shenlong-7"},
		"region": {"--region", sim.Regions()[0]}, "system": {"--os", "centos,windows-server", "--exclude", "os=centos:5"},
		"verdict on a target":    {"--verdict", "shenlong-8=incompatible", "--confidence", "high"},
		"verdict by other rules": {"--verdict", "incompatible", "--rules", overlay, "--target", "shenlong-7", "--exclude", "region=" + sim.Regions()[1]},
	} {
		t.Run(name, func(t *testing.T) {
			show := func(more ...string) result {
				return run(t, env(), append(append([]string{"report", "--store", store}, flags...), more...)...)
			}
			var a answer
			if err := json.Unmarshal([]byte(show("--output", "json").stdout), &a); err != nil {
				t.Fatal(err)
			}
			want := counted(a.Summary.Targets, a.Instances)
			if diff := cmp.Diff(want, a.Summary.Verdicts); diff != "" || a.Summary.Instances != len(a.Instances) || len(a.Instances) == 0 {
				t.Errorf("%d rows, %d in the totals; verdicts of rows and totals of JSON: %s", len(a.Instances), a.Summary.Instances, diff)
			}
			if rows := records(t, show("--output", "jsonl").stdout); len(rows) != len(a.Instances) {
				t.Errorf("%d JSON Lines", len(rows))
			} else {
				var list []*record.Record
				for i := range rows {
					list = append(list, &rows[i])
				}
				if diff := cmp.Diff(want, counted(a.Summary.Targets, list)); diff != "" {
					t.Errorf("verdicts of JSON Lines: %s", diff)
				}
			}
			if diff := cmp.Diff(want, csvCounts(t, show("--output", "csv").stdout, a.Summary.Targets)); diff != "" {
				t.Errorf("verdicts of CSV: %s", diff)
			}
			if diff := cmp.Diff(want, tableCounts(t, show("--output", "markdown").stdout, a.Summary.Targets, `(?m)^\| %s \| ([\d,]+) \([^|]*\| ([\d,]+) \([^|]*\| ([\d,]+) \([^|]*\| ([\d,]+) \(`)); diff != "" {
				t.Errorf("verdicts of Markdown: %s", diff)
			}
			for _, level := range rules.Levels() {
				bad := 0
				for _, r := range a.Instances {
					for _, v := range r.Verdicts {
						if v.Level.AtLeast(level) {
							bad++
							break
						}
					}
				}
				r, code := show("--output", "csv", "--fail-on", level.String()), 0
				if bad > 0 {
					code = 3
				}
				if r.code != code || bad > 0 && !strings.Contains(r.stderr, fmt.Sprintf("%d of %d instances are %s or worse", bad, len(a.Instances), level)) {
					t.Errorf("--fail-on %s: exit %d for %d rows: %s", level, r.code, bad, r.stderr)
				}
			}
		})
	}
}

// A filter names what there is; everything else is a mistake that names the
// nearest, not an empty answer.
func TestFilterNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 120, Regions: 3, Seed: 5})
	store := t.TempDir()
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "csv"); r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	for name, c := range map[string]struct {
		args, env []string
		want      string
	}{
		"region":       {[]string{"report", "--region", "cn-hangzou"}, nil, `did you mean "cn-hangzhou"`},
		"verdict":      {[]string{"report", "--verdict", "incompatable"}, nil, `did you mean "incompatible"`},
		"confidence":   {[]string{"plan", "--confidence", "hihg"}, nil, `did you mean "high"`},
		"account":      {[]string{"plan", "--account", "nobody"}, nil, "is no account"},
		"target":       {[]string{"report", "--target", "kvm", "--verdict", "shenlong-8=unknown"}, nil, "names no target"},
		"os":           {[]string{"report", "--os", "centso"}, nil, `did you mean "centos"`},
		"family":       {[]string{"report", "--family", "ecs.zz9"}, nil, "is no instance family"},
		"tag":          {[]string{"report", "--tag", "nobody-has-this"}, nil, "is no tag"},
		"exclude":      {[]string{"report", "--exclude", "regoin=cn-hangzhou"}, nil, `did you mean "region"`},
		"scan":         {[]string{"scan", "--endpoint", sim.URL, "--verdict", "bad"}, nil, "--verdict"},
		"environment":  {[]string{"report"}, []string{"SHENSCAN_REGOIN=cn-hangzhou"}, `did you mean "SHENSCAN_REGION"`},
		"as a setting": {[]string{"report"}, []string{"SHENSCAN_REGION=cn-hangzou"}, `did you mean "cn-hangzhou"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, env(c.env...), append(c.args, "--store", store)...)
			if r.code != 2 || !strings.Contains(r.stderr, c.want) || r.stdout != "" {
				t.Errorf("exit %d: %s", r.code, r.stderr)
			}
		})
	}
	// A scan of one region is about that region, whatever the store holds.
	region := sim.Regions()[0]
	r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--region", region, "--output", "jsonl")
	if r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	for _, rec := range records(t, r.stdout) {
		if rec.Region != region {
			t.Fatalf("a record of %s in the report of a scan of %s", rec.Region, region)
		}
	}
}

// csvCounts counts the verdict columns of a CSV report.
func csvCounts(t *testing.T, text string, targets []string) map[string]map[string]int {
	t.Helper()
	reader := csv.NewReader(strings.NewReader(text))
	reader.FieldsPerRecord = -1 // what follows the instances says how complete they are
	lines, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := counted(targets, nil)
	for column, head := range lines[0] {
		target, ok := strings.CutSuffix(head, "_verdict")
		if !ok {
			continue
		}
		for _, line := range lines[1:] {
			if column < len(line) && strings.HasPrefix(line[3], "i-") {
				out[target][line[column]]++
			}
		}
	}
	return out
}

// A store that was never, or only partly, read is answered with exit code 4,
// which goes before 3, whatever command reads it.
func TestPartlyReadStore(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 300, Regions: 5, Seed: 3})
	store := t.TempDir()
	scan := func() result {
		return run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "csv", "--fail-on", "compatible")
	}
	hurt := sim.Regions()[2]
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultForbidden, Region: hurt, Action: "DescribeInstances"}); err != nil {
		t.Fatal(err)
	}
	if r := scan(); r.code != 4 {
		t.Errorf("scan: exit %d", r.code)
	}
	for _, args := range [][]string{{"report"}, {"report", "--fail-on", "compatible"}, {"report", "--output", "jsonl"}, {"report", "--output", "html"}, {"plan"}, {"plan", "--output", "csv"}} {
		r := run(t, env(), append(args, "--store", store)...)
		if r.code != 4 || !strings.Contains(r.stderr, hurt) || r.stdout == "" {
			t.Errorf("%v: exit %d, %s", args, r.code, r.stderr)
		}
	}
	// What is asked for is what counts.
	if r := run(t, env(), "plan", "--store", store, "--region", sim.Regions()[0]); r.code != 0 {
		t.Errorf("a region that was read: exit %d", r.code)
	}
	if r := run(t, env(), "plan", "--store", store, "--region", hurt); r.code != 4 {
		t.Errorf("a region that was not read: exit %d", r.code)
	}
}
