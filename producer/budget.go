package producer

import (
	"sync"
	"sync/atomic"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// What an account and region may cost, whatever the API says of it. For ten
// thousand instances, which are a hundred pages, a listing may take 2,350 calls,
// counts included, and 40 for each lane, another one in its place 1,100, and asking by id for what no
// list had a few hundred: together fewer than 4,000. That is enough for a server
// that gives ten instances a page and is read twice.
//
// The calls of a listing are shared out among its lanes when they are cut, and
// travel with their jobs, so that the sum holds whichever processes walk them. A
// lane that the same process is handed again goes on with what is left of its
// share. What is not held: a lane of a process that died begins its share anew
// in another, and a scope whose cutting died is cut again; both happen as often
// as the job is delivered, which is ten times at most.
const (
	// leastCalls may be taken whatever they bring. Beyond it, hundredCalls may be
	// taken for every hundred instances.
	leastCalls, hundredCalls = 150, 22
	// laneCalls are for finding where to cut, and for counting, for each lane that a
	// scope fills.
	laneCalls = 40
	// leastAgain and hundredAgain are the same of a listing in place of another.
	leastAgain, hundredAgain = 100, 10
	// mostCalls bounds what a count may make of that.
	mostCalls = 100_000
	// fewInstances is how many a count may be wrong by before what is listed is
	// not read any more.
	fewInstances = 50_000
	// maxIdle is how many answers in a row may bring nothing new.
	maxIdle = 20
	// maxForeign is how many instances may come that were not asked for.
	maxForeign = 2 * ecs.MaxPage
)

// believable says whether so many instances may be in one scope.
func believable(n int) bool { return n != ecs.NoCount && n <= maxScope }

// listingCalls is how many calls the listing of a scope may take that counts n
// instances, in lanes of a size.
func listingCalls(n, laneSize int) int {
	return min(leastCalls+hundredCalls*n/100+laneCalls*(n/laneSize), mostCalls)
}

// uncutCalls is the same of a scope that is read in one lane, whose count may be
// wrong: what its calls bring bounds them too.
func uncutCalls(n int) int {
	if !believable(n) {
		return mostCalls
	}
	return listingCalls(max(n, fewInstances), fewInstances)
}

// againCalls is the same of a listing in place of another.
func againCalls(n int) int {
	if !believable(n) {
		return mostCalls
	}
	return min(leastAgain+hundredAgain*n/100, mostCalls)
}

// share gives each lane its part of the calls that its scope may take, of which
// cutting took some already: half of them in equal parts, since
// what was created in the minutes around a lane is listed with it, and half by
// how many instances it has.
func share(jobs []*event.LaneJob, sizes []int, may, took int) {
	all, calls := 0, max(may-took, 2*len(jobs))
	for _, n := range sizes {
		all += n
	}
	for i, job := range jobs {
		job.ScopeCalls = may
		job.Calls = calls / 2 / len(jobs)
		if all > 0 {
			job.Calls += int(int64(calls/2) * int64(sizes[i]) / int64(all))
		} else {
			job.Calls *= 2
		}
	}
}

// spending is what a lane took so far, of all its deliveries to this process.
type spending struct {
	calls atomic.Int64
	read  atomic.Int64 // the most distinct instances that one walk of it read
}

// saw notes how many instances a walk has read.
func (s *spending) saw(read int) {
	for {
		had := s.read.Load()
		if int64(read) <= had || s.read.CompareAndSwap(had, int64(read)) {
			return
		}
	}
}

// laneKey names a lane of a scan.
type laneKey struct{ scan, lane string }

// maxSpendings bounds what is remembered of lanes.
const maxSpendings = 10_000

// spendings are those of the lanes that this process has in hand, or had when it
// could not end them.
type spendings struct {
	mu sync.Mutex
	m  map[laneKey]*spending
}

func (s *spendings) of(job *event.LaneJob) *spending {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[laneKey]*spending{}
	}
	key := laneKey{job.ScanID, job.Lane}
	if s.m[key] == nil {
		if len(s.m) >= maxSpendings { // those in use stay in use
			clear(s.m)
		}
		s.m[key] = &spending{}
	}
	return s.m[key]
}

// forget is called when a lane has ended.
func (s *spendings) forget(job *event.LaneJob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, laneKey{job.ScanID, job.Lane})
}

// spend takes one call of the lane's. It is an error where there is none left.
func (l *lane) spend() error {
	calls, read := int(l.spent.calls.Add(1)), int(l.spent.read.Load())
	switch may := leastCalls + hundredCalls*read/100; {
	case calls > mostCalls:
		return l.contradicted("%d calls brought %d instances, and more than %d are not made for one part of a region", calls-1, read, mostCalls)
	case l.job.Calls > 0 && calls > l.job.Calls:
		return l.contradicted("this part of the region may take %d of the %d calls that its count allows: they are used up, and brought %d instances", l.job.Calls, l.job.ScopeCalls, read)
	case calls > may:
		return l.contradicted("%d calls brought %d instances: no more are made", calls-1, read)
	}
	return nil
}

// goesOn ends a walk that would never end or never be of use, whatever the API
// says.
func (w *walk) goesOn() error {
	w.lane.spent.saw(w.read)
	switch {
	case w.idle > maxIdle:
		return w.lane.contradicted("the list goes on and on: %d answers in a row brought no instance that was not listed before", w.idle)
	case w.foreign > maxForeign:
		return w.lane.contradicted("%d instances were listed that were not created in the time that was asked for: the filter is not honoured", w.foreign)
	}
	return w.lane.spend()
}
