package workers_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/workers"
)

// answer is what every image lookup says.
type answer struct{ failures []record.Failure }

func (a answer) Lookup(_ context.Context, _ ecs.Scope, ids []string) ([]*workers.Image, []record.Failure, error) {
	return make([]*workers.Image, len(ids)), a.failures, nil
}

type last struct {
	m   event.Message
	err error
}

func (l *last) Publish(_ context.Context, m event.Message) error { l.m = m; return l.err }

type deaf struct{}

func (deaf) Classified(int) {}

// counted counts what it hears of.
type counted struct{ instances int }

func (c *counted) Classified(instances int) { c.instances += instances }

// What no scan can count, and what no page may hold, is refused for good. A page of which
// nobody was told is not done: its instances would be missing.
func TestAPageIsDoneOnceItIsPublished(t *testing.T) {
	rs, err := ruleset()
	if err != nil {
		t.Fatal(err)
	}
	whole := event.Walk{ScanID: "s", Kind: event.KindScan, Scope: scope, Lane: "1.0", Walk: "1.0"}
	no := errors.New("no broker")
	for name, tt := range map[string]struct {
		without   func(*event.Walk)
		instances int
		err       error
		terminal  bool
	}{
		"whole":               {func(*event.Walk) {}, event.MaxInstances, nil, false},
		"not_published":       {func(*event.Walk) {}, 1, no, false},
		"of_no_scan":          {func(w *event.Walk) { w.ScanID = "" }, 1, nil, true},
		"of_no_account":       {func(w *event.Walk) { w.Scope.Account = "" }, 1, nil, true},
		"of_no_region":        {func(w *event.Walk) { w.Scope.Region = "" }, 1, nil, true},
		"of_more_than_it_may": {func(*event.Walk) {}, event.MaxInstances + 1, nil, true},
	} {
		out, heard := last{err: tt.err}, counted{}
		w := workers.New(rs.NewClassifier(nil), answer{}, &out, &heard)
		page := &event.InstancesListed{Walk: whole}
		tt.without(&page.Walk)
		instances := make([]ecs.Instance, tt.instances)
		for i := range instances {
			instances[i].ID = fmt.Sprint("i-", i)
		}
		page.SetInstances(instances)
		err := w.HandlePage(t.Context(), page, time.Now())
		done := tt.err == nil && !tt.terminal
		if (err == nil) != done || event.IsTerminal(err) != tt.terminal || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", name, err)
		}
		if want := map[bool]int{true: tt.instances}[done]; heard.instances != want {
			t.Errorf("%s: %d instances are counted, want %d", name, heard.instances, want)
		}
	}
}

// A scan's lane may be walked twice. Where the later walk could not ask for
// its images and the earlier one could, the earlier one knows more.
func TestPageWithoutItsImagesYieldsToAnyOtherOfItsScan(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	order := func(observed time.Duration, failures ...record.Failure) int64 {
		var out last
		w := workers.New(rs.NewClassifier(rules.DefaultTargets()), answer{failures}, &out, deaf{})
		page := &event.InstancesListed{
			Walk:  event.Walk{ScanID: "s", Kind: event.KindScan, Scope: ecs.Scope{Account: "1", Region: "cn-x"}, Lane: "1.0", Walk: "1.0"},
			Epoch: epoch.UnixNano(), Observed: epoch.Add(observed).UnixNano(),
		}
		page.SetInstances([]ecs.Instance{{ID: "i-1", ImageID: "m-1"}})
		if err := w.HandlePage(t.Context(), page, epoch.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		return out.m.(*event.InstancesClassified).Order
	}
	whole, poor := order(time.Second), order(time.Minute, record.Failure{API: "DescribeImages"})
	if poor >= whole {
		t.Errorf("a page without its images is ordered %d, an earlier one that has them %d", poor, whole)
	}
	if poor < epoch.UnixNano() {
		t.Error("a page without its images is ordered before its scan: the next one would take its instances for gone")
	}
}
