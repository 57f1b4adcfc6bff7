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
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Percent writes part of total; what is not zero never reads as 0.0 %, and what
// is not all never as 100 %.
func Percent(part, total int) string {
	if total <= 0 || part <= 0 {
		return "0%"
	}
	if part == total {
		return "100%"
	}
	switch percent := 100 * float64(part) / float64(total); {
	case percent < 0.05:
		return "<0.1%"
	case percent > 99.9:
		return ">99.9%"
	default:
		return strconv.FormatFloat(percent, 'f', 1, 64) + "%"
	}
}

// Capital is s with a capital first letter; s begins with a letter of English.
func Capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
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
func Span(duration time.Duration) string {
	switch {
	case duration < 0:
		return "0 s"
	case duration < 10*time.Second:
		return strconv.FormatFloat(duration.Seconds(), 'f', 1, 64) + " s"
	case duration < 2*time.Minute:
		return strconv.Itoa(int(duration.Seconds())) + " s"
	case duration < 2*time.Hour:
		return strconv.Itoa(int(duration.Minutes())) + " min"
	case duration < 48*time.Hour:
		return strconv.Itoa(int(duration.Hours())) + " h"
	}
	return strconv.Itoa(int(duration.Hours()/24)) + " days"
}

// Completeness says in a sentence how far the counts can be trusted.
func Completeness(whole Whole) string {
	if whole.Scopes == 0 {
		return "nothing was read yet: no number here means zero"
	}
	if whole.All() {
		return fmt.Sprintf("complete: %s read to the end", Plural(whole.Scopes, "region", "regions"))
	}
	var lacks []string
	for _, lack := range []struct {
		n    int
		word string
	}{{whole.Failed, "failed"}, {whole.Partial, "partial"}, {whole.Pending, "not read yet"}} {
		if lack.n > 0 {
			lacks = append(lacks, Number(lack.n)+" "+lack.word)
		}
	}
	return fmt.Sprintf("partial: %s of %s read to the end, %s; counts are lower bounds",
		Number(whole.Complete), Plural(whole.Scopes, "region", "regions"), strings.Join(lacks, ", "))
}

// atLeast writes a count with its completeness: "at least 12" when something
// was not read.
func atLeast(n int, w Whole) string {
	if w.All() {
		return Number(n)
	}
	return "at least " + Number(n)
}

// fleetSize is the number of instances with its completeness.
func fleetSize(n int, w Whole) string {
	if w.All() {
		return Plural(n, "instance", "instances")
	}
	return "at least " + Plural(n, "instance", "instances")
}

// scanLine says what a scan did.
func scanLine(scan *record.Scan) string {
	if scan.ID == "" {
		return "no scan yet"
	}
	what := map[record.ScanState]string{
		record.ScanRunning: "is running", record.ScanComplete: "is complete",
		record.ScanPartial: "is partial", record.ScanAborted: "was aborted",
	}[scan.State]
	if what == "" {
		what = "is " + string(scan.State)
	}
	line := scan.ID + " " + what
	if scan.EndedAt != nil {
		line += " after " + Span(scan.EndedAt.Sub(scan.StartedAt))
	}
	return fmt.Sprintf("%s: %s of %s, %s in %s", line, Number(scan.Done), Plural(scan.Regions, "region", "regions"),
		Plural(scan.Instances, "instance", "instances"), Plural(scan.Pages, "page", "pages"))
}
