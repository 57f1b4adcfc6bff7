package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
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

// tableCounts reads the counts of a target where a report for people shows them,
// in the order of verdicts.
func tableCounts(t *testing.T, text string, targets, verdicts []string, row string) map[string]map[string]int {
	t.Helper()
	out := map[string]map[string]int{}
	for _, target := range targets {
		m := regexp.MustCompile(fmt.Sprintf(row, regexp.QuoteMeta(target))).FindStringSubmatch(text)
		if len(m) != 5 {
			t.Fatalf("no counts of %s in\n%.2000s", target, text)
		}
		out[target] = map[string]int{}
		for i, verdict := range verdicts {
			n, err := strconv.Atoi(strings.ReplaceAll(m[i+1], ",", ""))
			if err != nil {
				t.Fatal(err)
			}
			out[target][verdict] = n
		}
	}
	return out
}

// formats are all ways to show a report, each with how its verdicts are counted.
func formats(targets []string) map[string]func(t *testing.T, text string) map[string]map[string]int {
	lines := func(t *testing.T, text string) map[string]map[string]int {
		out := counted(targets, nil)
		for line := range strings.Lines(text) {
			var row struct {
				InstanceID string `json:"instance_id"`
				Verdicts   map[string]string
			}
			if err := json.Unmarshal([]byte(line), &row); err != nil || row.InstanceID == "" {
				continue // an entry of the legend
			}
			for target, verdict := range row.Verdicts {
				out[target][verdict]++
			}
		}
		return out
	}
	csv := func(t *testing.T, text string) map[string]map[string]int { return csvCounts(t, text, targets) }
	return map[string]func(t *testing.T, text string) map[string]map[string]int{
		"json": func(t *testing.T, text string) map[string]map[string]int {
			var a answer
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				t.Fatal(err)
			}
			if a.Summary.Instances != len(a.Instances) {
				t.Errorf("%d rows, %d in the totals", len(a.Instances), a.Summary.Instances)
			}
			if diff := cmp.Diff(counted(targets, a.Instances), a.Summary.Verdicts); diff != "" {
				t.Errorf("rows and totals: %s", diff)
			}
			return a.Summary.Verdicts
		},
		"json --compact": func(t *testing.T, text string) map[string]map[string]int {
			var a struct {
				Summary   record.Summary
				Instances []json.RawMessage
			}
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				t.Fatal(err)
			}
			var rows []byte
			for _, row := range a.Instances {
				rows = append(append(rows, row...), '\n')
			}
			if diff := cmp.Diff(a.Summary.Verdicts, lines(t, string(rows))); diff != "" || a.Summary.Instances != len(a.Instances) {
				t.Errorf("%d rows, %d in the totals: %s", len(a.Instances), a.Summary.Instances, diff)
			}
			return a.Summary.Verdicts
		},
		"jsonl": func(t *testing.T, text string) map[string]map[string]int {
			rows := records(t, text)
			list := make([]*record.Record, len(rows))
			for i := range rows {
				list[i] = &rows[i]
			}
			return counted(targets, list)
		},
		"jsonl --compact": lines,
		"csv":             csv,
		"csv --excel": func(t *testing.T, text string) map[string]map[string]int {
			return csv(t, strings.TrimPrefix(text, "\ufeff"))
		},
		"markdown": func(t *testing.T, text string) map[string]map[string]int {
			return tableCounts(t, text, targets, []string{"incompatible", "unknown", "needs-action", "compatible"}, `(?m)^\| %s \| ([\d,]+) \([^|]*\| ([\d,]+) \([^|]*\| ([\d,]+) \([^|]*\| ([\d,]+) \(`)
		},
		"table": func(t *testing.T, text string) map[string]map[string]int {
			part := `([\d,]+) +[\d.<]+%% +`
			return tableCounts(t, text, targets, []string{"compatible", "needs-action", "incompatible", "unknown"}, `(?m)^  %s +`+part+part+part+`([\d,]+) +[\d.<]+%%$`)
		},
		"html": func(t *testing.T, text string) map[string]map[string]int {
			verdicts := []string{"compatible", "needs-action", "incompatible", "unknown"}
			var row strings.Builder
			row.WriteString(`(?s)<h2>Can move to <code>%s</code></h2>`)
			for _, verdict := range verdicts {
				row.WriteString(`.*?<span class="w">` + verdict + `</span></span></dt><dd>([\d,]+)</dd>`)
			}
			return tableCounts(t, text, targets, verdicts, row.String())
		},
	}
}

// unsure counts the verdicts of low confidence by target.
func unsure(rows []*record.Record) map[string]int {
	out := map[string]int{}
	for _, r := range rows {
		for _, v := range r.Verdicts {
			if v.Confidence == rules.Low {
				out[v.Target]++
			}
		}
	}
	return out
}

// unsureShown reads the same from a page, which counts groups of instances.
func unsureShown(t *testing.T, page string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, card := range regexp.MustCompile(`(?s)<h2>Can move to <code>([^<]+)</code></h2>(.*?)</section>`).FindAllStringSubmatch(page, -1) {
		for _, n := range regexp.MustCompile(`([\d,]+) low confidence`).FindAllStringSubmatch(card[2], -1) {
			count, err := strconv.Atoi(strings.ReplaceAll(n[1], ",", ""))
			if err != nil {
				t.Fatal(err)
			}
			out[card[1]] += count
		}
	}
	return out
}

// unasked are the flags of report that neither judge nor narrow: where the store
// is, and how and where the answer is written.
var unasked = []string{"store", "server", "out", "output", "compact", "excel", "fail-on", "scans", "outcomes", "since", "of-scan", "help"}

// For every flag that says how a store is judged or narrowed, the rows add up to
// the totals, and the exit code follows from the rows, in JSON and in some of the
// other formats: those take turns, so that each is tried with a third of the flags.
func TestOneAnswer(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 160, Regions: 4, Seed: 18})
	store := t.TempDir()
	first := run(t, env(), "scan", "--endpoint", sim.URL, "--store", store, "--output", "jsonl", "--heartbeat-share=0") // so that nothing but the rules moves verdicts of the next
	if first.code != 0 {
		t.Fatalf("exit %d", first.code)
	}
	heard := t.TempDir() // a store of the same fleet whose guests were asked for heartbeats
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", heard, "--output", "jsonl"); r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(overlay, []byte(overlayOfTests), 0o600); err != nil {
		t.Fatal(err)
	}
	one := records(t, first.stdout)[0]
	tag := slices.Sorted(maps.Keys(one.Tags))[0]
	asked := map[string][]string{
		"as stored": nil, "rules": {"--rules", overlay}, "target": {"--target", "shenlong-8"},
		"family as target": {"--target", "ecs.g8i"}, "rules and targets": {"--rules", overlay, "--target", "kvm,shenlong-7"},
		"region": {"--region", sim.Regions()[0]}, "system": {"--os", "centos,windows-server", "--exclude", "os=centos:5"},
		"verdict on a target":    {"--verdict", "shenlong-8=incompatible", "--confidence", "high"},
		"verdict by other rules": {"--verdict", "incompatible", "--rules", overlay, "--target", "shenlong-7", "--exclude", "region=" + sim.Regions()[1]},
		"waived":                 {"--rules", overlay, "--waived", "yes"}, "waived, as stored by other rules": {"--rules", overlay, "--waived", "no", "--verdict", "shenlong-8=incompatible"},
		"tag and its value": {"--tag", tag + "=" + one.Tags[tag], "--rules", overlay}, "status": {"--status", "Stopped", "--account", one.Account},
		"family and its image": {"--family", one.InstanceFamily, "--image", one.ImageID, "--target", "ecs.g8i"}, "one instance left out": {"--exclude", one.InstanceID},
		"guests that were heard of": {"--store", heard, "--up", "shenlong-7"},
	}
	help := run(t, env(), "report", "--help").stdout
	own, _, _ := strings.Cut(help, "Global Flags:")
	flags := regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`).FindAllStringSubmatch(own, -1)
	if len(flags) < 15 {
		t.Fatalf("report names %d flags", len(flags))
	}
	for _, flag := range flags {
		tried := slices.ContainsFunc(slices.Collect(maps.Values(asked)), func(args []string) bool { return slices.Contains(args, "--"+flag[1]) })
		if !tried && !slices.Contains(unasked, flag[1]) {
			t.Errorf("--%s is tried nowhere here", flag[1])
		}
	}
	named := map[string]bool{}
	for format := range formats(nil) {
		format, _, _ = strings.Cut(format, " ")
		named[format] = true
	}
	for _, format := range report.Formats() {
		if !named[string(format)] {
			t.Errorf("--output %s is tried nowhere here", format)
		}
	}
	for turn, name := range slices.Sorted(maps.Keys(asked)) {
		flags := asked[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			show := func(more ...string) result {
				return run(t, env(), append(append([]string{"report", "--store", store}, flags...), more...)...)
			}
			whole := show("--output", "json").stdout
			var a answer
			if err := json.Unmarshal([]byte(whole), &a); err != nil {
				t.Fatal(err)
			}
			if len(a.Instances) == 0 {
				t.Fatal("no instance is in the answer")
			}
			// Each level is asked for with a format of its own.
			gates := map[string]rules.Level{}
			for i, level := range rules.Levels() {
				gates[[]string{"csv", "jsonl", "table", "html"}[i]] = level
			}
			want := counted(a.Summary.Targets, a.Instances)
			each := formats(a.Summary.Targets)
			for number, format := range slices.Sorted(maps.Keys(each)) {
				if format != "json" && (number+turn)%3 != 0 {
					continue
				}
				count, text := each[format], whole
				if level, gate := gates[format]; gate {
					text = gated(t, show, format, level, a.Instances)
				} else if format != "json" {
					text = show(strings.Fields("--output " + format)...).stdout
				}
				if format == "html" {
					if diff := cmp.Diff(unsure(a.Instances), unsureShown(t, text)); diff != "" {
						t.Errorf("verdicts of low confidence, of rows and as the page counts them: %s", diff)
					}
				}
				if diff := cmp.Diff(want, count(t, text)); diff != "" {
					t.Errorf("verdicts as %s: %s", format, diff)
				}
			}
		})
	}
	t.Run("since", func(t *testing.T) { sinceAddsUp(t, store, sim, overlay) })
}

// gated shows a report in a format with --fail-on, and holds the exit code and
// what is said of it to the rows.
func gated(t *testing.T, show func(...string) result, format string, level rules.Level, rows []*record.Record) string {
	t.Helper()
	bad, code := 0, 0
	for _, r := range rows {
		if slices.ContainsFunc(r.Verdicts, func(v rules.Verdict) bool { return v.Level.AtLeast(level) }) {
			bad, code = bad+1, 3
		}
	}
	r := show("--output", format, "--fail-on", level.String())
	if r.code != code || bad > 0 && !strings.Contains(r.stderr, fmt.Sprintf("%d of %d instance", bad, len(rows))) {
		t.Errorf("--output %s --fail-on %s: exit %d for %d rows: %s", format, level, r.code, bad, r.stderr)
	}
	return r.stdout
}

// sinceAddsUp moves verdicts by a scan with other rules and looks whether what
// changed is the same in every format that lists it.
func sinceAddsUp(t *testing.T, store string, sim *ecssim.Server, overlay string) {
	moved := t.TempDir()
	if err := os.CopyFS(moved, os.DirFS(store)); err != nil {
		t.Fatal(err)
	}
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", moved, "--rules", overlay, "--output", "csv", "--heartbeat-share=0"); r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	show := func(format string, more ...string) result {
		return run(t, env(), append([]string{"report", "--store", moved, "--rules", overlay, "--since", "1h", "--output", format}, more...)...)
	}
	var a struct {
		answer
		Since struct {
			Changed int
			Causes  map[string]int
			Changes []struct {
				Why        string
				InstanceID string `json:"instance_id"`
			}
		}
	}
	if err := json.Unmarshal([]byte(show("json").stdout), &a); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(counted(a.Summary.Targets, a.Instances), a.Summary.Verdicts); diff != "" {
		t.Errorf("rows and totals: %s", diff)
	}
	n := a.Since.Causes["rules"]
	if n == 0 || a.Since.Changed != n || len(a.Since.Changes) != n {
		t.Fatalf("%d changes by rules, %d changes, %d listed", n, a.Since.Changed, len(a.Since.Changes))
	}
	listed := 0
	for line := range strings.Lines(show("jsonl").stdout) {
		if strings.Contains(line, `"why":"rules"`) {
			listed++
		}
	}
	if rows := strings.Count(show("csv").stdout, ",rules,"); listed != n || rows != n {
		t.Errorf("%d changes: %d JSON Lines, %d rows of CSV", n, listed, rows)
	}
	region, within := a.Instances[0].Region, 0
	ids := map[string]string{}
	for _, r := range a.Instances {
		ids[r.InstanceID] = r.Region
	}
	for _, c := range a.Since.Changes {
		if ids[c.InstanceID] == region {
			within++
		}
	}
	if got := strings.Count(show("jsonl", "--region", region).stdout, `"why":"rules"`); got != within {
		t.Errorf("%d changes in %s, %d with the filter", within, region, got)
	}
}

// TestAnAnswerByOtherRulesSaysSo asks of a store that was judged by rules of one's
// own, with and without them: an answer by others says so, whatever it is asked, and
// one for fewer targets by the same rules says nothing.
func TestAnAnswerByOtherRulesSaysSo(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 60, Regions: 1, Seed: 3})
	overlay := filepath.Join(t.TempDir(), "overlay.yaml")
	if err := os.WriteFile(overlay, []byte(overlayOfTests), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, scanned := range map[string][]string{"rules of one's own": {"--rules", overlay}, "built-in rules": nil} {
		store := t.TempDir()
		if r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", store}, scanned...)...); r.code != 0 {
			t.Fatalf("%s: scan: exit %d", name, r.code)
		}
		for _, asked := range [][]string{{"report"}, {"report", "--target", "shenlong-8"}, {"plan"}, {"plan", "--target", "shenlong-8"}} {
			for _, given := range [][]string{nil, scanned} {
				r := run(t, env(), slices.Concat(asked, given, []string{"--store", store, "--output", "json"})...)
				if says, others := strings.Contains(r.stderr, "the stored verdicts are of rule set"), len(given) != len(scanned); r.code != 0 || says != others {
					t.Errorf("%s: %v %v: exit %d, says that the rules are others: %v", name, asked, given, r.code, says)
				}
			}
		}
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
		"status":       {[]string{"report", "--status", "Runing", "--fail-on", "incompatible"}, nil, `did you mean "Running"`},
		"confidence":   {[]string{"plan", "--confidence", "hihg"}, nil, `did you mean "high"`},
		"account":      {[]string{"plan", "--account", "nobody"}, nil, "is no account"},
		"target":       {[]string{"report", "--target", "kvm", "--verdict", "shenlong-8=unknown"}, nil, "names no target"},
		"os":           {[]string{"report", "--os", "centso"}, nil, `did you mean "centos"`},
		"os of a plan": {[]string{"plan", "--os", "centso", "--target", "ecs.g8i"}, nil, `did you mean "centos"`},
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
