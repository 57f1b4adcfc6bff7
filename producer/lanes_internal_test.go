package producer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// server counts as it is told to.
type server struct {
	Cloud
	count   func(call int) (int, error)
	reaches func(n int) (int, error) // nil: by-number pages are not asked for
	calls   int
}

func (s *server) CountInstances(context.Context, ecs.Scope, ecs.Query) (int, error) {
	s.calls++
	return s.count(s.calls - 1)
}

// numbered is a server that can be asked for pages by their number.
type numbered struct{ *server }

func (s numbered) ListsUpTo(_ context.Context, _ ecs.Scope, n int) (int, error) {
	s.calls++
	return s.reaches(n)
}

// cutOf cuts a scope of lanes of 50 instances, call by call.
func cutOf(t *testing.T, s *server) (by *cutting, logged string, err error) {
	t.Helper()
	var log bytes.Buffer
	o := DefaultOptions()
	o.LaneSize, o.Rate, o.Log = 50, 0.01, slog.New(slog.NewTextHandler(&log, nil))
	var asked Cloud = s
	if s.reaches != nil {
		asked = numbered{s}
	}
	p := New(o, asked, nil, nil, nil)
	pace := p.paces.of("1") // the one turn that there is
	if err := pace.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer pace.end()
	by, err = p.cut(t.Context(), ecs.Scope{Account: "1", Region: "r"})
	if by.took != s.calls && err == nil {
		t.Errorf("%d calls were made and %d are told of", s.calls, by.took)
	}
	return by, log.String(), err
}

// counts answers one after the other, and then 0.
func counts(list ...int) func(int) (int, error) {
	return func(call int) (int, error) {
		if call < len(list) {
			return list[call], nil
		}
		return 0, nil
	}
}

// A scope is cut where its instances fill more than one lane and a half, into lanes
// that are full and no more, with no calls beyond those that it takes.
func TestWhereAScopeIsCut(t *testing.T) {
	for name, c := range map[string]struct {
		counts []int
		sizes  []int
		calls  int
	}{
		"a lane and a half":              {[]int{75}, nil, 1},
		"one instance more":              {[]int{76, 38, 0, 0, 38}, []int{38, 38}, 9},
		"parts that fill lanes together": {[]int{100, 25, 25, 25, 25}, []int{50, 50}, 9},
		"parts that fill a lane each":    {[]int{100, 50, 0, 50}, []int{50, 50}, 9},
		"a part that is a lane and one":  {[]int{101, 50, 51, 0, 0, 0, 0, 0, 0, 26, 25}, []int{50, 26, 25}, 17},
	} {
		by, _, err := cutOf(t, &server{count: counts(c.counts...)})
		if err != nil || !slices.Equal(by.sizes, c.sizes) || by.took != c.calls || len(by.cuts) != max(0, len(c.sizes)-1) {
			t.Errorf("%s: lanes of %v with cuts at %v and %d calls, want %v and %d: %v", name, by.sizes, by.cuts, by.took, c.sizes, c.calls, err)
		}
	}
}

// Where instances are crowded, cutting ends with larger lanes when its calls are
// used up, and nothing lies before the first.
func TestCuttingEndsWithItsCalls(t *testing.T) {
	s := &server{count: func(call int) (int, error) {
		switch {
		case call == 0:
			return 400, nil
		case call <= ways || call%ways < 2: // a lane and one more, in two of each eight parts
			return 51, nil
		}
		return 0, nil
	}}
	by, _, err := cutOf(t, s)
	if err != nil || by.took != 1+64+32*8 {
		t.Fatalf("%d calls of %d: %v", by.took, 1+64+32*8, err)
	}
	if len(by.cuts) == 0 || !by.cuts[0].After(firstECS) || by.sizes[0] != 51 || !slices.IsSortedFunc(by.cuts, time.Time.Compare) {
		t.Errorf("lanes of %v, cut at %v", by.sizes, by.cuts)
	}
}

// A scope is not cut by counts that its list does not reach, and what cannot be
// counted is an error.
func TestCountsAreHeldAgainstTheList(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		reaches int
		err     error
		cut     bool
		warns   bool
	}{
		"as far as an eighth less": {700, nil, true, false},
		"less":                     {699, nil, false, true},
		"it does not say":          {ecs.NoCount, nil, true, false},
		"it cannot be asked":       {0, broken, false, false},
	} {
		s := &server{count: counts(800, 100, 100, 100, 100, 100, 100, 100, 100)}
		s.reaches = func(n int) (int, error) {
			if n != 700 {
				t.Errorf("%s: it is asked for the page of instance %d", name, n)
			}
			return c.reaches, c.err
		}
		by, logged, err := cutOf(t, s)
		if !errors.Is(err, c.err) || (by.took > 2) != c.cut || strings.Contains(logged, "more instances are counted than listed") != c.warns {
			t.Errorf("%s: %d calls, %v, log %q", name, by.took, err, logged)
		}
	}
	for failing := range 3 {
		s := &server{count: func(call int) (int, error) {
			if call == failing {
				return 0, broken
			}
			return 100, nil
		}}
		if _, _, err := cutOf(t, s); !errors.Is(err, broken) || s.calls != failing+1 {
			t.Errorf("call %d fails: %v after %d calls", failing, err, s.calls)
		}
	}
}

// Times are divided down to a minute, as long as there are calls for it.
func TestTimesAreDividedDownToAMinute(t *testing.T) {
	at := firstECS
	for name, c := range map[string]struct {
		length time.Duration
		probes int
		parts  int
	}{
		"eight minutes":   {8 * time.Minute, 8, 8},
		"seven minutes":   {7 * time.Minute, 8, 1},
		"seven calls":     {8 * time.Minute, 7, 1},
		"nine minutes":    {9 * time.Minute, 8, 8},
		"without a call":  {time.Hour, 0, 1},
		"more than there": {time.Hour, 100, 8},
	} {
		p := New(Options{LaneSize: 50}, &server{count: func(int) (int, error) { return 12, nil }}, nil, nil, nil)
		p.paces.rate = 0.01 // call by call
		by := &cutter{p: p, pace: p.paces.of("1"), probes: c.probes}
		if err := by.pace.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		out, more, err := by.divide(t.Context(), []period{{at, at.Add(c.length), 96}})
		if err != nil || len(out) != c.parts || more != (c.parts > 1) || !out[0].from.Equal(at) || !out[len(out)-1].to.Equal(at.Add(c.length)) {
			t.Errorf("%s: %d parts, more %t, %v", name, len(out), more, err)
		}
		for i := range len(out) - 1 {
			if !out[i].to.Equal(out[i+1].from) {
				t.Errorf("%s: a gap between %s and %s", name, out[i].to, out[i+1].from)
			}
		}
	}
}
