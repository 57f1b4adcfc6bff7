package store

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// snapshot is what a commit published. It does not change, and all of it is of one
// moment.
type snapshot struct {
	at           event.Position
	now          int64
	commit       int // bbolt's number of it
	digest       string
	targets      []string
	today        string
	judge        *judge // in use at that moment
	tables       *tables
	scopes       []*scopeSnap // by account and region
	accounts     map[string]AccountStatus
	unidentified *unidentified // nil: none
	changes      map[ChangeKey]uint64
	anew         []record.JudgedAnew
	telling      *record.Rejudging
	settled      settled

	owners   *record.Shares     // of the last point of progress
	outcomes []record.MoveScore // of moves

	once    sync.Once
	summary *record.Summary

	standOnce sync.Once
	standings *Standings
}

// settled is what somebody decided about accounts and regions. It is not to be
// changed.
type settled struct {
	excluded  []record.AccountLabel
	forgotten []record.Forgotten
}

// of returns the decisions about one account, or all of them for "".
func (s settled) of(account string) settled {
	if account == "" {
		return s
	}
	return settled{
		slices.DeleteFunc(slices.Clone(s.excluded), func(x record.AccountLabel) bool { return x.Account != account }),
		slices.DeleteFunc(slices.Clone(s.forgotten), func(x record.Forgotten) bool { return x.Account != account }),
	}
}

// scopeSnap is one scope in a snapshot.
type scopeSnap struct {
	no      uint32
	key     ecs.Scope
	targets []string
	counts  []classCount
	present int
	gone    int
	status  record.ScopeStatus

	once   sync.Once
	groups []record.Group
}

type classCount struct {
	outcome.Class
	n int
}

// ChangeKey names a kind of verdict change.
type ChangeKey struct{ Target, From, To string }

// publish makes the committed state visible. Scopes that did not change are
// shared with the snapshot before.
func (db *DB) publish() {
	next := &snapshot{
		at: event.Position{Stream: db.meta.Stream, Seq: db.meta.Seq}, now: db.meta.Now,
		commit: db.commit, digest: db.meta.Digest, targets: db.meta.Targets, today: db.meta.Today, judge: db.judge.Load(), tables: db.readers.Load(),
		accounts: maps.Clone(db.meta.Accounts), unidentified: db.meta.Unidentified, changes: maps.Clone(db.changes), anew: db.judgedAnew(), telling: db.rejudged(),
		scopes: make([]*scopeSnap, 0, len(db.scopes)), settled: settled{db.meta.Excluded, db.meta.Forgotten},
		owners: db.owners, outcomes: scores(db.meta.Outcomes),
	}
	for _, sc := range db.scopes {
		if sc.Unread {
			continue
		}
		if sc.snap == nil {
			sc.snap = db.snapScope(sc)
		}
		next.scopes = append(next.scopes, sc.snap)
	}
	slices.SortFunc(next.scopes, func(a, b *scopeSnap) int { return a.key.Compare(b.key) })
	db.snap.Store(next)
}

func (db *DB) snapScope(sc *scope) *scopeSnap {
	out := &scopeSnap{no: sc.no, key: sc.key, targets: db.meta.Targets, present: sc.present, gone: sc.gone}
	out.status = record.ScopeStatus{Account: sc.Account, Region: sc.Region, Completeness: record.ScopePending}
	if sc.Status != nil {
		out.status = *sc.Status
	}
	if sc.Unlisted != 0 {
		since := utc(sc.Unlisted)
		out.status.Unlisted = &since
	}
	out.status.Instances, out.status.AccountName = sc.present, sc.Label
	out.counts = make([]classCount, 0, len(sc.counts))
	for c, n := range sc.counts {
		out.counts = append(out.counts, classCount{*db.classes.at(c), n})
	}
	return out
}

// Summary returns the totals as of the last commit. It reads no file and
// waits for nobody. CaughtUp is for the caller to fill in, on a copy.
func (db *DB) Summary() *record.Summary { return db.snap.Load().total() }

func (s *snapshot) total() *record.Summary {
	s.once.Do(func() {
		s.summary = total(s.now, s.digest, s.targets, s.scopes, s.accounts, s.unidentified, s.settled)
		s.summary.JudgedAnew, s.summary.Rejudging = s.anew, s.telling
	})
	return s.summary
}

// total adds up scopes. Their classes must be judged for these targets, in this
// order.
func total(now int64, digest string, targets []string, scopes []*scopeSnap, accounts map[string]AccountStatus, failed *unidentified, by settled) *record.Summary {
	summary := &record.Summary{
		Targets: targets, Verdicts: map[string]map[string]int{}, Groups: []record.Group{},
		Confidence: map[string]map[string]map[string]int{}, Waived: map[string]int{}, UnknownByQuestion: map[string]map[string]int{},
		Scopes: []record.ScopeStatus{}, Ruleset: digest, Excluded: by.excluded, Forgotten: by.forgotten,
	}
	if now > 0 {
		summary.AsOf = utc(now)
	}
	for _, target := range targets {
		summary.Verdicts[target] = noVerdicts()
		summary.Confidence[target] = map[string]map[string]int{}
		for level := range summary.Verdicts[target] {
			summary.Confidence[target][level] = record.NoConfidence()
		}
		summary.Waived[target], summary.UnknownByQuestion[target] = 0, record.NoQuestions()
	}
	for _, sc := range scopes {
		summary.Instances += sc.present
		summary.Gone += sc.gone
		for i := range sc.counts {
			classCount := &sc.counts[i]
			if classCount.Legacy {
				summary.Legacy += classCount.n
			}
			for number, target := range targets {
				level := classCount.Level(number)
				sure, waived := sureness(&classCount.Class, number)
				summary.Verdicts[target][level.String()] += classCount.n
				summary.Confidence[target][level.String()][sure.String()] += classCount.n
				if waived {
					summary.Waived[target] += classCount.n
				}
				if q, unknown := classCount.Question(number); unknown {
					summary.UnknownByQuestion[target][string(q)] += classCount.n
				}
			}
		}
		summary.Groups = append(summary.Groups, sc.grouped()...)
		summary.Scopes = append(summary.Scopes, sc.status)
	}
	for account, st := range accounts {
		if len(st.Failures) > 0 {
			end := st.EndedAt
			summary.Scopes = append(summary.Scopes, record.ScopeStatus{
				Account: account, Completeness: record.ScopeFailed, LastScan: st.ScanID, LastEnd: &end, Failures: st.Failures,
			})
		}
	}
	if failed != nil {
		for _, one := range failed.Failed {
			end := failed.EndedAt
			summary.Scopes = append(summary.Scopes, record.ScopeStatus{AccountName: one.Name, Completeness: record.ScopeFailed, LastScan: failed.ScanID, LastEnd: &end, Failures: []record.Failure{one.Failure}})
		}
	}
	sortScopes(summary.Scopes)
	return summary
}

func sortScopes(scopes []record.ScopeStatus) {
	slices.SortStableFunc(scopes, func(a, b record.ScopeStatus) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
}

func noVerdicts() map[string]int {
	out := map[string]int{}
	for _, l := range rules.Levels() {
		out[l.String()] = 0
	}
	return out
}

// grouped merges the classes of a scope into the groups of a summary.
func (sc *scopeSnap) grouped() []record.Group {
	sc.once.Do(func() {
		type key struct {
			target          int
			level           rules.Level
			family, version string
			legacy          bool
		}
		merged := map[key]*record.Group{}
		for i := range sc.counts {
			classCount := &sc.counts[i]
			for t := range sc.targets {
				sure, waived := sureness(&classCount.Class, t)
				k := key{t, classCount.Level(t), classCount.Family, classCount.Version, classCount.Legacy}
				group := merged[k]
				if group == nil {
					group = &record.Group{
						Account: sc.key.Account, Region: sc.key.Region, Target: sc.targets[t], Verdict: k.level.String(),
						OSFamily: classCount.Family, OSVersion: classCount.Version, Legacy: classCount.Legacy,
					}
					merged[k] = group
				}
				group.Add(classCount.n, sure, waived)
			}
		}
		out := make([]record.Group, 0, len(merged))
		for _, g := range merged {
			out = append(out, *g)
		}
		slices.SortFunc(out, compareGroups)
		sc.groups = out
	})
	return sc.groups
}

// sureness returns the confidence of a class's verdict for a target, and whether the
// verdict is a waiver's.
func sureness(c *outcome.Class, target int) (sure rules.Confidence, waived bool) {
	s, ok := c.Standing(target)
	return s.Confidence, ok && s.Was != c.Level(target)
}

func compareGroups(a, b record.Group) int {
	legacy := func(g *record.Group) int {
		if g.Legacy {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Target, b.Target),
		cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.OSFamily, b.OSFamily), cmp.Compare(a.OSVersion, b.OSVersion),
		cmp.Compare(legacy(&a), legacy(&b)))
}

// TrendPoint is the fleet at the end of one scan.
type TrendPoint struct {
	At        time.Time                 `json:"at"`
	ScanID    string                    `json:"scan_id"`
	State     record.ScanState          `json:"state"`
	Instances int                       `json:"instances"`
	Legacy    int                       `json:"legacy"`
	Verdicts  map[string]map[string]int `json:"verdicts"` // target -> verdict -> instances
}

func (db *DB) trend(s *record.Scan, judge *judge) *TrendPoint {
	out := &TrendPoint{At: *s.EndedAt, ScanID: s.ID, State: s.State, Verdicts: map[string]map[string]int{}}
	whole := newPart(len(judge.targets))
	for _, sc := range db.scopes {
		for c, n := range sc.counts {
			class := db.classes.at(c)
			whole.add(class, n)
			if class.Legacy {
				out.Legacy += n
			}
		}
	}
	out.Instances = whole.instances
	for i, t := range judge.targets {
		out.Verdicts[t] = whole.standing(i).Verdicts
	}
	return out
}

// count adds verdict changes, and pages judged anew, to the counters of this
// process.
func (db *DB) count(done *Applied) {
	if len(done.verdicts) == 0 && len(done.Anew) == 0 {
		return
	}
	for by, pages := range done.Anew {
		db.noteAnew(by, pages)
	}
	for key, n := range done.verdicts {
		db.changes[key] += n
	}
	db.publish()
}

// commitBounds are the upper bounds of the commit histogram, in seconds.
var commitBounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// commitStats is a histogram of commit durations.
type commitStats struct {
	count   atomic.Uint64
	nanos   atomic.Int64
	buckets [len(commitBounds)]atomic.Uint64 // each alone, not summed up
}

func (c *commitStats) observe(duration time.Duration) {
	c.count.Add(1)
	c.nanos.Add(int64(duration))
	for i, bound := range commitBounds {
		if duration.Seconds() <= bound {
			c.buckets[i].Add(1)
			return
		}
	}
}

// Stats are figures about the store itself.
type Stats struct {
	Size          int64 // bytes of the file
	SizeLimit     int64 // bytes it may have, by MaxSize or by what the disk has left; 0 when not known
	Commits       uint64
	CommitSeconds float64
	CommitBuckets map[float64]uint64 // upper bound in seconds -> commits at most that long
	Changes       map[ChangeKey]uint64
	JudgedAnew    []record.JudgedAnew
	Accounts      map[string]AccountStatus
	At            event.Position
	Observed      time.Time // newest broker time in the store; zero when empty
}

// Figures are what is counted at one moment: totals, what a plan makes of them,
// what became of moves, and figures about the store itself. They are shared, and
// not to be changed.
type Figures struct {
	Summary   *record.Summary
	Standings *Standings
	Outcomes  []record.MoveScore
	Stats     Stats
}

// Figures returns the figures as of the last commit. It reads no file.
func (db *DB) Figures() Figures {
	now := db.snap.Load()
	return Figures{now.total(), now.stand(), now.outcomes, db.stats(now)}
}

func (db *DB) stats(snapshot *snapshot) Stats {
	out := Stats{
		Size: db.size.Load(), SizeLimit: db.limit.Load(), Commits: db.commits.count.Load(),
		CommitSeconds: time.Duration(db.commits.nanos.Load()).Seconds(), CommitBuckets: map[float64]uint64{},
		Changes: snapshot.changes, JudgedAnew: snapshot.anew, Accounts: snapshot.accounts, At: snapshot.at,
	}
	if snapshot.now > 0 {
		out.Observed = utc(snapshot.now)
	}
	sum := uint64(0)
	for i, bound := range commitBounds {
		sum += db.commits.buckets[i].Load()
		out.CommitBuckets[bound] = sum
	}
	return out
}

// Size is the file's size in bytes.
func (db *DB) Size() int64 { return db.size.Load() }
