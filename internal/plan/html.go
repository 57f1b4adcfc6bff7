package plan

import (
	"bufio"
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/waves"
)

//go:embed web/plan.html
var page string

//go:embed web/plan.js
var listing string

// script is that of the page.
func script() string { return report.Script(listing) }

type document struct {
	CSP  string
	CSS  template.CSS
	JS   template.JS
	Data template.JS // what the script lists
	Plan *Plan
}

// dataHere stands in the page where the data of the script goes.
const dataHere = `{"here":"the instances"}`

// writeHTML writes one file that loads nothing. The instances stand in it as
// data, of which a script shows what is unfolded: a page with a row for each of
// thousands takes a browser many seconds.
func writeHTML(out *bufio.Writer, plan *Plan, in lang.Language) error {
	layout, err := report.Templates(in).Funcs(template.FuncMap{
		"texts":  func() string { return in.Script(script()) },
		"owners": func(w *Wave) string { return ownerLine(w.Owners, 8, in) }, "ownerName": func(name string) string { return sayOwner(in, name) },
		"routes": routes, "share": func(s *Solution) string { return in.Say(s.share()) }, "capital": report.Capital,
		"join":      func(list []string) string { return strings.Join(list, in.Say(", then ")) },
		"waveClass": WaveClass,
		"unasked":   plan.unasked,
		"bar":       func(w *Wave) []report.Segment { return shares(plan, w) },
	}).Parse(in.Template(page))
	if err != nil {
		return err
	}
	css := report.Stylesheet()
	var around bytes.Buffer
	err = layout.ExecuteTemplate(&around, "plan", document{
		CSP: report.Inline(css, script()), CSS: template.CSS(css), JS: template.JS(script()), Data: dataHere, Plan: plan,
	})
	if err != nil {
		return err
	}
	// What the page says of instances by itself is escaped and holds no quotes.
	before, after, ok := bytes.Cut(around.Bytes(), []byte(dataHere))
	if !ok {
		return errors.New("the page has no place for its data")
	}
	fmt.Fprintf(out, "%s", before)
	if err := writeListed(out, plan, in); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s", after)
	return nil
}

// listed is what the script of the page lists. Texts and checklists stand in it
// once; rows name them by number.
type listed struct {
	Texts report.Set[string]         `json:"texts"`
	Lists report.Set[report.Encoded] `json:"lists"`

	in lang.Language
}

// writeListed writes the rows wave by wave, then the texts that they name. All
// of it spells < > & as escapes.
func writeListed(out *bufio.Writer, plan *Plan, in lang.Language) error {
	rows := &listed{in: in}
	fmt.Fprint(out, `{"waves":`)
	filled := slices.DeleteFunc(slices.Clone(plan.Waves), func(wave *Wave) bool { return wave.Instances == 0 })
	err := report.WriteList(out, "", sound(slices.Values(filled)), func(wave *Wave) error {
		fmt.Fprintf(out, `{"id":%q,"rows":`, wave.ID)
		err := report.WriteList(out, "", sound(wave.Items), func(item *Item) error {
			row, err := json.Marshal(rows.row(plan, item))
			if err != nil {
				return err
			}
			_, err = out.Write(row)
			return err
		})
		fmt.Fprint(out, "}")
		return err
	})
	if err != nil {
		return err
	}
	texts, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, ",%s", texts[1:])
	return err
}

// row has its places named in plan.js.
func (l *listed) row(p *Plan, item *Item) []any {
	owner := ""
	if p.ByOwner {
		owner = sayOwner(l.in, item.Owner)
	}
	why := cmp.Or(item.Question, item.Reason)
	system := l.in.Say(item.OS)
	if item.Legacy {
		system += " " + l.in.Say("(legacy)")
	}
	text := func(s string, n int) int { return l.Texts.Number(report.Short(s, n)) }
	say := func(s string, n int) int { return text(l.in.Say(s), n) }
	row := []any{
		report.Short(item.InstanceID, 64), report.Short(item.InstanceName, 60), text(owner, 80), l.Texts.Number(report.ScopeName(report.Short(item.Account, 64), report.Short(item.place(), 64))),
		text(system, 140), text(item.CurrentType, 60), text(item.Replacement.Type, 60), say(item.Replacement.Why, 200), say(string(item.Path), 60),
		text(item.Fallback.Type, 60), say(item.Fallback.Why, 200), text(item.Verdict, 20), l.Texts.Number(report.Clean(l.in.Say(why))), l.Texts.Number(report.Clean(l.in.Say(item.Note))),
		l.Texts.Number(report.Clean(solutionText(item, l.in))), l.list(item.Checklist), text(item.Window, 120), text(item.Rule, 80), say(item.Source, 400), say(item.PathNote, 300),
	}
	if item.Disks != nil || item.Offered != nil {
		row = append(row, text(disksLine(item, l.in), 4000), text(report.Capital(OfferedText(item.Offered, l.in)), 400))
	}
	return row
}

// list is the number of a checklist.
func (l *listed) list(checks []string) int {
	clean := make([]string, len(checks))
	for i, c := range checks {
		clean[i] = report.Clean(l.in.Say(c))
	}
	return l.Lists.Number(report.Content(clean))
}

// WaveClass lends a wave the look of a verdict.
func WaveClass(id waves.ID) string {
	switch id {
	case waves.Ready, waves.AlreadyThere:
		return "compatible"
	case waves.AfterChecks, waves.Repair, waves.MinorUpgrade:
		return "needs-action"
	case waves.ReplaceOS, waves.StayGen5, waves.Waived:
		return "incompatible"
	default:
		return "unknown"
	}
}

func shares(p *Plan, w *Wave) []report.Segment {
	return report.Segments(map[string]int{WaveClass(w.ID): w.Instances}, p.Instances)
}
