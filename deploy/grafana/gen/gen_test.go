package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const deploy = "../.."

func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := render(deploy)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(deploy, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what gen writes: run make dashboards", name)
		}
	}
	for folder, pattern := range map[string]string{"grafana/dashboards": "*.json", "grafana/provisioning/alerting": "*.yml"} {
		found, _ := filepath.Glob(filepath.Join(deploy, folder, pattern))
		for _, path := range found {
			if rel, _ := filepath.Rel(deploy, path); files[filepath.ToSlash(rel)] == nil {
				t.Errorf("%s is not written by gen: remove it", rel)
			}
		}
	}
}

// panel is the part of a dashboard panel that the lint looks at.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ UID string }
	FieldConfig struct {
		Defaults struct{ Unit, NoValue string }
	}
	Targets []struct {
		RefID, Expr, LegendFormat string
		Datasource                struct{ UID string }
	}
}

type dashboardFile struct {
	UID, Title, Description string
	Templating              struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Annotations struct {
		List []struct {
			Name, Expr string
			Datasource struct{ UID string }
		}
	}
	Panels []panel
}

func dashboards(t *testing.T) map[string]dashboardFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(deploy, "grafana/dashboards/*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	boards := map[string]dashboardFile{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var board dashboardFile
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		boards[filepath.Base(path)] = board
	}
	return boards
}

// lint returns what a person would stumble over in a dashboard.
func lint(board dashboardFile) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if board.UID == "" || board.Title == "" || board.Description == "" {
		problem("a dashboard has a uid, a title and a description")
	}
	if len(board.Templating.List) == 0 || board.Templating.List[0].Type != "datasource" {
		problem("the first variable chooses the data source")
	}
	if len(board.Annotations.List) < 3 {
		problem("scans, rule sets and alerts are marked")
	}
	for _, a := range board.Annotations.List {
		for _, u := range unknown(a.Expr) {
			problem("mark %q: %s", a.Name, u)
		}
		if a.Expr == "" || a.Datasource.UID != "${datasource}" {
			problem("mark %q asks nothing, or not the chosen data source", a.Name)
		}
	}
	ids := map[int]string{}
	for i, p := range board.Panels {
		if other, ok := ids[p.ID]; ok || p.ID == 0 {
			problem("%q has the id %d of %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		if p.GridPos.X+p.GridPos.W > 24 || p.GridPos.W == 0 || p.GridPos.H == 0 {
			problem("%q does not fit into 24 columns", p.Title)
		}
		for _, q := range board.Panels[:i] {
			if p.GridPos.X < q.GridPos.X+q.GridPos.W && q.GridPos.X < p.GridPos.X+p.GridPos.W &&
				p.GridPos.Y < q.GridPos.Y+q.GridPos.H && q.GridPos.Y < p.GridPos.Y+p.GridPos.H {
				problem("%q overlaps %q", p.Title, q.Title)
			}
		}
		if p.Type != "row" {
			problems = append(problems, lintPanel(board, p)...)
		}
	}
	return problems
}

func lintPanel(board dashboardFile, p panel) (problems []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%q: ", p.Title)+fmt.Sprintf(format, args...))
	}
	switch {
	case p.Title == "" || p.Description == "":
		problem("has no title or no description")
	case p.FieldConfig.Defaults.Unit == "":
		problem("has no unit")
	case p.FieldConfig.Defaults.NoValue == "":
		problem("does not say what no data looks like")
	case len(p.Targets) == 0:
		problem("asks nothing")
	}
	if p.Datasource.UID != "${datasource}" {
		problem("does not ask the chosen data source")
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if target.Datasource.UID != "${datasource}" || refs[target.RefID] {
			problem("query %s: another data source, or a second of its name", target.RefID)
		}
		refs[target.RefID] = true
		if p.Type != "table" && target.LegendFormat == "" {
			problem("query %s has no legend", target.RefID)
		}
		if strings.Contains(target.Expr, "rate(") && !strings.Contains(target.Expr, "$__rate_interval") {
			problem("query %s: a rate over a fixed range", target.RefID)
		}
		for _, u := range unknown(target.Expr) {
			problem("query %s: %s", target.RefID, u)
		}
		for _, word := range strings.FieldsFunc(target.Expr, func(r rune) bool { return !strings.ContainsRune("$_abcdefghijklmnopqrstuvwxyz", r) }) {
			name, isVariable := strings.CutPrefix(word, "$")
			if isVariable && !strings.HasPrefix(name, "__") && !slices.ContainsFunc(board.Templating.List, func(v struct {
				Name, Type string
				Query      any
			},
			) bool {
				return v.Name == name
			}) {
				problem("query %s: no variable %s", target.RefID, name)
			}
		}
	}
	return problems
}

func TestDashboardsAreSound(t *testing.T) {
	uids := map[string]string{}
	for name, board := range dashboards(t) {
		for _, p := range lint(board) {
			t.Errorf("%s: %s", name, p)
		}
		if other := uids[board.UID]; other != "" {
			t.Errorf("%s has the uid of %s", name, other)
		}
		uids[board.UID] = name
		for _, v := range board.Templating.List {
			if q, ok := v.Query.(string); ok && v.Type == "query" {
				metric, label, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(q, "label_values("), ")"), ", ")
				if problems := unknown(metric + "{" + label + `="x"}`); len(problems) > 0 {
					t.Errorf("%s: variable %s: %s", name, v.Name, problems)
				}
			}
		}
	}
}

func TestLintFindsFaults(t *testing.T) {
	for fault, spoil := range map[string]func(*dashboardFile){
		"mark \"Alert\"":         func(b *dashboardFile) { b.Annotations.List[2].Expr = "ALARMS" },
		"are marked":             func(b *dashboardFile) { b.Annotations.List = nil },
		"overlaps":               func(b *dashboardFile) { b.Panels[2].GridPos = b.Panels[1].GridPos },
		"has the id":             func(b *dashboardFile) { b.Panels[2].ID = b.Panels[1].ID },
		"no description":         func(b *dashboardFile) { b.Panels[1].Description = "" },
		"has no unit":            func(b *dashboardFile) { b.Panels[1].FieldConfig.Defaults.Unit = "" },
		"chosen data source":     func(b *dashboardFile) { b.Panels[1].Datasource.UID = "abc" },
		"no metric":              func(b *dashboardFile) { b.Panels[1].Targets[0].Expr = "shenscan_instance" },
		"no variable":            func(b *dashboardFile) { b.Panels[1].Targets[0].Expr = `up{job="$jib"}` },
		"rate over a fixed":      func(b *dashboardFile) { b.Panels[1].Targets[0].Expr = "rate(up[5m])" },
		"does not fit":           func(b *dashboardFile) { b.Panels[1].GridPos.W = 30 },
		"chooses the data":       func(b *dashboardFile) { b.Templating.List = b.Templating.List[1:] },
		"has no legend":          func(b *dashboardFile) { b.Panels[1].Targets[0].LegendFormat = "" },
		"a second of its name":   func(b *dashboardFile) { p := &b.Panels[1]; p.Targets = append(p.Targets, p.Targets[0]) },
		"title and a descriptio": func(b *dashboardFile) { b.Description = "" },
	} {
		board := dashboards(t)["fleet.json"]
		spoil(&board)
		if got := strings.Join(lint(board), "\n"); !strings.Contains(got, fault) {
			t.Errorf("lint does not say %q: %s", fault, got)
		}
	}
}

func allAlerts() []alert {
	all, _ := alerts()
	return all
}

func TestThresholdsAreHeld(t *testing.T) {
	values, err := readThresholds(thresholdsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := values.apply(list(values)); err != nil {
		t.Error(err)
	}
	for fault, text := range map[string]string{
		"says nothing of": "rise_window: 7d\nbaseline: b\nalerts: {}\n",
		"no alert":        string(thresholdsFile) + "  ShenscanSky: {above: 1}\n",
		"either above":    "rise_window: 7d\nbaseline: b\nalerts: {A: {above: 1, below: 2}}\n",
		"is missing":      "alerts: {}\n",
		"not found":       "rise_window: 7d\nbaseline: b\nalert: {}\n",
	} {
		values, err := readThresholds([]byte(text))
		if err == nil {
			err = values.apply(list(values))
		}
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: %v, want %q", text, err, fault)
		}
	}
}

// What fires is measured since the baseline that is recorded: with another word
// there, counting begins anew.
func TestRisesAreMeasuredSinceTheBaseline(t *testing.T) {
	_, values := alerts()
	values.Baseline = "another"
	for _, a := range list(values)[:2] {
		if strings.Count(a.value, `{baseline="another"}`) != 2 {
			t.Errorf("%s looks at other baselines: %s", a.name, a.value)
		}
	}
	for _, r := range prometheusRules().Groups[0].Rules {
		if _, values := alerts(); r.Record != "" && r.Labels["baseline"] != values.Baseline {
			t.Errorf("%s is recorded under the baseline %q", r.Record, r.Labels["baseline"])
		}
	}
}

func TestAlertsAreToldApartAndExplained(t *testing.T) {
	guide, err := os.ReadFile(filepath.Join(deploy, "../docs/RUNBOOK.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := promtoolTests(t)
	for _, a := range allAlerts() {
		if a.severity != "critical" && a.severity != "warning" {
			t.Errorf("%s: severity %q", a.name, a.severity)
		}
		for _, u := range unknown(a.value) {
			t.Errorf("%s: %s", a.name, u)
		}
		if !strings.Contains(a.summary, ": ") {
			t.Errorf("%s: the summary does not say what to do", a.name)
		}
		if !strings.Contains(string(guide), "\n## "+a.name+"\n") {
			t.Errorf("%s: docs/RUNBOOK.md has no section", a.name)
		}
		if got := tests[a.name]; !got.fires || !got.silent {
			t.Errorf("%s: alerts_test.yml must show it firing and silent, has %+v", a.name, got)
		}
	}
	for _, line := range strings.Split(string(guide), "\n") {
		name, ok := strings.CutPrefix(line, "## Shenscan")
		if ok && !slices.ContainsFunc(allAlerts(), func(a alert) bool { return a.name == "Shenscan"+name }) {
			t.Errorf("docs/RUNBOOK.md explains Shenscan%s, which is no alert", name)
		}
	}
}

type shown struct{ fires, silent bool }

// promtoolTests says which alerts the promtool tests show firing and silent.
func promtoolTests(t *testing.T) map[string]shown {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploy, "prometheus/alerts_test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name   string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
			Expressions []struct {
				Expr   string `yaml:"expr"`
				Expect []any  `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]shown{}
	add := func(name string, expected int) {
		s := all[name]
		s.fires = s.fires || expected > 0
		s.silent = s.silent || expected == 0
		all[name] = s
	}
	firing := regexp.MustCompile(`^ALERTS\{alertname="(\w+)", alertstate="firing"[^}]*\}$`)
	for _, test := range file.Tests {
		for _, a := range test.Alerts {
			add(a.Name, len(a.Expect))
		}
		for _, e := range test.Expressions {
			if m := firing.FindStringSubmatch(e.Expr); m != nil {
				add(m[1], len(e.Expect))
			}
		}
	}
	return all
}
