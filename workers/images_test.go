package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/workers"
)

var scope = ecs.Scope{Account: "1", Region: "cn-x"}

// imageAPI knows every image but those whose id begins with "gone".
type imageAPI struct {
	mu    sync.Mutex
	asked map[string]int
	calls int
	err   error
	// gate, when set, holds every call until it is closed.
	gate chan struct{}
	// before, when set, is called at the beginning of every call.
	before func(ids []string)
}

func (a *imageAPI) Images(ctx context.Context, _ ecs.Scope, ids []string) ([]ecs.Image, error) {
	if a.gate != nil {
		<-a.gate
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	if a.before != nil {
		a.before(ids)
	}
	if a.err != nil {
		return nil, a.err
	}
	var out []ecs.Image
	for _, id := range ids {
		a.asked[id]++
		f := rules.ImageFacts{Presence: rules.ImageFound, Name: id}
		if len(id) > 4 && id[:4] == "gone" {
			f = rules.ImageFacts{Presence: rules.ImageMissing}
		}
		out = append(out, ecs.Image{ID: id, Facts: f})
	}
	return out, nil
}

// sharedInMemory is workers.SharedImages within one test.
type sharedInMemory struct {
	mu      sync.Mutex
	known   map[string]rules.ImageFacts
	claimed map[string]bool
	broken  bool
	deaf    bool // what others learnt is told, and nothing taken
}

func (s *sharedInMemory) Claim(_ context.Context, _ ecs.Scope, ids []string, most int) (known map[string]rules.ImageFacts, claimed []string, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return nil, nil, errors.New("bucket is out of reach")
	}
	known = map[string]rules.ImageFacts{}
	for _, id := range ids {
		if f, ok := s.known[id]; ok {
			known[id] = f
		} else if !s.claimed[id] && len(claimed) < most {
			s.claimed[id] = true
			claimed = append(claimed, id)
		}
	}
	return known, claimed, nil
}

func (s *sharedInMemory) Put(_ context.Context, _ ecs.Scope, images []ecs.Image) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return errors.New("bucket is full")
	}
	for _, img := range images {
		s.known[img.ID] = img.Facts
	}
	return nil
}

func (s *sharedInMemory) Release(_ context.Context, _ ecs.Scope, ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return errors.New("bucket is full")
	}
	for _, id := range ids {
		delete(s.claimed, id)
	}
	return nil
}

// lookup looks ids up and returns what is known of each.
func lookup(t *testing.T, c *workers.ImageCache, ids []string) (map[string]*rules.ImageFacts, []record.Failure, error) {
	got, failures, err := c.Lookup(t.Context(), scope, ids)
	byID := map[string]*rules.ImageFacts{}
	for i, image := range got {
		if image == nil {
			t.Fatalf("nothing came back for image %q", ids[i])
		}
		byID[ids[i]] = &image.Facts
	}
	return byID, failures, err
}

func newCache(api *imageAPI, shared workers.SharedImages, now func() time.Time) *workers.ImageCache {
	if now == nil {
		now = time.Now
	}
	return workers.NewImageCache(api, shared, 1000, time.Hour, now, slog.New(slog.DiscardHandler))
}

func ids(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("m-%d", i))
	}
	return append(out, "gone-1")
}

func TestEachImageIsAskedForOnce(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}}
	c := newCache(api, nil, nil)
	var pages sync.WaitGroup
	for p := range 50 {
		pages.Go(func() {
			got, failures, err := lookup(t, c, ids(p%7, p%7+20))
			if err != nil || len(failures) != 0 || len(got) != 21 || got["gone-1"].Presence != rules.ImageMissing {
				t.Errorf("%d images, %v, %v", len(got), failures, err)
			}
		})
	}
	pages.Wait()
	for id, n := range api.asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", id, n)
		}
	}
}

func TestEachImageIsAskedForOnceByAllProcesses(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}}
	shared := &sharedInMemory{known: map[string]rules.ImageFacts{}, claimed: map[string]bool{}}
	var processes sync.WaitGroup
	for range 4 {
		c := newCache(api, shared, nil)
		for p := range 10 {
			processes.Go(func() {
				if got, _, err := lookup(t, c, ids(p, p+20)); err != nil || len(got) != 21 {
					t.Errorf("%d images, %v", len(got), err)
				}
			})
		}
	}
	processes.Wait()
	for id, n := range api.asked {
		if n != 1 {
			t.Errorf("%s was asked for %d times", id, n)
		}
	}
}

// A page waits for the images that another one asks for, and asks for the rest itself.
func TestALookupWaitsForWhatAnotherAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &imageAPI{asked: map[string]int{}, gate: make(chan struct{})}
		c := newCache(api, nil, nil)
		for _, list := range [][]string{{"m-1"}, {"m-1", "m-2"}, {"m-1"}} {
			go func() {
				got, failures, err := c.Lookup(t.Context(), scope, list)
				if err != nil || len(failures) > 0 || slices.Contains(got, nil) {
					t.Errorf("%v: %v, %v, %v", list, got, failures, err)
				}
			}()
			synctest.Wait()
		}
		close(api.gate)
		synctest.Wait()
		if api.calls != 2 {
			t.Errorf("%d calls for two images", api.calls)
		}
	})
}

// What another process asks for is waited for; after twenty seconds, in which it may have
// died, this one asks.
func TestAClaimOfAnotherProcessIsWaitedFor(t *testing.T) {
	for name, tt := range map[string]struct {
		after, least, most time.Duration
		calls              int
	}{
		"it answers": {time.Second, time.Second, 1100 * time.Millisecond, 0},
		"it died":    {time.Hour, 20 * time.Second, 20100 * time.Millisecond, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			shared := &sharedInMemory{known: map[string]rules.ImageFacts{}, claimed: map[string]bool{"m-1": true}}
			put := time.AfterFunc(tt.after, func() {
				shared.Put(t.Context(), scope, []ecs.Image{{ID: "m-1", Facts: rules.ImageFacts{Presence: rules.ImageFound}}})
			})
			defer put.Stop()
			api := &imageAPI{asked: map[string]int{}}
			began := time.Now()
			got, _, err := lookup(t, newCache(api, shared, nil), []string{"m-1"})
			if took := time.Since(began); err != nil || got["m-1"].Presence != rules.ImageFound || took < tt.least || took > tt.most || api.calls != tt.calls {
				t.Errorf("%s: %v after %s and %d calls, %v", name, got["m-1"], took, api.calls, err)
			}
		})
	}
}

func TestNoImageIsAskedForWhereAnInstanceNamesNone(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}}
	got, _, err := newCache(api, nil, nil).Lookup(t.Context(), scope, []string{"", "m-1"})
	if err != nil || got[0] != nil || got[1] == nil || len(api.asked) != 1 {
		t.Errorf("%v, %v, asked for %v", got, err, api.asked)
	}
}

// That others do not learn what this process did is no failure, and the log says so.
func TestWhatCannotBeSharedIsNamed(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		var log strings.Builder
		shared := &sharedInMemory{known: map[string]rules.ImageFacts{}, claimed: map[string]bool{}, deaf: deaf}
		api := &imageAPI{asked: map[string]int{}}
		c := workers.NewImageCache(api, shared, 1000, time.Hour, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
		if got, failures, err := lookup(t, c, []string{"m-1"}); err != nil || len(failures) != 0 || got["m-1"].Presence != rules.ImageFound {
			t.Errorf("%v %v %v", got, failures, err)
		}
		api.err = &ecs.Error{Action: "DescribeImages", Class: ecs.Throttled}
		if _, _, err := c.Lookup(t.Context(), scope, []string{"m-2"}); err == nil {
			t.Error("no error")
		}
		for _, said := range []string{"image facts were not shared", "claims of images were not given up"} {
			if strings.Contains(log.String(), said) != deaf {
				t.Errorf("nothing is taken: %t; the log says\n%s", deaf, &log)
			}
		}
	}
}

// What one call of the cloud said is shared before the next, which waits for nothing: others
// wait for it.
func TestWhatIsLearntIsSharedCallByCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		shared := &sharedInMemory{known: map[string]rules.ImageFacts{}, claimed: map[string]bool{}}
		api := &imageAPI{asked: map[string]int{}}
		api.before = func(ids []string) {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			if len(ids) > 50 || len(shared.known) != len(api.asked) || len(shared.claimed) != len(api.asked)+len(ids) {
				t.Errorf("at a call for %d images: %d asked for, %d shared, %d claimed", len(ids), len(api.asked), len(shared.known), len(shared.claimed))
			}
		}
		if got, _, err := lookup(t, newCache(api, shared, nil), ids(0, 129)); err != nil || len(got) != 130 {
			t.Errorf("%d images, %v", len(got), err)
		}
		if took := time.Since(began); api.calls != 3 || took != 0 {
			t.Errorf("%d calls for 130 images in %s", api.calls, took)
		}
	})
}

func TestThrottledLookupGivesItsClaimsUp(t *testing.T) {
	shared := &sharedInMemory{known: map[string]rules.ImageFacts{}, claimed: map[string]bool{}}
	api := &imageAPI{asked: map[string]int{}, err: &ecs.Error{Action: "DescribeImages", Class: ecs.Throttled}}
	if _, _, err := newCache(api, shared, nil).Lookup(t.Context(), scope, ids(0, 9)); err == nil {
		t.Error("no error")
	}
	if len(shared.claimed) != 0 {
		t.Errorf("%d images are still claimed", len(shared.claimed))
	}
}

func TestSharedCacheOutOfReachIsNoFailure(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}}
	c := newCache(api, &sharedInMemory{broken: true}, nil)
	if got, failures, err := lookup(t, c, []string{"m-1"}); err != nil || len(failures) != 0 || got["m-1"].Presence != rules.ImageFound {
		t.Errorf("%v %v %v", got, failures, err)
	}
}

func TestRefusedLookupIsNamedAndNotRepeatedForEachPage(t *testing.T) {
	now := time.Unix(0, 0)
	api := &imageAPI{asked: map[string]int{}, err: &ecs.Error{Action: "DescribeImages", Class: ecs.Permission, Code: "Forbidden.RAM", Mend: "grant it"}}
	c := newCache(api, nil, func() time.Time { return now })
	for range 5 {
		got, failures, err := lookup(t, c, []string{"m-1", "m-2"})
		if err != nil || len(failures) != 1 || failures[0].Code != "Forbidden.RAM" || got["m-1"].Presence != rules.ImageNotAsked {
			t.Fatalf("%v %v %v", got, failures, err)
		}
	}
	if api.calls != 1 {
		t.Errorf("%d calls for five pages", api.calls)
	}
	api.err, now = nil, now.Add(2*time.Minute)
	if got, failures, err := lookup(t, c, []string{"m-1"}); err != nil || len(failures) != 0 || got["m-1"].Presence != rules.ImageFound {
		t.Errorf("after the mend: %v %v %v", got, failures, err)
	}
}

func TestThrottledLookupLetsThePageWait(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}, err: &ecs.Error{Action: "DescribeImages", Class: ecs.Throttled}}
	_, _, err := newCache(api, nil, nil).Lookup(t.Context(), scope, []string{"m-1"})
	if d, ok := event.RetryDelay(err); !ok || d <= 0 {
		t.Errorf("Lookup = %v", err)
	}
}

// A page waits for a throttled lookup, but not for ever: its scan would make no progress
// then, and end as one whose pages were lost. What is asked for again later is found.
func TestAPageDoesNotWaitForAThrottledLookupForEver(t *testing.T) {
	now := time.Unix(0, 0)
	throttled := &ecs.Error{Action: "DescribeImages", Class: ecs.Throttled, Code: "Throttling.User", Mend: "lower --rate"}
	api := &imageAPI{asked: map[string]int{}, err: throttled}
	c := newCache(api, nil, func() time.Time { return now })
	wait := func(until string) {
		t.Helper()
		if _, _, err := c.Lookup(t.Context(), scope, []string{"m-1"}); err == nil {
			t.Errorf("%s: the page does not wait", until)
		}
	}
	find := func(when string) {
		t.Helper()
		api.err = nil
		if got, failures, err := lookup(t, c, []string{"m-2"}); err != nil || len(failures) != 0 || got["m-2"].Presence != rules.ImageFound {
			t.Errorf("%s: %v %v %v", when, got, failures, err)
		}
		api.err = throttled
	}
	wait("the first time")
	now = now.Add(5*time.Minute - time.Nanosecond)
	wait("for less than five minutes")
	find("once it is not throttled any more")
	now = now.Add(time.Minute)
	wait("the first time since")
	now = now.Add(5 * time.Minute)
	got, failures, err := lookup(t, c, []string{"m-1"})
	if err != nil || len(failures) != 1 || failures[0].Code != "Throttling.User" || failures[0].Mend != "lower --rate" || got["m-1"].Presence != rules.ImageNotAsked {
		t.Errorf("after five minutes: %v %v %v", got, failures, err)
	}
	calls := api.calls
	now = now.Add(9 * time.Minute)
	if got, failures, err := lookup(t, c, []string{"m-1", "m-9"}); err != nil || len(failures) != 1 || got["m-9"].Presence != rules.ImageNotAsked || api.calls != calls {
		t.Errorf("nine minutes later, after %d calls more: %v %v %v", api.calls-calls, got, failures, err)
	}
	now = now.Add(2 * time.Minute)
	find("in the end")

	api.before = func([]string) { now = now.Add(c.Patience) } // one call that bears it for so long
	if _, failures, err := lookup(t, c, []string{"m-3"}); err != nil || len(failures) != 1 {
		t.Errorf("after a call of five minutes: %v %v", failures, err)
	}
}

func TestStaleImageIsAskedForAgain(t *testing.T) {
	now := time.Unix(0, 0)
	api := &imageAPI{asked: map[string]int{}}
	c := newCache(api, nil, func() time.Time { return now })
	for range 3 {
		if _, _, err := c.Lookup(t.Context(), scope, []string{"m-1"}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(40 * time.Minute)
	}
	if api.asked["m-1"] != 2 {
		t.Errorf("asked %d times in two hours with a time to live of one", api.asked["m-1"])
	}
}

func TestCacheIsBounded(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}}
	c := workers.NewImageCache(api, nil, 100, time.Hour, time.Now, slog.New(slog.DiscardHandler))
	for i := range 100 {
		if _, _, err := c.Lookup(t.Context(), scope, ids(i*20, i*20+20)); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.Len(); n > 130 {
		t.Errorf("cache of 100 holds %d", n)
	}
}

// What was asked for last is held, at least half as much as there is room for.
func TestCacheForgetsTheOldest(t *testing.T) {
	c := workers.NewImageCache(&imageAPI{asked: map[string]int{}}, nil, 4, time.Hour, time.Now, slog.New(slog.DiscardHandler))
	for i, want := range []int{1, 2, 3, 4, 3, 4, 3} {
		if _, _, err := c.Lookup(t.Context(), scope, []string{fmt.Sprint("m-", i)}); err != nil || c.Len() != want {
			t.Errorf("after %d images %d are held, want %d; %v", i+1, c.Len(), want, err)
		}
	}
}

func TestWaitingForAnImageEndsWithTheContext(t *testing.T) {
	api := &imageAPI{asked: map[string]int{}, gate: make(chan struct{})}
	c := newCache(api, nil, nil)
	first := make(chan error, 1)
	go func() {
		_, _, err := c.Lookup(context.WithoutCancel(t.Context()), scope, []string{"m-1"})
		first <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { _, _, err := c.Lookup(ctx, scope, []string{"m-1"}); second <- err }()
	cancel()
	// Which of the two asks the cloud is chance; the cancelled one must end
	// once the other does at the latest.
	close(api.gate)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-second; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
