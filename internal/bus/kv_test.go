package bus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/shenscan/shenscan/internal/bus"
)

func TestKVReadsAndWritesManyKeysAtOnce(t *testing.T) {
	t.Parallel()
	kv, err := open(t, nil).KV(t.Context(), "test", time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	const n = 1500 // more than the server answers for at once
	keys, writes := make([]string, n), make([]bus.Write, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("a.r.k%d", i)
		writes[i] = bus.Write{Key: keys[i], Value: fmt.Append(nil, i)}
	}
	entries, err := kv.GetAll(t.Context(), keys)
	if err != nil || len(entries) != n || entries[n-1].Revision != 0 {
		t.Fatalf("GetAll of nothing: %d entries, %v", len(entries), err)
	}
	if _, err := kv.Update(t.Context(), keys[7], []byte("taken"), 0); err != nil {
		t.Fatal(err)
	}
	made, err := kv.WriteAll(t.Context(), writes)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range made {
		if ok == (i == 7) {
			t.Errorf("write %d made: %v", i, ok)
		}
	}
	if entries, err = kv.GetAll(t.Context(), append(keys, "a.r.none", keys[0])); err != nil {
		t.Fatal(err)
	}
	for i, e := range entries[:n] {
		want := fmt.Sprint(i)
		if i == 7 {
			want = "taken"
		}
		if string(e.Value) != want || e.Revision == 0 {
			t.Errorf("entry %d: %q at %d", i, e.Value, e.Revision)
		}
	}
	if entries[n].Revision != 0 || string(entries[n+1].Value) != "0" {
		t.Errorf("a key that is not there %+v, the first again %+v", entries[n], entries[n+1])
	}
	changes := []bus.Write{{Key: keys[7], Value: []byte("new"), Revision: entries[7].Revision}, {Key: keys[8], Value: []byte("late"), Revision: entries[7].Revision}, {Key: keys[9], Value: []byte("any"), Always: true}}
	if made, err = kv.WriteAll(t.Context(), changes); err != nil || fmt.Sprint(made) != "[true false true]" {
		t.Errorf("made %v, %v", made, err)
	}
	for key, want := range map[string]string{keys[7]: "new", keys[8]: "8", keys[9]: "any"} {
		if v, _, err := kv.Get(t.Context(), key); err != nil || string(v) != want {
			t.Errorf("%s = %q, %v; want %s", key, v, err, want)
		}
	}
	if made, err := kv.WriteAll(t.Context(), nil); err != nil || len(made) != 0 {
		t.Errorf("no writes: %v, %v", made, err)
	}
}

// Writes that nobody answers, more than may wait by default, leave room for those of
// other buckets, and are forgotten.
func TestKVWritesThatNobodyAnswersDisturbNoOthers(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	silent, err := b.KV(t.Context(), "silent", time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	healthy, err := b.KV(t.Context(), "healthy", time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := b.JetStream().Stream(t.Context(), "KV_silent")
	if err != nil {
		t.Fatal(err)
	}
	noAnswer := stream.CachedInfo().Config
	noAnswer.NoAck = true
	if _, err := b.JetStream().UpdateStream(t.Context(), noAnswer); err != nil {
		t.Fatal(err)
	}
	writes := make([]bus.Write, 500)
	for i := range writes {
		writes[i] = bus.Write{Key: fmt.Sprint("k", i), Value: []byte("v"), Always: true}
	}
	for range 9 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if made, err := silent.WriteAll(ctx, writes); err == nil {
			t.Errorf("nobody answers, made %v", made)
		}
		cancel()
	}
	if made, err := healthy.WriteAll(t.Context(), writes); err != nil || slices.Contains(made, false) {
		t.Errorf("in a bucket that answers: %v", err)
	}
	eventually(t, "the unanswered writes are forgotten", func() bool { return b.JetStream().PublishAsyncPending() == 0 })
}

// A server that runs alone forgets the buckets in memory when it restarts.
func TestKVIsMadeAgainWhereTheServerLostIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start := func(port int) *natsserver.Server {
		srv, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true})
		if err != nil {
			t.Fatal(err)
		}
		srv.Start()
		if !srv.ReadyForConnections(10 * time.Second) {
			t.Fatal("the server did not start")
		}
		return srv
	}
	stop := func(srv *natsserver.Server) { srv.Shutdown(); srv.WaitForShutdown() }
	srv := start(natsserver.RANDOM_PORT)
	port := srv.Addr().(*net.TCPAddr).Port
	o := bus.DefaultOptions()
	o.URL = srv.ClientURL()
	b, err := bus.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	memory, err := b.KV(t.Context(), "memory", time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	file, err := b.KV(t.Context(), "file", time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Update(t.Context(), "k", []byte("kept"), 0); err != nil {
		t.Fatal(err)
	}
	stop(srv)
	srv = start(port)
	defer stop(srv)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := memory.WriteAll(t.Context(), []bus.Write{{Key: "k", Value: []byte("new"), Always: true}})
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if v, _, err := file.Get(t.Context(), "k"); err != nil || string(v) != "kept" {
		t.Errorf("what was on disk: %q, %v", v, err)
	}
}

func TestKVSaysWhatItCouldNotReadOrWrite(t *testing.T) {
	t.Parallel()
	o := bus.DefaultOptions()
	o.Dir = t.TempDir()
	b, err := bus.Dial(t.Context(), o) // which does not make again what is gone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.KV(t.Context(), "test", time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().DeleteKeyValue(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.GetAll(t.Context(), []string{"a"}); err == nil || !strings.Contains(err.Error(), "read 1 keys from test") {
		t.Errorf("GetAll: %v", err)
	}
	if _, err := kv.WriteAll(t.Context(), []bus.Write{{Key: "a"}}); err == nil || errors.Is(err, bus.ErrConflict) || !strings.Contains(err.Error(), "write 1 keys to test") {
		t.Errorf("WriteAll: %v", err)
	}
}

// serverWithRoom starts a server that sets so many bytes of memory and of storage aside
// for streams, and no more.
func serverWithRoom(t *testing.T, memory, storage int64) *natsserver.Server {
	t.Helper()
	srv, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, JetStreamMaxMemory: memory, JetStreamMaxStore: storage, StoreDir: t.TempDir(), NoLog: true, NoSigs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	return srv
}

// Processes that start together ask for the same streams at once, and the server counts
// the room of a stream that is there against whoever asks for it once more: what has no
// room is looked up again before it ends a process.
func TestRoomThatIsSetAsideForAMomentIsWaitedFor(t *testing.T) {
	t.Parallel()
	srv := serverWithRoom(t, 256<<20, 12<<30)
	conn, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}, MaxBytes: 9 << 30}); err != nil {
		t.Fatal(err)
	}
	refused, err := conn.SubscribeSync("$JS.EVENT.ADVISORY.API") // what was asked of JetStream and answered
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		o := bus.DefaultOptions()
		o.URL, o.Dir = srv.ClientURL(), ""
		b, err := bus.Open(t.Context(), o)
		if err == nil {
			b.Close()
		}
		opened <- err
	}()
	eventually(t, "a stream has no room", func() bool {
		answer, err := refused.NextMsgWithContext(t.Context())
		return err == nil && strings.Contains(string(answer.Data), "10047")
	})
	if err := js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

// Producers that start together ask for the same buckets at once. The memory
// that deploy/nats gives the server is enough for that.
func TestProducersThatStartTogetherFitIntoTheServersMemory(t *testing.T) {
	t.Parallel()
	srv := serverWithRoom(t, 256<<20, 0)
	var starting sync.WaitGroup
	for range 4 {
		b := open(t, func(o *bus.Options) { o.URL, o.Dir = srv.ClientURL(), "" })
		starting.Go(func() {
			for _, bucket := range []string{"shenscan-rate", "shenscan-images"} {
				if _, err := b.KV(t.Context(), bucket, time.Hour, true); err != nil {
					t.Errorf("%s: %v", bucket, err)
				}
			}
		})
	}
	starting.Wait()
}
