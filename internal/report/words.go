package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// Number writes n with thousands separated by commas.
func Number(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Percent writes n of total; what is not zero never reads as 0.0 %, and what
// is not all never as 100 %.
func Percent(n, total int) string {
	if total <= 0 || n <= 0 {
		return "0%"
	}
	if n == total {
		return "100%"
	}
	switch p := 100 * float64(n) / float64(total); {
	case p < 0.05:
		return "<0.1%"
	case p > 99.9:
		return ">99.9%"
	default:
		return strconv.FormatFloat(p, 'f', 1, 64) + "%"
	}
}

// Capital is s with a capital first letter; s begins with a letter of English.
func Capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Plural is "1 region" or "2,000 regions".
func Plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Moment writes a time in UTC to the minute; "never" for none.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// Span writes a duration for people.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + " days"
}

// Completeness says in a sentence how far the counts can be trusted.
func Completeness(w Whole) string {
	if w.Scopes == 0 {
		return "nothing was read yet: no number here means zero"
	}
	if w.All() {
		return fmt.Sprintf("complete: %s read to the end", Plural(w.Scopes, "region", "regions"))
	}
	var lacks []string
	for _, lack := range []struct {
		n    int
		word string
	}{{w.Failed, "failed"}, {w.Partial, "partial"}, {w.Pending, "not read yet"}} {
		if lack.n > 0 {
			lacks = append(lacks, Number(lack.n)+" "+lack.word)
		}
	}
	return fmt.Sprintf("partial: %s of %s read to the end, %s; counts are lower bounds",
		Number(w.Complete), Plural(w.Scopes, "region", "regions"), strings.Join(lacks, ", "))
}

// AtLeast writes a count with its completeness: "at least 12" when something
// was not read.
func AtLeast(n int, w Whole) string {
	if w.All() {
		return Number(n)
	}
	return "at least " + Number(n)
}

// FleetSize is the number of instances with its completeness.
func FleetSize(n int, w Whole) string {
	if w.All() {
		return Plural(n, "instance", "instances")
	}
	return "at least " + Plural(n, "instance", "instances")
}

// scanLine says what a scan did.
func scanLine(s *record.Scan) string {
	if s.ID == "" {
		return "no scan yet"
	}
	what := map[record.ScanState]string{
		record.ScanRunning: "is running", record.ScanComplete: "is complete",
		record.ScanPartial: "is partial", record.ScanAborted: "was aborted",
	}[s.State]
	if what == "" {
		what = "is " + string(s.State)
	}
	line := s.ID + " " + what
	if s.EndedAt != nil {
		line += " after " + Span(s.EndedAt.Sub(s.StartedAt))
	}
	return fmt.Sprintf("%s: %s of %s, %s in %s", line, Number(s.Done), Plural(s.Regions, "region", "regions"),
		Plural(s.Instances, "instance", "instances"), Plural(s.Pages, "page", "pages"))
}
