package report

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// maxKnown bounds the table that finds profiles by identity.
const maxKnown = 1 << 16

// book holds what rows share, each once, numbered as it came up.
type book struct {
	Scopes  Set[[2]string] `json:"scopes"` // account, region
	Types   Set[typeRow]   `json:"types"`
	Images  Set[[2]string] `json:"images"` // id, owner
	Strings Set[string]    `json:"strings"`
	// Verdicts name Remedies and Strings by number, profiles name verdicts.
	Remedies Set[Encoded] `json:"remedies"`
	Verdicts Set[Encoded] `json:"verdicts"`
	Profiles Set[Encoded] `json:"profiles"`

	known map[record.Shared]int
	in    lang.Language
}

// Set numbers values in the order in which they came up.
type Set[T comparable] struct {
	list []T
	at   map[T]int
}

// Number returns the number of value, adding it when it is new.
func (s *Set[T]) Number(value T) int {
	at, ok := s.at[value]
	if !ok {
		if s.at == nil {
			s.at = map[T]int{}
		}
		at = len(s.list)
		s.list = append(s.list, value)
		s.at[value] = at
	}
	return at
}

// MarshalJSON writes the values in the order of their numbers.
func (s Set[T]) MarshalJSON() ([]byte, error) { return json.Marshal(OrEmpty(s.list)) }

// Encoded is a value as JSON, by which equal values are one in a Set.
type Encoded string

// MarshalJSON implements json.Marshaler.
func (e Encoded) MarshalJSON() ([]byte, error) { return []byte(e), nil }

// Content is v as JSON.
func Content(v any) Encoded {
	data, err := json.Marshal(v)
	if err != nil { // cannot happen: plain data
		return Encoded(strconv.Quote(fmt.Sprint(v)))
	}
	return Encoded(data)
}

// typeRow is an instance type as rows name it.
type typeRow struct {
	ID, Family, Virtualization string
	CPU, MemoryMiB             int
}

// MarshalJSON writes a list, in the order that web/report.js reads.
func (t typeRow) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{t.ID, t.Family, t.Virtualization, t.CPU, t.MemoryMiB})
}

// profile is what a set of facts leads to, shared by many instances.
type profile struct {
	Name      string           `json:"name"`
	OS        rules.OS         `json:"os"`
	Legacy    bool             `json:"legacy"`
	Conflicts []rules.Conflict `json:"conflicts,omitempty"`
	Verdicts  []int            `json:"verdicts"`
}

// sharedVerdict is a verdict whose remedies are numbers in the book.
type sharedVerdict struct {
	Target     string           `json:"target"`
	Level      rules.Level      `json:"verdict"`
	Confidence rules.Confidence `json:"confidence"`
	Rule       string           `json:"rule"`
	Reason     string           `json:"reason"`
	Source     int              `json:"source"` // number of a string
	Remedies   []int            `json:"remedies"`
	Checks     []string         `json:"checks"`
	Waiver     *rules.Waiver    `json:"waiver,omitempty"`
}

// profile finds the record's classification by identity, and by content when
// it is not shared.
func (b *book) profile(rec *record.Record, targets []string) int {
	key := record.SharedBy(rec)
	if at, ok := b.known[key]; ok {
		return at
	}
	p := profile{Name: b.in.Say(OSName(rec.OS.Family, rec.OS.Version)), OS: rec.OS, Legacy: rec.Legacy, Conflicts: rec.Conflicts}
	for _, target := range targets {
		p.Verdicts = append(p.Verdicts, b.verdict(rec, target))
	}
	at := b.Profiles.Number(Content(p))
	if b.known == nil || len(b.known) >= maxKnown {
		b.known = map[record.Shared]int{}
	}
	b.known[key] = at
	return at
}

// verdict finds the number of a record's verdict on a target.
func (b *book) verdict(rec *record.Record, target string) int {
	judged := VerdictOn(rec, target)
	if judged == nil {
		judged = &rules.Verdict{Target: target, Reason: "no verdict is held for this target"}
	}
	out := sharedVerdict{
		Target: judged.Target, Level: judged.Level, Confidence: judged.Confidence, Rule: judged.Rule, Reason: b.in.Say(judged.Reason),
		Source: b.Strings.Number(b.in.Say(judged.Source)), Remedies: make([]int, len(judged.Remedies)), Checks: OrEmpty(judged.Checks), Waiver: judged.Waiver,
	}
	for i := range judged.Remedies {
		out.Remedies[i] = b.Remedies.Number(Content(sayRemedy(b.in, judged.Remedies[i])))
	}
	return b.Verdicts.Number(Content(out))
}

// sayRemedy is a remedy with its texts in the language.
func sayRemedy(in lang.Language, remedy rules.Remedy) rules.Remedy {
	remedy.Text, remedy.Benefit, remedy.Drawback = in.Say(remedy.Text), in.Say(remedy.Benefit), in.Say(remedy.Drawback)
	if remedy.Steps != nil {
		remedy.Steps = SayAll(in, remedy.Steps)
	}
	return remedy
}
