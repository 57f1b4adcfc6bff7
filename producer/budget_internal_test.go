package producer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// What listings may cost, in calls, by what is counted.
func TestCallsThatAListingMayTake(t *testing.T) {
	for n, want := range map[int][3]int{ // in lanes of 5,000, in one lane, in place of another
		0:           {150, 11_190, 100},
		99:          {171, 11_190, 109},
		4_999:       {1_249, 11_190, 599},
		10_000:      {2_430, 11_190, 1_100},
		100_000:     {22_950, 22_230, 10_100},
		maxScope:    {100_000, 100_000, 100_000},
		999_000:     {100_000, 100_000, 100_000},
		998_000:     {100_000, 100_000, 99_900},
		ecs.NoCount: {0, 100_000, 100_000}, // of what is not counted no lanes are cut
	} {
		got := [3]int{listingCalls(n, 5_000), uncutCalls(n), againCalls(n)}
		if n == ecs.NoCount {
			got[0] = 0
		}
		if got != want {
			t.Errorf("%d instances: %v, want %v", n, got, want)
		}
	}
	if !believable(maxScope) || believable(maxScope+1) || believable(ecs.NoCount) || !believable(0) {
		t.Error("counts are believed beyond the bound, or not up to it")
	}
}

// A lane without a share would be bounded by what it brings alone: each has one,
// however little is left and however the instances are spread.
func TestEveryLaneHasAShareOfTheCalls(t *testing.T) {
	for _, c := range []struct {
		sizes     []int
		may, took int
		want      []int
	}{
		{[]int{1}, 150, 1, []int{148}}, // halves of 149
		{[]int{100, 300}, 1000, 200, []int{300, 500}},
		{[]int{0, 0}, 1000, 200, []int{400, 400}},
		{[]int{0, 10}, 1000, 200, []int{200, 600}},
		{[]int{5, 5, 5}, 100, 100, []int{2, 2, 2}},
		{[]int{1, 0, 0, 0}, 100, 200, []int{5, 1, 1, 1}},
	} {
		jobs := make([]*event.LaneJob, len(c.sizes))
		for i := range jobs {
			jobs[i] = &event.LaneJob{}
		}
		share(jobs, c.sizes, c.may, c.took)
		for i, job := range jobs {
			if job.Calls != c.want[i] || job.ScopeCalls != c.may {
				t.Errorf("lane %d of %v, of %d calls with %d taken: %d calls of %d, want %d", i, c.sizes, c.may, c.took, job.Calls, job.ScopeCalls, c.want[i])
			}
		}
	}
}

// A lane goes on until its last call, and the error of the next says what was used
// up.
func TestALaneEndsBehindItsLastCall(t *testing.T) {
	for name, c := range map[string]struct {
		read, calls, last int
		says              string
	}{
		"by what the calls bring": {1000, 0, 370, "370 calls brought 1000 instances: no more are made"},
		"that brought nothing":    {0, 0, 150, "150 calls brought 0 instances: no more are made"},
		"by its share":            {1000, 60, 60, "may take 60 of the 500 calls that its count allows: they are used up, and brought 1000 instances"},
		"by what no lane may":     {1_000_000, 0, 100_000, "100000 calls brought 1000000 instances, and more than 100000 are not made"},
	} {
		l := &lane{job: &event.LaneJob{Scope: ecs.Scope{Account: "1", Region: "r"}, Calls: c.calls, ScopeCalls: 500}, spent: &spending{}}
		l.spent.saw(c.read)
		l.spent.saw(c.read - 1) // another walk that read fewer
		l.spent.calls.Store(int64(c.last) - 1)
		if err := l.spend(); err != nil {
			t.Errorf("%s: the last call: %v", name, err)
		}
		if err := l.spend(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: one call more: %v, want …%s…", name, err, c.says)
		}
	}
	// A walk ends where its answers bring nothing, or what was not asked for.
	for _, c := range []struct {
		idle, foreign int
		says          string
	}{{maxIdle, maxForeign, ""}, {maxIdle + 1, 0, "21 answers in a row"}, {0, maxForeign + 1, "201 instances were listed that were not created"}} {
		w := &walk{lane: &lane{job: &event.LaneJob{}, spent: &spending{}}, read: 7, idle: c.idle, foreign: c.foreign}
		err := w.goesOn()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d idle answers and %d foreign instances: %v", c.idle, c.foreign, err)
		}
		if w.lane.spent.read.Load() != 7 {
			t.Error("what was read is not noted")
		}
	}
}

// What lanes took is remembered until there are too many, and then anew.
func TestSpendingsAreBounded(t *testing.T) {
	var s spendings
	first := s.of(&event.LaneJob{ScanID: "s", Lane: "first"})
	for i := range maxSpendings - 1 {
		s.of(&event.LaneJob{ScanID: "s", Lane: fmt.Sprint(i)})
	}
	if s.of(&event.LaneJob{ScanID: "s", Lane: "first"}) != first || len(s.m) != maxSpendings {
		t.Errorf("of %d lanes the first is forgotten", len(s.m))
	}
	if s.of(&event.LaneJob{ScanID: "s", Lane: "one more"}); len(s.m) != 1 {
		t.Errorf("%d lanes are remembered behind the bound", len(s.m))
	}
	s.forget(&event.LaneJob{ScanID: "s", Lane: "one more"})
	if len(s.m) != 0 {
		t.Error("a lane that ended is remembered")
	}
}

// Counts contradict each other only beyond what the bounds of the filter and
// what comes and goes meanwhile can make of them.
func TestCountsThatContradictEachOther(t *testing.T) {
	for _, c := range []struct {
		whole int
		parts []int
		says  string
	}{
		{800, []int{400, 400}, ""},
		{800, []int{1000}, ""}, // an eighth and an answer more
		{800, []int{1001}, "and 1001 in a part of that time"},
		{800, []int{400, 0}, ""}, // half
		{800, []int{399, 0}, "and 399 in its parts"},
		{800, []int{825, 825}, ""}, // twice and a lane
		{800, []int{825, 826}, "and 1651 in its parts"},
		{800, []int{400, ecs.NoCount}, "a part is not counted"},
	} {
		by := &cutter{p: &Producer{o: Options{LaneSize: 50}}}
		parts := make([]period, len(c.parts))
		for i, n := range c.parts {
			parts[i].n = n
		}
		by.compare(&period{firstECS, firstECS.Add(time.Hour), c.whole}, parts)
		if c.says == "" && by.contradicted != "" || !strings.Contains(by.contradicted, c.says) {
			t.Errorf("%d in all and %v in parts: %q", c.whole, c.parts, by.contradicted)
		}
	}
}
