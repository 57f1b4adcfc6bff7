package workers_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/workers"
)

var errNoSink = errors.New("no sink answers")

// wantUnread holds failures to one for each source, which names it and the scope.
func wantUnread(t *testing.T, failures []record.Failure, sources ...string) {
	t.Helper()
	if len(failures) != len(sources) {
		t.Fatalf("%d failures, want %v: %+v", len(failures), sources, failures)
	}
	for i, f := range failures {
		if f.Account != scope.Account || f.Region != scope.Region || f.API != "shenscan" || f.Class != "transient" || f.Mend == "" || !strings.Contains(f.Error, "("+sources[i]+")") || !strings.Contains(f.Error, errNoSink.Error()) {
			t.Errorf("%+v, want one of %s", f, sources[i])
		}
	}
}

// A last start that is known to have failed must not be forgotten in silence where no sink
// says so: the scan is not complete then.
func TestAScanNamesWhatCouldNotBeReadOfGuests(t *testing.T) {
	r := newBeats(t, 1)
	r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: startedAt.Add(time.Minute), Log: []byte(panicked)}}
	if v := r.scan(t, runs("i-1"))["i-1"]; v.Level != rules.Unknown {
		t.Fatalf("a machine whose start failed is %s", v.Level)
	}
	for _, lost := range []error{errNoSink, nil} {
		r.memory.err = lost
		calls := r.consoles.calls + r.cloud.calls
		v := r.scan(t, runs("i-1"))["i-1"]
		failures := r.memory.other[0].(*event.InstancesClassified).Failures
		if lost == nil {
			wantUnread(t, failures)
			if v.Level != rules.Unknown {
				t.Errorf("a machine whose start failed is %s", v.Level)
			}
		} else {
			wantUnread(t, failures, event.EvidenceHeartbeat, event.EvidenceConsole)
		}
		if r.consoles.calls+r.cloud.calls != calls {
			t.Error("what is known was asked for again")
		}
	}
}

// The facts of an image stay where what the platform said of it cannot be read, and are held
// against that as soon as it can.
func TestAScanNamesWhatCouldNotBeReadOfThePlatform(t *testing.T) {
	r := newPlatform(t)
	r.look(t, "m-1")
	shared := &sharedInMemory{known: map[string]rules.ImageFacts{}, claimed: map[string]bool{}}
	cache := workers.NewImageCache(r.Platform, shared, 100, time.Hour, func() time.Time { return r.now }, slog.New(slog.DiscardHandler))
	r.memory.err = errNoSink
	for range 2 {
		images, failures, err := cache.Lookup(t.Context(), scope, []string{"m-1", "m-2"})
		if err != nil {
			t.Fatal(err)
		}
		wantUnread(t, failures, event.EvidencePlatform)
		if f := images[0].Facts; f.Presence != rules.ImageFound || f.Architecture != "x86_64" || f.Offered != "" {
			t.Errorf("%+v", f)
		}
	}
	if len(shared.known)+len(shared.claimed) > 0 {
		t.Errorf("others are told %v, and wait for %v", shared.known, shared.claimed)
	}
	r.memory.err = nil
	r.now = r.now.Add(time.Minute)
	images, failures, err := cache.Lookup(t.Context(), scope, []string{"m-1"})
	if err != nil {
		t.Fatal(err)
	}
	wantUnread(t, failures)
	if f := images[0].Facts; f.Offered == "" {
		t.Errorf("%+v", f)
	}
}

func TestAScanNamesWhatCouldNotBeReadOfTheFleet(t *testing.T) {
	r := newFleetRig(t)
	for _, lost := range []error{errNoSink, nil} { // a page that comes again, or a later one, is judged without it, too
		r.memory.err = lost
		r.judge(t, "s", event.KindScan)
		m := r.out.m.(*event.InstancesClassified)
		wantUnread(t, m.Failures, event.EvidenceFleet)
		if m.Order != fleetEpoch.UnixNano() {
			t.Error("a walk that could read it does not win")
		}
	}
	r.judge(t, "s2", event.KindScan)
	wantUnread(t, r.out.m.(*event.InstancesClassified).Failures)
}

// unanswered keeps all but what machines themselves answered, which cannot be read.
type unanswered struct{ *memory }

func (u unanswered) Evidence(ctx context.Context, s ecs.Scope, source string, ids []string) (map[string]event.EvidenceItem, error) {
	if source == event.EvidenceProbe {
		return nil, errNoSink
	}
	return u.memory.Evidence(ctx, s, source, ids)
}

// Where only that cannot be read, whose age a log is compared with, the log counts, and the
// scan names what it does not know.
func TestALogCountsWhereTheAnswerOfTheMachineCannotBeRead(t *testing.T) {
	r := newBeats(t, 1)
	r.worker.Consoles = workers.NewConsoles(1, &r.consoles, unanswered{r.memory}, r.memory, func() time.Time { return r.now }, slog.New(slog.DiscardHandler))
	r.consoles.logs = map[string]ecs.Console{"i-1": {Updated: startedAt.Add(time.Minute), Log: []byte(panicked)}}
	asked := runs("i-1")
	asked.Guest = &rules.GuestFacts{Kernel: "3.10.0-693.el7.x86_64"}
	if v := r.scan(t, asked)["i-1"]; v.Level != rules.Unknown {
		t.Errorf("a machine whose start failed is %s by %s", v.Level, v.Rule)
	}
	wantUnread(t, r.memory.other[0].(*event.InstancesClassified).Failures, event.EvidenceProbe)
}
