package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/producer/prober"
	"github.com/shenscan/shenscan/rules"
)

// asking is a simulated cloud and the NATS of those who ask its machines.
type asking struct {
	sim  *ecssim.Server
	api  *ecsapi.Client
	list []prober.Candidate
	bus  *bus.Bus
}

func newAsking(t *testing.T, instances int) *asking {
	t.Helper()
	sim, err := ecssim.Start(ecssim.Options{Instances: instances, Regions: 2, Seed: 3, OfflineAgents: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	client, err := ecsapi.New(ecsapi.Options{Endpoint: sim.URL, StartRate: 1000, Base: &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	a := &asking{sim: sim, api: client}
	for _, region := range sim.Regions() {
		s := ecs.Scope{Account: ecssim.DemoAccountID, Region: region}
		for q := (ecs.Query{}); ; {
			page, err := client.Instances(t.Context(), s, q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Instances {
				x := &page.Instances[i]
				a.list = append(a.list, prober.Candidate{Scope: s, ID: x.ID, OSType: x.OSType, ImageID: x.ImageID, Type: x.Type, Running: x.Status == "Running"})
			}
			if q.NextToken = page.NextToken; q.NextToken == "" {
				break
			}
		}
	}
	o := bus.DefaultOptions()
	o.Dir, o.Sync, o.Listen = t.TempDir(), bus.SyncInterval, "127.0.0.1:0"
	if a.bus, err = bus.Dial(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.bus.Close)
	return a
}

func (a *asking) candidates() []prober.Candidate {
	return append([]prober.Candidate(nil), a.list...)
}

// book is that of another process each time; copied names the file of its copy.
func (a *asking) book(t *testing.T, copied string, now func() time.Time, log *slog.Logger) askingGuests {
	t.Helper()
	var journal *prober.Journal
	if copied != "" {
		var err error
		if journal, err = prober.OpenJournal(copied, now, log); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = journal.Close() })
	}
	s, err := openSharedGuests(t.Context(), a.bus, journal, now, log)
	if err != nil {
		t.Fatal(err)
	}
	return askingGuests{s}
}

func (a *asking) prober(api ecs.GuestAPI, book prober.Book, now func() time.Time) *prober.Prober {
	o := prober.DefaultOptions()
	o.PollFirst, o.PollLast, o.Log, o.Now = time.Millisecond, 5*time.Millisecond, slog.New(slog.DiscardHandler), now
	return prober.New(api, book, o)
}

// asks has the machines asked by a process with that book.
func (a *asking) asks(t *testing.T, book askingGuests) {
	t.Helper()
	if _, err := a.prober(a.api, book, book.Now).Run(t.Context(), a.candidates()); err != nil {
		t.Fatal(err)
	}
}

// everyMachineOnce says that each machine that runs is accounted for and that
// none was asked twice.
func (a *asking) everyMachineOnce(t *testing.T, book askingGuests) {
	t.Helper()
	if stats := a.sim.Stats().Commands; stats.MostAsked != 1 {
		t.Errorf("the most asked machine was asked %d times", stats.MostAsked)
	}
	if open, err := book.Open(t.Context()); err != nil || len(open) > 0 {
		t.Errorf("%d batches are open: %v", len(open), err)
	}
	plan, err := a.prober(a.api, book, book.Now).Plan(t.Context(), a.candidates())
	if err != nil || len(plan.Ask) > 0 {
		t.Fatalf("%v: %d machines are without an answer", err, len(plan.Ask))
	}
	for i := range plan.Kept {
		if plan.Kept[i].Answered.IsZero() {
			t.Errorf("%s waits for an answer", plan.Kept[i].ID)
		}
	}
	if running := len(a.list) - len(plan.Not["it does not run"]); len(plan.Kept) != running {
		t.Errorf("%d of %d running machines are kept", len(plan.Kept), running)
	}
}

var silent = slog.New(slog.DiscardHandler)

// Processes that know nothing of each other but the bucket, as when each takes
// the other for dead, ask each machine once between them.
func TestSeveralProbersAskEachMachineOnce(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 900)
	var asked [3]int
	var wg sync.WaitGroup
	for i := range asked {
		wg.Go(func() {
			book := a.book(t, "", time.Now, silent)
			for range 20 { // until nobody takes the other's batches
				out, err := a.prober(a.api, book, book.Now).Run(t.Context(), a.candidates())
				// Whatever one process began another one may go on with.
				if errors.Is(errors.Join(append(out.Errors, err)...), prober.ErrTaken) {
					continue
				}
				if err != nil || len(out.Errors) > 0 {
					t.Errorf("%v %v", err, out)
				} else {
					asked[i] += len(out.Answered)
				}
				return
			}
			t.Error("never done")
		})
	}
	wg.Wait()
	last := a.book(t, "", time.Now, silent)
	a.asks(t, last)
	a.everyMachineOnce(t, last)
	t.Logf("answered each: %v", asked)
}

// cutOff is a cloud and a book of a process that is cut off at its n-th step,
// whichever of both it then makes. What is cut has come through, or has not.
type cutOff struct {
	prober.Book
	api  ecs.GuestAPI
	stop context.CancelFunc
	lost bool // the step that is cut has not come through

	mu   sync.Mutex
	left int
}

var errCut = errors.New("cut off")

func (c *cutOff) step(do func() error) error {
	c.mu.Lock()
	c.left--
	cut, over := c.left == 0, c.left < 0
	if c.left <= 0 {
		c.stop()
	}
	c.mu.Unlock()
	if over || cut && c.lost {
		return errCut
	}
	err := do()
	if cut {
		return errCut
	}
	return err
}

func (c *cutOff) Claim(ctx context.Context, b *prober.Batch, g []prober.Guest, held func(*prober.Guest) bool) (mine []prober.Guest, err error) {
	err = c.step(func() error { mine, err = c.Book.Claim(context.WithoutCancel(ctx), b, g, held); return err })
	return mine, err
}

func (c *cutOff) Write(ctx context.Context, b *prober.Batch, g []prober.Guest) error {
	return c.step(func() error { return c.Book.Write(context.WithoutCancel(ctx), b, g) })
}

func (c *cutOff) Agents(ctx context.Context, s ecs.Scope, ids []string) (agents []ecs.Agent, calls int, err error) {
	return c.api.Agents(ctx, s, ids)
}

func (c *cutOff) RunCommand(ctx context.Context, s ecs.Scope, cmd *ecs.Command) (id string, err error) {
	err = c.step(func() error { id, err = c.api.RunCommand(context.WithoutCancel(ctx), s, cmd); return err })
	return id, err
}

func (c *cutOff) Invocation(ctx context.Context, s ecs.Scope, id string) (out []ecs.Invoked, err error) {
	err = c.step(func() error { out, err = c.api.Invocation(context.WithoutCancel(ctx), s, id); return err })
	return out, err
}

// Wherever a process is cut off or killed, another one goes on without a second
// question, and the first may come back.
func TestAnotherProberGoesOnWithoutASecondQuestion(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 500)
	books := [2]askingGuests{a.book(t, "", time.Now, silent), a.book(t, "", time.Now, silent)}
	cut := 0
	for n := 1; n < 24; n++ {
		ctx, stop := context.WithCancel(t.Context())
		book := books[n%2]
		c := &cutOff{Book: book, api: a.api, stop: stop, left: n, lost: n%3 == 0}
		if _, err := a.prober(c, c, book.Now).Run(ctx, a.candidates()); err != nil {
			cut++
		}
		stop()
	}
	for range 3 { // machines of batches that were given up before they were asked are asked by the next run
		out, err := a.prober(a.api, books[0], books[0].Now).Run(t.Context(), a.candidates())
		if err != nil || len(out.Errors) > 0 {
			t.Fatal(err, out.Errors)
		}
	}
	if cut < 5 {
		t.Errorf("%d runs were cut", cut)
	}
	a.everyMachineOnce(t, books[1])
}

// A process that sleeps between writing its machines down and asking them finds
// out, when it wakes up, that another one took them for lost and asks them.
func TestABatchThatWasGivenUpIsNotAsked(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 40)
	sleeper, other := a.book(t, "", time.Now, silent), a.book(t, "", time.Now, silent)
	guest := prober.Guest{Scope: a.list[0].Scope, ID: a.list[0].ID, Script: probe.Version, Asked: time.Now().UTC(), Batch: "slept"}
	batch := &prober.Batch{Token: "slept", Scope: guest.Scope, Asked: guest.Asked, Claiming: true, IDs: []string{guest.ID}}
	if err := sleeper.changeShelf(t.Context(), batch, addBatch); err != nil {
		t.Fatal(err)
	}
	if mine, err := sleeper.take(t.Context(), []prober.Guest{guest}, func(*prober.Guest) bool { return false }); err != nil || len(mine) != 1 {
		t.Fatalf("%v %v", mine, err)
	}
	for range 2 {
		a.asks(t, other)
	}
	a.everyMachineOnce(t, other)
	batch.Claiming = false
	if err := sleeper.changeShelf(t.Context(), batch, setBatch); !errors.Is(err, prober.ErrTaken) {
		t.Errorf("the sleeper may ask: %v", err)
	}
	late := guest
	late.Answered, late.Cause = time.Now().UTC(), "too late"
	if err := sleeper.Write(t.Context(), nil, []prober.Guest{late}); err != nil {
		t.Fatal(err)
	}
	if known, err := other.Guests(t.Context(), guest.Scope, []string{guest.ID}); err != nil || known[guest.ID].Cause == "too late" {
		t.Errorf("what the sleeper says counts: %+v %v", known, err)
	}
}

// A machine that waits for a batch which no shelf shows is somebody else's: a
// server that lags behind may not show it yet. Only when that is long ago may
// another ask.
func TestAMachineThatWaitsForAnUnseenBatchIsNotAsked(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 40)
	book := a.book(t, "", time.Now, silent)
	guest := prober.Guest{Scope: a.list[0].Scope, ID: a.list[0].ID, Script: probe.Version, Asked: time.Now().UTC(), Batch: "unseen"}
	for ago, mine := range map[time.Duration]int{0: 0, givenUp - time.Minute: 0, givenUp + time.Minute: 1} {
		guest.Asked = time.Now().Add(-ago).UTC()
		value, err := json.Marshal(&guest)
		if err != nil {
			t.Fatal(err)
		}
		write := bus.Write{Key: guestKey(guest.Scope, guest.ID), Value: value, Always: true}
		if _, err := book.kv.WriteAll(t.Context(), []bus.Write{write}); err != nil {
			t.Fatal(err)
		}
		next := guest
		next.Asked, next.Batch = time.Now().UTC(), "mine"
		got, err := book.take(t.Context(), []prober.Guest{next}, func(*prober.Guest) bool { return false })
		if err != nil || len(got) != mine {
			t.Errorf("asked %s ago: %d may be asked, want %d: %v", ago, len(got), mine, err)
		}
	}
}

// Whoever gives up a batch of which it did not see that its owner may ask it by
// now lets go of none of its machines.
func TestABatchThatIsAskedIsNotGivenUp(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 40)
	owner, other := a.book(t, "", time.Now, silent), a.book(t, "", time.Now, silent)
	guest := prober.Guest{Scope: a.list[0].Scope, ID: a.list[0].ID, Script: probe.Version, Asked: time.Now().UTC(), Batch: "live"}
	batch := &prober.Batch{Token: "live", Scope: guest.Scope, Asked: guest.Asked, Claiming: true, IDs: []string{guest.ID}}
	if err := owner.changeShelf(t.Context(), batch, addBatch); err != nil {
		t.Fatal(err)
	}
	seen, err := other.Open(t.Context())
	if err != nil || len(seen) != 1 {
		t.Fatalf("%v %v", seen, err)
	}
	if mine, err := owner.take(t.Context(), []prober.Guest{guest}, func(*prober.Guest) bool { return false }); err != nil || len(mine) != 1 {
		t.Fatalf("%v %v", mine, err)
	}
	batch.Claiming = false
	if err := owner.changeShelf(t.Context(), batch, setBatch); err != nil {
		t.Fatal(err)
	}
	free := guest
	free.Asked, free.Answered, free.Cause = time.Time{}, time.Now().UTC(), "given up"
	seen[0].Closed = true
	if err := other.Write(t.Context(), &seen[0], []prober.Guest{free}); !errors.Is(err, prober.ErrTaken) {
		t.Errorf("a batch that is asked was given up: %v", err)
	}
	if known, err := owner.Guests(t.Context(), guest.Scope, []string{guest.ID}); err != nil || !known[guest.ID].Answered.IsZero() {
		t.Errorf("its machine was let go: %+v %v", known, err)
	}
}

// A bucket that the server has lost is filled from the copy of whoever asks
// next, also with the batches that are open: nobody is asked again.
func TestALostBucketIsFilledFromACopy(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 300)
	dir := t.TempDir()
	first := a.book(t, filepath.Join(dir, "first.jsonl"), time.Now, silent)
	ctx, stop := context.WithCancel(t.Context())
	c := &cutOff{Book: first, api: a.api, stop: stop, left: 6}
	if _, err := a.prober(c, c, first.Now).Run(ctx, a.candidates()); err == nil {
		t.Fatal("it was not cut off")
	}
	if open, err := first.Open(t.Context()); err != nil || len(open) == 0 {
		t.Fatalf("no batch is open: %v", err)
	}
	lose := func() {
		t.Helper()
		nc, err := nats.Connect(a.bus.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if err := js.DeleteKeyValue(t.Context(), guestsBucket); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	var said bytes.Buffer
	again := a.book(t, filepath.Join(dir, "first.jsonl"), time.Now, slog.New(slog.NewTextHandler(&said, nil)))
	second := a.book(t, filepath.Join(dir, "second.jsonl"), time.Now, silent)
	for _, book := range []askingGuests{again, second} { // the second copies what the first asked
		a.asks(t, book)
	}
	if !strings.Contains(said.String(), "the bucket of what machines answered is new") {
		t.Errorf("it is not said: %s", said.String())
	}
	a.everyMachineOnce(t, again)
	lose()
	third := a.book(t, filepath.Join(dir, "second.jsonl"), time.Now, silent)
	a.asks(t, third)
	a.everyMachineOnce(t, third)
}

// What an old copy holds of a batch that somebody else closed long ago changes
// nothing: the bucket is still the one that the copy is of.
func TestAnOldCopyChangesNothing(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 200)
	path := filepath.Join(t.TempDir(), "old.jsonl")
	old := a.book(t, path, time.Now, silent)
	ctx, stop := context.WithCancel(t.Context())
	c := &cutOff{Book: old, api: a.api, stop: stop, left: 3}
	if _, err := a.prober(c, c, old.Now).Run(ctx, a.candidates()); err == nil {
		t.Fatal("it was not cut off")
	}
	other := a.book(t, "", time.Now, silent)
	for range 2 {
		a.asks(t, other)
	}
	back := a.book(t, path, time.Now, silent)
	if open, err := back.open(t.Context()); err != nil || len(open) > 0 {
		t.Errorf("%d closed batches are open again: %v", len(open), err)
	}
	a.asks(t, back)
	a.everyMachineOnce(t, back)
}

// A process whose clock is wrong by more than answers are believed asks nobody
// again and believes what was answered: ages are counted by the server's clock.
func TestAClockThatIsWrongAsksNobodyAgain(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 200)
	right := a.book(t, "", time.Now, silent)
	for range 2 {
		a.asks(t, right)
	}
	for _, wrong := range []time.Duration{40 * 24 * time.Hour, -40 * 24 * time.Hour} {
		var said bytes.Buffer
		book := a.book(t, "", func() time.Time { return time.Now().Add(wrong) }, slog.New(slog.NewTextHandler(&said, nil)))
		a.asks(t, book)
		if !strings.Contains(said.String(), "clock of this machine differs") {
			t.Errorf("%s: nothing is said of the clock", wrong)
		}
		a.everyMachineOnce(t, book)
		x := []ecs.Instance{{ID: a.list[0].ID, ImageID: a.list[0].ImageID, Type: a.list[0].Type}}
		for i := range a.list { // one that answered
			known, err := book.Guests(t.Context(), a.list[i].Scope, []string{a.list[i].ID})
			if err != nil {
				t.Fatal(err)
			}
			if !known[a.list[i].ID].Heard.IsZero() {
				x[0] = ecs.Instance{ID: a.list[i].ID, ImageID: a.list[i].ImageID, Type: a.list[i].Type}
				if err := (prober.Filler{Book: book, Now: book.Now}).Fill(t.Context(), a.list[i].Scope, x); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		if x[0].Guest == nil || *x[0].Guest == (rules.GuestFacts{}) {
			t.Errorf("%s: what a machine answered is not believed", wrong)
		}
	}
}

// What a machine answered may speak against its verdict. Where it cannot be read, whoever
// lists the machine is told, and keeps what the others answered; whoever asks machines asks
// it again, and the answer takes its place.
func TestAnAnswerThatCannotBeReadIsToldOfUntilItsMachineIsAskedAgain(t *testing.T) {
	t.Parallel()
	a := newAsking(t, 20)
	book := a.book(t, "", time.Now, silent)
	a.asks(t, book)
	scope := a.list[0].Scope
	var list []ecs.Instance
	for _, c := range a.list {
		if c.Scope == scope {
			list = append(list, ecs.Instance{ID: c.ID, ImageID: c.ImageID, Type: c.Type})
		}
	}
	fill := func() (filled int, err error) {
		instances := append([]ecs.Instance(nil), list...)
		err = prober.Filler{Book: book.sharedGuests, Lost: book.lost, Now: book.Now}.Fill(t.Context(), scope, instances)
		for i := range instances {
			if instances[i].Guest != nil {
				filled++
			}
		}
		return filled, err
	}
	before, err := fill()
	if err != nil || before < 2 {
		t.Fatalf("%d of %d answered: %v", before, len(list), err)
	}
	known, err := book.Guests(t.Context(), scope, []string{list[0].ID, list[1].ID})
	if err != nil {
		t.Fatal(err)
	}
	broken := ""
	for id, g := range known {
		if !g.Heard.IsZero() {
			broken = id
		}
	}
	write := bus.Write{Key: guestKey(scope, broken), Value: []byte(`{"scope":7}`), Always: true}
	if _, err := book.kv.WriteAll(t.Context(), []bus.Write{write}); err != nil {
		t.Fatal(err)
	}
	if filled, err := fill(); filled != before-1 || err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("%d of %d are filled in, and what is told is %v", filled, before, err)
	}
	a.asks(t, book)
	if filled, err := fill(); filled != before || err != nil {
		t.Errorf("after it was asked again %d of %d are filled in: %v", filled, before, err)
	}
}
