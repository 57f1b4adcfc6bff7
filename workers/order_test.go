package workers_test

import (
	"context"
	"log/slog"
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

type last struct{ m event.Message }

func (l *last) Publish(_ context.Context, m event.Message) error { l.m = m; return nil }

type deaf struct{}

func (deaf) Classified(int) {}

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
		w := workers.New(rs.NewClassifier(rules.DefaultTargets()), answer{failures}, &out, deaf{}, slog.New(slog.DiscardHandler))
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
