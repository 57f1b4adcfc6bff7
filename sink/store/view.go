package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// View is one answer of the store: what was committed at one moment, judged by
// one classifier and narrowed by one filter. Totals, groups, rows and the
// number of instances at a verdict or worse all come from it, so that they
// cannot disagree. It holds a read transaction, which keeps the pages of that
// moment: close it soon. It is safe for concurrent use, one call at a time.
type View struct {
	db   *DB
	j    *judge
	own  bool // j's verdicts are the stored ones
	f    Filter
	snap *snapshot
	onto *byNumber[answer] // whether the machine passes the filter

	mu     sync.Mutex
	tx     *bbolt.Tx // nil once closed
	scopes []*scopeSnap
	unread []record.ScopeStatus // of scans that have not ended, where no scan ever did
}

// View opens a view. The classifier may be nil: that of the store.
func (db *DB) View(ctx context.Context, classifier Classifier, f Filter) (*View, error) {
	if classifier != nil {
		if n := len(classifier.Targets()); n == 0 || n > format.MaxTargets {
			return nil, fmt.Errorf("store: %d targets; name 1 to %d", n, format.MaxTargets)
		}
	}
	view := &View{db: db, f: f}
	if err := view.begin(ctx); err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	// While everything is being judged by another rule set, the one in use is that
	// of the moment at hand: by the other, each reader would judge every row.
	judge := view.snap.judge
	if classifier != nil {
		judge = db.o.judge(classifier)
	}
	view.j = judge
	if err := view.findUnread(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the scans that run: %w", err), view.Close())
	}
	view.own = view.snap.digest == judge.Digest() && slices.Equal(view.snap.targets, judge.targets) && view.snap.today == judge.today
	if err := view.count(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("count the stored fleet: %w", err), view.Close())
	}
	return view, nil
}

// begin takes a transaction and what was published of the same commit.
func (v *View) begin(ctx context.Context) error {
	for {
		var tx *bbolt.Tx
		v.snap = v.db.snap.Load()
		err := v.db.guard(func() (err error) {
			tx, err = v.db.bolt.Begin(false)
			return err
		})
		switch {
		case errors.Is(err, berrors.ErrDatabaseNotOpen):
			return ErrClosed
		case err != nil:
			return err
		case tx.ID() == v.snap.commit:
			v.tx = tx
			return v.db.keep(v)
		}
		// A commit is between the file and its publication.
		if err := tx.Rollback(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// findUnread finds the accounts and regions that a scan was to read which has
// not ended, and that no scan before it read. A store whose scan was killed
// would otherwise say that all it knows of was read.
func (v *View) findUnread() error {
	scans, err := v.Scans(0)
	if err != nil {
		return err
	}
	known := map[ecs.Scope]bool{}
	for _, sc := range v.snap.scopes {
		known[sc.key] = true
	}
	for i := range scans {
		if scans[i].Kind != string(event.KindScan) {
			continue
		}
		for _, sc := range scans[i].Scopes {
			key := ecs.Scope{Account: sc.Account, Region: sc.Region}
			if known[key] || !v.f.within(key) {
				continue
			}
			known[key] = true
			v.unread = append(v.unread, record.ScopeStatus{
				Account: sc.Account, Region: sc.Region, Completeness: record.ScopePending, LastScan: scans[i].ID, Failures: sc.Failures,
			})
		}
	}
	return nil
}

// keep remembers a view, so that closing the store ends it.
func (db *DB) keep(view *View) error {
	db.viewsMu.Lock()
	defer db.viewsMu.Unlock()
	if db.views == nil {
		return errors.Join(ErrClosed, view.tx.Rollback())
	}
	db.views[view] = struct{}{}
	return nil
}

// endViews ends all views and lets no new one begin.
func (db *DB) endViews() error {
	db.viewsMu.Lock()
	views := db.views
	db.views = nil
	db.viewsMu.Unlock()
	var err error
	for v := range views {
		err = errors.Join(err, v.end())
	}
	return err
}

// Close lets the moment go. It is safe to call twice.
func (v *View) Close() error {
	v.db.viewsMu.Lock()
	delete(v.db.views, v)
	v.db.viewsMu.Unlock()
	return v.end()
}

func (v *View) end() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tx == nil {
		return nil
	}
	tx := v.tx
	v.tx = nil
	return v.db.guard(tx.Rollback)
}

// view runs fn in the view's transaction.
func (v *View) view(fn func(tx *bbolt.Tx) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tx == nil {
		return ErrClosed
	}
	return v.db.guard(func() error { return fn(v.tx) })
}

// reading is how the view reads.
func (v *View) reading() *reading { return &reading{db: v.db, snap: v.snap, view: v.view} }

// matcher judges and filters for one pass.
func (v *View) matcher(f *Filter) *matcher {
	wanted := newMatcher(f, v.j, v.snap.tables)
	wanted.foreign = !v.own
	if v.onto == nil {
		v.onto = wanted.onto
	}
	wanted.onto = v.onto // what one pass found out, the next one knows
	return wanted
}

// count finds out how many instances of each class the filter lets through:
// from the stored counts where they are about just that, else row by row.
func (v *View) count(ctx context.Context) error {
	f := v.f
	f.Gone = true
	matcher := v.matcher(&f)
	for _, sc := range v.snap.scopes {
		if !matcher.within(sc) {
			continue
		}
		if v.own && v.f.scopesOnly() {
			v.scopes = append(v.scopes, sc)
			continue
		}
		if sc.gone == 0 && matcher.classed() { // of those that are gone no counts are kept
			v.scopes = append(v.scopes, matcher.counted(sc))
			continue
		}
		narrowed, err := v.countScope(ctx, matcher, sc)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.key, err)
		}
		v.scopes = append(v.scopes, narrowed)
	}
	return nil
}

// counted is what the filter lets through of a scope's counts.
func (m *matcher) counted(sc *scopeSnap) *scopeSnap {
	out := &scopeSnap{no: sc.no, key: sc.key, targets: m.j.targets, status: sc.status}
	for i := range sc.counts {
		if m.known(&sc.counts[i].Class).pass {
			out.counts = append(out.counts, sc.counts[i])
			out.present += sc.counts[i].n
		}
	}
	out.status.Instances = out.present
	return out
}

// present hands take the row of each instance that is there and that the view
// shows.
func (v *View) present(ctx context.Context, takes ...func(*bbolt.Tx, *walker, *candidateRow) error) error {
	f := v.f
	f.Gone = false
	matcher, reader := v.matcher(&f), v.reading()
	for _, sc := range v.snap.scopes {
		if !matcher.within(sc) {
			continue
		}
		walk := &walker{reading: reader, m: matcher, sc: sc, all: f.scopesOnly()}
		err := v.rows(ctx, walk, func(tx *bbolt.Tx, row *candidateRow) error {
			for _, take := range takes {
				if err := take(tx, walk, row); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", sc.key, err)
		}
	}
	return nil
}

// rows hands take the rows of one scope that a filter lets through, in pieces
// between which ctx may end it.
func (v *View) rows(ctx context.Context, walk *walker, take func(*bbolt.Tx, *candidateRow) error) error {
	walk.take = take
	for !walk.done {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := v.view(walk.step); err != nil {
			return err
		}
	}
	return nil
}

// countScope counts the rows of one scope that the filter lets through.
func (v *View) countScope(ctx context.Context, matcher *matcher, sc *scopeSnap) (*scopeSnap, error) {
	out := &scopeSnap{no: sc.no, key: sc.key, targets: v.j.targets, status: sc.status}
	counts := map[outcome.Class]int{}
	walk := &walker{reading: v.reading(), m: matcher, sc: sc}
	err := v.rows(ctx, walk, func(_ *bbolt.Tx, row *candidateRow) error {
		if row.stamp.Order < walk.value.Floor() {
			out.gone++
			return nil
		}
		out.present++
		counts[*row.class]++
		return nil
	})
	if err != nil {
		return nil, err
	}
	for c, n := range counts {
		out.counts = append(out.counts, classCount{c, n})
	}
	out.status.Instances = out.present
	return out, nil
}

// Summary returns the totals of what the view shows. CaughtUp is for the caller
// to fill in.
func (v *View) Summary() *record.Summary {
	accounts := map[string]AccountStatus{}
	for account, st := range v.snap.accounts {
		if (v.f.Account == "" || v.f.Account == account) && v.f.Scope.Scope(account, v.anyRegion()) {
			accounts[account] = st
		}
	}
	unidentified := v.snap.unidentified
	if v.f.Account != "" || !v.f.Scope.Scope("", v.anyRegion()) {
		unidentified = nil
	}
	summary := total(v.snap.now, v.j.Digest(), v.j.targets, v.scopes, accounts, unidentified, v.snap.settled.of(v.f.Account))
	summary.JudgedAnew, summary.Rejudging = v.snap.anew, v.snap.telling
	summary.Scopes = append(summary.Scopes, v.unread...)
	sortScopes(summary.Scopes)
	return summary
}

// anyRegion is a region that the filter names, if it names one: what failed for
// an account as a whole failed in each of them.
func (v *View) anyRegion() string {
	if regions := v.f.Scope.Regions(); len(regions) > 0 {
		return regions[0]
	}
	return ""
}

// Known is what the names of a filter are held against: what this store has
// seen, gone instances included.
func (v *View) Known() *filter.Known { return known(v.snap, v.j, v.unread) }

// Known is View.Known for what the store shows by itself.
func (db *DB) Known() *filter.Known {
	now := db.snap.Load()
	return known(now, now.judge, nil)
}

// Classifier judges what the store shows by itself.
func (db *DB) Classifier() Classifier { return db.snap.Load().judge.Classifier }

// Classifier judges what the view shows.
func (v *View) Classifier() Classifier { return v.j.Classifier }

func known(snapshot *snapshot, judge *judge, unread []record.ScopeStatus) *filter.Known {
	names := &filter.Known{Targets: judge.targets}
	for _, sc := range snapshot.scopes {
		names.Accounts, names.Regions = append(names.Accounts, sc.key.Account), append(names.Regions, sc.key.Region)
	}
	for account := range snapshot.accounts {
		names.Accounts = append(names.Accounts, account)
	}
	for i := range unread {
		names.Accounts, names.Regions = append(names.Accounts, unread[i].Account), append(names.Regions, unread[i].Region)
	}
	families := map[string]bool{}
	for _, hardware := range snapshot.tables.profs.readers.Load().hardware {
		family := hardware.InstanceFamily
		if family == "" {
			family = judge.Machine(hardware).Family
		}
		families[family] = true
	}
	names.Families = slices.Sorted(maps.Keys(families))
	if snapshot.digest == judge.Digest() { // another rule set may see other systems; other targets do not
		systems := map[string]bool{}
		for _, c := range *snapshot.tables.classes.list.Load() {
			systems[c.Family], systems[strings.TrimSpace(c.Family+" "+c.Version)] = true, true
		}
		names.Systems = slices.Sorted(maps.Keys(systems))
	}
	names.Tags = snapshot.tables.dict.Plain()
	slices.Sort(names.Accounts)
	slices.Sort(names.Regions)
	names.Accounts, names.Regions = slices.Compact(names.Accounts), slices.Compact(names.Regions)
	names.Regions = slices.DeleteFunc(names.Regions, func(region string) bool { return region == "" }) // where a whole account could not be listed
	return names
}

// AtLeast counts the instances whose verdict on a target of the view is level
// or worse: on any target, and on each.
func (v *View) AtLeast(level rules.Level) (instances int, byTarget map[string]int) {
	byTarget = map[string]int{}
	for _, sc := range v.scopes {
		for i := range sc.counts {
			classCount, hit := &sc.counts[i], false
			for t, target := range v.j.targets {
				if classCount.Level(t).AtLeast(level) {
					hit = true
					byTarget[target] += classCount.n
				}
			}
			if hit {
				instances += classCount.n
			}
		}
	}
	return instances, byTarget
}

// Moment is a state of the store: a commit, and the day by which waivers are
// judged. What two answers of one moment say cannot differ.
type Moment struct {
	Commit int
	Day    string
}

// Moment is that of the last commit.
func (db *DB) Moment() Moment { return db.snap.Load().moment() }

// Moment is that of the view.
func (v *View) Moment() Moment { return v.snap.moment() }

func (s *snapshot) moment() Moment { return Moment{Commit: s.commit, Day: s.today} }

// Judged says by which rule set the store's own verdicts were made, for which
// targets, and whether the view shows these.
func (v *View) Judged() (digest string, targets []string, own bool) {
	return v.snap.digest, v.snap.targets, v.own
}

// Instances ranges over what the view shows, by account, region and id. The
// range ends with an error, if there is one.
func (v *View) Instances(ctx context.Context) iter.Seq2[*record.Record, error] {
	f := v.f
	return v.reading().instances(ctx, v.matcher(&f), nil, 0)
}

// ChangesSince ranges over what is remembered to have changed after a time in the
// view's accounts and regions, by account, region and instance, the oldest change of
// each first. The range ends with an error, if there is one.
func (v *View) ChangesSince(ctx context.Context, since time.Time) iter.Seq2[*Moved, error] {
	f := v.f
	return v.reading().changesSince(ctx, since, v.matcher(&f).within)
}

// ChangesOf ranges over those of ChangesSince that a scan found. What it took back
// itself, since an instance that it had not listed is there, is left out: the scan
// does not count it either.
func (v *View) ChangesOf(ctx context.Context, scan *record.Scan) iter.Seq2[*Moved, error] {
	return func(yield func(*Moved, error) bool) {
		var gone *Moved // the last change, where it says that an instance is gone
		for moved, err := range v.ChangesSince(ctx, scan.StartedAt.Add(-time.Nanosecond)) {
			if err != nil {
				yield(nil, err)
				return
			}
			if moved.ScanID != scan.ID {
				continue
			}
			back := gone != nil && moved.Cause == "returned" && moved.At.Equal(gone.At) &&
				moved.InstanceID == gone.InstanceID && moved.Region == gone.Region && moved.Account == gone.Account
			if gone != nil && !back && !yield(gone, nil) {
				return
			}
			gone = nil
			switch {
			case back:
			case moved.Cause == "gone":
				gone = moved
			case !yield(moved, nil):
				return
			}
		}
		if gone != nil {
			yield(gone, nil)
		}
	}
}

// Scans is DB.Scans at the view's moment.
func (v *View) Scans(n int) ([]record.Scan, error) { return v.reading().scans(n) }

// Trend returns the fleet's totals at the end of the last n scans, the oldest first.
func (v *View) Trend(n int) ([]TrendPoint, error) { return v.reading().trend(n) }

// Find is DB.Find at the view's moment, judged as the view is. The view's filter
// does not count.
func (v *View) Find(instanceID string) ([]Found, error) {
	return v.reading().find(v.j, v.snap.scopes, instanceID)
}

// Facts are the raw facts of an instance at the view's moment, or ErrNotFound.
func (v *View) Facts(account, region, instanceID string) (*rules.Facts, error) {
	facts, _, err := v.reading().factsOf(account, region, instanceID)
	return facts, err
}

// Scan is DB.Scan at the view's moment.
func (v *View) Scan(id string) (*record.Scan, error) { return v.reading().scan(id) }
