package workers_test

import (
	"context"
	"errors"
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

// golden is the one image of the fleets of these tests.
type golden struct{ image workers.Image }

func (g *golden) Lookup(_ context.Context, _ ecs.Scope, ids []string) ([]*workers.Image, []record.Failure, error) {
	out := make([]*workers.Image, len(ids))
	for i := range out {
		out[i] = &g.image
	}
	return out, nil, nil
}

// fleetRig is a worker and what is kept of the fleet.
type fleetRig struct {
	*workers.Worker
	memory *memory
	out    last
	images golden
}

func newFleetRig(t *testing.T) *fleetRig {
	t.Helper()
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	r := &fleetRig{memory: &memory{items: map[string]event.EvidenceItem{}}}
	r.images.image.Facts = rules.ImageFacts{Presence: rules.ImageFound, OSName: "CentOS  7.4 64位", Architecture: "x86_64", Owner: "self"}
	log := slog.New(slog.DiscardHandler)
	r.Worker = workers.New(rs.NewClassifier(nil), &r.images, &r.out, deaf{})
	r.Worker.Fleet = workers.NewFleet(r.memory, log)
	return r
}

var fleetEpoch = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)

func (r *fleetRig) told(id, text string, ago time.Duration) {
	r.memory.items[scope.String()+event.EvidenceFleet+id] = event.EvidenceItem{Fleet: text, Asked: fleetEpoch.Add(-ago)}
}

// judge is what the worker says of an instance of the image on SHENLONG 7.
func (r *fleetRig) judge(t *testing.T, scan string, kind event.Kind) (rules.Level, string) {
	t.Helper()
	page := &event.InstancesListed{Walk: event.Walk{ScanID: scan, Kind: kind, Scope: scope, Lane: "1.0", Walk: "1.0"}, Epoch: fleetEpoch.UnixNano(), Observed: fleetEpoch.UnixNano()}
	page.SetInstances([]ecs.Instance{{ID: "i-1", ImageID: "m-1", OSName: "CentOS  7.4 64位", Type: "ecs.g5.large", Family: "ecs.g5"}})
	if err := r.HandlePage(t.Context(), page, fleetEpoch.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	out := r.out.m.(*event.InstancesClassified)
	return rules.Level(out.Classes[out.Profiles[0].Class].Levels[rules.ClassShenlong7]), out.Software[0].Image.Fleet
}

// An image is told of by the newest complete scan that had ended when this one
// began, the same on all pages, unless that is too old or told nothing any more.
func TestAnImageIsToldOfByTheScanBefore(t *testing.T) {
	const day = 24 * time.Hour
	const up, more = "shenlong-7=2/0 os=centos/7.4/", "shenlong-7=4/0 os=centos/7.4/"
	for name, tt := range map[string]struct {
		newest, earlier string
		age, before     time.Duration
		want            string
		level           rules.Level
	}{
		"by the scan before":                     {up, "", day, 0, up, rules.Compatible},
		"by the newest of two":                   {more, up, day, 2 * day, more, rules.Compatible},
		"not by one that ended meanwhile":        {more, up, -time.Minute, day, up, rules.Compatible},
		"by none where all ended meanwhile":      {more, up, -time.Hour, -time.Minute, "", rules.Unknown},
		"by one of almost 30 days":               {up, "", 30*day - 1, 0, up, rules.Compatible},
		"not by one that is too old":             {up, "", 30 * day, 0, "", rules.Unknown},
		"not by the earlier one that is revoked": {"", up, day, 2 * day, "", rules.Unknown},
		"not of another system":                  {"shenlong-7=2/0 os=centos/7.9/", "", day, 0, "shenlong-7=2/0 os=centos/7.9/", rules.Unknown},
	} {
		r := newFleetRig(t)
		r.told("m-1", tt.newest, tt.age)
		if tt.before != 0 {
			r.told(event.EarlierPrefix+"m-1", tt.earlier, tt.before)
		}
		if level, fact := r.judge(t, "s", event.KindScan); level != tt.level || fact != tt.want {
			t.Errorf("%s: %s, told %q; want %s, told %q", name, level, fact, tt.level, tt.want)
		}
	}
}

func TestWhatIsToldDoesNotChangeInTheMiddleOfAScan(t *testing.T) {
	r := newFleetRig(t)
	if level, _ := r.judge(t, "s", event.KindScan); level != rules.Unknown {
		t.Fatalf("%s though nothing is told", level)
	}
	r.told("m-1", "shenlong-7=2/0", time.Hour)
	if level, _ := r.judge(t, "s", event.KindScan); level != rules.Unknown {
		t.Error("it changed on a later page of the scan")
	}
	if level, _ := r.judge(t, "r", event.KindRescan); level != rules.Compatible {
		t.Error("a rescan does not see it")
	}
	if level, _ := r.judge(t, "s2", event.KindScan); level != rules.Compatible {
		t.Error("the next scan does not see it")
	}
	r.memory.err = errors.New("no sink answers")
	if level, _ := r.judge(t, "s3", event.KindScan); level != rules.Unknown {
		t.Error("something is told that could not be looked up")
	}
	r.memory.err = nil
	if level, _ := r.judge(t, "s3", event.KindScan); level != rules.Unknown {
		t.Error("it changed on a later page of the scan that could not look it up")
	}
}

// What instances tell of their image cannot be held against an image that could not be
// looked up.
func TestAnImageThatWasNotAskedForIsToldOfNothing(t *testing.T) {
	r := newFleetRig(t)
	r.images.image.Facts = rules.ImageFacts{Presence: rules.ImageNotAsked}
	r.told("m-1", "shenlong-7=2/0", time.Hour)
	if level, fact := r.judge(t, "s", event.KindScan); level != rules.Unknown || fact != "" {
		t.Errorf("%s, told %q", level, fact)
	}
}

type fixedImages struct{ list []*workers.Image }

func (f *fixedImages) Lookup(_ context.Context, _ ecs.Scope, ids []string) ([]*workers.Image, []record.Failure, error) {
	return append([]*workers.Image(nil), f.list[:len(ids)]...), nil, nil
}
