package plan_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// burndown are points of progress; those beside the head have one owner, account
// and region, unless parts say otherwise.
type burndown struct {
	points []record.ProgressPoint
	owners map[uint64]*record.Shares
}

func (b *burndown) Points(n int) ([]record.ProgressPoint, error) {
	return b.points[max(0, len(b.points)-n):], nil
}

func (b *burndown) Progress(number uint64) (*record.Progress, error) {
	for _, p := range b.points {
		if p.Number == number {
			all := record.Shares{Names: 1, Largest: []record.Share{{Name: "1", Instances: p.Instances, Targets: p.On}}}
			return &record.Progress{ProgressPoint: p, Owners: b.owners[number], Accounts: all, Regions: all}, nil
		}
	}
	return nil, errors.New("no such point")
}

// add adds a point days after the first with so many open on shenlong-6.
func (b *burndown) add(days, open int, m record.Moves) *record.ProgressPoint {
	b.points = append(b.points, record.ProgressPoint{
		Number: uint64(len(b.points) + 1), At: time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC).AddDate(0, 0, days), Kind: record.PointScan, ScanID: "s" + report.Number(days), State: record.ScanComplete,
		Ruleset: "a", Targets: []string{"kvm", "shenlong-6"}, Instances: 100, Scopes: 4,
		On:    map[string]record.Standing{"kvm": standingOf(0), "shenlong-6": standingOf(open)},
		Moves: map[string]record.Moves{"kvm": {}, "shenlong-6": m},
	})
	return &b.points[len(b.points)-1]
}

func standingOf(open int) record.Standing {
	return record.Standing{Open: open, Waves: map[string]int{"ready": 100 - open, "replace-os": open}}
}

func owners(open map[string]int) *record.Shares {
	out := &record.Shares{Names: len(open)}
	for name, n := range open {
		out.Largest = append(out.Largest, record.Share{Name: name, Instances: 50, Targets: map[string]record.Standing{"shenlong-6": standingOf(n)}})
	}
	return out
}

func progressOf(t *testing.T, b *burndown, from plan.Beginning) *plan.Progress {
	t.Helper()
	p, err := plan.NewProgress(b, "shenlong-6", from, b.points[len(b.points)-1].At.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func partNamed(t *testing.T, parts []plan.ProgressPart, name string) plan.ProgressPart {
	t.Helper()
	at := slices.IndexFunc(parts, func(p plan.ProgressPart) bool { return p.Name == name })
	if at < 0 {
		t.Fatalf("no %q in %+v", name, parts)
	}
	return parts[at]
}

// The sentence that a lead reads first, and what contradicts it.
func TestProgressSentence(t *testing.T) {
	week := func() *burndown {
		b := &burndown{}
		b.add(0, 60, record.Moves{Came: 60})
		b.add(3, 55, record.Moves{Closed: 5})
		b.add(7, 48, record.Moves{Closed: 9, Came: 2})
		return b
	}
	for name, c := range map[string]struct {
		fleet    func() *burndown
		from     plan.Beginning
		sentence string
		notes    []string // each is a part of some note
		silent   bool     // no note at all
	}{
		"a_week": {fleet: week, sentence: "48 of 100 instances still need work before shenlong-6: 12 fewer than last week (2026-11-01) (14 mended, 2 new).", silent: true},
		"since_a_scan": {
			fleet: week, from: plan.Beginning{Scan: "s3"},
			sentence: "48 of 100 instances still need work before shenlong-6: 7 fewer than 4 days before (2026-11-04) (9 mended, 2 new).",
		},
		"the_first_scan": {
			fleet:    func() *burndown { b := &burndown{}; b.add(0, 1, record.Moves{Came: 1}); return b },
			sentence: "1 of 100 instances still needs work before shenlong-6; there is no earlier scan to compare it with.",
		},
		"nothing_is_left": {
			fleet: func() *burndown {
				b := week()
				b.add(14, 0, record.Moves{Closed: 48})
				return b
			},
			sentence: "None of 100 instances needs work before shenlong-6: 48 fewer than last week (2026-11-08) (48 mended).",
		},
		// Other rules let 40 count as ready: that is no repair.
		"other_rules": {
			fleet: func() *burndown {
				b := week()
				p := b.add(8, 8, record.Moves{ClosedByRules: 40})
				p.Ruleset, p.Kind = "b", record.PointRules
				b.add(10, 7, record.Moves{Closed: 1}).Ruleset = "b"
				return b
			},
			sentence: "7 of 100 instances still need work before shenlong-6: 8 fewer than last week (2026-11-04) (10 mended, 2 new).",
			notes:    []string{"40 instances that no longer count are left out of that: the rules judge otherwise now, and nothing was mended"},
		},
		"stricter_rules": {
			fleet: func() *burndown {
				b := week()
				b.add(8, 53, record.Moves{OpenedByRules: 5}).Ruleset = "b"
				return b
			},
			from:     plan.Beginning{Ago: time.Hour},
			sentence: "53 of 100 instances still need work before shenlong-6: as many as 24 h before.",
			notes:    []string{"5 instances that count now are left out", "nothing got worse"},
		},
		"a_partial_scan": {
			fleet: func() *burndown {
				b := week()
				p := &b.points[2]
				p.State, p.CarriedScopes, p.CarriedInstances = record.ScanPartial, 1, 30
				p.Carried = []record.CarriedScope{{Account: "1", Region: "cn-beijing", Instances: 30}}
				return b
			},
			sentence: "48 of 100 instances still need work before shenlong-6: 12 fewer than last week (2026-11-01) (14 mended, 2 new).",
			notes:    []string{"1 of 4 accounts and regions could not be read to the end: 30 instances are counted as last seen (1 / cn-beijing)"},
		},
		"the_target_was_not_judged_then": {
			fleet: func() *burndown {
				b := week()
				b.points[0].Targets = []string{"kvm"}
				return b
			},
			sentence: "48 of 100 instances still need work before shenlong-6: 7 fewer than 4 days before (2026-11-04) (9 mended, 2 new).",
			notes:    []string{"Shenlong-6 was not judged before 2026-11-04"},
		},
		"the_target_was_not_judged_in_between": {
			fleet: func() *burndown {
				b := week()
				b.points[1].Targets, b.points[1].Moves = []string{"kvm"}, nil
				return b
			},
			sentence: "48 of 100 instances still need work before shenlong-6: 12 fewer than last week (2026-11-01) (9 mended, 2 new).",
			notes:    []string{"5 instances moved while shenlong-6 was not judged"},
		},
		"nothing_so_old": {
			fleet: week, from: plan.Beginning{Ago: 100 * 24 * time.Hour},
			sentence: "48 of 100 instances still need work before shenlong-6: 12 fewer than last week (2026-11-01) (14 mended, 2 new).",
			notes:    []string{"remembers nothing older than 2026-11-01"},
		},
		"waived_is_not_mended": {
			fleet: func() *burndown {
				b := week()
				b.points[2].On["shenlong-6"].Waves["waived"] = 9
				return b
			},
			sentence: "48 of 100 instances still need work before shenlong-6: 12 fewer than last week (2026-11-01) (14 mended, 2 new).",
			notes:    []string{"9 of them are waived"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := progressOf(t, c.fleet(), c.from)
			if p.Sentence != c.sentence {
				t.Errorf("got  %s\nwant %s", p.Sentence, c.sentence)
			}
			all := strings.Join(p.Notes, "\n")
			for _, note := range c.notes {
				if !strings.Contains(all, note) {
					t.Errorf("no note says %q: %s", note, all)
				}
			}
			if c.silent && all != "" {
				t.Errorf("notes: %s", all)
			}
			for _, f := range plan.ProgressFormats() {
				var out strings.Builder
				if err := plan.WriteProgress(&out, f, p, report.Options{Width: 60}); err != nil || out.Len() == 0 {
					t.Errorf("%s: %v", f, err)
				}
			}
		})
	}
}

func TestProgressOfOwners(t *testing.T) {
	fleet := func() *burndown {
		b := &burndown{owners: map[uint64]*record.Shares{}}
		b.add(0, 60, record.Moves{})
		b.add(7, 50, record.Moves{Closed: 10})
		for i := range b.points {
			b.points[i].OwnerTags = []string{"team"}
		}
		b.owners[1] = owners(map[string]int{"blue": 30, "red": 20, "done": 10})
		b.owners[2] = owners(map[string]int{"blue": 30, "red": 10, "green": 10})
		return b
	}
	p := progressOf(t, fleet(), plan.Beginning{})
	if o := p.Owners[0]; o.Name != "blue" || !o.Behind || *o.Change != 0 {
		t.Errorf("first is %+v, want who is furthest behind", o)
	}
	if o := partNamed(t, p.Owners, "red"); o.Behind || *o.Change != -10 || *o.Then != 20 {
		t.Errorf("%+v", o)
	}
	if o := partNamed(t, p.Owners, "done"); o.Open != 0 || *o.Then != 10 || o.Note != "no instances any more" {
		t.Errorf("%+v", o)
	}
	if o := partNamed(t, p.Owners, "green"); *o.Then != 0 {
		t.Errorf("%+v", o)
	}

	t.Run("renamed_owner_is_not_behind", func(t *testing.T) {
		b := fleet()
		b.points[1].Handovers, b.points[1].HandedOver = []record.Handover{{From: "done", To: "green", Instances: 50}}, 50
		p := progressOf(t, b, plan.Beginning{})
		if o := partNamed(t, p.Owners, "green"); o.Behind || o.Note != "50 from done" {
			t.Errorf("%+v", o)
		}
		if all := strings.Join(p.Notes, " "); !strings.Contains(all, "50 instances have another owner by their tags now: done to green 50. Nothing was mended by that.") {
			t.Error(all)
		}
	})
	t.Run("other_owner_tags_are_not_compared", func(t *testing.T) {
		b := fleet()
		b.points[0].OwnerTags = []string{"department"}
		p := progressOf(t, b, plan.Beginning{})
		for _, o := range p.Owners {
			if o.Then != nil || o.Behind {
				t.Errorf("%+v", o)
			}
		}
		if all := strings.Join(p.Notes, " "); !strings.Contains(all, "named by other tags then (department, now team)") {
			t.Error(all)
		}
	})
	t.Run("beyond_the_largest_is_not_known", func(t *testing.T) {
		b := fleet()
		b.owners[1].Rest = &record.Share{Instances: 5, Targets: map[string]record.Standing{"shenlong-6": standingOf(1)}}
		p := progressOf(t, b, plan.Beginning{})
		if o := partNamed(t, p.Owners, "green"); o.Then != nil || o.Behind || !strings.Contains(o.Note, "not among the largest then") {
			t.Errorf("%+v", o)
		}
	})
}

func TestProgressThatIsNotThere(t *testing.T) {
	if _, err := plan.NewProgress(&burndown{}, "shenlong-6", plan.Beginning{}, time.Now()); !errors.Is(err, plan.ErrNoProgress) {
		t.Error(err)
	}
	b := &burndown{}
	b.add(0, 1, record.Moves{})
	if _, err := plan.NewProgress(b, "shenlong-9", plan.Beginning{}, time.Now()); !errors.Is(err, plan.ErrNotJudged) {
		t.Error(err)
	}
	if _, err := plan.NewProgress(b, "kvm", plan.Beginning{Scan: "s9"}, time.Now()); !errors.Is(err, plan.ErrNoSuchPoint) {
		t.Error(err)
	}
	old := b.points[0].At.Add(10 * 24 * time.Hour)
	if p, err := plan.NewProgress(b, "kvm", plan.Beginning{}, old); err != nil || !strings.Contains(strings.Join(p.Notes, " "), "10 days old") {
		t.Errorf("%+v, %v", p, err)
	}
}
