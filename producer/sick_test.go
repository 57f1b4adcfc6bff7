package producer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// sick is a cloud whose answers cannot all be true.
type sick struct {
	*cloud
	unfiltered    bool                         // lists every instance whatever the time
	count         func(n int, q ecs.Query) int // of what is there
	token         func(calls int, p *ecs.Page) // what becomes of a page's token
	page          func(calls int, p *ecs.Page) // what becomes of the rest of it
	tiny          int                          // instances a page, or 0
	lists, counts int
}

func (s *sick) Instances(ctx context.Context, scope ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	s.lists++
	if s.unfiltered {
		q.CreatedFrom, q.CreatedTo = time.Time{}, time.Time{}
	}
	var from int
	if n, _ := fmt.Sscanf(q.NextToken, "again%d", &from); n == 1 {
		q.NextToken = "" // a fresh token that leads to the start
	}
	p, err := s.cloud.Instances(ctx, scope, q)
	if err == nil && s.token != nil {
		s.token(s.lists, p)
	}
	if err == nil && s.page != nil {
		s.page(s.lists, p)
	}
	return p, err
}

func (s *sick) CountInstances(ctx context.Context, scope ecs.Scope, q ecs.Query) (int, error) {
	s.cloud.mu.Lock()
	s.counts++
	s.cloud.mu.Unlock()
	if s.unfiltered && s.count == nil {
		q = ecs.Query{}
	}
	n, err := s.cloud.CountInstances(ctx, scope, q)
	if s.count != nil {
		n = s.count(n, q)
	}
	return n, err
}

// TestASickRegionTakesFewCallsAndEndsPartialOrRight reads a region of 10,000
// instances whatever the API says.
func TestASickRegionTakesFewCallsAndEndsPartialOrRight(t *testing.T) {
	t.Parallel()
	const size = 10_000
	for name, tc := range map[string]struct {
		sick  sick
		lane  int
		right bool // all are read and nothing speaks against it
	}{
		"healthy":                                          {sick{}, 0, true},
		"ten instances a page":                             {sick{tiny: 10}, 0, true},
		"the filter is ignored":                            {sick{unfiltered: true}, 0, true},
		"the filter is ignored by lists":                   {sick{unfiltered: true, count: func(n int, _ ecs.Query) int { return n }}, 0, false},
		"a billion are counted":                            {sick{count: func(int, ecs.Query) int { return 1e9 }}, 0, false},
		"a hundred times as many are counted in each part": {sick{count: func(n int, _ ecs.Query) int { return n * 100 }}, 5000, false},
		"a million times as many are counted in each part": {sick{count: func(n int, _ ecs.Query) int { return n * 1_000_000 }}, 0, false},
		"a part is larger than the whole": {sick{count: func(n int, q ecs.Query) int {
			if q.CreatedFrom.IsZero() {
				return n
			}
			return 3 * n
		}}, 0, true},
		"fewer are counted than listed": {sick{count: func(n int, _ ecs.Query) int { return n / 2 }}, 0, false},
		"a fresh token for ever": {sick{token: func(calls int, p *ecs.Page) {
			if p.NextToken == "" {
				p.NextToken = fmt.Sprintf("again%d", calls)
			}
		}}, 0, false},
		"empty pages for ever": {sick{token: func(calls int, p *ecs.Page) {
			p.Instances, p.NextToken = nil, fmt.Sprintf("again%d", calls)
		}}, 0, false},
		"one instance a page":                       {sick{tiny: 1}, 0, false},
		"one instance a page and a billion counted": {sick{tiny: 1, count: func(int, ecs.Query) int { return 1e9 }}, 0, false},
		"ten instances a page, all of them twice": {sick{tiny: 10, count: func(n int, q ecs.Query) int {
			if q.CreatedFrom.IsZero() && q.CreatedTo.IsZero() {
				return n
			}
			return n + n/3
		}}, 0, false},
		"instances without end, in each part": {sick{page: func(calls int, p *ecs.Page) {
			p.Instances = slices.Repeat(p.Instances[:1], ecs.MaxPage)
			for i := range p.Instances {
				p.Instances[i].ID = fmt.Sprintf("i-made-up-%d-%d", calls, i)
			}
			p.NextToken = fmt.Sprintf("again%d", calls)
		}}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tc.sick
			s.cloud = &cloud{instances: fleet(size, 5*time.Hour), pageSize: 100}
			if s.tiny > 0 {
				s.cloud.pageSize = s.tiny
			}
			o := options()
			o.LaneSize = tc.lane
			if o.LaneSize == 0 {
				o.LaneSize = 1000
			}
			j := &journal{}
			scan(t, producer.New(o, &s, accounts(&s, "1"), j, nil), j)
			read := seen(j)
			right := len(read) == size && !slices.ContainsFunc(of[*event.LaneEnded](j), func(e *event.LaneEnded) bool { return e.Failure != nil })
			if right != tc.right {
				t.Errorf("%d of %d instances were read in %d lanes, right: %v", len(read), size, len(of[*event.LaneJob](j)), right)
			}
			if calls := s.lists + s.counts; calls > 4000 {
				t.Errorf("%d calls", calls)
			}
			t.Logf("%d lists, %d counts, %d lanes, %d read", s.lists, s.counts, len(of[*event.LaneJob](j)), len(read))
		})
	}
}
