package report

import (
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// meansQuestion says what is asked by the check that settles an unknown verdict.
func meansQuestion(check rules.Question) string {
	switch check {
	case rules.QuestionVersion:
		return "ask the machine for its release and kernel"
	case rules.QuestionPlatform:
		return "ask the platform whether it accepts the system"
	case rules.QuestionNVMe:
		return "look for the NVMe driver in the initramfs"
	case rules.QuestionTrial:
		return "start a test instance from a copy"
	}
	return string(check)
}

// Asked are the unknown instances of a target that one question settles.
type Asked struct {
	Check rules.Question
	N     int
	Text  string
}

// askedOn are the questions that are open on a target, the cheapest first.
func askedOn(summary *record.Summary, target string) []Asked {
	var out []Asked
	for _, q := range rules.Questions() {
		if n := summary.UnknownByQuestion[target][string(q)]; n > 0 {
			out = append(out, Asked{q, n, meansQuestion(q)})
		}
	}
	return out
}

// openQuestions are those that are open on any target, the cheapest first.
func openQuestions(summary *record.Summary) []rules.Question {
	var out []rules.Question
	for _, q := range rules.Questions() {
		for _, target := range summary.Targets {
			if summary.UnknownByQuestion[target][string(q)] > 0 {
				out = append(out, q)
				break
			}
		}
	}
	return out
}

// unknownBy is the heading over the questions.
const unknownBy = "Unknown, by what settles it"

// questions is the table of what would settle the unknown.
func (t *terminal) questions() {
	open := openQuestions(&t.r.Summary)
	if len(open) == 0 {
		return
	}
	t.Section(unknownBy, t.note("instances a target"))
	tab := TextTable{Indent: 2, Head: Head("target")}
	means := make([]string, len(open))
	for i, q := range open {
		tab.Head = append(tab.Head, Cell{Text: string(q), Right: true})
		means[i] = fmt.Sprintf("%s: %s", q, t.Say(meansQuestion(q)))
	}
	for _, target := range t.r.Summary.Targets {
		row := []Cell{{Text: target, Style: Bold}}
		for _, q := range open {
			row = append(row, verdictCount("unknown", t.r.Summary.UnknownByQuestion[target][string(q)]))
		}
		tab.Rows = append(tab.Rows, row)
	}
	t.Table(&tab)
	t.lines(strings.Join(means, "; "), Dim)
}
