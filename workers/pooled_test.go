//go:build !race

// The race detector empties a sync.Pool at random, so that allocations are counted
// without it.

package workers_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/workers"
)

// A page whose images and machines were seen before is classified with a few
// allocations: for the message, none for an instance.
func TestAllocationsOfAKnownPage(t *testing.T) {
	r, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	c := outcome.NewReader(r.NewClassifier(nil))
	page, images := fullPage()
	const most = 7 // the message and its slices
	if n := testing.AllocsPerRun(50, func() { workers.Classify(c, page, images) }); n > most {
		t.Errorf("%v allocations for a page, more than %d", n, most)
	}
}

// The loop over pages costs nothing more once a scan has looked its images up.
func TestWhatIsToldCostsNoAllocation(t *testing.T) {
	page, images := fullPage()
	allocs := func(fleet bool) float64 {
		r := newFleetRig(t)
		log := slog.New(slog.DiscardHandler)
		rs, err := catalog.Default()
		if err != nil {
			t.Fatal(err)
		}
		w := workers.New(rs.NewClassifier(nil), &fixedImages{images}, &r.out, deaf{})
		if fleet {
			for i := range page.Software {
				r.told(page.Software[i].ImageID, "shenlong-7=2/0 os=centos/7.6/", time.Hour)
			}
			w.Fleet = workers.NewFleet(r.memory, log)
		}
		page.Walk = event.Walk{ScanID: "s", Kind: event.KindScan, Scope: scope, Lane: "1.0", Walk: "1.0"}
		page.Epoch = fleetEpoch.UnixNano()
		n := testing.AllocsPerRun(50, func() {
			if err := w.HandlePage(t.Context(), page, fleetEpoch); err != nil {
				t.Fatal(err)
			}
		})
		if told := r.out.m.(*event.InstancesClassified).Software[0].Image.Fleet; strings.HasPrefix(told, "shenlong-7") != fleet {
			t.Fatalf("told %q", told)
		}
		return n
	}
	if without, with := allocs(false), allocs(true); with > without {
		t.Errorf("%v allocations for a page, %v without", with, without)
	}
}
