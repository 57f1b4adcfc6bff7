package simtest

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// Each of these stages loses something without a word, at its border with the
// next. All messages arrive, nothing fails, nothing is restarted: the numbers of
// the scopes alone tell.
const (
	decoderDrops  mutant = "the client leaves an instance out of a list"
	producerDrops mutant = "a producer leaves a page out and does not announce it"
	workerDrops   mutant = "a worker leaves the instances of a profile out"
	workerSwaps   mutant = "a worker writes one instance twice and another not at all"
)

// discard loses what the mutant loses of a message, and reports whether all of
// the message is lost.
func (w *world) discard(m event.Message) (event.Message, bool) {
	switch m := m.(type) {
	case *event.InstancesListed:
		if w.mutant == producerDrops && m.Page == 0 {
			w.mu.Lock()
			w.dropped[m.Walk] = m
			w.mu.Unlock()
			return m, true
		}
		if w.mutant == producerDrops {
			moved := *m
			moved.Page--
			return &moved, false
		}
	case *event.LaneEnded:
		w.mu.Lock()
		lost := w.dropped[event.Walk{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Lane: m.Lane, Walk: m.Walk}]
		w.mu.Unlock()
		if lost != nil {
			short := *m
			short.Pages--
			short.Instances -= lost.Rows.Len()
			for row := range lost.Rows.All() {
				short.IDs -= event.IDSum(row.ID)
			}
			return &short, false
		}
	case *event.InstancesClassified:
		var rows []event.Row
		for row := range m.Rows.All() {
			rows = append(rows, row)
		}
		changed := *m
		switch {
		case w.mutant == workerDrops:
			changed.Rows = event.RowsOf(slices.DeleteFunc(rows, func(r event.Row) bool { return r.Profile == 0 }))
		case w.mutant == workerSwaps && len(rows) > 1:
			rows[1] = rows[0]
			changed.Rows = event.RowsOf(rows)
		}
		return &changed, false
	}
	return m, false
}

// TestTheNumbersOfAScopeFindWhatAStageLoses runs a scan in which nothing goes
// wrong but that one stage loses something.
func TestTheNumbersOfAScopeFindWhatAStageLoses(t *testing.T) {
	for m, says := range map[mutant]string{
		sound:         "",
		decoderDrops:  "instances are counted before and",
		producerDrops: "instances listed",
		workerDrops:   "instances listed",
		workerSwaps:   "but not the same ones",
	} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			s := scanOnce(t, m)
			if m == sound {
				if s.State != record.ScanComplete {
					t.Errorf("the sound scan ended %s: %+v", s.State, s.Scopes)
				}
				for _, sc := range s.Scopes {
					if n := sc.Numbers; n.Counted == nil || *n.Counted != sc.Instances || n.Listed != sc.Instances || n.Published != sc.Instances || n.Classified != sc.Instances || n.Stored != sc.Instances {
						t.Errorf("%s/%s holds %d instances and says %+v", sc.Account, sc.Region, sc.Instances, n)
					}
				}
				return
			}
			if s.State != record.ScanPartial {
				t.Fatalf("the scan ended %s: %+v", s.State, s.Scopes)
			}
			for _, sc := range s.Scopes {
				if sc.Instances == 0 {
					continue
				}
				if sc.Completeness != record.ScopePartial || len(sc.Failures) == 0 || sc.Failures[0].Class != ecs.Contradicted.String() || !strings.Contains(sc.Failures[0].Error, says) {
					t.Errorf("%s/%s is %s: %+v; the cause should say %q", sc.Account, sc.Region, sc.Completeness, sc.Failures, says)
				}
			}
		})
	}
}

// TestWhatAnswersByIDIsNotGone hides instances from every list and count of a
// second scan.
func TestWhatAnswersByIDIsNotGone(t *testing.T) {
	var first, second *record.Scan
	quietly(t, sound, func(ctx context.Context, w *world) {
		first = w.once(ctx, t, "s-whole")
		w.fleet.mu.Lock()
		w.fleet.hidden = map[string]bool{}
		for _, list := range w.fleet.scopes {
			for i := range list[:len(list)/3] {
				w.fleet.hidden[list[i].ID] = true
			}
		}
		w.fleet.mu.Unlock()
		second = w.once(ctx, t, "s-cut")
		if gone := w.db.Summary().Gone; gone != 0 {
			t.Errorf("%d instances are taken for gone", gone)
		}
	})
	if first.State != record.ScanComplete || second.State != record.ScanPartial || first.Instances == second.Instances {
		t.Fatalf("scans %+v, %+v", first, second)
	}
	for _, sc := range second.Scopes {
		if sc.AskedByID > 0 && (sc.Completeness != record.ScopePartial || len(sc.Failures) != 1 || !strings.Contains(sc.Failures[0].Error, "the lists were cut short")) {
			t.Errorf("scope %+v", sc)
		}
	}
}

// scanOnce runs one scan without faults.
func scanOnce(t *testing.T, m mutant) (s *record.Scan) {
	t.Helper()
	quietly(t, m, func(ctx context.Context, w *world) { s = w.once(ctx, t, "s-law") })
	return s
}

// once asks for a scan and waits for its end.
func (w *world) once(ctx context.Context, t *testing.T, id string) *record.Scan {
	t.Helper()
	if err := w.publish(ctx, &event.ScanRequested{ScanID: id, Kind: event.KindScan}); err != nil {
		t.Fatal(err)
	}
	s, err := w.await(ctx, id, 20*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quietly runs a story in a world without faults.
func quietly(t *testing.T, m mutant, story func(context.Context, *world)) {
	t.Helper()
	c := classifier(t)
	dir, err := os.MkdirTemp(memory(), "simtest-") //nolint:usetesting // in memory where the system has it, which t.TempDir cannot say
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	defer watch(2).Stop()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		d := newDice(2)
		d.quiet()
		w := &world{dir: dir, dice: d, fleet: newFleet(d), classifier: c, mutant: m, log: slog.New(slog.DiscardHandler), stages: map[string]*stage{}, ending: make(chan struct{}), dropped: map[event.Walk]*event.InstancesListed{}}
		w.fleet.forgetful = m == decoderDrops
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := w.open(ctx); err != nil {
			t.Fatal(err)
		}
		defer func() {
			w.lastRepeats()
			w.close()
			synctest.Wait()
		}()
		story(ctx, w)
	})
}
