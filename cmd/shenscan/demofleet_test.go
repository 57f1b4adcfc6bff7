package main_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

const demoFile = "../../docs/DEMO.md"

// demoFleet is the demo's report, as far as it is told.
type demoFleet struct {
	Summary struct {
		Instances int
		Targets   []string
		Verdicts  map[string]map[string]int
		UnknownBy map[string]map[string]int `json:"unknown_by_question"`
	}
	Instances []struct {
		OS      rules.OS       `json:"os"`
		Because map[string]int `json:"because"` // by target: a number in the legend
	}
	Legend []struct {
		Level  string   `json:"verdict"`
		Rule   string   `json:"rule"`
		Reason string   `json:"reason"`
		Checks []string `json:"checks"`
	}
}

// seenRunning stands for every rule about instances that run on the target: when
// a machine was heard of last changes with the clock.
const seenRunning = "observed.running"

// docs/DEMO.md says what the demo's fleet comes to on each class, by which rules
// and why, and which question would settle what is unknown. It is written from
// the demo itself.
func TestWhatTheDemosFleetComesToIsCurrent(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "demo.json")
	if r := run(t, env(), "demo", "--html", "", "--output", "json", "--compact", "--out", file, "--store", t.TempDir()); r.code != 0 {
		t.Fatalf("exit %d", r.code)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var d demoFleet
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	want := d.tell(t)
	if flag.Lookup("update-reference").Value.String() == "true" {
		if err := os.WriteFile(demoFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(demoFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/DEMO.md is not what the demo comes to: run make generate")
	}
}

// tell writes the tables.
func (d *demoFleet) tell(t *testing.T) []byte {
	t.Helper()
	set, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# What the demo's fleet comes to\n\n`shenscan demo` scans %d simulated instances, the same ones each time. This is what they come to on each class, by which rule of which system, and why. A test writes this page from the demo.\n", d.Summary.Instances)
	b.WriteString("Before is commit 373d6ca, which knew no `shenlong-8`: what it said of `shenlong-7` it said of the 7th generation and later, and stands beside both here.\n")
	b.WriteString("\n| target | | compatible | needs-action | incompatible | unknown | moved |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	then := readBefore(t, len(d.Instances))
	for _, target := range d.Summary.Targets {
		v, w, moved := d.Summary.Verdicts[target], map[string]int{}, 0
		for i := range d.Instances {
			level := then.on(target, i)
			w[level]++
			if level != d.Legend[d.Instances[i].Because[target]-1].Level {
				moved++
			}
		}
		fmt.Fprintf(&b, "| `%s` | before | %d | %d | %d | %d | |\n", target, w["compatible"], w["needs-action"], w["incompatible"], w["unknown"])
		fmt.Fprintf(&b, "| | now | %d | %d | %d | %d | %d |\n", v["compatible"], v["needs-action"], v["incompatible"], v["unknown"], moved)
	}
	b.WriteString("\n## What would settle the unknown\n\nEach unknown verdict is counted under the cheapest question that settles it. `shenscan report` counts the same of a fleet of your own; `shenscan plan --settle --target TARGET` tries the answers, alone and together, and names what each question needs and costs, so that its numbers are others.\n")
	b.WriteString("\n| target | question | instances | rules |\n| --- | --- | ---: | --- |\n")
	for _, target := range d.Summary.Targets {
		type open struct {
			n     int
			rules map[string]int
		}
		questions := map[rules.Question]*open{}
		for i := range d.Instances {
			v := d.Legend[d.Instances[i].Because[target]-1]
			if v.Level != "unknown" {
				continue
			}
			id := (&rules.Verdict{Checks: v.Checks}).Settles()
			q := questions[id]
			if q == nil {
				q = &open{rules: map[string]int{}}
				questions[id] = q
			}
			q.n++
			q.rules[v.Rule]++
		}
		sum := 0
		for _, id := range rules.Questions() {
			q := questions[id]
			if q == nil {
				q = &open{}
			}
			if told := d.Summary.UnknownBy[target][string(id)]; told != q.n {
				t.Errorf("%s: the summary counts %d unknown for %s, the rows are %d", target, told, id, q.n)
			}
			if q.n == 0 {
				continue
			}
			sum += q.n
			var names []string
			for _, rule := range slices.Sorted(maps.Keys(q.rules)) {
				names = append(names, fmt.Sprintf("%s (%d)", rule, q.rules[rule]))
			}
			fmt.Fprintf(&b, "| `%s` | `%s`: %s | %d | %s |\n", target, id, cell(set.Definition().Checks[string(id)]), q.n, strings.Join(names, ", "))
		}
		if sum != d.Summary.Verdicts[target]["unknown"] {
			t.Errorf("%s: %d unknown are split, of %d", target, sum, d.Summary.Verdicts[target]["unknown"])
		}
	}
	for _, target := range d.Summary.Targets {
		type group struct{ family, rule, level string }
		type told struct {
			n      int
			reason string
			was    map[string]int
		}
		groups := map[group]*told{}
		for i := range d.Instances {
			v := &d.Legend[d.Instances[i].Because[target]-1]
			g, r := group{d.Instances[i].OS.Family, v.Rule, v.Level}, v.Reason
			if rule, ok := set.Rule(seenRunning); ok && strings.HasPrefix(v.Rule, "observed.") {
				g.rule, r = seenRunning, rule.Reason // which of the two it is depends on the hour
			}
			if groups[g] == nil {
				groups[g] = &told{was: map[string]int{}}
			}
			groups[g].n++
			groups[g].was[then.on(target, i)]++
			if groups[g].reason == "" || len(r) < len(groups[g].reason) || len(r) == len(groups[g].reason) && r < groups[g].reason {
				groups[g].reason = r
			}
		}
		order := slices.SortedFunc(maps.Keys(groups), func(a, b group) int {
			return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.rule, b.rule), cmp.Compare(a.level, b.level))
		})
		fmt.Fprintf(&b, "\n## On `%s`\n\n| system | rule | verdict | instances | before | why, and why it moved |\n| --- | --- | --- | ---: | --- | --- |\n", target)
		sum := 0
		for _, g := range order {
			sum += groups[g].n
			why := groups[g].reason
			if moved := whyGroup(t, g.rule, g.level, groups[g].was); moved != "" {
				why += " *Moved:* " + moved + "."
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s |\n", g.family, g.rule, g.level, groups[g].n, was(groups[g].was, g.level), cell(why))
		}
		if sum != d.Summary.Instances {
			t.Errorf("%s: %d instances in groups, of %d", target, sum, d.Summary.Instances)
		}
	}
	return b.Bytes()
}

// cell is text for a Markdown table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
