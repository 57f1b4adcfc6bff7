package bus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
)

// external is a NATS server of its own process-like life: it can be stopped and
// come back on its port, with its disk or with an empty one.
type external struct {
	t    *testing.T
	dir  string
	port int
	srv  *natsserver.Server
}

func startExternal(t *testing.T) *external {
	t.Helper()
	e := &external{t: t, dir: t.TempDir(), port: natsserver.RANDOM_PORT}
	e.start("first")
	e.port = e.srv.Addr().(*net.TCPAddr).Port
	t.Cleanup(e.stop)
	return e
}

func (e *external) start(disk string) {
	e.t.Helper()
	srv, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: e.port, JetStream: true, StoreDir: filepath.Join(e.dir, disk), NoLog: true, NoSigs: true})
	if err != nil {
		e.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		e.t.Fatal("the server did not start")
	}
	e.srv = srv
}

func (e *external) stop() { e.srv.Shutdown(); e.srv.WaitForShutdown() }

func (e *external) open(change func(*bus.Options)) *bus.Bus {
	e.t.Helper()
	return open(e.t, func(o *bus.Options) {
		o.URL, o.Dir = e.srv.ClientURL(), ""
		if change != nil {
			change(o)
		}
	})
}

// following reads results on and on, as a sink does, and notes what it got.
type following struct {
	mu       sync.Mutex
	position event.Position
	got      []string
	ends     []error
}

func follow(t *testing.T, b *bus.Bus, name string) *following {
	t.Helper()
	f := &following{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		for ctx.Err() == nil {
			f.mu.Lock()
			from := f.position
			f.mu.Unlock()
			err := b.FollowResults(ctx, bus.Follow{Name: name, MaxBatch: 8, Linger: time.Millisecond, Back: f.startOver}, from, func(_ context.Context, batch []event.Received) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				for _, r := range batch {
					f.position = r.Position
					f.got = append(f.got, r.Msg.(*event.ScanAborted).ScanID)
				}
				return nil
			})
			if ctx.Err() != nil {
				return
			}
			f.mu.Lock()
			f.ends = append(f.ends, err)
			f.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return f
}

// startOver is what a sink does where the stream ends before its position.
func (f *following) startOver(context.Context, uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position.Seq = 0
	return nil
}

func (f *following) has(ids ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if !slices.Contains(f.got, id) {
			return false
		}
	}
	return true
}

func laneOf(m event.Message) string {
	switch m := m.(type) {
	case *event.LaneJob:
		return m.Lane
	case *event.InstancesListed:
		return m.Lane
	}
	return ""
}

func say(t *testing.T, b *bus.Bus, id string) {
	t.Helper()
	if err := b.Publish(t.Context(), &event.ScanAborted{ScanID: id}); err != nil {
		t.Fatal(err)
	}
}

// deleteConsumers deletes the consumers of a stream, as `nats consumer rm` does.
func deleteConsumers(t *testing.T, b *bus.Bus, stream string) (deleted int) {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	names := s.ConsumerNames(t.Context())
	for name := range names.Name() {
		deleted++
		if err := s.DeleteConsumer(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	return deleted
}

func TestAFollowerOutlivesItsConsumer(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	f := follow(t, b, "a")
	say(t, b, "before")
	eventually(t, "the first result", func() bool { return f.has("before") })
	if n := deleteConsumers(t, b, bus.StreamResults); n != 1 {
		t.Fatalf("%d consumers deleted, want 1", n)
	}
	say(t, b, "after")
	eventually(t, "the result after the consumer was deleted", func() bool { return f.has("after") })
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := []string{"before", "after"}; !slices.Equal(f.got, want) {
		t.Errorf("got %v, want each once: %v", f.got, want)
	}
}

// Two followers of one name do not take each other's messages away.
func TestFollowersOfOneNameDoNotEndEachOther(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	one := follow(t, b, "same")
	say(t, b, "first")
	eventually(t, "one reads", func() bool { return one.has("first") })
	other := follow(t, b, "same")
	eventually(t, "the other reads", func() bool { return other.has("first") })
	say(t, b, "second")
	eventually(t, "both read on", func() bool { return one.has("second") && other.has("second") })
}

func TestFollowingEndsWithAnErrorWhileNobodyStopsIt(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	f := follow(t, b, "a")
	say(t, b, "1")
	eventually(t, "the first result", func() bool { return f.has("1") })
	if err := b.JetStream().DeleteStream(t.Context(), bus.StreamResults); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an end", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.ends) > 0 })
	f.mu.Lock()
	for _, err := range f.ends {
		if err == nil {
			t.Error("following a stream that is gone ended without an error")
		}
	}
	f.mu.Unlock()
	if life := b.Lives()["sink-a"]; life.Restarts == 0 {
		t.Errorf("the end was not counted: %+v", life)
	}
	eventually(t, "the stream is made again and followed from its start", func() bool {
		say(t, b, "2")
		return f.has("2")
	})
}

// The numbers of a new stream begin at one again. What it holds is no
// continuation of the old one, also where it has grown as long.
func TestANewStreamIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	f := follow(t, b, "a")
	for i := range 3 {
		say(t, b, fmt.Sprint("old-", i))
	}
	eventually(t, "the old results", func() bool { return f.has("old-0", "old-1", "old-2") })
	js := b.JetStream()
	if err := js.DeleteStream(t.Context(), bus.StreamResults); err != nil {
		t.Fatal(err)
	}
	want := []string{}
	eventually(t, "the stream is there again", func() bool {
		_, err := js.Stream(t.Context(), bus.StreamResults)
		return err == nil
	})
	for i := range 6 {
		want = append(want, fmt.Sprint("new-", i))
		say(t, b, want[i])
	}
	eventually(t, "the new results", func() bool { return f.has(want...) })
}

// A server that came back with an older copy of its disk gives numbers again that were
// read already. What has them now is read, also while the stream is shorter than it was.
func TestTheStreamOfAnOlderCopyIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	b := e.open(nil)
	f := follow(t, b, "a")
	for i := range 3 {
		say(t, b, fmt.Sprint("old-", i))
	}
	eventually(t, "the first results", func() bool { return f.has("old-0", "old-1", "old-2") })
	e.stop()
	if err := os.CopyFS(filepath.Join(e.dir, "older"), os.DirFS(filepath.Join(e.dir, "first"))); err != nil {
		t.Fatal(err)
	}
	e.start("first")
	for i := range 4 {
		say(t, b, fmt.Sprint("lost-", i))
	}
	eventually(t, "results after the copy", func() bool { return f.has("lost-0", "lost-1", "lost-2", "lost-3") })
	e.stop()
	e.start("older")
	say(t, b, "new-0")
	eventually(t, "what has a number that was read before", func() bool { return f.has("new-0") })
}

func TestAConsumerIsMadeAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []bus.Consumer{bus.ConsumeLanes, bus.ConsumeBulkPages} {
		t.Run(c.Name, func(t *testing.T) {
			b := open(t, nil)
			var mu sync.Mutex
			var got []string
			consume(t, b, c, func(_ context.Context, d bus.Delivery) error {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, laneOf(d.Msg))
				return nil
			}, nil)
			put := func(lane string) {
				t.Helper()
				var m event.Message = &event.LaneJob{ScanID: "s-1", Lane: lane}
				if c.Stream == bus.StreamPages {
					m = &event.InstancesListed{Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Lane: lane}}
				}
				if err := b.Publish(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			has := func(lane string) func() bool {
				return func() bool { mu.Lock(); defer mu.Unlock(); return slices.Contains(got, lane) }
			}
			put("1")
			eventually(t, "the first job", has("1"))
			deleteConsumers(t, b, c.Stream)
			put("2")
			eventually(t, "the job after the consumer was deleted", has("2"))
			if err := b.JetStream().DeleteStream(t.Context(), c.Stream); err != nil {
				t.Fatal(err)
			}
			put("3") // waits for the stream, which is made again
			eventually(t, "the job after the stream was deleted", has("3"))
			if life := b.Lives()[c.Name]; !life.Up || life.Restarts < 2 || life.Err != nil {
				t.Errorf("life %+v, want one that reads again and counted both ends", life)
			}
		})
	}
}

func TestTheMoverIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	moved := make(chan string, 4)
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		if err := b.MoveDead(ctx, func(_ context.Context, d bus.Dead) error { moved <- d.Stream; return nil }); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the mover reads", func() bool { return b.Lives()["mover"].Up })
	deleteConsumers(t, b, bus.StreamAdvisories)
	c := bus.ConsumeLanes
	c.AckWait, c.MaxDeliver = 100*time.Millisecond, 1
	if err := b.Publish(t.Context(), lane(1)); err != nil {
		t.Fatal(err)
	}
	if err := b.TakeAndForget(t.Context(), c, 2); err != nil {
		t.Fatal(err)
	}
	select {
	case stream := <-moved:
		if stream != bus.StreamWork {
			t.Errorf("moved from %s", stream)
		}
	case <-time.After(2 * time.Minute):
		t.Error("nothing was moved after the mover's consumer was deleted")
	}
}

// A server that comes back with an empty disk has lost everything: whoever may
// make it again does, within seconds, and work goes on.
func TestAnEmptiedServerIsFilledAgain(t *testing.T) {
	t.Parallel()
	e := startExternal(t)
	b := e.open(nil)
	kv, err := b.KV(t.Context(), "test", time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	filled, fails := 0, 1
	b.WhenMade(bus.StreamSchedules, func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if fails > 0 {
			fails--
			return errors.New("not yet")
		}
		filled++
		return nil
	})
	times := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return filled == n }
	}
	eventually(t, "the schedules are stored", times(1))
	f := follow(t, b, "a")
	handled := make(chan string, 16)
	consume(t, b, bus.ConsumeLanes, func(_ context.Context, d bus.Delivery) error {
		handled <- laneOf(d.Msg)
		return nil
	}, nil)
	say(t, b, "before")
	eventually(t, "the first result", func() bool { return f.has("before") })

	e.stop()
	// What is on its way to a server that ends is waited for ten seconds.
	eventually(t, "the server is missed", func() bool { return !b.Connected() })
	e.start("second")
	say(t, b, "after")
	eventually(t, "a result on the new server", func() bool { return f.has("after") })
	if err := b.Publish(t.Context(), lane(7)); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-handled:
		if got != "7" {
			t.Errorf("handled lane %s", got)
		}
	case <-time.After(2 * time.Minute):
		t.Error("no job was handled on the new server")
	}
	eventually(t, "the schedules are stored again", times(2))
	eventually(t, "the bucket is there again", func() bool {
		_, err := kv.Update(t.Context(), "k", []byte("v"), 0)
		return err == nil || errors.Is(err, bus.ErrConflict)
	})
	eventually(t, "all is well again", func() bool { h := b.Health(); return h.Ready() == nil })
}

// Who may not make streams waits for who may, and is not ready meanwhile.
func TestHealthNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	eventually(t, "all is well", func() bool { h := b.Health(); return h.Ready() == nil && h.Quorum && len(h.Streams) == 7 })
	e := startExternal(t)
	maker := e.open(nil)
	defer maker.Close()
	e.srv.Shutdown()
	eventually(t, "the outage shows", func() bool {
		h := maker.Health()
		err := h.Ready()
		return !h.Connected && !h.Quorum && err != nil && strings.Contains(err.Error(), "not connected")
	})
}

func TestNoDeadLettersAreNoError(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	letters, err := b.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 0 {
		t.Fatalf("letters %v, error %v, before a message was ever dead", letters, err)
	}
	for i := range 4 {
		d := bus.DeadLetter{Cause: fmt.Sprint(i), Subject: "shenscan.work.lane.a.r"}
		if err := b.PutDead(t.Context(), &d); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []uint64{1, 3} {
		if err := b.DropDead(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	letters, err = b.DeadLetters(t.Context(), 0, 1)
	if err != nil || len(letters) != 1 || letters[0].ID != 2 {
		t.Errorf("letters %+v, error %v, want the second alone", letters, err)
	}
	letters, err = b.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 2 || letters[1].ID != 4 {
		t.Errorf("letters %+v, error %v, want the second and the fourth", letters, err)
	}
}
