package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/shenscan/shenscan/sink/store"
)

// TestReadersBesideTheWriter reads in every way while scans are applied. Each
// scan sees the same fleet, so that every answer must be of a whole one.
func TestReadersBesideTheWriter(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	s := newStream()
	s.now = 1000
	fleet := fleetOf(rand.New(rand.NewPCG(1, 1)), 3000)
	apply(t, db, s.put(whole("s0", hangzhou, 500, fleet...)...))
	stop := make(chan struct{})
	var group sync.WaitGroup
	for _, read := range []func() error{
		func() error {
			if n := db.Summary().Instances; n != len(fleet) {
				return fmt.Errorf("the summary has %d instances", n)
			}
			_ = db.Stats()
			return nil
		},
		func() error {
			n := 0
			last := ""
			for r, err := range db.Instances(t.Context(), store.Filter{}) {
				if err != nil {
					return err
				}
				if r.InstanceID <= last {
					return fmt.Errorf("%s comes after %s", r.InstanceID, last)
				}
				last = r.InstanceID
				n++
			}
			if n != len(fleet) {
				return fmt.Errorf("%d instances are listed", n)
			}
			return nil
		},
		func() error {
			_, err := db.Get("prod", "cn-hangzhou", fleet[17].id)
			return err
		},
		func() error {
			_, err := db.Scans(10)
			return err
		},
		func() error {
			events, err := db.Outbox(0, 10)
			if err == nil && len(events) > 0 {
				err = db.Delivered(events[len(events)-1].Key)
			}
			return err
		},
	} {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := read(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(2, 2))
	for n := range 25 {
		s.now += 1000
		for range 30 {
			fleet[r.IntN(len(fleet))].name = fmt.Sprint("name ", n)
		}
		msgs := whole(fmt.Sprint("s", n+1), hangzhou, s.now-500, fleet...)
		for i := range msgs {
			apply(t, db, s.put(msgs[i]))
		}
	}
	close(stop)
	group.Wait()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := db.Scans(1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
	if _, err := db.Apply(t.Context(), s.put(planned("x", scanKind, 1))); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after closing: %v", err)
	}
}
