package producer

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/trace"
)

// HandleLane walks one token chain to its end, holds what it listed against
// what the cloud counts, and announces how it ended. A walk that cannot go on,
// or that disagrees with the counts twice, ends the lane with its cause; only a
// stop or a bus that refuses is an error. try names this delivery of the job.
func (p *Producer) HandleLane(ctx context.Context, job *event.LaneJob, try string) error {
	pace := p.paces.of(job.Scope.Account)
	if err := pace.begin(ctx); err != nil {
		return err
	}
	defer pace.end()
	l := &lane{p: p, job: job, try: try, query: query(job), spent: p.spendings.of(job)}
	walk, err := l.read(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if walk != nil && walk.busErr != nil {
		return walk.busErr
	}
	ended := &event.LaneEnded{ScanID: job.ScanID, Kind: event.KindScan, Scope: job.Scope, Lane: job.Lane, Walk: try, Counted: said(l.after)}
	if walk != nil {
		ended.Walk, ended.Pages, ended.Instances, ended.IDs = walk.Walk.Walk, walk.pages, walk.rows, walk.ids
		ended.Listed, ended.Created = walk.listed, walk.created
	}
	if err != nil {
		ended.Failure = failureOf(job.Scope, "DescribeInstances", err)
		p.o.Log.WarnContext(ctx, "lane failed", "scan", job.ScanID, "account", job.Scope.Account, "region", job.Scope.Region, "lane", job.Lane, "err", err)
	}
	if err := p.bus.Publish(ctx, ended); err != nil {
		return err
	}
	p.spendings.forget(job)
	return nil
}

// lane is what HandleLane knows of a lane.
type lane struct {
	p             *Producer
	job           *event.LaneJob
	try           string
	query         ecs.Query
	walks         int
	spent         *spending
	before, after int // what probes counted before and after the last walk, or ecs.NoCount
}

// query asks for the lane's creation times and a minute more on both sides, so
// that nothing is lost whether the API's bounds are inclusive, half-open or
// exclusive. within drops what is too much.
func query(job *event.LaneJob) ecs.Query {
	asked := ecs.Query{CreatedFrom: job.From, CreatedTo: job.To}
	if !asked.CreatedFrom.IsZero() {
		asked.CreatedFrom = asked.CreatedFrom.Add(-time.Minute)
	}
	if !asked.CreatedTo.IsZero() {
		asked.CreatedTo = asked.CreatedTo.Add(time.Minute)
	}
	return asked
}

// read walks the lane until a walk agrees with the counts, twice at most. It
// returns the last walk, if there was one.
func (l *lane) read(ctx context.Context) (walk *walk, err error) {
	if err := l.countBefore(ctx); err != nil {
		return nil, err
	}
	most := 0 // that was counted around the first walk
	for again := false; ; again = true {
		if walk, err = l.walk(ctx); err != nil {
			return walk, err
		}
		if l.after, err = l.count(ctx); err != nil {
			return walk, err
		}
		doubt := l.doubt(walk)
		if doubt == nil {
			doubt, err = l.more(ctx, walk)
		}
		if doubt == nil && err == nil && walk.read < max(most, min(l.before, l.after)) {
			// It has fewer than were counted, and is excused by what was created meanwhile, or
			// by counts that followed it the second time. Instances that were released
			// meanwhile are on no page.
			doubt, err = l.further(ctx, walk)
		}
		if err != nil || doubt == nil {
			return walk, err
		}
		if again {
			return walk, doubt
		}
		most = max(l.before, l.after)
		l.p.o.Log.InfoContext(ctx, "the listing disagrees with the counts, the lane is walked again", "scan", l.job.ScanID,
			"account", l.job.Scope.Account, "region", l.job.Scope.Region, "lane", l.job.Lane, "err", doubt)
		// The count behind the first walk may be the one that is wrong.
		if l.before, err = l.count(ctx); err != nil {
			return walk, err
		}
	}
}

// countBefore finds out how many instances there are to be listed. A lane that
// is all of its scope was counted when the scope was.
func (l *lane) countBefore(ctx context.Context) (err error) {
	l.before, l.after = ecs.NoCount, ecs.NoCount
	switch {
	case l.job.Counted != nil:
		l.before = *l.job.Counted
	case l.job.From.IsZero() && l.job.To.IsZero(): // nothing was counted then
	default:
		l.before, err = l.count(ctx)
	}
	return err
}

// count is one call.
func (l *lane) count(ctx context.Context) (int, error) {
	if err := l.spend(); err != nil {
		return ecs.NoCount, err
	}
	return l.p.cloud.CountInstances(ctx, l.job.Scope, l.query)
}

// doubt holds a walk against the counts before and after it: what was there all
// the while was counted twice and listed. Instances that were created meanwhile
// widen the range. Where the counts themselves lie so far apart that a whole
// answer, or half of the lane, could be missing between them, one of the two is
// no count: nothing that lies between them agrees with them.
func (l *lane) doubt(walk *walk) error {
	before, after := l.before, l.after
	switch {
	case before == ecs.NoCount && after == ecs.NoCount:
		return nil // see more
	case before == ecs.NoCount: // one that counts now and then is held to what it counts
		before = after
	case after == ecs.NoCount:
		after = before
	}
	fewest, most := min(before, after), max(before, after)
	apart := most - fewest - walk.created
	wide := apart >= ecs.MaxPage || apart > 0 && 2*apart >= most
	read := walk.read - walk.foreign // what was not asked for is in no count, and stands for nothing that is
	if !wide && read >= fewest-walk.created && read <= most+walk.created {
		return nil
	}
	if walk.foreign > 0 {
		return l.contradicted("%d instances are counted before and %d after a listing of %d, of which %d are new, and %d more that were not created in the time that was asked for", before, after, read, walk.created, walk.foreign)
	}
	return l.contradicted("%d instances are counted before and %d after a listing of %d, of which %d are new", before, after, walk.read, walk.created)
}

// more looks for what contradicts a lane that was read to its end while the cloud
// gave no count. It asks for a count again and, of a whole region, how far the list
// by page numbers reaches: nothing else tells that a chain of tokens was cut short.
// What it returns is what speaks against the lane, nil where nothing does.
func (l *lane) more(ctx context.Context, walk *walk) (doubt, err error) {
	if l.before != ecs.NoCount || l.after != ecs.NoCount {
		return nil, nil // doubt had one of them
	}
	if l.after, err = l.count(ctx); err != nil || l.after != ecs.NoCount {
		return l.doubt(walk), err
	}
	return l.further(ctx, walk)
}

// further holds a walk through a whole region against the list by page numbers, which
// speaks against it where it reaches further, or not nearly as far.
func (l *lane) further(ctx context.Context, walk *walk) (doubt, err error) {
	cloud, ok := l.p.cloud.(pager)
	if !ok || !l.job.From.IsZero() || !l.job.To.IsZero() {
		return nil, nil
	}
	if err := l.spend(); err != nil {
		return nil, err
	}
	reaches, err := cloud.ListsUpTo(ctx, l.job.Scope, walk.read+1)
	before := walk.read / ecs.MaxPage * ecs.MaxPage // on the pages before that one
	if err != nil || reaches == ecs.NoCount || reaches == walk.read || reaches < walk.read && reaches > before {
		return nil, err // as far, or a few have gone since
	}
	return l.contradicted("%d instances are listed by tokens, and by page number the list reaches to %d", walk.read, reaches), nil
}

func (l *lane) contradicted(format string, args ...any) error {
	return &ecs.Error{
		Action: "DescribeInstances", Scope: l.job.Scope, Class: ecs.Contradicted, Err: fmt.Errorf(format, args...),
		Mend: "nothing is taken for gone here; scan again, and if it stays so, compare with the console and ask the cloud's support",
	}
}

// walk walks the lane once, from its start wherever its token expires.
func (l *lane) walk(ctx context.Context) (*walk, error) {
	for restart := 0; ; restart++ {
		w := &walk{lane: l, p: l.p, job: l.job, query: l.query, Walk: event.Walk{
			ScanID: l.job.ScanID, Kind: event.KindScan, Scope: l.job.Scope,
			Lane: l.job.Lane, Walk: fmt.Sprintf("%s.%d", l.try, l.walks),
		}}
		l.walks++
		err := w.run(ctx)
		if ecs.ClassOf(err) != ecs.TokenExpired || restart >= l.p.o.Restarts {
			return w, err
		}
		l.p.o.Log.InfoContext(ctx, "token expired, lane starts over", "scan", l.job.ScanID, "account", l.job.Scope.Account, "region", l.job.Scope.Region, "lane", l.job.Lane)
	}
}

// walk is one attempt to read one lane.
type walk struct {
	event.Walk
	lane          *lane
	p             *Producer
	job           *event.LaneJob
	query         ecs.Query
	after, before uint64 // creation times between these are the lane's, see event.PackMinute
	since, now    uint64 // creation times between these are new
	first, last   uint64 // creation times that are asked for

	// What the chain brought: distinct instances in all, those of the lane, and
	// the new ones of all.
	known                 idSet
	read, listed, created int
	unfit                 error
	differ                error // an instance came twice, and not as the same one
	foreign               int   // instances of creation times that were not asked for
	unread                error // what machines answered could not be read
	idle                  int   // answers in a row that brought nothing new
	// What was published.
	pages, rows int
	ids         uint64
	busErr      error
}

func (w *walk) run(ctx context.Context) error {
	w.bounds()
	w.known = make(idSet, min(max(w.lane.before, 0), roomOfLane))
	answers, chained := make(chan answer), make(chan error, 1)
	go func() { // the next call is under way while pages are made of the answers before
		defer close(answers)
		chained <- w.chain(ctx, answers)
	}()
	w.busErr = w.gather(ctx, answers)
	err := <-chained
	if w.busErr != nil {
		return w.busErr
	}
	return err
}

// answer is what one call returned.
type answer struct {
	instances []ecs.Instance // of the lane, none of them in an answer before
	observed  time.Time
}

// stale bounds how long ago a call may have left when its answer is taken: an
// older answer is read again rather than passed off as new. What the call spent
// in the queue of the rate limit before it left does not count.
const stale = time.Minute

// chain reads the lane, call by call, to its end. A doubt in a page is the
// error once the end is reached, so that the lane has all that could be read
// and is not complete.
func (w *walk) chain(ctx context.Context, answers chan<- answer) error {
	asked := w.query
	seen := map[string]bool{}
	var doubt error
	for {
		if err := w.goesOn(); err != nil {
			return err
		}
		fetch, span := trace.Start(ctx, "fetch page", trace.Int("shenscan.page", len(seen)))
		page, err := w.p.cloud.Instances(fetch, w.job.Scope, asked)
		span.End(err)
		if err != nil {
			return err
		}
		observed := w.p.o.Now()
		if time.Since(page.Asked) > stale { // both by this machine's monotonic clock
			// The process was held up; the answer's age is not known.
			continue
		}
		fresh := w.fresh(page.Instances)
		w.unread = cmp.Or(w.p.fill(ctx, w.job.Scope, fresh), w.unread)
		answers <- answer{fresh, observed}
		if page.Doubt != nil && doubt == nil {
			doubt = page.Doubt
		}
		if page.NextToken == "" {
			return w.ended(doubt)
		}
		if seen[page.NextToken] {
			return &ecs.Error{
				Action: "DescribeInstances", Scope: w.job.Scope, Class: ecs.BadAnswer, RequestID: page.RequestID,
				Err: fmt.Errorf("the token chain runs in a circle after %d pages", len(seen)+1),
			}
		}
		seen[page.NextToken] = true
		asked.NextToken = page.NextToken
	}
}

// fill adds what the machines themselves answered. Where that cannot be read, they
// are judged without it, and the error says so: what a machine said of itself may
// speak against its verdict.
func (p *Producer) fill(ctx context.Context, scope ecs.Scope, instances []ecs.Instance) error {
	if p.o.Guests == nil || len(instances) == 0 {
		return nil
	}
	err := p.o.Guests.Fill(ctx, scope, instances)
	if err == nil {
		return nil
	}
	p.o.Log.WarnContext(ctx, "what machines answered could not be read; they are judged without it", "account", scope.Account, "region", scope.Region, "err", err)
	return &ecs.Error{
		Action: "shenscan", Scope: scope, Class: ecs.Transient, Err: fmt.Errorf("what machines answered could not be read, and they are judged without it: %w", err),
		Mend: "see that NATS and the store can be read (shenscan doctor), then scan again",
	}
}

// ended is how a chain that came to its end ended.
func (w *walk) ended(doubt error) error {
	if doubt == nil && w.differ != nil {
		return &ecs.Error{Action: "DescribeInstances", Scope: w.job.Scope, Class: ecs.Contradicted, Err: w.differ, Mend: "scan again: it may have been changed just then"}
	}
	if doubt == nil && w.unfit != nil {
		return &ecs.Error{Action: "DescribeInstances", Scope: w.job.Scope, Class: ecs.BadAnswer, Err: w.unfit, Mend: "look at its name and tags: they are longer than the cloud allows"}
	}
	if doubt == nil {
		return w.unread
	}
	return doubt
}

// fresh counts the instances of an answer and keeps those that are the lane's
// and were in no answer before. It writes to the list.
func (w *walk) fresh(list []ecs.Instance) []ecs.Instance {
	out := list[:0]
	before := w.read
	defer func() {
		if w.idle++; w.read > before {
			w.idle = 0
		}
	}()
	for i := range list {
		instance := &list[i]
		judged := judgedBy(instance)
		if was, isNew := w.known.add(maphash.String(idSeed, strings.ToLower(instance.ID)), judged); !isNew {
			if was != judged && w.differ == nil {
				w.differ = fmt.Errorf("instance %.64q is listed twice, with another system, image or type each time", instance.ID)
			}
			continue
		}
		w.read++
		at, ok := event.PackMinute(instance.CreationTime)
		if ok && at >= w.since && at <= w.now {
			w.created++
		}
		if ok && at > w.after && at < w.before || w.within(instance) {
			w.listed++
			if event.Fits(instance) {
				if len(out) < i { // behind one that was left out
					list[len(out)] = *instance
				}
				out = list[:len(out)+1]
			} else if w.unfit == nil {
				w.unfit = fmt.Errorf("instance %.64q takes more than a message holds, and is left out", instance.ID)
			}
		} else if ok && (at < w.first || at > w.last) {
			w.foreign++
		}
	}
	return out
}

// gather makes pages of the answers and publishes them, while the next call is
// under way, until there are no more. The error is the bus's.
func (w *walk) gather(ctx context.Context, answers <-chan answer) error {
	var publishing errgroup.Group
	publishing.SetLimit(w.p.o.PagesInFlight)
	page := event.NewPageWriter()
	defer page.Close()
	var observed time.Time
	wait := time.NewTimer(w.p.o.PageWait)
	flush := func() {
		wait.Stop()
		if page.Len() == 0 {
			return
		}
		listed := &event.InstancesListed{Walk: w.Walk, Page: w.pages, Epoch: w.job.Epoch.UnixNano(), Observed: observed.UnixNano()}
		w.pages++
		w.rows += page.Len()
		page.Put(listed)
		publishing.Go(func() error { return w.p.bus.Publish(ctx, listed) })
	}
	for {
		select {
		case answer, open := <-answers:
			if !open {
				flush()
				return publishing.Wait()
			}
			for i := range answer.instances {
				if page.Len() == 0 {
					// The page is as old as the oldest that is in it.
					observed = answer.observed
					wait.Reset(w.p.o.PageWait)
				}
				page.Add(&answer.instances[i])
				w.ids += event.IDSum(answer.instances[i].ID)
				if page.Full() {
					flush()
				}
			}
			ecs.Recycle(answer.instances)
		case <-wait.C:
			flush()
		}
	}
}

// minute is how ECS spells a creation time.
const minute = "2006-01-02T15:04Z"

// sinceBegun is how long a walk may take for what is created meanwhile to count
// as new. Where this machine's clock is further behind, a listing may be read
// once more.
const sinceBegun = 30 * time.Minute

// bounds sets what within and fresh compare with.
func (w *walk) bounds() {
	w.before, w.since = math.MaxUint64, math.MaxUint64
	if !w.job.From.IsZero() {
		w.after, _ = event.PackMinute(w.job.From.UTC().Format(minute))
	}
	if !w.job.To.IsZero() {
		w.before, _ = event.PackMinute(w.job.To.UTC().Format(minute))
	}
	w.last = math.MaxUint64
	if !w.query.CreatedFrom.IsZero() {
		w.first, _ = event.PackMinute(w.query.CreatedFrom.UTC().Format(minute))
	}
	if !w.query.CreatedTo.IsZero() {
		w.last, _ = event.PackMinute(w.query.CreatedTo.UTC().Format(minute))
	}
	// What says that it will be created is not new: that would hide what is missing.
	w.now, _ = event.PackMinute(w.p.o.Now().UTC().Add(sinceBegun).Format(minute))
	if !w.job.Epoch.IsZero() {
		w.since, _ = event.PackMinute(w.job.Epoch.UTC().Format(minute))
	}
}

// within says whether an instance was created in the lane's own time. Whether
// the API's bounds are inclusive then does not matter: a row on a cut belongs
// to one lane only. A row whose creation time cannot be read is kept.
func (w *walk) within(x *ecs.Instance) bool {
	t, err := time.Parse(minute, x.CreationTime)
	if err != nil {
		return true
	}
	return !t.Before(w.job.From) && (w.job.To.IsZero() || t.Before(w.job.To))
}

// idSeed is secret and of this process, so that nobody can choose ids that look
// like one.
var idSeed = maphash.MakeSeed()

// judgedBy is a hash of what a verdict rests on. An instance that starts, stops
// or is renamed between two calls is the same.
func judgedBy(instance *ecs.Instance) uint64 {
	judged := instance.Judged()
	hash := uint64(judged.IoOptimized)<<8 | uint64(judged.OSNVMe)
	for _, text := range [...]string{judged.ImageID, judged.OSName, judged.OSNameEn, judged.OSType, judged.Type, judged.Family} {
		hash = hash*0x9e3779b97f4a7c15 ^ maphash.String(idSeed, text) // so that their order counts
	}
	return hash
}

// idSet is a set of ids with what came with each, as hashes: ids themselves are
// parts of answers, which would stay in memory with them. Two of ten thousand ids
// have the same hash once in 10^11 lanes; the counts would disagree then.
type idSet map[uint64]uint64

// roomOfLane bounds for how many ids there is room from the start: the lane may be
// counted wrong.
const roomOfLane = 8192

// add adds a hash and what comes with it. It reports whether the hash is new,
// and what came with it before.
func (s idSet) add(hash, with uint64) (was uint64, isNew bool) {
	was, had := s[hash]
	if !had {
		s[hash] = with
	}
	return was, !had
}
