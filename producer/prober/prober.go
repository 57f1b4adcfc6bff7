// Package prober asks machines themselves: it runs the one fixed script of
// their platform through Cloud Assistant, in batches, and keeps what they
// answer. It asks only those that it is given, each at most once while an
// answer, or the lack of one, is fresh; a batch is written down before it is
// asked, so that a process that was killed asks nobody twice. It judges nothing.
package prober

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/probe"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/family"
)

// Candidate is an instance that may be asked.
type Candidate struct {
	Scope                     ecs.Scope
	ID, OSType, ImageID, Type string
	Running                   bool

	was Guest // what is kept of it
}

// Guest is what is kept of one machine: that it was asked, and what came of it.
type Guest struct {
	Scope   ecs.Scope `json:"scope"`
	ID      string    `json:"id"`
	ImageID string    `json:"image_id"` // what it was when it was asked
	Type    string    `json:"type"`
	Script  int       `json:"script"` // version of the script and its format
	Asked   time.Time `json:"asked"`
	// Batch is the token of the batch that it was asked in; "" where it was not
	// asked because its agent does not answer.
	Batch    string    `json:"batch,omitempty"`
	Answered time.Time `json:"answered,omitzero"` // zero while its batch is open
	// Cause says why this question brought no answer; "" where it did.
	Cause string `json:"cause,omitempty"`
	// Facts are what it answered last, at Heard. They outlive a later question that
	// brings nothing for as long as they are believed: what a machine said does not
	// become untrue because its agent is silent today.
	Facts rules.GuestFacts `json:"facts,omitzero"`
	Heard time.Time        `json:"heard,omitzero"`
}

// Batch is one RunCommand.
type Batch struct {
	Token    string    `json:"token"`
	Scope    ecs.Scope `json:"scope"`
	Platform string    `json:"platform"`
	IDs      []string  `json:"ids"`
	Asked    time.Time `json:"asked"`
	// Invocation is "" where it is not known whether the call came through: it is
	// repeated with the same token, and runs nothing twice.
	Invocation string `json:"invocation,omitempty"`
	Closed     bool   `json:"closed,omitempty"`
	// Claiming is set while its machines are not all written down: it was not
	// asked, and nobody may ask it before that is over.
	Claiming bool `json:"claiming,omitempty"`
	// Edition is the book's own: it counts the changes, so that of two processes
	// that hold the same batch one learns that it is the other's.
	Edition int `json:"edition,omitempty"`
}

// ErrTaken is returned by a Book for a batch that another process changed or
// closed meanwhile: that one looks after it.
var ErrTaken = errors.New("another process looks after these machines")

// Book keeps guests and batches, for all processes that ask the same machines.
// What Claim and Write were given is kept when they return.
type Book interface {
	// Guests returns what is kept of each id; those of which nothing is are left
	// out.
	Guests(ctx context.Context, s ecs.Scope, ids []string) (map[string]Guest, error)
	// Open returns the batches that are not closed.
	Open(ctx context.Context) ([]Batch, error)
	// Claim writes a batch down with its guests before it is asked, and returns those
	// of them that may be asked in it. The others are asked by somebody else, or held
	// says that they need not be. Where none is left, the batch is not kept. It sets
	// the ids of the batch.
	Claim(ctx context.Context, b *Batch, guests []Guest, held func(*Guest) bool) ([]Guest, error)
	// Write keeps a batch, where there is one, and guests. A guest that another batch
	// waits for is left as it is; ErrTaken says that the batch is another process's.
	Write(ctx context.Context, b *Batch, guests []Guest) error
}

// Options of a Prober.
type Options struct {
	// Refresh is how old an answer may be before its machine is asked again, and
	// Retry the same where there was none.
	Refresh, Retry time.Duration
	// Timeout is after which a machine stops the script, Grace how much longer an
	// answer is waited for.
	Timeout, Grace time.Duration
	// PollFirst is how long after a batch was asked it is looked after first; then
	// less and less often, to PollLast.
	PollFirst, PollLast time.Duration
	// Batches is how many batches are open at the same time in one scope.
	Batches int
	// Went is told how a run goes, whenever something of it was written down; nil
	// tells nobody.
	Went func(Counts)
	Log  *slog.Logger
	Now  func() time.Time
}

// DefaultOptions returns the options in use.
func DefaultOptions() Options {
	return Options{
		Refresh: 7 * 24 * time.Hour, Retry: 24 * time.Hour, Timeout: time.Minute, Grace: 90 * time.Second,
		PollFirst: 2 * time.Second, PollLast: 10 * time.Second, Batches: 4, Log: slog.Default(), Now: time.Now,
	}
}

// Bounds of what is believed and kept.
const (
	// believed is how old an answer may be that is evidence: what a machine said a
	// month ago may be of another kernel.
	believed = 30 * 24 * time.Hour
	// forgotten is how old a batch may be that is still looked after: its results
	// are kept for four weeks, but its machines are long done.
	forgotten = 24 * time.Hour
	// tokenLife is how old a batch may be whose call is repeated: for how long the
	// cloud knows a token again is not documented.
	tokenLife = time.Hour
	// awake is how old the last heartbeat of an agent may be that answers. It
	// sends one a minute.
	awake = 5 * time.Minute
	// clocksApart is by how much the clocks of the cloud and of processes may differ:
	// the cloud refuses calls of whoever's differs more. What is of a time to come
	// beyond that is of a clock that was wrong, or no answer.
	clocksApart = 15 * time.Minute
)

// Believed says whether what is kept of a machine is evidence for it as it is
// now: it answered, not too long ago, and neither its image nor its type has
// changed since, with which its kernel or initramfs may have.
func (g *Guest) Believed(imageID, instanceType string, now time.Time) bool {
	return !g.Heard.IsZero() && g.Script == probe.Version && g.ImageID == imageID && g.Type == instanceType && now.Sub(g.Heard) < believed && now.Sub(g.Heard) >= -clocksApart &&
		!foreign(&g.Facts, instanceType)
}

// families is the built-in table of instance families.
var families = sync.OnceValues(func() (*family.Table, error) { return family.ParseTable(family.Embedded()) })

// foreign says whether facts are of another machine than one of that type: its
// processor does not run their architecture.
func foreign(facts *rules.GuestFacts, instanceType string) bool {
	table, err := families()
	if err != nil || facts.Architecture == "" {
		return false
	}
	machine := table.Lookup(instanceType, "").Arch
	answered := distro.Identify(facts.Architecture).Arch
	return machine != "" && answered != "" && (machine == "arm64") != (answered == "arm64")
}

// Outlived says whether nothing that is kept of a machine is of use any more.
func (g *Guest) Outlived(now time.Time) bool {
	last := g.Asked
	if g.Heard.After(last) {
		last = g.Heard
	}
	return now.Sub(last).Abs() > Kept
}

// Kept is for how long what a machine answered is kept at least.
const Kept = believed + forgotten

// Prober asks machines. It is safe for one Run at a time.
type Prober struct {
	api  ecs.GuestAPI
	book Book
	o    Options
}

// New returns a Prober.
func New(api ecs.GuestAPI, book Book, o Options) *Prober { return &Prober{api, book, o} }

// Plan is what a run would do, by instance.
type Plan struct {
	Ask  []Candidate            // asked
	Kept []Guest                // not asked: what it said is fresh
	Not  map[string][]Candidate // not asked, by cause
}

// Plan sorts candidates into those that a run would ask and those that it would not, by what
// the book says of them. It asks neither a machine nor the cloud.
func (p *Prober) Plan(ctx context.Context, candidates []Candidate) (*Plan, error) {
	out := &Plan{Not: map[string][]Candidate{}}
	slices.SortFunc(candidates, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(a.Scope.Account, b.Scope.Account), cmp.Compare(a.Scope.Region, b.Scope.Region), cmp.Compare(a.ID, b.ID))
	})
	for len(candidates) > 0 {
		scope := candidates[0].Scope
		number := slices.IndexFunc(candidates, func(c Candidate) bool { return c.Scope != scope })
		if number < 0 {
			number = len(candidates)
		}
		ids := make([]string, number)
		for i := range ids {
			ids[i] = candidates[i].ID
		}
		known, err := p.book.Guests(ctx, scope, ids)
		if err != nil {
			return nil, err
		}
		for _, candidate := range candidates[:number] {
			_, platform := probe.ScriptFor(candidate.OSType)
			guest, there := known[candidate.ID]
			candidate.was = guest
			switch {
			case there && p.fresh(&guest, &candidate):
				out.Kept = append(out.Kept, guest)
			case !candidate.Running:
				out.Not[causeStopped] = append(out.Not[causeStopped], candidate)
			case !platform:
				out.Not[causePlatform] = append(out.Not[causePlatform], candidate)
			default:
				out.Ask = append(out.Ask, candidate)
			}
		}
		candidates = candidates[number:]
	}
	return out, nil
}

// CauseOpen is why a machine has no answer of which nothing is known but that it
// was to be asked.
const CauseOpen = "it was not asked, or has not answered yet"

// Causes for which a machine is not asked or has not answered.
const (
	causeStopped  = "it does not run"
	causePlatform = "its kind of system is not known, and so not which script it can run"
	causeNoAgent  = "it has no agent of Cloud Assistant"
	causeSilent   = "its agent of Cloud Assistant does not answer"
	causeUnasked  = "it was not asked: the process that was to ask it ended before"
)

// fresh says whether a machine need not be asked.
func (p *Prober) fresh(guest *Guest, candidate *Candidate) bool {
	age := p.o.Now().Sub(guest.Asked).Abs() // a clock that was set back makes nobody asked twice, nor never again
	switch {
	case guest.Answered.IsZero():
		return age < forgotten // its batch is open, and looked after
	case guest.ImageID != candidate.ImageID || guest.Type != candidate.Type || guest.Script != probe.Version:
		return false
	case guest.Cause != "":
		return age < p.o.Retry
	}
	return age < p.o.Refresh
}

// Outcome is what a run came to.
type Outcome struct {
	Plan     *Plan
	Answered []Guest           // by this run, with evidence
	Silent   []Guest           // of this run, without, each with its cause
	Calls    map[ecs.Scope]int // of any kind
	Errors   []error           // why machines of a scope have no answer
}

// Changed are the machines of which something else is known now: they answered in
// this run, or what they answered is not believed any more.
func (o *Outcome) Changed() []Guest {
	out := slices.Clone(o.Answered)
	for i := range o.Silent {
		if o.Silent[i].Cause == causeTwice {
			out = append(out, o.Silent[i])
		}
	}
	return out
}

// Run asks the candidates that are to be asked, after it has looked after the
// batches that an earlier run left open. What could not be asked for is an
// error of the outcome; the error of Run is the book's, or the end of ctx.
func (p *Prober) Run(ctx context.Context, candidates []Candidate) (*Outcome, error) {
	running := &run{Prober: p, out: &Outcome{Calls: map[ecs.Scope]int{}}, refused: map[ecs.Scope]bool{}}
	open, err := p.book.Open(ctx)
	if err != nil {
		return nil, err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range open {
		group.Go(func() error { return running.resume(gctx, &open[i]) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if running.out.Plan, err = p.Plan(ctx, candidates); err != nil {
		return nil, err
	}
	running.went(func(counts *Counts) {
		counts.Planned, counts.Kept = len(running.out.Plan.Ask), len(running.out.Plan.Kept)
		for _, list := range running.out.Plan.Not {
			counts.Not += len(list)
		}
	})
	byScope := map[ecs.Scope][]Candidate{}
	for _, c := range running.out.Plan.Ask {
		byScope[c.Scope] = append(byScope[c.Scope], c)
	}
	group, gctx = errgroup.WithContext(ctx)
	group.SetLimit(8)
	for scope, list := range byScope {
		group.Go(func() error { return running.scope(gctx, scope, list) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	running.unanswered()
	slices.SortFunc(running.out.Answered, func(a, b Guest) int {
		return cmp.Or(cmp.Compare(a.Scope.Account, b.Scope.Account), cmp.Compare(a.Scope.Region, b.Scope.Region), cmp.Compare(a.ID, b.ID))
	})
	return running.out, nil
}

// unanswered gives those that were to be asked and of which nothing came the
// cause, so that none is left out.
func (r *run) unanswered() {
	done := map[string]bool{}
	for _, list := range [][]Guest{r.out.Answered, r.out.Silent} {
		for i := range list {
			done[list[i].Scope.String()+"/"+list[i].ID] = true
		}
	}
	for i := range r.out.Plan.Ask {
		c := &r.out.Plan.Ask[i]
		if !done[c.Scope.String()+"/"+c.ID] {
			g := c.guest(r.o.Now(), "")
			g.Cause = CauseOpen
			r.out.Silent = append(r.out.Silent, g)
		}
	}
}

// run is one Run.
type run struct {
	*Prober
	mu      sync.Mutex
	out     *Outcome
	counts  Counts
	refused map[ecs.Scope]bool // where the cloud refuses to have anything asked
}

// Counts are how a run goes, in machines.
type Counts struct {
	Planned  int // are to be asked in it
	Kept     int // need not be: they were asked lately
	Not      int // cannot be: they do not run, or run no known system
	Asked    int // were asked by it, or are about to be
	Answered int // with evidence
	Silent   int // without: no agent that answers, or an answer that cannot be read
	Refused  int // the cloud refused to have them asked, or it was not asked for another cause
	Waiting  int // were asked, by this run or an earlier one, and have not answered
}

// went counts something and tells of it.
func (r *run) went(change func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.counts)
	if r.o.Went != nil {
		r.o.Went(r.counts)
	}
}

// stopped notes why machines of a scope have no answer; nil where that is all.
func (r *run) stopped(ctx context.Context, scope ecs.Scope, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.o.Log.WarnContext(ctx, "not all machines that were to be asked have answered", "account", scope.Account, "region", scope.Region, "err", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Errors = append(r.out.Errors, err)
	return nil
}

func (r *run) called(scope ecs.Scope, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Calls[scope] += n
}

// scope asks the machines of one account and region.
func (r *run) scope(ctx context.Context, place ecs.Scope, list []Candidate) error {
	var err error
	if list, err = r.awake(ctx, place, list); err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(r.o.Batches)
	for _, platform := range []string{probe.Unix, probe.Windows} {
		var fit []Candidate
		for _, c := range list {
			if script, _ := probe.ScriptFor(c.OSType); script.Platform == platform {
				fit = append(fit, c)
			}
		}
		if len(fit) > 0 {
			script, _ := probe.ScriptFor(fit[0].OSType)
			// Who reads the log at its default level sees that something runs, and what.
			r.o.Log.WarnContext(ctx, "machines are asked: a script that only reads runs on them", "account", place.Account, "region", place.Region, "machines", len(fit), "platform", platform, "script_sha256", script.Digest)
		}
		for batch := range slices.Chunk(fit, ecs.MaxCommandInstances) {
			group.Go(func() error { return r.ask(gctx, place, platform, batch) })
		}
	}
	return group.Wait()
}

// awake leaves the machines whose agents answer, and writes down why the others
// are not asked.
func (r *run) awake(ctx context.Context, scope ecs.Scope, list []Candidate) ([]Candidate, error) {
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	agents, calls, err := r.api.Agents(ctx, scope, ids)
	r.called(scope, calls)
	if err != nil {
		r.went(func(counts *Counts) { counts.Refused += len(list) })
		return nil, r.stopped(ctx, scope, err)
	}
	by := map[string]ecs.Agent{}
	for _, a := range agents {
		by[a.InstanceID] = a
	}
	now := r.o.Now()
	var out []Candidate
	var silent []Guest
	for _, candidate := range list {
		cause := ""
		switch agent := by[candidate.ID]; {
		case !agent.Installed:
			cause = causeNoAgent
		case now.Sub(agent.Heartbeat) > awake:
			cause = causeSilent
		default:
			out = append(out, candidate)
			continue
		}
		g := candidate.guest(now, "")
		g.Answered, g.Cause = now, cause
		silent = append(silent, g)
	}
	return out, r.keep(ctx, nil, silent)
}

// guest is what is kept of a machine that is asked: with what it said before, as
// long as that is believed.
func (c *Candidate) guest(now time.Time, batch string) Guest {
	guest := Guest{Scope: c.Scope, ID: c.ID, ImageID: c.ImageID, Type: c.Type, Script: probe.Version, Asked: now.UTC(), Batch: batch}
	if c.was.Believed(c.ImageID, c.Type, now) {
		guest.Facts, guest.Heard = c.was.Facts, c.was.Heard
	}
	return guest
}

// keep writes guests down and counts them.
func (r *run) keep(ctx context.Context, batch *Batch, guests []Guest) error {
	if batch == nil && len(guests) == 0 {
		return nil
	}
	if err := r.book.Write(ctx, batch, guests); err != nil {
		return err
	}
	r.went(func(counts *Counts) {
		for _, guest := range guests {
			if guest.Answered.IsZero() {
				continue
			}
			if guest.Batch != "" {
				counts.Waiting--
			}
			if guest.Cause == "" {
				counts.Answered++
				r.out.Answered = append(r.out.Answered, guest)
				continue
			}
			r.out.Silent = append(r.out.Silent, guest)
			if guest.Asked.IsZero() {
				counts.Refused++
			} else {
				counts.Silent++
			}
		}
	})
	return nil
}

// ask has one batch asked and waits for its answers. Where one of its machines
// is unfit, which fails the whole call, each half is asked.
func (r *run) ask(ctx context.Context, scope ecs.Scope, platform string, list []Candidate) error {
	r.mu.Lock()
	refused := r.refused[scope]
	r.mu.Unlock()
	if refused { // as it would be again
		r.went(func(counts *Counts) { counts.Refused += len(list) })
		return nil
	}
	now := r.o.Now()
	batch := &Batch{Token: rand.Text(), Scope: scope, Platform: platform, Asked: now.UTC()}
	byID := map[string]*Candidate{}
	var guests []Guest
	for i := range list {
		byID[list[i].ID] = &list[i]
		guests = append(guests, list[i].guest(now, batch.Token))
	}
	guests, err := r.book.Claim(ctx, batch, guests, func(g *Guest) bool { return r.fresh(g, byID[g.ID]) }) // before the call
	if err != nil || len(guests) == 0 {
		return err
	}
	r.went(func(counts *Counts) { counts.Asked += len(guests); counts.Waiting += len(guests) })
	list = slices.DeleteFunc(slices.Clone(list), func(c Candidate) bool { return !slices.Contains(batch.IDs, c.ID) })
	err = r.call(ctx, batch)
	var cloud *ecs.Error
	switch {
	case err == nil:
		return r.follow(ctx, batch, guests)
	case !errors.As(err, &cloud) || cloud.Class == ecs.Transient || cloud.Class == ecs.BadAnswer || cloud.Class == ecs.Throttled:
		return r.stopped(ctx, scope, err) // it may have come through: the batch stays open
	case cloud.Class == ecs.BadRequest && unfit(cloud.Code) && len(list) > 1:
		batch.Closed = true
		for i := range guests { // they are asked in the halves
			guests[i].Asked, guests[i].Answered, guests[i].Cause = time.Time{}, now.UTC(), causeUnasked
		}
		if err := r.book.Write(ctx, batch, guests); err != nil {
			return err
		}
		r.went(func(counts *Counts) { counts.Asked -= len(guests); counts.Waiting -= len(guests) })
		if err := r.ask(ctx, scope, platform, list[:len(list)/2]); err != nil {
			return err
		}
		return r.ask(ctx, scope, platform, list[len(list)/2:])
	case cloud.Class == ecs.BadRequest && unfit(cloud.Code):
		return r.close(ctx, batch, guests, "the cloud cannot run a command there ("+cloud.Code+")")
	}
	// Refused: nothing ran, and nothing else will.
	r.went(func(counts *Counts) { counts.Asked -= len(guests) })
	if err := r.unasked(ctx, batch, guests, "asking is not possible ("+cloud.Class.String()+")"); err != nil {
		return err
	}
	r.mu.Lock()
	r.refused[scope] = true
	r.mu.Unlock()
	return r.stopped(ctx, scope, err)
}

// unfit says whether a code is about one of the machines.
func unfit(code string) bool {
	return strings.HasPrefix(code, "InvalidInstance") || strings.HasPrefix(code, "InstanceIds.") || code == "IncorrectInstanceStatus"
}

// call makes the RunCommand of a batch and writes down its invocation.
func (r *run) call(ctx context.Context, batch *Batch) error {
	script, types := probe.Script{}, map[string]ecs.CommandType{probe.Unix: ecs.ShellCommand, probe.Windows: ecs.PowerShellCommand}
	for _, osType := range []string{"linux", "windows"} {
		if x, _ := probe.ScriptFor(osType); x.Platform == batch.Platform {
			script = x
		}
	}
	r.o.Log.InfoContext(ctx, "a batch of machines is asked", "account", batch.Scope.Account, "region", batch.Scope.Region, "machines", len(batch.IDs), "platform", batch.Platform, "script_sha256", script.Digest)
	r.called(batch.Scope, 1)
	// A call that waits for longer than its token is known would run anew what
	// somebody else has given up and asked again.
	calling, cancel := context.WithTimeout(ctx, tokenLife/2)
	defer cancel()
	id, err := r.api.RunCommand(calling, batch.Scope, &ecs.Command{Type: types[batch.Platform], Content: script.Content, InstanceIDs: batch.IDs, Token: batch.Token, Timeout: r.o.Timeout})
	if err != nil {
		return err
	}
	batch.Invocation = id
	return r.keep(ctx, batch, nil)
}

// unasked ends a batch that was not asked: the next run may ask its machines.
func (r *run) unasked(ctx context.Context, batch *Batch, guests []Guest, cause string) error {
	for i := range guests {
		guests[i].Asked = time.Time{}
	}
	return r.close(ctx, batch, guests, cause)
}

// close ends a batch whose machines have not answered for one cause.
func (r *run) close(ctx context.Context, batch *Batch, guests []Guest, cause string) error {
	batch.Closed = true
	now := r.o.Now().UTC()
	for i := range guests {
		guests[i].Answered, guests[i].Cause = now, cause
	}
	return r.keep(ctx, batch, guests)
}

// resume looks after a batch that an earlier run left open.
func (r *run) resume(ctx context.Context, batch *Batch) error {
	known, err := r.book.Guests(ctx, batch.Scope, batch.IDs)
	if err != nil {
		return err
	}
	var guests []Guest
	for _, id := range batch.IDs {
		if g, ok := known[id]; ok && g.Batch == batch.Token && g.Answered.IsZero() {
			guests = append(guests, g)
		}
	}
	r.went(func(counts *Counts) { counts.Waiting += len(guests) })
	switch age := r.o.Now().Sub(batch.Asked).Abs(); {
	case batch.Claiming:
		return r.unasked(ctx, batch, guests, causeUnasked)
	case age > forgotten:
		return r.close(ctx, batch, guests, "no answer came")
	case batch.Invocation == "" && age > tokenLife:
		return r.close(ctx, batch, guests, "it is not known whether it was asked")
	case batch.Invocation == "":
		if err := r.call(ctx, batch); err != nil {
			return r.stopped(ctx, batch.Scope, err)
		}
	}
	return r.follow(ctx, batch, guests)
}

// follow waits for the answers of a batch. Those that do not come in time leave
// it open: another run looks after it, and does not ask again.
func (r *run) follow(ctx context.Context, batch *Batch, guests []Guest) error {
	wait, until := r.o.PollFirst, r.o.Now().Add(r.o.Timeout+r.o.Grace)
	taken := map[string]Guest{} // that have answered
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		r.called(batch.Scope, 1)
		results, err := r.api.Invocation(ctx, batch.Scope, batch.Invocation)
		if err != nil {
			return r.stopped(ctx, batch.Scope, err)
		}
		if err := r.retract(ctx, batch, taken, results); err != nil {
			return err
		}
		var done []Guest
		done, guests = r.take(batch, guests, results)
		for i := range done {
			taken[done[i].ID] = done[i]
		}
		batch.Closed = len(guests) == 0
		if len(done) > 0 || batch.Closed {
			if err := r.keep(ctx, batch, done); err != nil {
				return err
			}
		}
		if batch.Closed {
			return nil
		}
		if r.o.Now().After(until) {
			return r.stopped(ctx, batch.Scope, fmt.Errorf("%d machines of %s have not answered in %s; the next run looks again, without asking again", len(guests), batch.Scope, r.o.Timeout+r.o.Grace))
		}
		wait = min(wait*3/2, r.o.PollLast)
	}
}

// causeTwice is why nothing that a machine said is believed any more.
const causeTwice = "answer not read: it answered one question twice, and not the same"

// take parts the machines that have answered, or never will, from the others.
func (r *run) take(batch *Batch, guests []Guest, results []ecs.Invoked) (done, open []Guest) {
	by := map[string][]*ecs.Invoked{}
	for i := range results {
		by[results[i].InstanceID] = append(by[results[i].InstanceID], &results[i])
	}
	for _, guest := range guests {
		list := by[guest.ID]
		if len(list) == 0 || slices.ContainsFunc(list, func(x *ecs.Invoked) bool { return x.State == ecs.InvocationRunning }) {
			open = append(open, guest)
			continue
		}
		answer := r.read(batch, &guest, list[0])
		for _, other := range list[1:] {
			if again := r.read(batch, &guest, other); again.Cause != answer.Cause || again.Facts != answer.Facts {
				answer = guest.twice(answer.Answered)
			}
		}
		done = append(done, answer)
	}
	return done, open
}

// twice is a guest whose answers contradict each other: none is believed, nor
// what it said before.
func (g *Guest) twice(now time.Time) Guest {
	out := *g
	out.Answered, out.Cause, out.Facts, out.Heard = now, causeTwice, rules.GuestFacts{}, time.Time{}
	return out
}

// retract takes back what machines answered whose answers are others by now.
func (r *run) retract(ctx context.Context, batch *Batch, taken map[string]Guest, results []ecs.Invoked) error {
	var back []Guest
	for i := range results {
		was, there := taken[results[i].InstanceID]
		if !there || was.Cause == causeTwice {
			continue
		}
		if again := r.read(batch, &was, &results[i]); results[i].State == ecs.InvocationRunning || again.Cause != was.Cause || again.Facts != was.Facts {
			back = append(back, was.twice(again.Answered))
			taken[was.ID] = back[len(back)-1]
		}
	}
	if len(back) == 0 {
		return nil
	}
	r.went(func(counts *Counts) {
		same := func(g Guest) bool {
			return g.Scope == batch.Scope && slices.ContainsFunc(back, func(b Guest) bool { return b.ID == g.ID })
		}
		answered, silent := len(r.out.Answered), len(r.out.Silent)
		r.out.Answered, r.out.Silent = slices.DeleteFunc(r.out.Answered, same), slices.DeleteFunc(r.out.Silent, same)
		counts.Answered -= answered - len(r.out.Answered)
		counts.Silent -= silent - len(r.out.Silent)
		counts.Waiting += len(back) // until they are kept
	})
	return r.keep(ctx, batch, back)
}

// read is what a guest is with one answer. Where the answer is not believed, what
// it said before stands. A cause is one of few: it holds no text of the machine.
func (r *run) read(batch *Batch, was *Guest, invoked *ecs.Invoked) Guest {
	guest, now := *was, r.o.Now().UTC()
	guest.Answered = now
	facts, cause := readAnswer(batch.Platform, invoked)
	at := invoked.Finished
	switch {
	case cause != "":
	case at.IsZero(): // it is at least as new as the question
		at = batch.Asked
	case at.Before(batch.Asked.Add(-clocksApart)):
		cause = "answer not read: it is older than the question"
	case at.After(now.Add(clocksApart)):
		cause = "answer not read: it is of a time to come"
	}
	if cause == "" && foreign(&facts, guest.Type) {
		cause = "answer not read: it is of another machine, whose architecture this one cannot run"
	}
	if guest.Cause = cause; cause != "" {
		return guest
	}
	if guest.Facts, guest.Heard = facts, at.UTC(); at.After(now) {
		guest.Heard = now
	}
	return guest
}

// readAnswer reads what an answer says.
func readAnswer(platform string, invoked *ecs.Invoked) (rules.GuestFacts, string) {
	failed := invoked.State == ecs.InvocationFailed || invoked.ErrorCode != ""
	switch {
	case failed && knownCode(invoked.ErrorCode):
		return rules.GuestFacts{}, "the script did not come to its end (" + invoked.ErrorCode + ")"
	case failed:
		return rules.GuestFacts{}, "the script did not come to its end"
	case invoked.Dropped > 0:
		return rules.GuestFacts{}, "answer not read: it is cut short"
	}
	guest, err := probe.Read(platform, invoked.Output)
	if err != nil {
		return rules.GuestFacts{}, err.Error()
	}
	return guest, ""
}

// codes are what Cloud Assistant says of a command that came to no end.
var codes = []string{
	"InstanceNotExists", "InstanceReleased", "InstanceNotRunning", "CommandNotApplicable", "AccountNotExists", "DirectoryNotExists", "ClientNotRunning", "ClientNotResponse",
	"ClientIsUpgrading", "ClientNeedUpgrade", "DeliveryTimeout", "ExecutionTimeout", "ExecutionException", "ExecutionInterrupted", "ExitCodeNonzero", "SecurityGroupRuleDenied",
}

func knownCode(code string) bool { return slices.Contains(codes, code) }
