package report

import (
	"encoding/json"
	"fmt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// The compact form says of each instance what differs from instance to instance,
// and refers to a legend, which says once what verdicts rest on and what can be
// done. In JSON the legend is the last member. In JSON Lines each of its entries
// stands in a line before the first that refers to it, and the last line tells
// what the list is of.

// compactRow is what stands in the place of a record's classification.
type compactRow struct {
	OS        rules.OS          `json:"os"`
	Legacy    bool              `json:"legacy"`
	Conflicts []rules.Conflict  `json:"conflicts,omitempty"`
	Verdicts  map[string]string `json:"verdicts"` // by target
	Because   map[string]int    `json:"because"`  // by target: numbers of the legend's verdicts
	Waived    []string          `json:"waived,omitempty"`
}

// legendVerdict is a verdict on a target with all that it rests on.
type legendVerdict struct {
	Legend     string           `json:"legend"` // verdict
	Number     int              `json:"number"`
	Target     string           `json:"target"`
	Level      rules.Level      `json:"verdict"`
	Confidence rules.Confidence `json:"confidence"`
	Rule       string           `json:"rule"`
	Reason     string           `json:"reason"`
	Source     string           `json:"source"`
	Remedies   []int            `json:"remedies"` // numbers of the legend's remedies
	Checks     []string         `json:"checks"`
	Findings   []rules.Finding  `json:"findings,omitempty"`
	Waiver     *rules.Waiver    `json:"waiver,omitempty"`
}

// legendRemedy is a way to make instances boot on a target.
type legendRemedy struct {
	Legend string `json:"legend"` // remedy
	Number int    `json:"number"`
	rules.Remedy
}

// legendReport is the last line of JSON Lines: what the list is of, and how
// complete it is.
type legendReport struct {
	Legend    string               `json:"legend,omitempty"` // report
	ScanID    string               `json:"scan_id"`
	State     record.ScanState     `json:"state"`
	Complete  bool                 `json:"complete"`
	Ruleset   string               `json:"ruleset"`
	Instances int                  `json:"instances"` // lines of instances
	Scopes    []record.ScopeStatus `json:"scopes"`
	Failures  []record.Failure     `json:"failures"`
}

func reportLine(report *Report, rows int) *legendReport {
	summary := TidySummary(report.Summary)
	return &legendReport{
		ScanID: report.Scan.ID, State: report.Scan.State, Complete: NewDigest(&report.Summary).Whole.All(), Ruleset: summary.Ruleset, Instances: rows,
		Scopes: summary.Scopes, Failures: OrEmpty(report.Failures),
	}
}

// legendBook numbers what rows refer to. Entries are written when they are first
// referred to.
type legendBook struct {
	entry    func(v any) error
	verdicts map[string]int
	remedies map[string]int
	last     int
	known    map[record.Shared][]byte // encoded compactRow, without braces
}

// maxClassifications bounds how many classifications are kept, of a few hundred
// bytes each.
const maxClassifications = 4096

// mostLegend bounds the entries that are remembered: later ones are written
// again, under new numbers.
const mostLegend = 100_000

func newLegend(entry func(v any) error) *legendBook {
	return &legendBook{entry: entry, verdicts: map[string]int{}, remedies: map[string]int{}, known: map[record.Shared][]byte{}}
}

// number numbers a thing by its content and writes it where it is new.
func (l *legendBook) number(of map[string]int, content any, entry func(number int) any) (int, error) {
	key, err := json.Marshal(content)
	if err != nil {
		return 0, fmt.Errorf("encode legend: %w", err)
	}
	if n, ok := of[string(key)]; ok {
		return n, nil
	}
	if len(of) >= mostLegend {
		clear(of)
		clear(l.known)
	}
	l.last++
	n := l.last
	of[string(key)] = n
	return n, l.entry(entry(n))
}

// row is the part of a row that stands for the record's classification, encoded,
// without braces.
func (l *legendBook) row(rec *record.Record) ([]byte, error) {
	key := record.SharedBy(rec)
	if b, ok := l.known[key]; ok {
		return b, nil
	}
	row := compactRow{OS: rec.OS, Legacy: rec.Legacy, Conflicts: rec.Conflicts, Verdicts: map[string]string{}, Because: map[string]int{}}
	for i := range rec.Verdicts {
		verdict := &rec.Verdicts[i]
		number, err := l.verdict(verdict)
		if err != nil {
			return nil, err
		}
		row.Verdicts[verdict.Target], row.Because[verdict.Target] = verdict.Level.String(), number
		if verdict.Waiver != nil {
			row.Waived = append(row.Waived, verdict.Target)
		}
	}
	encoded, err := json.Marshal(&row)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", rec.InstanceID, err)
	}
	encoded = escapeJSON(encoded[1 : len(encoded)-1])
	if len(l.known) >= maxClassifications {
		clear(l.known)
	}
	l.known[key] = encoded
	return encoded, nil
}

func (l *legendBook) verdict(judged *rules.Verdict) (int, error) {
	remedies := make([]int, len(judged.Remedies))
	for i := range judged.Remedies {
		n, err := l.number(l.remedies, judged.Remedies[i], func(n int) any { return legendRemedy{"remedy", n, judged.Remedies[i]} })
		if err != nil {
			return 0, err
		}
		remedies[i] = n
	}
	return l.number(l.verdicts, judged, func(n int) any {
		return legendVerdict{
			"verdict", n, judged.Target, judged.Level, judged.Confidence, judged.Rule, judged.Reason, judged.Source, remedies, OrEmpty(judged.Checks), judged.Findings, judged.Waiver,
		}
	})
}

// newCompactEncoder encodes records as compact rows. Entries of the legend that are
// new are written before a row is returned.
func newCompactEncoder(entry func(v any) error) rowEncoder {
	legend, by := newLegend(entry), &record.Encoder{Tidy: Tidy, Escape: escapeJSON, Brief: true}
	var encoded []byte
	return func(rec *record.Record) ([]byte, error) {
		class, err := legend.row(rec)
		if err != nil {
			return nil, err
		}
		encoded, err = by.Enclose(encoded[:0], rec, class)
		return encoded, err
	}
}
