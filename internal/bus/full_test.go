package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// paddedPage is one with a row and so many bytes.
func paddedPage(n, size int) *event.InstancesListed {
	listed := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: ecs.Scope{Account: "a", Region: "r"}, Lane: fmt.Sprint(n)}}
	listed.SetInstances([]ecs.Instance{{ID: fmt.Sprintf("i-%d", n), Name: string(make([]byte, size))}})
	return listed
}

// While a stream is full one publisher tries and the others wait for it: what is
// refused costs the server as much as what it takes. As soon as there is room all
// are taken, also more than fit at once. What is sent is counted while time goes
// by, so that no other test runs beside it.
func TestPublishersToAFullStreamTryOneAfterTheOther(t *testing.T) {
	const size, fit, waiting = 1 << 10, 64, 60
	b := open(t, func(o *bus.Options) { o.Limits.PagesBytes = fit * 2 * size })
	n := 0
	for ; ; n++ { // until it is full
		full, stop := context.WithTimeout(t.Context(), time.Second)
		err := b.Publish(full, paddedPage(n, size))
		stop()
		if err != nil {
			break
		}
	}
	if n < fit {
		t.Fatalf("only %d fitted", n)
	}
	before := b.Sent()
	var publishing sync.WaitGroup
	for i := range waiting {
		publishing.Go(func() {
			if err := b.Publish(t.Context(), paddedPage(n+1+i, size)); err != nil {
				t.Error(err)
			}
		})
	}
	const meanwhile = 300
	for i := range meanwhile { // what another stream takes goes by it
		if err := b.Publish(t.Context(), lane(i)); err != nil {
			t.Fatal(err)
		}
	}
	if tries := b.Sent() - before - meanwhile; tries > waiting/2 {
		t.Errorf("%d publishers sent %d messages to a full stream", waiting, tries)
	}
	if err := b.Purge(t.Context(), bus.StreamPages); err != nil {
		t.Fatal(err)
	}
	publishing.Wait()
	state, err := b.State(t.Context(), bus.StreamPages)
	if err != nil || state.Messages != waiting {
		t.Errorf("%d of %d were taken, %v", state.Messages, waiting, err)
	}
}

// A publisher that gives up in the queue leaves it to the others.
func TestAPublisherThatGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	const size = 1 << 10
	b := open(t, func(o *bus.Options) { o.Limits.PagesBytes = 8 * size })
	hurried, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	for n := range 20 {
		if err := b.Publish(hurried, paddedPage(n, size)); err != nil {
			break
		}
	}
	var leaving sync.WaitGroup
	leave, left := context.WithCancel(t.Context())
	for i := range 10 {
		leaving.Go(func() {
			if err := b.Publish(leave, paddedPage(100+i, size)); err == nil {
				t.Error("a full stream took a message")
			}
		})
	}
	left()
	leaving.Wait()
	if err := b.Purge(t.Context(), bus.StreamPages); err != nil {
		t.Fatal(err)
	}
	patient, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	if err := b.Publish(patient, paddedPage(1000, size)); err != nil {
		t.Error(err)
	}
}
