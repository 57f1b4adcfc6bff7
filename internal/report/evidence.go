package report

import (
	"bufio"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// EvidenceLine is one source over all accounts and regions, in words.
type EvidenceLine struct {
	Source string
	Text   string
	// Missing says why some of it is missing, each cause once.
	Missing []string
}

// maxCauses bounds the causes that are told of one source; JSON has all.
const maxCauses = 5

// EvidenceLines tells what was known beyond the listing, a line for each source, in
// the order in which they came.
func EvidenceLines(all []record.Evidence, now time.Time) []EvidenceLine {
	var out []EvidenceLine
	var told []string
	for i := range all {
		if source := all[i].Source; !slices.Contains(told, source) {
			told = append(told, source)
			out = append(out, evidenceLine(source, all, now))
		}
	}
	return out
}

func evidenceLine(source string, all []record.Evidence, now time.Time) EvidenceLine {
	var sum record.Evidence
	type cause struct {
		text  string
		count int
		at    []string
	}
	var causes []*cause
	for i := range all {
		evidence := &all[i]
		if evidence.Source != source {
			continue
		}
		sum.About, sum.Asked, sum.Answered, sum.Calls = evidence.About, sum.Asked+evidence.Asked, sum.Answered+evidence.Answered, sum.Calls+evidence.Calls
		if evidence.Oldest != nil && (sum.Oldest == nil || evidence.Oldest.Before(*sum.Oldest)) {
			sum.Oldest = evidence.Oldest
		}
		for _, evidenceSkipped := range evidence.Skipped {
			text := Short(evidenceSkipped.Cause, 300)
			if evidenceSkipped.Mend != "" {
				text += "; " + Short(evidenceSkipped.Mend, 300)
			}
			at := slices.IndexFunc(causes, func(c *cause) bool { return c.text == text })
			if at < 0 {
				at = len(causes)
				causes = append(causes, &cause{text: text})
			}
			causes[at].count += evidenceSkipped.Count
			causes[at].at = append(causes[at].at, ScopeName(Short(evidence.Account, 64), Short(evidence.Region, 64)))
		}
	}
	text := fmt.Sprintf("answers for %s of %s %s", Number(sum.Answered), Number(sum.Asked), Clean(sum.About))
	if sum.Oldest != nil {
		text += ", the oldest " + age(now.Sub(*sum.Oldest)) + " old"
	}
	text += ", " + Plural(sum.Calls, "call", "calls")
	line := EvidenceLine{Source: Clean(source), Text: text}
	slices.SortStableFunc(causes, func(a, b *cause) int { return cmp.Compare(b.count, a.count) })
	for _, each := range causes[:min(len(causes), maxCauses)] {
		where := each.at[0]
		if len(each.at) > 1 {
			where = fmt.Sprintf("%s and %s", where, Plural(len(each.at)-1, "more region", "more regions"))
		}
		if each.count > 0 {
			where = fmt.Sprintf("%s of %s %s in %s", Number(each.count), Number(sum.Asked), Clean(sum.About), where)
		}
		line.Missing = append(line.Missing, where+": "+each.text)
	}
	if rest := len(causes) - maxCauses; rest > 0 {
		line.Missing = append(line.Missing, Plural(rest, "more cause", "more causes")+": shenscan report --output json")
	}
	return line
}

// age is a span of time in the unit that fits; less than nothing is nothing.
func age(duration time.Duration) string {
	switch duration = max(duration, 0); {
	case duration < time.Hour:
		return Plural(int(duration/time.Minute), "minute", "minutes")
	case duration < 48*time.Hour:
		return Plural(int(duration/time.Hour), "hour", "hours")
	}
	return Plural(int(duration/(24*time.Hour)), "day", "days")
}

// evidence says what was known beyond the listing, and what is missing of it.
func (t *terminal) evidence() {
	lines := EvidenceLines(t.r.Evidence, t.Now)
	if len(lines) == 0 {
		return
	}
	t.Section("Evidence", "beyond the listing; what is missing leaves verdicts open")
	for _, line := range lines {
		for i, text := range Wrap(line.Source+": "+t.Say(line.Text), t.width-4) {
			fmt.Fprintf(t, "  %s%s\n", indent(i), text)
		}
		for _, m := range line.Missing {
			for i, text := range Wrap(t.Say("missing: ")+t.Say(m), t.width-8) {
				fmt.Fprintf(t, "    %s%s\n", indent(i), t.Paint(text, Amber))
			}
		}
	}
}

// indent sets the lines after the first a little in.
func indent(line int) string {
	if line > 0 {
		return "  "
	}
	return ""
}

func mdEvidence(out *bufio.Writer, r *Report, now time.Time) {
	lines := EvidenceLines(r.Evidence, now)
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(out, "\n## Evidence beyond the listing\n\n")
	for _, l := range lines {
		fmt.Fprintf(out, "- %s: %s\n", MarkdownText(l.Source), MarkdownText(l.Text))
		for _, m := range l.Missing {
			fmt.Fprintf(out, "  - missing: %s\n", MarkdownText(m))
		}
	}
}
