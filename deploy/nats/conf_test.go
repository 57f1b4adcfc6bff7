package nats

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

var roles = []string{"producer", "worker", "sink", "viewer", "operator", "admin"}

// start runs nats-server.conf with keys of its own on a loopback port and
// returns its URL and the seed file of each role.
func start(t *testing.T) (url string, seeds map[string]string) {
	t.Helper()
	dir := t.TempDir()
	conf, err := os.ReadFile("nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	seeds = map[string]string{}
	var public strings.Builder
	for _, role := range append(slices.Clone(roles), "system") {
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := key.Seed()
		pub, _ := key.PublicKey()
		seeds[role] = filepath.Join(dir, role+".nk")
		if err := os.WriteFile(seeds[role], seed, 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&public, "%s_KEY: %q\n", strings.ToUpper(role), pub)
	}
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"nats-server.conf": conf, "keys/keys.conf": []byte(public.String())} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opts, err := server.ProcessConfigFile(filepath.Join(dir, "nats-server.conf"))
	if err != nil {
		t.Fatalf("nats-server.conf: %v", err)
	}
	if !opts.JetStream || !opts.SyncAlways {
		t.Errorf("JetStream %v, sync always %v: want both", opts.JetStream, opts.SyncAlways)
	}
	opts.Host, opts.Port, opts.HTTPPort, opts.StoreDir = "127.0.0.1", server.RANDOM_PORT, 0, filepath.Join(dir, "data")
	opts.NoLog, opts.NoSigs = true, true
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server did not start")
	}
	return srv.ClientURL(), seeds
}

// as connects with a role's key. Refusals of the server arrive on the channel.
func as(t *testing.T, url, seed string) (*natsgo.Conn, <-chan error) {
	t.Helper()
	refused := make(chan error, 64)
	key, err := natsgo.NkeyOptionFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := natsgo.Connect(url, key, natsgo.ErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc, refused
}

func TestEachUserIsHeldToItsSubjects(t *testing.T) {
	t.Parallel()
	url, seeds := start(t)
	publish := map[string][]string{ // subject -> who may publish it
		"shenscan.work.scan.s-1":                                  {"producer", "sink"},
		"shenscan.work.lane.a.cn-hangzhou":                        {"producer"},
		"shenscan.work.check.a.cn-hangzhou":                       {"producer", "sink"},
		"shenscan.pages.bulk.a.cn-hangzhou":                       {"producer"},
		"shenscan.results.a.cn-hangzhou":                          {"producer", "worker"},
		"shenscan.results.control":                                {"producer", "worker", "sink"},
		"shenscan.schedule.daily":                                 {"producer"},
		"shenscan.tick.daily":                                     {},
		"shenscan.events.verdict.a.cn-hangzhou":                   {"sink"},
		"shenscan.dead.SHENSCAN_PAGES.pages-bulk":                 {"producer", "worker", "sink"},
		"shenscan.scan":                                           {"sink", "operator"},
		"shenscan.rescan":                                         {"sink", "operator"},
		"shenscan.query.summary":                                  {"viewer", "operator"},
		"shenscan.query.instance":                                 {"viewer", "operator"},
		"shenscan.query.locate":                                   {"producer", "viewer", "operator"},
		"shenscan.query.evidence":                                 {"producer", "worker", "viewer", "operator"},
		"shenscan.query.scan":                                     {"producer", "viewer", "operator"},
		"shenscan.anything.else":                                  {},
		"other":                                                   {},
		"$KV.shenscan-images.x":                                   {"worker"},
		"$KV.shenscan-guests.x":                                   {"producer"},
		"$JS.API.DIRECT.GET.KV_shenscan-guests":                   {"producer"},
		"$KV.shenscan-rate.x":                                     {"producer", "worker"},
		"$JS.API.DIRECT.GET.KV_shenscan-images":                   {"worker"},
		"$KV.shenscan-scans.x":                                    {"producer"},
		"$JS.API.STREAM.CREATE.SHENSCAN_PAGES":                    {"producer"},
		"$JS.API.STREAM.UPDATE.SHENSCAN_RESULTS":                  {"producer", "admin"},
		"$JS.API.STREAM.CREATE.KV_shenscan-images":                {"producer"},
		"$JS.API.STREAM.CREATE.KV_shenscan-rate":                  {"producer"},
		"$JS.API.STREAM.INFO.SHENSCAN_RESULTS":                    {"producer", "worker", "sink", "operator", "admin"},
		"$JS.API.STREAM.CREATE.OTHER":                             {},
		"$JS.API.STREAM.DELETE.SHENSCAN_RESULTS":                  {"admin"},
		"$JS.API.STREAM.DELETE.OTHER":                             {},
		"$JS.API.STREAM.SNAPSHOT.SHENSCAN_EVENTS":                 {"admin"},
		"$JS.API.STREAM.LEADER.STEPDOWN.SHENSCAN_WORK":            {"admin"},
		"$JS.API.META.LEADER.STEPDOWN":                            {},
		"$JS.API.CONSUMER.DELETE.SHENSCAN_RESULTS.sink-a":         {"sink", "admin"},
		"$JS.API.CONSUMER.INFO.SHENSCAN_RESULTS.sink-a":           {"sink", "admin"},
		"$JS.API.STREAM.PURGE.SHENSCAN_RESULTS":                   {},
		"$JS.API.STREAM.MSG.DELETE.SHENSCAN_RESULTS":              {"producer"},
		"$JS.API.STREAM.MSG.GET.SHENSCAN_RESULTS":                 {"producer"},
		"$JS.API.STREAM.MSG.GET.SHENSCAN_DEAD":                    {"producer"},
		"shenscan.letters.list":                                   {"operator"},
		"$SRV.PING":                                               {"operator"},
		"$JS.API.STREAM.PURGE.SHENSCAN_SCHEDULES":                 {"producer"},
		"$JS.API.STREAM.MSG.DELETE.SHENSCAN_DEAD":                 {"producer"},
		"$JS.API.STREAM.MSG.GET.SHENSCAN_PAGES":                   {"producer", "worker"},
		"$JS.API.CONSUMER.MSG.NEXT.SHENSCAN_WORK.lanes":           {"producer"},
		"$JS.API.CONSUMER.MSG.NEXT.SHENSCAN_PAGES.pages-bulk":     {"worker"},
		"$JS.API.CONSUMER.MSG.NEXT.SHENSCAN_RESULTS.sink-a":       {"sink"},
		"$JS.API.CONSUMER.CREATE.SHENSCAN_PAGES.spy":              {},
		"$JS.API.CONSUMER.DELETE.SHENSCAN_PAGES.pages-bulk":       {},
		"$JS.ACK.SHENSCAN_WORK.lanes.1.1.1.1.1":                   {"producer"},
		"$JS.ACK.SHENSCAN_PAGES.pages-bulk.1.1.1.1.1":             {"worker"},
		"$JS.ACK._.hash.SHENSCAN_RESULTS.sink-a.1.1.1.1.1.random": {"sink"},
		"$SYS.REQ.SERVER.PING":                                    {},
	}
	subscribe := map[string][]string{
		">":                             {},
		"shenscan.>":                    {},
		"shenscan.pages.>":              {},
		"shenscan.results.>":            {},
		"$JS.API.>":                     {},
		"$KV.>":                         {},
		"shenscan.scan":                 {"producer"},
		"shenscan.rescan":               {"producer"},
		"shenscan.query.instance":       {"sink"},
		"shenscan.events.verdict.>":     {"viewer", "operator"},
		"shenscan.events.scan.complete": {"producer", "viewer", "operator"},
		"shenscan.letters.retry":        {"producer"},
		"_INBOX.abc.*":                  {"operator"},
		"_INBOX.producer.*":             {"producer"},
		"_INBOX.worker.*":               {"worker"},
		"_INBOX.sink.*":                 {"sink"},
		"_INBOX.viewer.*":               {"viewer"},
		"_INBOX.admin.*":                {"admin"},
		"$SYS.>":                        {},
	}
	for _, role := range roles {
		t.Run(role, func(t *testing.T) {
			nc, refused := as(t, url, seeds[role])
			check := func(what, subject string, may []string, do func() error) {
				t.Helper()
				if err := do(); err != nil {
					t.Fatal(err)
				}
				// The server answers a refusal before the flush that follows it;
				// the client hands it over on another goroutine.
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
				var got error
				if allowed := slices.Contains(may, role); allowed {
					select {
					case got = <-refused:
					default:
						got = nc.LastError()
					}
					if got != nil {
						t.Errorf("%s %s: %v", what, subject, got)
					}
					return
				}
				select {
				case got = <-refused:
				case <-time.After(30 * time.Second):
				}
				if !errors.Is(got, natsgo.ErrPermissionViolation) || !strings.Contains(got.Error(), `"`+subject+`"`) {
					t.Errorf("%s %s: %v, want a permissions violation", what, subject, got)
				}
			}
			// What is allowed first: LastError stays set after a refusal.
			for _, allowed := range []bool{true, false} {
				for subject, may := range publish {
					if slices.Contains(may, role) == allowed {
						check("publish", subject, may, func() error { return nc.Publish(subject, nil) })
					}
				}
				for subject, may := range subscribe {
					if slices.Contains(may, role) == allowed {
						check("subscribe", subject, may, func() error { _, err := nc.SubscribeSync(subject); return err })
					}
				}
			}
		})
	}
}

func TestStrangersAreRefused(t *testing.T) {
	url, _ := start(t)
	if nc, err := natsgo.Connect(url); err == nil {
		nc.Close()
		t.Error("a client without a key was let in")
	}
	key, _ := nkeys.CreateUser()
	seed, _ := key.Seed()
	file := filepath.Join(t.TempDir(), "stranger.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	option, err := natsgo.NkeyOptionFromSeed(file)
	if err != nil {
		t.Fatal(err)
	}
	if nc, err := natsgo.Connect(url, option); err == nil {
		nc.Close()
		t.Error("a client with an unknown key was let in")
	}
}

// TestTheAdministratorSeesToStreams does with the administrator's key what the
// guide tells: a consumer that nobody reads is removed, a stream is edited, copied
// and deleted.
func TestTheAdministratorSeesToStreams(t *testing.T) {
	t.Parallel()
	url, seeds := start(t)
	ctx := t.Context()
	jetStream := func(role string) jetstream.JetStream {
		key, err := natsgo.NkeyOptionFromSeed(seeds[role])
		if err != nil {
			t.Fatal(err)
		}
		nc, err := natsgo.Connect(url, key, natsgo.CustomInboxPrefix("_INBOX."+role))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	config := jetstream.StreamConfig{Name: "SHENSCAN_RESULTS", Subjects: []string{"shenscan.results.>"}}
	if _, err := jetStream("producer").CreateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	sink, err := jetStream("sink").Stream(ctx, config.Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "sink-old", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	admin := jetStream("admin")
	if err := admin.DeleteConsumer(ctx, config.Name, "sink-old"); err != nil {
		t.Errorf("delete a consumer: %v", err)
	}
	config.MaxMsgs = 1000
	if _, err := admin.UpdateStream(ctx, config); err != nil {
		t.Errorf("edit a stream: %v", err)
	}
	if err := admin.DeleteStream(ctx, config.Name); err != nil {
		t.Errorf("delete a stream: %v", err)
	}
	ctx, refused := context.WithCancelCause(ctx)
	admin.Conn().SetErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) { refused(err) })
	if _, err := admin.CreateStream(ctx, config); err == nil {
		t.Error("the administrator made a stream")
	}
	violates(t, context.Cause(ctx), "$JS.API.STREAM.CREATE."+config.Name)
}

// violates holds an error against what the server says where a user may not publish
// on a subject.
func violates(t *testing.T, err error, subject string) {
	t.Helper()
	if !errors.Is(err, natsgo.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
		t.Errorf("%s: %v, want a permissions violation", subject, err)
	}
}

// TestTheSystemUserLooksAtServersAlone asks for what `nats server report jetstream`
// shows, and for what would end a server.
func TestTheSystemUserLooksAtServersAlone(t *testing.T) {
	t.Parallel()
	url, seeds := start(t)
	key, err := natsgo.NkeyOptionFromSeed(seeds["system"])
	if err != nil {
		t.Fatal(err)
	}
	nc, err := natsgo.Connect(url, key, natsgo.CustomInboxPrefix("_INBOX.system"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer, err := nc.Request("$SYS.REQ.SERVER.PING.JSZ", []byte(`{"streams":true,"accounts":true}`), 5*time.Second)
	if err != nil || !strings.Contains(string(answer.Data), `"jsz"`) && !strings.Contains(string(answer.Data), `"streams"`) {
		t.Fatalf("%v: %.200s", err, answer.Data)
	}
	for _, subject := range []string{"$SYS.REQ.SERVER.ID.RELOAD", "$SYS.REQ.SERVER.ID.LDM", "$JS.API.INFO", "shenscan.scan"} {
		ctx, refused := context.WithCancelCause(t.Context()) // who is refused gets no answer, and waits no longer
		nc.SetErrorHandler(func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) { refused(err) })
		ctx, end := context.WithTimeout(ctx, 30*time.Second)
		if _, err := nc.RequestWithContext(ctx, subject, nil); err == nil {
			t.Errorf("%s was answered", subject)
		}
		end()
		violates(t, context.Cause(ctx), subject)
	}
}
