package bus_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/shenscan/shenscan/internal/bus"
)

func joined(t *testing.T, url string) *bus.Bus {
	t.Helper()
	o := bus.DefaultOptions()
	o.URL = url
	b, err := bus.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Of two processes that claim a name at the same moment exactly one gets it,
// whoever hears of whom.
func TestOneOfTwoIsSole(t *testing.T) {
	t.Parallel()
	url, _ := server(t)
	processes := [2]*bus.Bus{joined(t, url), joined(t, url)}
	var all sync.WaitGroup
	for name := range 50 {
		all.Go(func() {
			var errs [2]error
			var both sync.WaitGroup
			for i, b := range processes {
				both.Go(func() {
					_, errs[(i+name)%2] = b.Sole(t.Context(), fmt.Sprint("test.sole.", name), fmt.Sprint("process ", (i+name)%2))
				})
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), bus.ErrTaken) {
				t.Errorf("%d: %v and %v", name, errs[0], errs[1])
			}
		})
	}
	all.Wait()
}

// Who has a name already goes before one that claims it, and one that claims it
// hears of another by that one's question, where that one listens too late for its own.
func TestSoleHearsOfOthersEitherWay(t *testing.T) {
	t.Parallel()
	url, _ := server(t)
	b := joined(t, url)
	other, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)

	// The holder began to listen after the first question had gone out.
	if _, err := other.Subscribe("test.held", func(m *nats.Msg) {
		if len(m.Data) == 0 {
			return
		}
		answer := nats.NewMsg(m.Reply)
		answer.Header.Set("Shenscan-Settled", "yes")
		answer.Data = []byte("process 9")
		_ = other.PublishMsg(answer)
	}); err != nil {
		t.Fatal(err)
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sole(t.Context(), "test.held", "process 1"); !errors.Is(err, bus.ErrTaken) {
		t.Errorf("held by a process of a later name: %v", err)
	}

	// The other one claims it now, is before this one by its name, and answers nothing.
	answered := make(chan *nats.Msg, 1)
	go func() {
		for t.Context().Err() == nil {
			message, err := other.Request("test.claimed", []byte("process 1"), time.Second)
			if err == nil {
				answered <- message
				return
			}
		}
	}()
	if _, err := b.Sole(t.Context(), "test.claimed", "process 5"); !errors.Is(err, bus.ErrTaken) {
		t.Errorf("claimed by a process of an earlier name: %v", err)
	}
	if message := <-answered; message.Header.Get("Shenscan-Settled") != "" || string(message.Data) != "process 5" {
		t.Errorf("it says of itself: %q, %v", message.Data, message.Header)
	}
}
