package simtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// The schedule of the simulated hour, and what it is called.
const (
	slot     = 5 * time.Minute
	slotCron = "0 */5 * * * *"
	reason   = "schedule hourly"
)

const everyoneScans mutant = "every tick that is heard is a scan of its own"

// TestScheduleForAnHour lets two producers hold the same schedule for an hour.
// In every slot one of them ends in mid-scan, and now and then the server with
// everything: each slot is scanned once and no slot is left out.
func TestScheduleForAnHour(t *testing.T) {
	t.Parallel()
	c := classifier(t)
	seeds := []uint64{1, 2, 3, 4}
	if len(some(failedOnce)) < len(failedOnce) {
		seeds = seeds[:1]
	}
	var ended atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for _, seed := range seeds {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				o := scheduled(t, seed, sound, c, 12)
				t.Logf("%d scans in %d slots, %d faults, %d times in mid-scan", o.scans, o.slots, o.faults, o.ended)
				for _, err := range o.errs {
					t.Error(err)
				}
				ended.Add(int64(o.ended))
			})
		}
	})
	if scans := 12 * len(seeds); ended.Load() < int64(scans/4) {
		t.Errorf("only %d of %d scans lost a producer: the run proves nothing", ended.Load(), scans)
	}
}

// TestScheduleMistakeIsFound is the control of the test above: each slot shows it,
// so that two are enough.
func TestScheduleMistakeIsFound(t *testing.T) {
	t.Parallel()
	o := scheduled(t, 1, everyoneScans, classifier(t), 2)
	if len(o.errs) == 0 {
		t.Error("a scan for everyone who heard a tick was not noticed")
	} else {
		t.Logf("found: %v", o.errs[0])
	}
}

// hour is what was seen of the slots, of which an hour has twelve.
type hour struct {
	errs                        []error
	scans, slots, faults, ended int
}

// scheduled lets a schedule tick for so many slots.
func scheduled(t *testing.T, seed uint64, m mutant, c *rules.Classifier, slots int) (h hour) {
	t.Helper()
	dir, err := os.MkdirTemp(memory(), "simtest-") //nolint:usetesting // in memory where the system has it, which t.TempDir cannot say
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start.Add(slot / 2)))
		d := newDice(seed)
		w := &world{dir: dir, dice: d, fleet: newFleet(d), classifier: c, mutant: m, log: slog.New(slog.DiscardHandler), stages: map[string]*stage{}, ending: make(chan struct{}), producers: []string{"producer", "producer2"}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := w.open(ctx); err != nil {
			t.Fatal(err)
		}
		h.ended = w.endProducers(ctx, slots)
		w.lastRepeats()
		w.settle(ctx)
		h.scans, h.slots = w.slots(slots)
		h.errs, h.faults = w.errs, w.faults
		w.close()
		synctest.Wait()
	})
	return h
}

// endProducers ends a producer in each slot while its scan runs, and starts it
// again. It returns how many scans ran at that moment.
func (w *world) endProducers(ctx context.Context, slots int) (ended int) {
	for n := range slots {
		at := start.Add(time.Duration(n+1) * slot)
		r := w.dice.roll(fmt.Sprintf("schedule/%d", n))
		time.Sleep(time.Until(at) + 500*time.Millisecond + time.Duration(r.Int64N(int64(1500*time.Millisecond))))
		if scans, err := w.db.Scans(0); err == nil && len(scans) > 0 && scans[0].State == record.ScanRunning {
			ended++
		}
		w.struck()
		if r.IntN(6) == 0 { // the server, and with it everything
			w.close()
			time.Sleep(time.Duration(r.Int64N(int64(40 * time.Second))))
			if err := w.open(ctx); err != nil {
				w.fail("start everything again: %w", err)
				return ended
			}
			continue
		}
		name := w.producers[r.IntN(2)]
		w.stopStage(name)
		time.Sleep(time.Duration(r.Int64N(int64(40 * time.Second))))
		if err := w.startStage(ctx, name); err != nil {
			w.fail("start %s again: %w", name, err)
		}
	}
	time.Sleep(time.Until(start.Add(time.Duration(slots+1)*slot - 30*time.Second)))
	return ended
}

// slots holds the scans against the slots of the hour.
func (w *world) slots(n int) (scans, slots int) {
	list, err := w.db.Scans(1000)
	if err != nil {
		w.fail("list scans: %w", err)
	}
	by := map[int][]string{}
	for i := range list {
		s := &list[i]
		scans++
		by[int(s.StartedAt.Sub(start)/slot)] = append(by[int(s.StartedAt.Sub(start)/slot)], s.ID)
		if s.State == record.ScanRunning || s.State == record.ScanAborted {
			w.fail("scan %s of slot %s is %s: %s", s.ID, s.StartedAt, s.State, s.Reason)
		}
	}
	for at := 1; at <= n; at++ {
		if len(by[at]) != 1 {
			w.fail("slot %d was scanned %d times: %v", at, len(by[at]), by[at])
		}
	}
	return scans, len(by)
}

// startSchedule makes a producer store the schedule and heed its ticks.
func (w *world) startSchedule(ctx context.Context, name string, run func(func(context.Context) error)) error {
	req := &event.ScanRequested{Kind: event.KindScan, Reason: reason}
	if _, err := w.bus.Schedule(ctx, "hourly", slotCron, "", req); err != nil {
		return err
	}
	kv, err := w.bus.KV(ctx, "shenscan-scans", 7*24*time.Hour, false)
	if err != nil {
		return err
	}
	desk := producer.NewRequests(producer.DefaultRequestOptions(), producer.NewRoster(w.fleet, w.fleet, nil, w.clock()), lossy{w}, claims{w, kv}, name)
	consume(w, run, bus.ConsumeTicks, func(ctx context.Context, m *event.ScanRequested, d bus.Delivery) error {
		schedule := d.Subject
		if w.mutant == everyoneScans {
			schedule += name + d.Try()
		}
		err := desk.HandleTick(ctx, m, schedule, d.Stored)
		if err == nil && d.Attempt == 1 { // every tick is heard twice at least, and by whoever comes first
			return errors.New("the dice end this delivery after its work")
		}
		return err
	})
	return nil
}

// claims remembers which scan of a scope runs, in the server, as internal/app
// does.
type claims struct {
	w  *world
	kv *bus.KV
}

// Claim implements producer.Running.
func (c claims) Claim(ctx context.Context, key, id string) (string, error) {
	for {
		value, revision, err := c.kv.Get(ctx, key)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return "", err
		}
		var held string
		if err == nil && json.Unmarshal(value, &held) == nil && held == id {
			return id, nil
		}
		if held != "" && c.w.mutant != everyoneScans {
			c.w.mu.Lock()
			db := c.w.db
			c.w.mu.Unlock()
			if s, err := db.Scan(held); errors.Is(err, store.ErrClosed) || err == nil && s.State == record.ScanRunning {
				return held, nil
			}
		}
		mine, err := json.Marshal(id)
		if err != nil {
			return "", err
		}
		if _, err := c.kv.Update(ctx, key, mine, revision); err == nil {
			return id, nil
		} else if !errors.Is(err, bus.ErrConflict) {
			return "", err
		}
	}
}
