package plan_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules/waves"
)

// desk offers changes where the instance is, and by a move to another cluster.
type desk struct {
	mu           sync.Mutex
	here, across map[string]ecs.TypeChange
	err          error
	calls        int
}

// TypeChanges implements ecs.ChangeAPI.
func (d *desk) TypeChanges(ctx context.Context, _ ecs.Scope, q ecs.ChangeQuery) (map[string]ecs.TypeChange, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if q.AcrossClusters {
		return d.across, errors.Join(d.err, ctx.Err())
	}
	return d.here, errors.Join(d.err, ctx.Err())
}

func TestWhatIsOfferedCountsBeforeTheMatrix(t *testing.T) {
	type types = map[string]ecs.TypeChange
	const to = "ecs.g7.large"
	other := types{"ecs.c6.large": {Stock: ecs.InStock}}
	for _, c := range []struct {
		name         string
		from         string // ecs.g6, from which the matrix leads to ecs.g7, else
		here, across types
		err          error
		state        string
		wave         waves.ID
		path         plan.Path
		note, check  string
		calls        int
	}{
		{name: "offered", here: types{to: {Stock: ecs.InStock}}, state: record.ChangeOffered, wave: waves.Ready, path: plan.TypeChange, note: "the cloud offers it, too", calls: 1},
		{name: "offered_and_not_in_the_matrix", from: "ecs.n4.large", here: types{to: {Stock: ecs.InStock}}, state: record.ChangeOffered, wave: waves.Ready, path: plan.TypeChange, note: "the cloud offers it all the same, which counts", calls: 1},
		{name: "after_disks", here: types{to: {Stock: ecs.LowStock, AfterDisks: true}}, state: record.ChangeDisks, wave: waves.AfterChecks, path: plan.TypeChange, check: blanket, calls: 1},
		{name: "sold_out", here: types{to: {}}, state: record.ChangeSoldOut, wave: waves.AfterChecks, path: plan.TypeChange, check: "sold out", calls: 1},
		{name: "a_status_that_nobody_knows", here: types{to: {Stock: ecs.InStock, Odd: "Waning"}}, state: record.ChangeNotKnown, wave: waves.Ready, path: plan.TypeChange, calls: 1},
		{name: "across_clusters", here: other, across: types{to: {Stock: ecs.InStock}}, state: record.ChangeClusters, wave: waves.AfterChecks, path: plan.TypeChange, check: "another cluster", calls: 2},
		{name: "not_offered", here: other, across: other, state: record.ChangeRefused, wave: waves.AfterChecks, path: plan.NewInstance, note: "the cloud does not offer it, which counts", check: "does not offer to upgrade", calls: 2},
		{name: "neither_offered_nor_in_the_matrix", from: "ecs.n4.large", here: other, across: other, state: record.ChangeRefused, wave: waves.AfterChecks, path: plan.NewInstance, note: "the cloud does not offer it either", check: "does not offer to upgrade", calls: 2},
		{name: "not_known", err: &ecs.Error{Class: ecs.Contradicted, Err: errors.New("it names no type at all")}, state: record.ChangeNotKnown, wave: waves.Ready, path: plan.TypeChange, calls: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.from == "" {
				c.from = "ecs.g6.large"
			}
			f := facts("Debian 12", "linux", c.from)
			o := options(t, "ecs.g7", nil)
			d := &desk{here: c.here, across: c.across, err: c.err}
			var err error
			if o.Offered, err = plan.AskOffered(t.Context(), d, o, judged(t, f, "ecs.g7"), plan.AskedWaves(), 10); err != nil {
				t.Fatal(err)
			}
			p := build(t, judged(t, f, "ecs.g7"), o)
			it := only(t, p)
			var in waves.ID
			for _, w := range p.Waves {
				if w.Instances > 0 {
					in = w.ID
				}
			}
			if it.Offered == nil || it.Offered.State != c.state || it.Offered.Type != to || in != c.wave || it.Path != c.path || !strings.Contains(it.PathNote, c.note) || d.calls != c.calls || p.Offered.Calls != c.calls {
				t.Errorf("%+v in %s by %s (%s) after %d calls", it.Offered, in, it.Path, it.PathNote, d.calls)
			}
			if c.check != "" && !slices.ContainsFunc(it.Checklist, func(s string) bool { return strings.Contains(s, c.check) }) {
				t.Errorf("checklist %q", it.Checklist)
			}
			if n := p.Offered.Offered + p.Offered.AfterDisks + p.Offered.AcrossClusters + p.Offered.SoldOut + p.Offered.NotOffered + p.Offered.NotKnown; n != 1 || (c.err != nil) != (len(p.Offered.Failures) == 1) {
				t.Errorf("%+v", p.Offered)
			}
			for _, format := range plan.Formats() {
				if text := render(t, format, p); c.state != record.ChangeOffered && !strings.Contains(text, to) {
					t.Errorf("%s does not speak of the change:\n%s", format, text)
				}
			}
		})
	}
}

// Nobody is asked about what does not move, and nothing beyond the budget.
func TestOffersAreAskedForWithinABudget(t *testing.T) {
	d := &desk{here: map[string]ecs.TypeChange{"ecs.c6.large": {Stock: ecs.InStock}}}
	f := facts("Debian 12", "linux", "ecs.g6.large")
	for _, c := range []struct {
		target string
		waves  []waves.ID
		budget int
		calls  int
		state  string
	}{
		{"ecs.g7", []waves.ID{waves.Repair}, 10, 0, ""},
		{"ecs.g6", plan.AskedWaves(), 10, 0, ""},
		{"ecs.g7", []waves.ID{waves.Ready}, 0, 0, record.ChangeUnasked},
		{"ecs.g7", []waves.ID{waves.Ready}, 1, 1, record.ChangeRefused},
		{"ecs.g7", []waves.ID{waves.Ready}, 2, 2, record.ChangeRefused},
	} {
		d.calls = 0
		o := options(t, c.target, nil)
		var err error
		if o.Offered, err = plan.AskOffered(t.Context(), d, o, judged(t, f, c.target), c.waves, c.budget); err != nil {
			t.Fatal(err)
		}
		it := only(t, build(t, judged(t, f, c.target), o))
		state := ""
		if it.Offered != nil {
			state = it.Offered.State
		}
		if d.calls != c.calls || state != c.state || o.Offered.Calls != c.calls {
			t.Errorf("%s, %v, %d: %d calls, %q", c.target, c.waves, c.budget, d.calls, state)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := plan.AskOffered(ended, d, options(t, "ecs.g7", nil), judged(t, f, "ecs.g7"), plan.AskedWaves(), 10); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
