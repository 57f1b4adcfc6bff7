package bus_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
)

// hold is how many messages a stream of an older version holds in these tests.
const hold = 40

// server starts a server without streams and returns a way to them.
func server(t *testing.T) (url string, js jetstream.JetStream) {
	t.Helper()
	o := bus.DefaultOptions()
	o.Dir, o.Listen, o.Sync = t.TempDir(), "127.0.0.1:0", bus.SyncInterval
	b, err := bus.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.ClientURL(), b.JetStream()
}

// older makes a stream as another version declared it, with hold messages of
// about a kilobyte on each of subjects.
func older(t *testing.T, js jetstream.JetStream, cfg jetstream.StreamConfig, subjects ...string) jetstream.Stream {
	t.Helper()
	s, err := js.CreateStream(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range hold {
		for _, subject := range subjects {
			msg := &nats.Msg{Subject: subject, Data: fmt.Appendf(nil, "%s %01000d", subject, i)}
			if _, err := js.PublishMsg(t.Context(), msg, jetstream.WithMsgID(fmt.Sprint(subject, i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return s
}

func TestAnOlderDeclarationIsMigratedOrRefusedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	const results, pages, work = "shenscan.results.a.r", "shenscan.pages.bulk.a.r", "shenscan.work.lane.a.r"
	for name, tc := range map[string]struct {
		stream   string
		older    func(*jetstream.StreamConfig)
		now      func(*bus.Options) // how this process is started
		subjects []string
		refused  []string // parts of the message; nil where it is migrated
		check    func(*testing.T, jetstream.StreamConfig)
	}{
		"wider_limits": {
			stream: bus.StreamResults, subjects: []string{results},
			older: func(c *jetstream.StreamConfig) {
				c.MaxBytes, c.MaxAge, c.MaxMsgs = 12<<30, 365*24*time.Hour, 1_000_000
			},
		},
		"narrower_limits": {
			stream: bus.StreamResults, subjects: []string{results},
			older: func(c *jetstream.StreamConfig) { c.MaxBytes, c.MaxAge, c.MaxMsgSize = 1<<20, time.Hour, 1<<16 },
		},
		"bytes_that_would_delete": {
			stream: bus.StreamResults, subjects: []string{results}, now: func(o *bus.Options) { o.Limits.Results = 4096 },
			refused: []string{"max bytes 8589934592", "delete messages", "nats stream edit SHENSCAN_RESULTS --max-bytes=4096"},
		},
		"age_that_would_delete": {
			stream: bus.StreamResults, subjects: []string{results}, now: func(o *bus.Options) { o.Limits.ResultsAge = time.Nanosecond },
			refused: []string{"max age 192h0m0s", "delete messages", "nats stream edit SHENSCAN_RESULTS --max-age="},
		},
		"another_duplicate_window": {
			stream: bus.StreamWork, subjects: []string{work},
			older: func(c *jetstream.StreamConfig) { c.Duplicates = time.Hour },
		},
		"fewer_subjects": {
			stream: bus.StreamResults, subjects: []string{results},
			older: func(c *jetstream.StreamConfig) { c.Subjects = []string{"shenscan.results.*.*"} },
		},
		"a_subject_that_is_no_more": {
			stream: bus.StreamWork, subjects: []string{work, "shenscan.old.x"},
			older: func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "shenscan.old.>") },
		},
		"work_that_was_no_queue": {
			stream: bus.StreamWork, subjects: []string{work},
			older:   func(c *jetstream.StreamConfig) { c.Retention = jetstream.LimitsPolicy },
			refused: []string{"SHENSCAN_WORK has retention Limits", "WorkQueue", "nothing was changed", "nats stream backup SHENSCAN_WORK", "nats stream rm SHENSCAN_WORK"},
		},
		"results_that_were_a_queue": {
			stream: bus.StreamResults, subjects: []string{results},
			older:   func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
			refused: []string{"retention WorkQueue", "nats stream rm SHENSCAN_RESULTS"},
		},
		"memory": {
			stream: bus.StreamEvents, subjects: []string{"shenscan.events.scan.complete"},
			older:   func(c *jetstream.StreamConfig) { c.Storage, c.MaxBytes = jetstream.MemoryStorage, 1<<20 },
			refused: []string{"storage Memory", "in place", "nats stream rm SHENSCAN_EVENTS"},
		},
		"pages_that_dropped_the_oldest": {
			stream: bus.StreamPages, subjects: []string{pages}, now: func(o *bus.Options) { o.Limits.PagesBytes = 8192 },
			older: func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		},
		"fewer_pages_than_it_holds": {
			stream: bus.StreamPages, subjects: []string{pages}, now: func(o *bus.Options) { o.Limits.PagesBytes = 8192 },
		},
		"replicas_on_one_server": {
			stream: bus.StreamWork, subjects: []string{work}, now: func(o *bus.Options) { o.Replicas = 3 },
			refused: []string{"replicas 1 -> 3", "nothing was changed"},
		},
		"schedules_of_an_older_server": {
			stream: bus.StreamSchedules,
			older:  func(c *jetstream.StreamConfig) { c.AllowMsgSchedules, c.AllowRollup = false, false },
		},
		"several_messages_a_schedule": {
			stream: bus.StreamSchedules, subjects: []string{"shenscan.schedule.daily"},
			older:   func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 100 },
			refused: []string{"max messages a subject 100", "nats stream edit SHENSCAN_SCHEDULES --max-msgs-per-subject=1"},
		},
		"what_the_operator_set": {
			stream: bus.StreamResults, subjects: []string{results},
			older: func(c *jetstream.StreamConfig) {
				c.Compression, c.Duplicates, c.Metadata = jetstream.S2Compression, time.Second, map[string]string{"owner": "sre"}
			},
			check: func(t *testing.T, c jetstream.StreamConfig) {
				if c.Compression != jetstream.S2Compression || c.Metadata["owner"] != "sre" {
					t.Errorf("compression %v, metadata %v", c.Compression, c.Metadata)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			url, js := server(t)
			cfg := bus.Declarations(bus.DefaultOptions())[tc.stream]
			if tc.older != nil {
				tc.older(&cfg)
			}
			s := older(t, js, cfg, tc.subjects...)
			before, err := s.Info(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			o := bus.DefaultOptions()
			o.URL = url
			if tc.now != nil {
				tc.now(&o)
			}
			b, err := bus.Open(t.Context(), o)
			if err == nil {
				defer b.Close()
			}
			after, infoErr := s.Info(t.Context())
			if infoErr != nil {
				t.Fatal(infoErr)
			}
			if after.State.Msgs != uint64(hold*len(tc.subjects)) || after.State.Msgs != before.State.Msgs || after.Created != before.Created {
				t.Errorf("%d messages of %d are left (made %v, was %v)", after.State.Msgs, before.State.Msgs, after.Created, before.Created)
			}
			if tc.refused != nil {
				for _, part := range append(tc.refused, tc.stream) {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("error %v, want one with %q", err, part)
					}
				}
				if got, want := fmt.Sprint(after.Config), fmt.Sprint(before.Config); got != want {
					t.Errorf("a refused stream was changed:\n%s\n%s", want, got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := bus.Declarations(o)[tc.stream]
			if why := bus.Refusal(after, &want); why != "" || !slices.Equal(after.Config.Subjects, want.Subjects) || after.Config.Discard != want.Discard ||
				after.Config.MaxAge != want.MaxAge || max(after.Config.MaxBytes, 0) != want.MaxBytes || after.Config.Duplicates != want.Duplicates ||
				after.Config.AllowMsgSchedules != want.AllowMsgSchedules {
				t.Errorf("%s is %+v", why, after.Config)
			}
			if tc.check != nil {
				tc.check(t, after.Config)
			}
		})
	}
}

func TestFewerReplicasAreRefused(t *testing.T) {
	t.Parallel()
	o := bus.DefaultOptions()
	want := bus.Declarations(o)[bus.StreamWork]
	have := want
	have.Replicas = 3
	if why := bus.Refusal(&jetstream.StreamInfo{Config: have}, &want); !strings.Contains(why, "--nats-replicas 3") {
		t.Errorf("refusal %q", why)
	}
	if why := bus.Refusal(&jetstream.StreamInfo{Config: want}, &have); why != "" {
		t.Errorf("more replicas are refused: %s", why)
	}
}

// Workers and sinks take streams as they are, unless they cannot work with
// them.
func TestWorkersAndSinksLeaveStreamsAlone(t *testing.T) {
	t.Parallel()
	url, js := server(t)
	o := bus.DefaultOptions()
	o.URL, o.Declare = url, false
	declared := bus.Declarations(o)
	odd := declared[bus.StreamResults]
	odd.MaxAge = time.Hour
	older(t, js, odd, "shenscan.results.a.r")
	b, err := bus.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	s, err := js.Stream(t.Context(), bus.StreamResults)
	if err != nil || s.CachedInfo().Config.MaxAge != time.Hour {
		t.Errorf("the stream was changed: %v %+v", err, s.CachedInfo().Config)
	}
	if _, err := js.Stream(t.Context(), bus.StreamPages); err != nil {
		t.Errorf("a missing stream was not made where that is allowed: %v", err)
	}
	narrow := s.CachedInfo().Config
	narrow.Subjects = []string{"shenscan.results.a.>"}
	if _, err := js.UpdateStream(t.Context(), narrow); err != nil {
		t.Fatal(err)
	}
	if b, err := bus.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "start a producer") {
		t.Errorf("error %v, want one that says who changes the stream", err)
		if err == nil {
			b.Close()
		}
	}
}

// golden reads a message that was written before.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "event", "testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestGoldenMessagesInTheStreamsAreRead(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	put := func(subject, name string) {
		t.Helper()
		if err := b.PublishRaw(t.Context(), &nats.Msg{Subject: subject, Data: golden(t, name), Header: nats.Header{}}); err != nil {
			t.Fatal(err)
		}
	}
	put("shenscan.work.scan.s", "scan_requested")
	put("shenscan.work.scope.a.r", "scope_job")
	put("shenscan.work.lane.a.r", "lane_job")
	put("shenscan.pages.bulk.a.r", "instances_listed")
	inResults := []string{"scan_planned", "scope_planned", "instances_classified", "lane_ended", "page_failed", "scope_failed", "scan_aborted"}
	for _, name := range inResults {
		put("shenscan.results.a.r", name)
	}
	got := make(chan string, 16)
	for _, c := range []bus.Consumer{bus.ConsumeScans, bus.ConsumeScopes, bus.ConsumeLanes, bus.ConsumeBulkPages} {
		consume(t, b, c, func(_ context.Context, d bus.Delivery) error {
			got <- event.AboutOf(d.Msg).Type
			return nil
		}, func(_ context.Context, d bus.Dead) error {
			t.Errorf("dead: %s", d.Cause)
			return nil
		})
	}
	seen := []string{<-got, <-got, <-got, <-got}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.FollowResults(ctx, bus.Follow{Name: "s", MaxBatch: 2, Linger: time.Millisecond}, event.Position{},
			func(_ context.Context, batch []event.Received) error {
				for _, r := range batch {
					got <- event.AboutOf(r.Msg).Type
				}
				return nil
			})
	}()
	for range inResults {
		seen = append(seen, <-got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	want := []string{"scan.requested", "scope.job", "lane.job", "instances.listed"}
	for _, name := range inResults {
		want = append(want, strings.ReplaceAll(name, "_", "."))
	}
	slices.Sort(seen)
	slices.Sort(want)
	if !slices.Equal(seen, want) {
		t.Errorf("read %q, want %q", seen, want)
	}
}

// newer is a message of a version to come.
func newer(t *testing.T, flat bool) []byte {
	t.Helper()
	if flat {
		raw := golden(t, "instances_listed")
		raw[1] = 200
		return raw
	}
	return []byte(`{"type":"lane.job","v":7,"data":{"new":true}}`)
}

func TestANewerMessageIsDeadLetteredWithItsCause(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		c       bus.Consumer
		subject string
		flat    bool
	}{
		"control": {bus.ConsumeLanes, "shenscan.work.lane.a.r", false},
		"page":    {bus.ConsumeBulkPages, "shenscan.pages.bulk.a.r", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, nil)
			raw := newer(t, tc.flat)
			if err := b.PublishRaw(t.Context(), &nats.Msg{Subject: tc.subject, Data: raw, Header: nats.Header{}}); err != nil {
				t.Fatal(err)
			}
			tc.c.MaxDeliver = 1
			dead := make(chan bus.Dead, 1)
			consume(t, b, tc.c, func(context.Context, bus.Delivery) error {
				t.Error("handled")
				return nil
			}, func(_ context.Context, d bus.Dead) error {
				dead <- d
				return nil
			})
			if d := <-dead; !strings.Contains(d.Cause, "newer version") || !strings.Contains(d.Cause, "upgrade") || !strings.Contains(d.Cause, "dead retry") {
				t.Errorf("cause %q", d.Cause)
			}
			letters, err := b.DeadLetters(t.Context(), 0, 10)
			if err != nil || len(letters) != 1 || !slices.Equal(letters[0].Payload, raw) {
				t.Fatalf("letters %+v, %v", letters, err)
			}
		})
	}
}

// A result of a newer version stays where it is, and the sink before it: it is
// read when the sink is upgraded, which a dead letter would not be.
func TestASinkWaitsBeforeANewerResult(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	for _, raw := range [][]byte{golden(t, "lane_ended"), newer(t, false), golden(t, "scan_aborted")} {
		if err := b.PublishRaw(t.Context(), &nats.Msg{Subject: "shenscan.results.a.r", Data: raw, Header: nats.Header{}}); err != nil {
			t.Fatal(err)
		}
	}
	var read []uint64
	f := bus.Follow{Name: "s", MaxBatch: 1, Linger: time.Millisecond}
	err := b.FollowResults(t.Context(), f, event.Position{}, func(_ context.Context, batch []event.Received) error {
		read = append(read, batch[0].Seq)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "upgrade this sink") || !slices.Equal(read, []uint64{1}) {
		t.Errorf("read %v, error %v", read, err)
	}
	st, err := b.State(t.Context(), bus.StreamResults)
	dead, deadErr := b.DeadCount(t.Context())
	if err != nil || deadErr != nil || st.Messages != 3 || dead != 0 {
		t.Errorf("%d results, %d dead letters, %v %v", st.Messages, dead, err, deadErr)
	}
	// An operator who does not wait for the upgrade sets that one message aside;
	// the sink goes on behind it, and the message is kept.
	if err := b.SetAside(t.Context(), 2, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = b.FollowResults(ctx, f, event.Position{Stream: st.Created, Seq: 1}, func(_ context.Context, batch []event.Received) error {
		read = append(read, batch[0].Seq)
		cancel()
		return nil
	})
	if err != nil || !slices.Equal(read, []uint64{1, 3}) {
		t.Errorf("after it was set aside: read %v, error %v", read, err)
	}
	letters, err := b.DeadLetters(t.Context(), 0, 10)
	if err != nil || len(letters) != 1 || letters[0].Seq != 2 || !bytes.Equal(letters[0].Payload, newer(t, false)) || !strings.Contains(letters[0].Cause, "set aside") {
		t.Errorf("letters %+v, %v", letters, err)
	}
}

// The largest garbage that a stream takes is dead-lettered like any other.
func TestTheLargestGarbageIsDeadLettered(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var log strings.Builder
	b := open(t, func(o *bus.Options) {
		o.Log = slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}), nil))
	})
	garbage := []byte(strings.Repeat("x", event.MaxPayload+60_000))
	if err := b.PublishRaw(t.Context(), &nats.Msg{Subject: "shenscan.pages.bulk.a.r", Data: garbage, Header: nats.Header{nats.MsgIdHdr: {"evil"}}}); err != nil {
		t.Fatal(err)
	}
	dead := make(chan bus.Dead, 1)
	consume(t, b, bus.ConsumeBulkPages, func(context.Context, bus.Delivery) error { return nil }, func(_ context.Context, d bus.Dead) error {
		dead <- d
		return nil
	})
	<-dead
	letters, err := b.DeadLetters(t.Context(), 0, 1)
	if err != nil || len(letters) != 1 || len(letters[0].Payload) != len(garbage) {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, part := range []string{"message=dead/SHENSCAN_PAGES/", "stream=SHENSCAN_PAGES", "consumer=pages-bulk", "seq=1", "cause="} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("log %.600s, want %q", log.String(), part)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
