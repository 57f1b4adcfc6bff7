package plan

import (
	_ "embed"
	"html/template"
	"io"

	"github.com/shenscan/shenscan/internal/report"
)

//go:embed web/plan.html
var page string

// htmlItems bounds the instances of one wave that the HTML plan lists; CSV and
// JSON list every one.
const htmlItems = 2000

type document struct {
	CSP  string
	CSS  template.CSS
	Plan *Plan
}

// writeHTML writes one file without a script: what is listed is listed, and
// the steps of each instance fold open.
func writeHTML(w io.Writer, p *Plan) error {
	t, err := report.Templates().Funcs(template.FuncMap{
		"owners": func(w *Wave) string { return ownerLine(w.Owners, 8) }, "ownerName": ownerName,
		"checklists": checklists, "routes": routes, "share": (*Solution).share, "capital": report.Capital, "how": solutionText, "list": (*Item).checklistNumber, "place": (*Item).place, "inc": func(i int) int { return i + 1 },
		"shownItems": func(w *Wave) []*Item { return w.Items[:min(len(w.Items), htmlItems)] },
		"hidden":     func(w *Wave) int { return max(0, len(w.Items)-htmlItems) },
		"waveClass":  waveClass,
		"bar":        func(w *Wave) []report.Segment { return shares(p, w) },
	}).Parse(page)
	if err != nil {
		return err
	}
	css := report.Stylesheet()
	return t.ExecuteTemplate(w, "plan", document{CSP: report.Inline(css, ""), CSS: template.CSS(css), Plan: p})
}

// waveClass lends a wave the look of a verdict.
func waveClass(id WaveID) string {
	switch id {
	case Ready, AlreadyThere:
		return "compatible"
	case AfterChecks, Repair, MinorUpgrade:
		return "needs-action"
	case ReplaceOS, StayGen5:
		return "incompatible"
	default:
		return "unknown"
	}
}

func shares(p *Plan, w *Wave) []report.Segment {
	return report.Segments(map[string]int{waveClass(w.ID): w.Instances}, p.Instances)
}
