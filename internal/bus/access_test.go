package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
)

func TestTheEmbeddedServerListensOnLoopbackAlone(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:4222", ":4222", "[::]:4222", "192.0.2.1:4222", "example.com:4222"} {
		o := bus.DefaultOptions()
		o.Listen = addr
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "beyond loopback") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	for _, addr := range []string{"127.0.0.1:4222", "[::1]:0", "localhost:4222"} {
		o := bus.DefaultOptions()
		o.Listen = addr
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// operator connects to the listener of b.
func operator(t *testing.T, b *bus.Bus, opts ...nats.Option) (*nats.Conn, <-chan error) {
	t.Helper()
	refused := make(chan error, 16)
	if seed := b.OperatorSeed(); seed != "" {
		key, err := nkeys.FromSeed([]byte(seed))
		if err != nil {
			t.Fatal(err)
		}
		name, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		opts = append(opts, nats.Nkey(name, key.Sign))
	}
	nc, err := nats.Connect(b.ClientURL(), append(opts, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, refused
}

func TestStrangersAreNotLetIn(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *bus.Options) { o.Listen, o.Access = "127.0.0.1:0", bus.AccessKey })
	for name, opts := range map[string][]nats.Option{"nobody": nil, "password": {nats.UserInfo(bus.InboxOperator, "guess")}} {
		if nc, err := nats.Connect(b.ClientURL(), opts...); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				nc.Close()
			}
		}
	}
}

// TestAnOperatorOfTheListenerAsksAndNothingElse holds who comes in through the
// listener to the services: no page, no result, no schedule is theirs to write.
func TestAnOperatorOfTheListenerAsksAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, access := range map[string]bus.Access{"with the key": bus.AccessKey, "on loopback": bus.AccessOperator} {
		t.Run(name, func(t *testing.T) {
			b := open(t, func(o *bus.Options) { o.Listen, o.Access, o.Inbox = "127.0.0.1:0", access, bus.InboxProcess })
			nc, refused := operator(t, b)
			for _, subject := range []string{
				"shenscan.pages.bulk.a.cn-hangzhou", "shenscan.results.a.cn-hangzhou", "shenscan.results.control", "shenscan.work.scan.x", "shenscan.schedule.x",
				"shenscan.dead.x.y", "shenscan.events.verdict.a.b", "$KV.shenscan-scans.x", "$JS.API.STREAM.PURGE.SHENSCAN_RESULTS",
				"$JS.API.STREAM.MSG.GET.SHENSCAN_PAGES", "$JS.API.STREAM.MSG.DELETE.SHENSCAN_DEAD", "_INBOX.x", "_INBOX.shenscan.x",
			} {
				if err := nc.Publish(subject, nil); err != nil {
					t.Fatal(err)
				}
				mustRefuse(t, refused, subject)
			}
			for _, subject := range []string{">", "shenscan.>", "shenscan.pages.>", "shenscan.rescan", "_INBOX.shenscan.>"} {
				if _, err := nc.SubscribeSync(subject); err != nil {
					t.Fatal(err)
				}
				mustRefuse(t, refused, subject)
			}
			// The process reads through an inbox of its own; what is sent there, an
			// operator that listens to every inbox does not hear.
			spy, err := nc.SubscribeSync("_INBOX.>")
			if err != nil {
				t.Fatal(err)
			}
			wide, err := nc.SubscribeSync("_INBOX.*.*.*")
			if err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := b.State(t.Context(), bus.StreamPages); err != nil {
					t.Fatal(err)
				}
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			for _, sub := range []*nats.Subscription{spy, wide} {
				if m, err := sub.NextMsg(50 * time.Millisecond); err == nil {
					t.Errorf("an operator hears %s: %.80s", m.Subject, m.Data)
				}
			}
		})
	}
}

func mustRefuse(t *testing.T, refused <-chan error, subject string) {
	t.Helper()
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+subject+`"`) {
			t.Errorf("%s: %v", subject, err)
		}
	case <-time.After(30 * time.Second):
		t.Errorf("%s: not refused", subject)
	}
}

// TestAnswersGoToInboxesAlone: who asks names where the answer goes, and the
// service may write where they may not.
func TestAnswersGoToInboxesAlone(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *bus.Options) { o.Listen, o.Access, o.Inbox = "127.0.0.1:0", bus.AccessKey, bus.InboxProcess })
	var users []string
	asked := make(chan string, 8)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ctx, "shenscan", "test", "1.0.0", 4, []bus.Endpoint{{Name: "scan", Subject: event.SubjectScan, Handle: func(_ context.Context, r bus.Request) (any, error) {
			asked <- r.Caller
			return map[string]string{"scan_id": "s"}, nil
		}}})
	}()
	defer func() { cancel(); <-served }()
	nc, _ := operator(t, b)
	eventually(t, "the service answers", func() bool {
		_, err := nc.Request(event.SubjectScan, nil, time.Second)
		return err == nil
	})
	<-asked
	before, err := b.State(t.Context(), bus.StreamResults)
	if err != nil {
		t.Fatal(err)
	}
	for _, reply := range []string{"shenscan.results.control", "$KV.shenscan-scans.x", "_INBOXx.y"} {
		m := nats.NewMsg(event.SubjectScan)
		m.Reply = reply
		m.Header.Set("Shenscan-Caller", reply)
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		select {
		case user := <-asked:
			users = append(users, user)
		case <-time.After(30 * time.Second):
			t.Fatalf("a request with reply subject %s was not taken", reply)
		}
	}
	if _, err := nc.Request(event.SubjectScan, nil, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	users = append(users, <-asked)
	after, err := b.State(t.Context(), bus.StreamResults)
	if err != nil || after.LastSeq != before.LastSeq {
		t.Errorf("the results stream went from %d to %d, %v", before.LastSeq, after.LastSeq, err)
	}
	for _, user := range users {
		if user != bus.InboxOperator {
			t.Errorf("an operator counts as %q", user)
		}
	}
}

// Who asks what nobody answers is told so: NATS says nothing to a user that may
// not ask, and a command must not stand still for it.
func TestAQuestionThatNobodyAnswersEnds(t *testing.T) {
	b := open(t, nil)
	if err := b.Deafen("shenscan.query.nothing"); err != nil {
		t.Fatal(err)
	}
	defer bus.SetCallWait(200 * time.Millisecond)()
	err := b.Call(t.Context(), "shenscan.query.nothing", struct{}{}, &struct{}{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "shenscan.query.nothing: no answer within 200ms; may this NATS user ask it") {
		t.Errorf("err = %v", err)
	}
}
