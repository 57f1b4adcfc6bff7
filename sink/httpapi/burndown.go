package httpapi

import (
	"errors"
	"fmt"
	"time"

	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// burndown is a picture of how many instances still need work before a target,
// scan by scan.
type burndown struct {
	Target, Sentence string
	Notes            []string
	Points           string // of a line, in a picture of 100 by 40
	Area             string
	Label            string
	From, To         string
	High             string // the number at the top of the picture
	JSON             string
}

// shownScansOfBurndown bounds the points of a picture.
const shownScansOfBurndown = 200

// once reads the points of a view one time for all targets.
type once struct {
	View
	points []record.ProgressPoint
}

// Points implements plan.ProgressSource.
func (o *once) Points(count int) ([]record.ProgressPoint, error) {
	if o.points == nil {
		points, err := o.View.Points(count)
		if err != nil {
			return nil, err
		}
		o.points = points
	}
	return o.points[max(0, len(o.points)-count):], nil
}

// newBurndown makes the pictures of all targets, none where no scan has ended.
func newBurndown(v View, targets []string, now time.Time) ([]burndown, error) {
	src := &once{View: v}
	var out []burndown
	for _, target := range targets {
		progress, err := plan.NewProgress(src, target, plan.Beginning{}, now)
		switch {
		case errors.Is(err, plan.ErrNoProgress), errors.Is(err, plan.ErrNotJudged):
			continue
		case err != nil:
			return nil, fmt.Errorf("burn-down of %s: %w", target, err)
		}
		out = append(out, picture(progress))
	}
	return out, nil
}

func picture(progress *plan.Progress) burndown {
	drawn := burndown{Target: progress.Target, Sentence: report.Clean(progress.Sentence), JSON: "/api/v1/progress?target=" + progress.Target}
	for _, note := range progress.Notes {
		drawn.Notes = append(drawn.Notes, report.Clean(note))
	}
	marks := progress.Points[max(0, len(progress.Points)-shownScansOfBurndown):]
	if len(marks) < 2 {
		return drawn
	}
	first, last := &marks[0], &marks[len(marks)-1]
	if last.At.Sub(first.At) < time.Hour && first.Open == last.Open {
		return drawn // nothing to see yet: a line between two moments of one scan
	}
	line, high := polyline(marks, 39, 37, func(m *plan.ProgressMark) (time.Time, int) { return m.At, m.Open })
	drawn.Points = line
	drawn.Area = "0,40 " + drawn.Points + " 100,40"
	layout := time.DateOnly
	if first.At.UTC().Format(layout) == last.At.UTC().Format(layout) {
		layout = "15:04 UTC"
	}
	label := func(m *plan.ProgressMark) string {
		return m.At.UTC().Format(layout) + ": " + report.Number(m.Open)
	}
	drawn.From, drawn.To, drawn.High = label(first), label(last), report.Number(high)
	drawn.Label = fmt.Sprintf("Instances that still need work before %s, scan by scan, from %s to %s", report.Short(progress.Target, 40), drawn.From, drawn.To)
	return drawn
}
