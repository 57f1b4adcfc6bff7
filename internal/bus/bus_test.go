package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/proctest"
)

func TestMain(m *testing.M) {
	proctest.Waits()
	// The server's clock for all its stores; it goes with the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

func open(t *testing.T, change func(*bus.Options)) *bus.Bus {
	t.Helper()
	o := bus.DefaultOptions()
	o.Dir = t.TempDir()
	if change != nil {
		change(&o)
	}
	b, err := bus.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func lane(n int) *event.LaneJob {
	return &event.LaneJob{ScanID: "s-1", Scope: ecs.Scope{Account: "a", Region: "r"}, Lane: fmt.Sprint(n)}
}

// consume runs a consumer until stop is called.
func consume(t *testing.T, b *bus.Bus, c bus.Consumer, handle func(context.Context, bus.Delivery) error, onDead func(context.Context, bus.Dead) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, c, handle, onDead) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Consume: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// eventually waits for what another goroutine is to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not happen: " + what)
		}
	}
}

func TestPublishIsStoredOnceAndHandledOnce(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	for range 3 {
		for i := range 5 {
			if err := b.Publish(t.Context(), lane(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var handled atomic.Int64
	stop := consume(t, b, bus.ConsumeLanes, func(_ context.Context, d bus.Delivery) error {
		if d.Attempt != 1 || d.Stored.IsZero() {
			t.Errorf("delivery %+v", d)
		}
		handled.Add(1)
		return nil
	}, nil)
	eventually(t, "all handled and acknowledged", func() bool {
		st, err := b.State(t.Context(), bus.StreamWork)
		return err == nil && st.Messages == 0 && handled.Load() >= 5
	})
	stop()
	if n := handled.Load(); n != 5 {
		t.Errorf("handled %d messages, want 5", n)
	}
}

func TestErrorDecidesFate(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	c := bus.ConsumeLanes
	c.MaxDeliver = 3
	var mu sync.Mutex
	attempts := map[string]int{}
	var dead []string
	for i := range 3 {
		if err := b.Publish(t.Context(), lane(i)); err != nil {
			t.Fatal(err)
		}
	}
	stop := consume(t, b, c, func(_ context.Context, d bus.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		l := d.Msg.(*event.LaneJob).Lane
		attempts[l]++
		switch {
		case l == "0":
			return event.Terminal(errors.New("cannot ever work"))
		case l == "1" && attempts[l] == 1:
			return event.RetryAfter(errors.New("later"), 10*time.Millisecond)
		case l == "2":
			return errors.New("fails each time")
		}
		return nil
	}, func(_ context.Context, d bus.Dead) error {
		mu.Lock()
		defer mu.Unlock()
		dead = append(dead, d.Msg.(*event.LaneJob).Lane+": "+d.Cause)
		return nil
	})
	eventually(t, "the stream is empty", func() bool {
		st, err := b.State(t.Context(), bus.StreamWork)
		return err == nil && st.Messages == 0
	})
	stop()
	if attempts["0"] != 1 || attempts["1"] != 2 || attempts["2"] != 3 || len(dead) != 2 {
		t.Errorf("attempts %v, dead %v", attempts, dead)
	}
	letters, err := b.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 2 || letters[0].Cause != "cannot ever work" {
		t.Fatalf("dead letters %+v, %v", letters, err)
	}
	if m, err := event.Decode(letters[0].Payload); err != nil || m.(*event.LaneJob).Lane != "0" {
		t.Errorf("the payload is not the original: %v %v", m, err)
	}
	if err := b.RetryDead(t.Context(), letters[0].ID); err != nil {
		t.Fatal(err)
	}
	if err := b.DropDead(t.Context(), letters[1].ID); err != nil {
		t.Fatal(err)
	}
	if n, err := b.DeadCount(t.Context()); err != nil || n != 0 {
		t.Errorf("%d dead letters left, %v", n, err)
	}
	if st, err := b.State(t.Context(), bus.StreamWork); err != nil || st.Messages != 1 {
		t.Errorf("%d messages back on the work stream, want 1 (%v)", st.Messages, err)
	}
}

// A worker that dies on its message can say nothing: the server's advisory is
// the only word of it.
func TestMessageThatNobodySettlesIsMoved(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	c := bus.ConsumeLanes
	c.MaxDeliver, c.AckWait = 2, 100*time.Millisecond
	if err := b.Publish(t.Context(), lane(7)); err != nil {
		t.Fatal(err)
	}
	var dead atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	moved := make(chan error, 1)
	go func() {
		moved <- b.MoveDead(ctx, func(_ context.Context, d bus.Dead) error {
			if d.Msg.(*event.LaneJob).Lane == "7" {
				dead.Add(1)
			}
			return nil
		})
	}()
	if err := b.TakeAndForget(t.Context(), c, 3); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mover heard of it", func() bool { return dead.Load() == 1 })
	eventually(t, "the original is gone", func() bool {
		st, err := b.State(t.Context(), bus.StreamWork)
		return err == nil && st.Messages == 0
	})
	cancel()
	if err := <-moved; err != nil {
		t.Error(err)
	}
	if n, err := b.DeadCount(t.Context()); err != nil || n != 1 {
		t.Errorf("%d dead letters, %v", n, err)
	}
}

func TestHostilePayloadIsDeadLettered(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *bus.Options) { o.Listen = "127.0.0.1:0" })
	nc, err := nats.Connect(b.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, payload := range []string{"", "{", "L\x01\xff\xff\xff\xff\xff", `{"type":"lane.job","v":1,"data":"no"}`} {
		if _, err := nc.Request("shenscan.work.lane.a.r", []byte(payload), 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	stop := consume(t, b, bus.ConsumeLanes, func(context.Context, bus.Delivery) error {
		t.Error("a hostile payload reached the handler")
		return nil
	}, nil)
	eventually(t, "all dead-lettered", func() bool { n, err := b.DeadCount(t.Context()); return err == nil && n == 4 })
	stop()
}

func TestFollowGoesOnFromTheStoresPosition(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	publish := func(n int) {
		if err := b.Publish(t.Context(), &event.ScanAborted{ScanID: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
	}
	var position event.Position
	follow := func(until int) (got []string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := bus.Follow{Name: "x", MaxBatch: 3, Linger: 5 * time.Millisecond}
		err := b.FollowResults(ctx, f, position, func(_ context.Context, batch []event.Received) error {
			for _, r := range batch {
				if r.Seq != position.Seq+1 {
					t.Errorf("got message %d after %d", r.Seq, position.Seq)
				}
				position = r.Position
				got = append(got, r.Msg.(*event.ScanAborted).ScanID)
			}
			if len(got) >= until {
				cancel()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for i := range 5 {
		publish(i)
	}
	if got := fmt.Sprint(follow(5)); got != "[0 1 2 3 4]" {
		t.Fatalf("first reading: %s", got)
	}
	publish(5)
	if got := fmt.Sprint(follow(1)); got != "[5]" {
		t.Errorf("after a restart: %s", got)
	}
	position = event.Position{} // the store was deleted
	if got := fmt.Sprint(follow(6)); got != "[0 1 2 3 4 5]" {
		t.Errorf("a new store: %s", got)
	}
	position = event.Position{Stream: 1, Seq: 900} // the broker was replaced
	if n := len(follow2(t, b, &position, 6)); n != 6 {
		t.Errorf("an older store on a new stream read %d messages", n)
	}
}

func follow2(t *testing.T, b *bus.Bus, position *event.Position, until int) (got []uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := b.FollowResults(ctx, bus.Follow{Name: "y", MaxBatch: 10, Linger: time.Millisecond}, *position, func(_ context.Context, batch []event.Received) error {
		for _, r := range batch {
			got = append(got, r.Seq)
		}
		if len(got) >= until {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Two sinks derive the same events in the same order; listeners must see each
// once, also when one of them starts again from the beginning.
func TestEventsAreEmittedOnceBySeveralSinks(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	emit := func(e *bus.Emitter, upTo int) {
		for i := range upTo {
			if err := e.Emit(t.Context(), "shenscan.events.verdict.a.r", event.Position{Stream: 1, Seq: uint64(i / 2)}, i%2, fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		}
	}
	var sinks sync.WaitGroup
	sinks.Go(func() { emit(b.NewEmitter(), 40) })
	sinks.Go(func() { emit(b.NewEmitter(), 40) })
	sinks.Wait()
	emit(b.NewEmitter(), 40)
	st, err := b.State(t.Context(), bus.StreamEvents)
	if err != nil || st.Messages != 40 {
		t.Errorf("%d events, want 40 (%v)", st.Messages, err)
	}
}

// A judgement that comes back is told of again: the id of an event names the
// occurrence. Sinks that make the same changes tell of each once, also when one
// of them does so again.
func TestJudgementsThatComeBackAreOccurrencesOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	const subject = "shenscan.events.verdict.a.r"
	tell := func(e *bus.Emitter, judgement string) {
		t.Helper()
		for _, instance := range []string{"i-1", "i-2"} {
			if err := e.EmitJudged(t.Context(), subject, judgement, instance, func(id string) ([]byte, error) { return []byte(id), nil }); err != nil {
				t.Error(err)
			}
		}
	}
	first, second := b.NewEmitter(), b.NewEmitter()
	for i, judgement := range []string{"A", "B", "A", "B"} {
		tell(first, judgement)
		if err := first.Emit(t.Context(), subject, event.Position{Stream: 1, Seq: uint64(i + 1)}, 0, []byte("seen")); err != nil {
			t.Fatal(err)
		}
		tell(second, judgement)
		tell(b.NewEmitter(), judgement) // after a crash
		if err := second.Emit(t.Context(), subject, event.Position{Stream: 1, Seq: uint64(i + 1)}, 0, []byte("seen")); err != nil {
			t.Fatal(err)
		}
	}
	st, err := b.State(t.Context(), bus.StreamEvents)
	if err != nil || st.Messages != 8+4 {
		t.Errorf("%d events, want 8 of four judgements of two instances, and 4 of what was seen (%v)", st.Messages, err)
	}
}

// Whoever asks for more than fits into a message hears so at once.
func TestAnAnswerThatIsTooLargeSaysSo(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ctx, "svc", "", "1.0.0", 4, []bus.Endpoint{{Name: "echo", Subject: "shenscan.test", Handle: func(_ context.Context, r bus.Request) (any, error) {
			var n int
			if err := json.Unmarshal(r.Data, &n); err != nil {
				return nil, err
			}
			return strings.Repeat("x", n), nil
		}}})
	}()
	var got string
	eventually(t, "the service answers", func() bool { return b.Call(t.Context(), "shenscan.test", 1, &got) == nil })
	err := b.Call(t.Context(), "shenscan.test", 3<<20, &got)
	if se, ok := errors.AsType[*bus.ServiceError](err); !ok || se.Code != bus.CodeTooLarge || !strings.Contains(se.Text, "less") {
		t.Errorf("%v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServiceAnswersAndRefuses(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ctx, "svc", "", "1.0.0", 4, []bus.Endpoint{{Name: "echo", Subject: "shenscan.test", Handle: func(_ context.Context, r bus.Request) (any, error) {
			if string(r.Data) == `"no"` {
				return nil, &bus.ServiceError{Code: "400", Text: "no means no"}
			}
			return json.RawMessage(r.Data), nil
		}}})
	}()
	var got string
	eventually(t, "the service answers", func() bool { return b.Call(t.Context(), "shenscan.test", "hello", &got) == nil })
	if got != "hello" {
		t.Errorf("got %q", got)
	}
	err := b.Call(t.Context(), "shenscan.test", "no", &got)
	if se, ok := errors.AsType[*bus.ServiceError](err); !ok || se.Code != "400" || se.Text != "no means no" {
		t.Errorf("refusal: %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Requests that arrive while a service stops are answered, one way or the
// other: none is left to time out.
func TestServiceThatStopsLeavesNobodyWaiting(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() {
			served <- b.Serve(ctx, "svc", "", "1.0.0", 2, []bus.Endpoint{{Name: "echo", Subject: "shenscan.test", Handle: func(context.Context, bus.Request) (any, error) {
				time.Sleep(100 * time.Microsecond)
				return "done", nil
			}}})
		}()
		eventually(t, "the service answers", func() bool { return b.Call(t.Context(), "shenscan.test", 0, new(string)) == nil })
		var callers sync.WaitGroup
		var answered atomic.Int64
		for range 40 {
			callers.Go(func() {
				for {
					err := b.Call(t.Context(), "shenscan.test", 0, new(string))
					se, refused := errors.AsType[*bus.ServiceError](err)
					switch {
					case err == nil:
						if answered.Add(1) == 60 {
							cancel()
						}
						continue
					case refused && se.Code == "503" || errors.Is(err, nats.ErrNoResponders):
					default:
						t.Errorf("got %v", err)
					}
					return
				}
			})
		}
		callers.Wait()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func TestKVIsOptimistic(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	kv, err := b.KV(t.Context(), "test", time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := kv.Get(t.Context(), "k"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	rev, err := kv.Update(t.Context(), "k", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Update(t.Context(), "k", []byte("2"), 0); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("second creation: %v", err)
	}
	if rev, err = kv.Update(t.Context(), "k", []byte("2"), rev); err != nil {
		t.Error(err)
	}
	if _, err := kv.Update(t.Context(), "k", []byte("3"), rev-1); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("stale update: %v", err)
	}
	if v, _, err := kv.Get(t.Context(), "k"); err != nil || string(v) != "2" {
		t.Errorf("Get = %q, %v", v, err)
	}
}

func TestScheduleTicksOnceForSeveralSchedulers(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	req := &event.ScanRequested{Kind: event.KindScan, Reason: "schedule x"}
	for range 10 {
		if _, err := b.Schedule(t.Context(), "x", "*/1 * * * * *", "", req); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	ticks := map[int64]int{}
	stop := consume(t, b, bus.ConsumeTicks, func(_ context.Context, d bus.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if m := d.Msg.(*event.ScanRequested); m.Reason != "schedule x" {
			t.Errorf("tick carries %+v", m)
		}
		ticks[d.Stored.Unix()]++
		return nil
	}, nil)
	eventually(t, "two ticks", func() bool { mu.Lock(); defer mu.Unlock(); return len(ticks) >= 2 })
	stop()
	for at, n := range ticks {
		if n != 1 {
			t.Errorf("%d ticks in second %d", n, at)
		}
	}
	if _, err := b.Schedule(t.Context(), "y", "not a cron", "", req); !errors.Is(err, bus.ErrSchedule) {
		t.Errorf("a broken cron: %v", err)
	}
}

func TestAScheduleThatNobodyHasAnyMoreEnds(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	req := &event.ScanRequested{Kind: event.KindScan, Reason: "schedule"}
	for i, name := range []string{"old name", "new", "new"} {
		fresh, err := b.Schedule(t.Context(), name, "*/1 * * * * *", "", req)
		if err != nil || fresh != (i < 2) {
			t.Fatalf("%s is new: %v, %v", name, fresh, err)
		}
	}
	others, err := b.OtherSchedules(t.Context(), []string{"new"})
	if err != nil || !slices.Equal(others, []string{event.Token("old name")}) {
		t.Fatalf("others %q, %v", others, err)
	}
	for _, name := range others {
		if err := b.EndSchedule(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	ended := time.Now()
	var mu sync.Mutex
	ticks := map[string]int{}
	stop := consume(t, b, bus.ConsumeTicks, func(_ context.Context, d bus.Delivery) error {
		mu.Lock()
		defer mu.Unlock()
		if d.Stored.After(ended) {
			ticks[d.Subject]++
		}
		return nil
	}, nil)
	eventually(t, "three ticks", func() bool { mu.Lock(); defer mu.Unlock(); return ticks[bus.TickSubject("new")] >= 3 })
	stop()
	if n := ticks[bus.TickSubject("old name")]; n != 0 {
		t.Errorf("the ended schedule ticked %d times", n)
	}
	if others, err := b.OtherSchedules(t.Context(), []string{"new"}); err != nil || len(others) != 0 {
		t.Errorf("others %q, %v", others, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bus.Options){
		"sync":              func(o *bus.Options) { o.Sync = "sometimes" },
		"replicas":          func(o *bus.Options) { o.Replicas = 2 },
		"embedded replicas": func(o *bus.Options) { o.Replicas = 3 },
		"listen beside url": func(o *bus.Options) { o.URL, o.Listen = "nats://127.0.0.1:1", "127.0.0.1:1" },
	} {
		t.Run(name, func(t *testing.T) {
			o := bus.DefaultOptions()
			change(&o)
			if err := o.Validate(); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestConnectErrorHidesPassword(t *testing.T) {
	t.Parallel()
	o := bus.DefaultOptions()
	o.URL = "nats://user:s3cret@127.0.0.1:1"
	_, err := bus.Open(t.Context(), o)
	if err == nil {
		t.Fatal("connected to nobody")
	}
	if got := err.Error(); got == "" || strings.Contains(got, "s3cret") {
		t.Errorf("error shows the password or nothing: %s", got)
	}
}

func TestPassingServerLeavesNoStream(t *testing.T) {
	t.Parallel()
	for _, passing := range []bool{false, true} {
		o := bus.DefaultOptions()
		o.Dir, o.Passing = t.TempDir(), passing
		b, err := bus.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Publish(t.Context(), &event.ScanRequested{ScanID: "s-1", Kind: event.KindScan}); err != nil {
			t.Fatal(err)
		}
		b.Close()
		left, err := filepath.Glob(filepath.Join(o.Dir, "jetstream", "*", "streams", "[^.]*")) // the server removes in the background what it renamed to a dot file
		if err != nil || (len(left) == 0) != passing {
			t.Errorf("passing %t: streams %q are left (%v)", passing, left, err)
		}
	}
}
