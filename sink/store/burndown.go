package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/rules/waves"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Bounds of what a point of progress holds and of how many are kept.
const (
	maxShares    = 200     // owners, accounts and regions by name, each; the rest is one more
	maxOwners    = 1 << 16 // different owners told apart while they are counted
	maxOwnerName = 256     // bytes
	maxHandovers = 50      // pairs of owners
	maxCarried   = 50      // accounts and regions by name
	keepPoints   = 200     // the newest points; of those before, the last of each day
	keepDays     = 730     // such days
)

// numbers are the counts of some instances on one target: by verdict, then by
// wave.
const (
	levels  = int(rules.Incompatible) + 1
	perWave = 16 // what a standing can name
)

type numbers [levels + perWave]int

// part counts instances on every target.
type part struct {
	instances int
	on        []numbers
}

func newPart(targets int) *part { return &part{on: make([]numbers, targets)} }

// add counts n instances of a class.
func (p *part) add(class *outcome.Class, n int) {
	p.instances += n
	for t := range p.on {
		p.on[t][class.Level(t)] += n
		if s, ok := class.Standing(t); ok {
			p.on[t][levels+s.Wave] += n
		}
	}
}

func (p *part) merge(part *part) {
	p.instances += part.instances
	for t := range p.on {
		for i, n := range part.on[t] {
			p.on[t][i] += n
		}
	}
}

// standing spells the counts on the target with a number.
func (p *part) standing(t int) record.Standing {
	out := record.Standing{Verdicts: noVerdicts(), Waves: map[string]int{}}
	for level := range levels {
		out.Verdicts[rules.Level(level).String()] = p.on[t][level]
	}
	for i, id := range allWaves {
		n := p.on[t][levels+i]
		out.Waves[string(id)] = n
		if id.Open() {
			out.Open += n
		}
	}
	return out
}

func (p *part) standings(targets []string) map[string]record.Standing {
	out := make(map[string]record.Standing, len(targets))
	for t, name := range targets {
		out[name] = p.standing(t)
	}
	return out
}

var allWaves = waves.All()

// open tells whether instances of a class are open on the target with a number.
func open(c *outcome.Class, target int) bool {
	s, ok := c.Standing(target)
	return ok && s.Wave < len(allWaves) && allWaves[s.Wave].Open()
}

// movesOn is where moves on a target are counted until the next point.
func (db *DB) movesOn(target string) *record.Moves {
	moves := db.meta.Moves[target]
	if moves == nil {
		moves = &record.Moves{}
		if db.meta.Moves == nil {
			db.meta.Moves = map[string]*record.Moves{}
		}
		db.meta.Moves[target] = moves
	}
	return moves
}

// came counts an instance that was found, or found again.
func (a *applier) came(class uint32) {
	for t, m := range a.moves {
		if open(a.db.classes.at(class), t) {
			m.Came++
		}
	}
}

// went counts n instances that are not there any more.
func (db *DB) went(class uint32, n int) {
	c := db.classes.at(class)
	for t, target := range db.meta.Targets {
		if open(c, t) {
			db.movesOn(target).Went += n
		}
	}
}

// moved counts an instance that an observation moved to another class. had is the
// profile that it had, has the facts that it has now.
func (a *applier) moved(was, is, had uint32, has *rules.Facts) error {
	before, after := a.db.classes.at(was), a.db.classes.at(is)
	learnt, known := false, false
	for t, moves := range a.moves {
		wasOpen, isOpen := open(before, t), open(after, t)
		if wasOpen == isOpen {
			continue
		}
		if !known {
			facts, err := a.facts(had)
			if err != nil {
				return err
			}
			learnt, known = onlyEvidence(facts, *has), true
		}
		switch {
		case wasOpen && learnt:
			moves.ClosedByEvidence++
		case wasOpen:
			moves.Closed++
		case learnt:
			moves.OpenedByEvidence++
		default:
			moves.Opened++
		}
	}
	return nil
}

// onlyEvidence tells whether two facts of an instance are of the same installation
// on the same hardware, and differ in what is known of it: whether it was seen to
// run, what the platform and the fleet say of its image, and what image or machine
// answered where they had not been asked. What a machine answers otherwise than
// before was done to it.
func onlyEvidence(before, after rules.Facts) bool {
	before.Running, after.Running = rules.Unobserved, rules.Unobserved
	before.Image.Offered, after.Image.Offered = "", ""
	before.Image.Refused, after.Image.Refused = "", ""
	before.Image.Fleet, after.Image.Fleet = "", ""
	before.Guest.Up, after.Guest.Up = rules.Unobserved, rules.Unobserved
	before.Guest.ConsoleKernel, after.Guest.ConsoleKernel = "", ""
	before.Guest.ConsoleNames, after.Guest.ConsoleNames = rules.Unobserved, rules.Unobserved
	if before.Guest == (rules.GuestFacts{}) || after.Guest == (rules.GuestFacts{}) {
		before.Guest, after.Guest = rules.GuestFacts{}, rules.GuestFacts{}
	}
	if before.Image.Presence == rules.ImageNotAsked || after.Image.Presence == rules.ImageNotAsked {
		before.Image, after.Image = rules.ImageFacts{}, rules.ImageFacts{}
	}
	return before == after
}

// handedOver counts an instance whose owner is another one than it was.
func (a *applier) handedOver(account string, old, row []byte) error {
	from, err := a.db.owner(account, old)
	if err != nil {
		return err
	}
	to, err := a.db.owner(account, row)
	if err != nil || from == to {
		return err
	}
	a.db.meta.HandedOver++
	a.db.meta.Handovers = addHandover(a.db.meta.Handovers, record.Handover{From: from, To: to, Instances: 1})
	return nil
}

// addHandover counts a handover between two owners, unless too many pairs of them are
// counted already.
func addHandover(list []record.Handover, handover record.Handover) []record.Handover {
	at := slices.IndexFunc(list, func(h record.Handover) bool { return h.From == handover.From && h.To == handover.To })
	switch {
	case at >= 0:
		list[at].Instances += handover.Instances
	case len(list) < maxHandovers:
		list = append(list, handover)
	}
	return list
}

// owning says what names the owner of an instance.
type owning struct {
	tags    []string
	account bool // what has none of them is its account's
}

// any says whether owners are counted.
func (o *owning) any() bool { return len(o.tags) > 0 }

// OwnBy has owners counted by other tags from now on. Progress says of a
// comparison across the change that its owners are others.
func (db *DB) OwnBy(tags []string, account bool) {
	db.ownedBy.Store(&owning{slices.Clone(tags), account})
}

// owner is whose the instance of a row is.
func (db *DB) owner(account string, row []byte) (string, error) {
	by := db.ownedBy.Load()
	values := make([]string, len(by.tags))
	if _, _, err := format.RowTags(row, db.dict.Words(), by.tags, values); err != nil {
		return "", fmt.Errorf("%w: row %.64q: %w", ErrCorrupt, format.RowID(row), err)
	}
	owner := cmp.Or(values...)
	if owner == "" && by.account {
		owner = "account " + account
	}
	return owner[:min(len(owner), maxOwnerName)], nil
}

// owned is what instances of one scope have in common that are counted by owner.
type owned struct {
	owner string
	class uint32
}

// byOwner counts the present instances of all scopes by owner: in one pass over
// the rows of those that were written to since they were last counted. No scope
// may have a journal.
func (a *applier) byOwner() (map[string]*part, error) {
	out, named := map[string]*part{}, owners{}
	for _, sc := range a.db.scopes {
		counts := sc.owned
		if counts == nil {
			var err error
			if counts, err = a.ownersOf(sc, named); err != nil {
				return nil, fmt.Errorf("count the owners of %s: %w", sc.key, err)
			}
			if sc.keepsOwned(len(counts), len(named)) {
				sc.owned = counts
			}
		}
		present := 0
		for of, n := range counts {
			partOf(out, named.name(of.owner), len(a.db.meta.Targets)).add(a.db.classes.at(of.class), n)
			present += n
		}
		if present != sc.present {
			return nil, fmt.Errorf("count the owners of %s: %w: %d instances are in its rows, of %d that are counted", sc.key, ErrCorrupt, present, sc.present)
		}
	}
	return out, nil
}

// keepsOwned says whether so many counts of a scope are remembered until it is written
// to, of so many owners that are told apart by then. A tag that names machines is not
// worth the memory, and who is beyond those told apart may be another one next time.
func (sc *scope) keepsOwned(counts, owners int) bool {
	return counts <= max(1024, sc.present/4) && owners < maxOwners
}

// beyond is whose instances are that belong to more owners than are told apart.
// No tag has this value: it is not UTF-8.
const beyond = "\xff"

// owners are those that are told apart, in all scopes: all instances of an owner are
// counted under its name, or none is.
type owners map[string]struct{}

// name is that under which an owner is counted.
func (o owners) name(owner string) string {
	if _, known := o[owner]; known {
		return owner
	}
	if len(o) >= maxOwners {
		return beyond
	}
	o[owner] = struct{}{}
	return owner
}

// ownersOf counts the present instances of a scope, which has no journal.
func (a *applier) ownersOf(sc *scope, named owners) (map[owned]int, error) {
	counts := map[owned]int{}
	db := a.db
	var waived *waivedCursor
	if db.meta.Today != "" { // the stored verdicts are waived ones
		waived = newWaivedCursor(a.tx, sc.no, nil)
	}
	floor := sc.Floor()
	var rows [][]byte
	for key, value := range entries(a.tx.Bucket(bucketBlocks), format.Key32(sc.no)) {
		var orders format.Orders
		var err error
		if rows, orders, err = readBlock(a.tx, key, value, rows); err != nil {
			return nil, err
		}
		for i, row := range rows {
			if orders.At(i) < floor {
				continue
			}
			profile, _ := format.RowProfile(row)
			class, ok := db.profs.classOf(profile)
			if !ok {
				return nil, fmt.Errorf("%w: profile %d is missing", ErrCorrupt, profile)
			}
			if waived != nil {
				c := *db.classes.at(class)
				changed, err := waived.put(format.RowID(row), &c)
				if err != nil {
					return nil, err
				}
				if changed {
					class = db.classes.number(c)
				}
			}
			owner, err := db.owner(sc.Account, row)
			if err != nil {
				return nil, err
			}
			counts[owned{named.name(owner), class}]++
		}
	}
	return counts, nil
}

// foldAll leaves no scope with a journal.
func (a *applier) foldAll() error {
	cursor := a.tx.Bucket(bucketJournal).Cursor()
	var pending []*scope
	for k, _ := cursor.First(); k != nil; {
		no := binary.BigEndian.Uint32(k)
		if sc := a.db.byNo[no]; sc != nil {
			pending = append(pending, sc)
		}
		k, _ = cursor.Seek(format.Key32(no + 1))
	}
	for _, sc := range pending {
		if err := a.foldScope(sc); err != nil {
			return err
		}
		delete(a.fold, sc)
	}
	return nil
}

// point writes how far the fleet is: counts, what moved since the point before,
// and which of it rests on earlier scans. ended is the scan that ended last.
func (a *applier) point(kind string, ended *record.Scan) error {
	// Of the rules that the stored classes are of: those in use may be others already.
	db, targets, by := a.db, a.db.meta.Targets, a.db.ownedBy.Load()
	progress := &record.Progress{ProgressPoint: record.ProgressPoint{
		Number: db.meta.Points + 1, At: utc(a.msg.Stored), Kind: kind, Ruleset: db.meta.Digest, Targets: targets, Moves: map[string]record.Moves{},
		OwnerTags: append([]string{}, by.tags...), OwnerAccount: by.account && by.any(),
		HandedOver: db.meta.HandedOver, Handovers: db.meta.Handovers, Carried: []record.CarriedScope{},
	}}
	whole, accounts, regions := newPart(len(targets)), map[string]*part{}, map[string]*part{}
	for _, sc := range db.scopes {
		if sc.Unread {
			continue
		}
		progress.Scopes++
		for class, n := range sc.counts {
			c := db.classes.at(class)
			whole.add(c, n)
			partOf(accounts, sc.Account, len(targets)).add(c, n)
			partOf(regions, sc.Region, len(targets)).add(c, n)
		}
	}
	progress.Instances, progress.On = whole.instances, whole.standings(targets)
	for _, t := range targets {
		progress.Moves[t] = *db.movesOn(t)
	}
	progress.Accounts, progress.Regions = shares(accounts, targets), shares(regions, targets)
	if by.any() {
		if err := a.foldAll(); err != nil {
			return err
		}
		owners, err := a.byOwner()
		if err != nil {
			return err
		}
		all := shares(owners, targets)
		progress.Owners = &all
	}
	a.carried(progress, ended)
	if ended.EndedAt != nil {
		progress.At = *ended.EndedAt
	}
	if err := a.storePoint(progress); err != nil {
		return err
	}
	db.owners = progress.Owners
	db.meta.Points, db.meta.Moves, db.meta.Handovers, db.meta.HandedOver = progress.Number, nil, nil, 0
	a.countMoves(targets)
	return nil
}

// countMoves has the moves of this transaction counted from now on.
func (a *applier) countMoves(targets []string) {
	a.moves = a.moves[:0]
	for _, t := range targets {
		a.moves = append(a.moves, a.db.movesOn(t))
	}
}

func partOf(parts map[string]*part, name string, targets int) *part {
	part := parts[name]
	if part == nil {
		part = newPart(targets)
		parts[name] = part
	}
	return part
}

// shares names the largest parts and adds up the rest.
func shares(parts map[string]*part, targets []string) record.Shares {
	names := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		return cmp.Or(cmp.Compare(parts[b].instances, parts[a].instances), cmp.Compare(a, b))
	})
	out := record.Shares{Names: len(names), Largest: []record.Share{}}
	rest := newPart(len(targets))
	more := false
	for _, name := range names {
		if name == beyond || len(out.Largest) == maxShares {
			rest.merge(parts[name])
			more = true
			continue
		}
		out.Largest = append(out.Largest, record.Share{Name: name, Instances: parts[name].instances, Targets: parts[name].standings(targets)})
	}
	slices.SortFunc(out.Largest, func(a, b record.Share) int { return cmp.Compare(a.Name, b.Name) })
	if more {
		out.Rest = &record.Share{Instances: rest.instances, Targets: rest.standings(targets)}
	}
	return out
}

// carried names the accounts and regions whose counts are of an earlier scan.
func (a *applier) carried(progress *record.Progress, ended *record.Scan) {
	add := func(carriedScope record.CarriedScope) {
		progress.CarriedScopes++
		progress.CarriedInstances += carriedScope.Instances
		progress.Carried = append(progress.Carried, carriedScope)
	}
	known, about := map[string]bool{}, map[[2]string]bool{}
	progress.ScanID, progress.State = ended.ID, ended.State
	for i := range ended.Scopes {
		about[[2]string{ended.Scopes[i].Account, ended.Scopes[i].Region}] = true
	}
	for _, sc := range a.db.scopes {
		if sc.Unread {
			continue
		}
		known[sc.Account] = true
		carriedScope := record.CarriedScope{Account: sc.Account, Region: sc.Region, Instances: sc.present, Completeness: record.ScopePending}
		if sc.Status != nil {
			carriedScope.Completeness, carriedScope.LastComplete = sc.Status.Completeness, sc.Status.LastComplete
		}
		switch {
		case carriedScope.Completeness != record.ScopeComplete || sc.Unlisted != 0:
			add(carriedScope)
		case progress.Kind == record.PointScan && !about[[2]string{sc.Account, sc.Region}]:
			progress.Others++
		}
	}
	for account := range a.db.meta.Accounts {
		if !known[account] { // it failed as a whole
			add(record.CarriedScope{Account: account, Completeness: record.ScopeFailed})
		}
	}
	slices.SortFunc(progress.Carried, func(x, y record.CarriedScope) int {
		return cmp.Or(cmp.Compare(y.Instances, x.Instances), cmp.Compare(x.Account, y.Account), cmp.Compare(x.Region, y.Region))
	})
	progress.Carried = progress.Carried[:min(len(progress.Carried), maxCarried)]
}

// storePoint writes a point, and forgets what is not kept any longer.
func (a *applier) storePoint(progress *record.Progress) error {
	key := append(format.Key64(progress.Number), format.Key64(uint64(progress.At.UnixNano()))...)
	head, err := format.Packed(&progress.ProgressPoint)
	if err != nil {
		return err
	}
	if err := a.tx.Bucket(bucketPoints).Put(key, head); err != nil {
		return err
	}
	body, err := format.Packed(&pointParts{progress.Owners, progress.Accounts, progress.Regions})
	if err != nil {
		return err
	}
	if err := a.tx.Bucket(bucketParts).Put(key, body); err != nil {
		return err
	}
	return a.thin()
}

// pointParts is what is stored of a point beside its head.
type pointParts struct {
	Owners   *record.Shares `json:"owners"`
	Accounts record.Shares  `json:"accounts"`
	Regions  record.Shares  `json:"regions"`
}

// thin keeps the newest points, of the time before the last one of each day, and
// of those no more than keepDays. What moved up to a point that is forgotten is
// told by the next one.
func (a *applier) thin() error {
	heads, parts := a.tx.Bucket(bucketPoints), a.tx.Bucket(bucketParts)
	keys := keysOf(heads, nil)
	day := func(k []byte) string { return utc(int64(binary.BigEndian.Uint64(k[8:]))).Format(time.DateOnly) }
	old := max(0, len(keys)-keepPoints)
	var kept, gone [][]byte
	for i, key := range keys[:old] {
		if day(key) != day(keys[i+1]) {
			kept = append(kept, key)
			continue
		}
		if err := mergePoints(heads, key, keys[i+1]); err != nil {
			return err
		}
		gone = append(gone, key)
	}
	gone = append(gone, kept[:max(0, len(kept)-keepDays)]...)
	return errors.Join(deleteKeys(heads, gone), deleteKeys(parts, gone))
}

// mergePoints has the next point tell what moved up to one that is to be forgotten.
func mergePoints(bucket *bbolt.Bucket, gone, next []byte) error {
	var from, into record.ProgressPoint
	if err := readPoint(bucket.Get(gone), &from); err != nil {
		return err
	}
	if err := readPoint(bucket.Get(next), &into); err != nil {
		return err
	}
	for target, moves := range into.Moves {
		if before, ok := from.Moves[target]; ok {
			moves.Add(&before)
			into.Moves[target] = moves
		}
	}
	into.HandedOver += from.HandedOver
	for _, handover := range from.Handovers {
		into.Handovers = addHandover(into.Handovers, handover)
	}
	v, err := format.Packed(&into)
	if err != nil {
		return err
	}
	return bucket.Put(next, v)
}

func readPoint(v []byte, p *record.ProgressPoint) error {
	return format.ReadPacked("point of progress", v, 4<<20, p)
}

// loadOwners remembers the owners of the last point.
func (db *DB) loadOwners(tx *bbolt.Tx) error {
	k, v := tx.Bucket(bucketParts).Cursor().Last()
	if k == nil {
		return nil
	}
	var parts pointParts
	if err := readParts(v, &parts); err != nil {
		return err
	}
	db.owners = parts.Owners
	return nil
}

func readParts(v []byte, p *pointParts) error {
	return format.ReadPacked("parts of a point of progress", v, 64<<20, p)
}

// pointByRules writes a point after the fleet was judged anew, where there is one
// to compare it with and none was written since: a process may have ended between
// the two.
func (db *DB) pointByRules() error {
	var last record.ProgressPoint
	err := db.view(func(tx *bbolt.Tx) error {
		k, v := tx.Bucket(bucketPoints).Cursor().Last()
		if k == nil {
			return nil
		}
		return readPoint(v, &last)
	})
	if err != nil {
		return fmt.Errorf("read the progress before other rules: %w", err)
	}
	if last.Number == 0 {
		return nil
	}
	quiet := last.Ruleset == db.meta.Digest && slices.Equal(last.Targets, db.meta.Targets)
	for _, m := range db.meta.Moves {
		quiet = quiet && m.ClosedByRules == 0 && m.OpenedByRules == 0
	}
	if quiet {
		return nil
	}
	applier := db.begin()
	applier.msg = &event.Received{Stored: db.meta.Now}
	err = db.update(func(tx *bbolt.Tx) error {
		applier.tx = tx
		if err := applier.point(record.PointRules, &record.Scan{ID: last.ScanID, State: last.State}); err != nil {
			return err
		}
		return applier.finish()
	})
	if err != nil {
		return fmt.Errorf("count the progress after other rules: %w", err)
	}
	return nil
}

// Points returns the last n points of progress, the oldest first.
func (db *DB) Points(n int) ([]record.ProgressPoint, error) { return db.reading().points(n) }

// Points is DB.Points at the view's moment.
func (v *View) Points(n int) ([]record.ProgressPoint, error) { return v.reading().points(n) }

func (r *reading) points(n int) ([]record.ProgressPoint, error) {
	out := []record.ProgressPoint{}
	err := r.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketPoints).Cursor()
		for k, v := c.Last(); k != nil && len(out) < n; k, v = c.Prev() {
			var progressPoint record.ProgressPoint
			if err := readPoint(v, &progressPoint); err != nil {
				return err
			}
			out = append(out, progressPoint)
		}
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// Progress returns a point with its parts by its number, or ErrNotFound.
func (db *DB) Progress(number uint64) (*record.Progress, error) { return db.reading().progress(number) }

// Progress is DB.Progress at the view's moment.
func (v *View) Progress(number uint64) (*record.Progress, error) { return v.reading().progress(number) }

func (r *reading) progress(number uint64) (*record.Progress, error) {
	var out *record.Progress
	err := r.view(func(tx *bbolt.Tx) error {
		for key, v := range entries(tx.Bucket(bucketPoints), format.Key64(number)) {
			out = &record.Progress{}
			if err := readPoint(v, &out.ProgressPoint); err != nil {
				return err
			}
			var parts pointParts
			if err := readParts(tx.Bucket(bucketParts).Get(key), &parts); err != nil {
				return err
			}
			out.Owners, out.Accounts, out.Regions = parts.Owners, parts.Accounts, parts.Regions
		}
		return nil
	})
	if err == nil && out == nil {
		err = fmt.Errorf("point of progress %d: %w", number, ErrNotFound)
	}
	return out, err
}
