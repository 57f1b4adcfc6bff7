package store

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// pager applies one page.
type pager struct {
	*applier
	m        *event.InstancesClassified
	sc       *scope
	ix       *index       // of sc
	scan     *scans.Scan  // that the page is of; nil when it has ended
	pr       *scans.Scope // what the scan has come to in sc; nil when it has ended
	profiles []uint32     // numbers in the store, by the index of a profile in the message
	order    int64        // when the page was observed; see docs/ARCHITECTURE.md on order
	floor    int64        // rows of the scope that were observed before it are gone
	tally    scans.Tally  // what became of the page's rows
	name     uint32       // place of the scan's id in ix.names
	touched  []uint32     // ordinals of the rows that the page's journal entry holds
}

func (a *applier) page(classified *event.InstancesClassified) error {
	if !usable(classified.ScanID, classified.Scope.Account, classified.Scope.Region) {
		a.out.Invalid++
		return nil
	}
	sc := a.scope(&classified.Walk)
	a.toldOf(sc)
	p := &pager{applier: a, m: classified, sc: sc, order: classified.Order, tally: scans.Tally{Rows: classified.Rows.Len()}}
	if stored := a.msg.Stored; stored > 0 && p.order > stored+clockTolerance {
		p.order = stored
	}
	var err error
	if p.scan, err = a.scan(classified.ScanID, classified.Kind); err != nil {
		return err
	}
	if p.scan == nil {
		// The scan has ended, so this is a late redelivery. The clock that dated it
		// may have run ahead; dating it at the scan's end at the latest makes sure that
		// it never outlives what a later scan observed.
		p.order = min(p.order, a.ended(classified.ScanID))
	} else {
		p.pr = a.progress(p.scan, sc)
		if p.scan.Planned && p.scan.Kind == event.KindScan {
			p.order = max(p.order, p.scan.Epoch.UnixNano())
		}
	}
	if p.ix, err = a.index(sc); err != nil {
		return err
	}
	if err := p.clampClock(); err != nil {
		return err
	}
	if p.profiles, err = a.profilesOf(classified); err != nil {
		return err
	}
	p.floor = sc.Floor()
	if err := p.rows(); err != nil {
		return err
	}
	if p.pr != nil {
		if err := p.count(); err != nil {
			return err
		}
	}
	if sc.ix != nil && sc.ix.long() {
		a.fold[sc] = true
	}
	return nil
}

// usable reports whether the names can be parts of a key.
func usable(names ...string) bool {
	return !slices.ContainsFunc(names, func(s string) bool { return s == "" || len(s) > maxID || strings.IndexByte(s, 0) >= 0 })
}

func (p *pager) rows() error {
	p.name = p.ix.name(p.m.ScanID)
	if p.pr != nil && p.pr.SeenNow == nil {
		p.pr.SeenNow = append(scans.Set{}, p.pr.Seen...)
	}
	sec := &p.db.sec
	sec.Reset(p.m.ScanID, p.order)
	p.encode()
	for i := range p.batch {
		candidate := &p.batch[i]
		p.row = p.buf[candidate.from:candidate.to]
		p.out.Rows++
		ordinal, err := p.instance(candidate)
		if err != nil {
			return fmt.Errorf("instance %.64q in %s: %w", format.RowID(p.row), p.sc.key, err)
		}
		p.tally.Stored++
		p.tally.IDs += candidate.id
		if p.pr != nil && p.pr.SeenNow.Add(int(ordinal)) {
			p.pr.Instances++
		}
	}
	if sec.Changed+sec.Unchanged == 0 {
		return nil
	}
	v, rowsAt := sec.Value()
	p.ix.journal = append(p.ix.journal, p.db.meta.Journal)
	p.ix.bytes += len(v)
	p.ix.rows += sec.Changed
	err := p.tx.Bucket(bucketJournal).Put(format.JournalKey(p.sc.no, p.db.meta.Journal), v)
	p.db.meta.Journal++
	if err != nil {
		return err
	}
	p.settle(rowsAt)
	return nil
}

// settle turns the offsets of the page's rows, which count from the first row, into
// offsets within the journal value.
func (p *pager) settle(rowsAt int) {
	for _, ordinal := range p.touched {
		if l := &p.ix.loc[ordinal]; l.off&pendingBit != 0 {
			l.off = l.off&^pendingBit + uint32(rowsAt)
		}
	}
}

// pendingBit marks an offset that settle has not turned into its final one yet.
const pendingBit = 1 << 31

// candidate is a row of the page, encoded and looked up in the index.
type candidate struct {
	from, to   int    // where the encoding begins and ends in the applier's buffer
	of         int    // index of its profile in the message
	profile    uint32 // number of that profile in the store
	found      bool   // the index knows the instance
	ordinal    uint32 // by which the index knows it
	h, content uint64 // hashes of the id and of the whole row; see index.hashes
	id         uint64 // event.IDSum of the id
}

// refuse notes why the current row of the reader cannot be stored: what is dropped
// lowers completeness.
func (p *pager) refuse(in *event.RowReader) {
	switch {
	case in.ID == "":
		p.tally.Refused = "an instance has no id"
	case !usable(in.ID):
		p.tally.Refused = fmt.Sprintf("the instance id %.40q is longer than %d bytes or has a NUL, and cannot be stored", in.ID, maxID)
	default:
		p.tally.Refused = fmt.Sprintf("the instance %.40q came without its facts", in.ID)
	}
}

// encode encodes the rows of the page, then looks all of them up in the index. The
// lookups follow each other with nothing between them, because the processor then
// waits for many of their accesses to memory at once.
func (p *pager) encode() {
	p.buf, p.batch = p.buf[:0], p.batch[:0]
	in := &p.in
	in.Reset(p.m.Rows)
	p.db.codec.Page(len(in.Words))
	for in.Next() {
		if !usable(in.ID) || in.Profile >= len(p.profiles) {
			p.out.Invalid++
			p.refuse(in)
			continue
		}
		c := candidate{from: len(p.buf), of: in.Profile, profile: p.profiles[in.Profile], id: event.IDSum(in.ID)}
		p.buf = p.db.codec.Append(p.buf, in, c.profile)
		c.to = len(p.buf)
		c.h, c.content = p.ix.hashes(p.buf[c.from:c.to])
		p.batch = append(p.batch, c)
	}
	for i := range p.batch {
		c := &p.batch[i]
		c.ordinal, c.found = p.ix.find(c.h)
		if !c.found {
			p.db.places.put(c.h, p.sc.no)
		}
	}
}

// instance applies one row and returns its ordinal.
func (p *pager) instance(candidate *candidate) (uint32, error) {
	ordinal, found := candidate.ordinal, candidate.found
	if !found { // a page may hold the same instance twice: the first of them has added it meanwhile
		ordinal, found = p.ix.find(candidate.h)
	}
	if !found {
		return p.first(candidate)
	}
	switch had := p.ix.at[ordinal].order; {
	case p.order < had:
		p.out.Stale++
	case p.ix.at[ordinal].content == candidate.content:
		p.out.Same++
		if had < p.floor && p.order >= p.floor {
			if err := p.returned(ordinal, p.db.classAt(p.ix, ordinal)); err != nil {
				return 0, err
			}
		}
		p.ix.saw(ordinal, p.order, p.name)
	default:
		if p.order == had {
			wins, err := p.tie(ordinal, candidate)
			if err != nil {
				return 0, err
			}
			if !wins {
				p.out.Stale++
				p.ix.saw(ordinal, p.order, p.name) // as whoever reads the journal takes it
				break
			}
		}
		return ordinal, p.replace(ordinal, candidate)
	}
	p.db.sec.Saw(ordinal)
	return ordinal, nil
}

// first stores an instance that the scope did not have.
func (p *pager) first(candidate *candidate) (uint32, error) {
	ordinal := p.ix.add(candidate.h, candidate.content, p.order, candidate.profile, p.name)
	p.keep(ordinal)
	class, err := p.newClass(ordinal, candidate)
	if err != nil {
		return 0, err
	}
	if p.order < p.floor {
		p.sc.gone++ // observed before a complete scan that did not list it: it is gone already
		p.out.Stale++
		return ordinal, nil
	}
	p.out.New++
	if p.scan != nil {
		p.scan.New++
	}
	p.sc.enter(class)
	p.came(class)
	if len(p.sc.Epochs) == 0 {
		return ordinal, nil // in the first scan of a scope every instance is new, which is no event
	}
	is := p.db.classes.at(class)
	return ordinal, p.history(p.sc, format.RowID(p.row), &record.Change{At: utc(p.order), ScanID: p.m.ScanID, Cause: "appeared", After: p.j.levels(is), OS: is.OS()})
}

// keep adds the current row to the section that is written to the journal.
func (p *pager) keep(ordinal uint32) {
	off := p.db.sec.Row(ordinal, p.row)
	p.ix.setLoc(ordinal, loc{uint32(len(p.ix.journal) + 1), uint32(off) | pendingBit})
	p.touched = append(p.touched, ordinal)
}

// rowOf returns the encoded row, from the current page if it holds a newer one.
func (p *pager) rowOf(ordinal uint32) ([]byte, error) {
	if l := p.ix.where(ordinal); l.off&pendingBit != 0 {
		return format.RowAt(p.db.sec.Rows, l.off&^pendingBit)
	}
	return p.ix.row(p.tx, p.sc.no, ordinal)
}

// replace stores a newer row of a known instance.
func (p *pager) replace(ordinal uint32, candidate *candidate) error {
	had := p.ix.at[ordinal].order
	was := p.db.classAt(p.ix, ordinal)
	profile := p.ix.at[ordinal].profile
	wasThere, isThere := had >= p.floor, p.order >= p.floor
	var before *record.Record
	is, err := p.classFor(candidate)
	if err != nil {
		return err
	}
	if p.db.classes.at(is).Levels != p.db.classes.at(was).Levels {
		if before, err = p.record(ordinal); err != nil {
			return err
		}
	}
	if wasThere && isThere && p.db.ownedBy.Load().any() {
		old, err := p.rowOf(ordinal)
		if err != nil {
			return err
		}
		if err := p.handedOver(p.sc.Account, old, p.row); err != nil {
			return err
		}
	}
	to, moved := p.movedTo(ordinal, candidate)
	if moved = moved && wasThere && isThere; moved {
		if err := p.keepMove(ordinal, candidate, to, before); err != nil {
			return err
		}
	}
	p.ix.set(ordinal, candidate.content, p.order, candidate.profile, p.name)
	p.keep(ordinal)
	if _, err := p.newClass(ordinal, candidate); err != nil {
		return err
	}
	switch {
	case !isThere:
		p.out.Stale++
		return nil
	case !wasThere:
		return p.returned(ordinal, is)
	case is == was:
		return nil
	}
	p.sc.leave(was)
	p.sc.enter(is)
	has := p.m.Facts(candidate.of)
	if err := p.moved(was, is, profile, &has); err != nil {
		return err
	}
	if before == nil {
		if p.db.classes.at(was).Alike(p.db.classes.at(is)) {
			return nil
		}
		return p.remember(was, is, nil, nil)
	}
	after, err := p.record(ordinal)
	if err != nil {
		return err
	}
	if err := p.remember(was, is, before, after); err != nil {
		return err
	}
	if p.scan != nil {
		p.scan.Changed++
	}
	p.changed(before, after, "observation")
	return nil
}

// returned counts an instance again that was gone and has been listed anew.
func (p *pager) returned(ordinal uint32, class uint32) error {
	p.sc.gone--
	p.sc.enter(class)
	p.came(class)
	return p.history(p.sc, format.RowID(p.row), &record.Change{
		At: utc(p.order), ScanID: p.m.ScanID, Cause: "returned",
		After: p.j.levels(p.db.classes.at(class)), OS: p.db.classes.at(class).OS(),
	})
}

// remember appends to the instance's history what an observation changed of its
// class. from and to are nil unless a verdict changed.
func (p *pager) remember(was, is uint32, from, to *record.Record) error {
	before, after := p.db.classes.at(was), p.db.classes.at(is)
	change := record.Change{
		At: utc(p.order), ScanID: p.m.ScanID, Cause: "observation",
		Before: p.j.levels(before), After: p.j.levels(after), OS: after.OS(),
	}
	if os := before.OS(); os != change.OS {
		change.OSBefore = os
	}
	if from != nil && from.InstanceType != to.InstanceType {
		change.Type, change.TypeBefore = to.InstanceType, from.InstanceType
	}
	return p.history(p.sc, format.RowID(p.row), &change)
}

// levels returns the verdicts of a class by target.
func (j *judge) levels(class *outcome.Class) map[string]string { return levelsOf(j.targets, class) }

func levelsOf(targets []string, class *outcome.Class) map[string]string {
	out := make(map[string]string, len(targets))
	for t, name := range targets {
		out[name] = class.Level(t).String()
	}
	return out
}

func (sc *scope) enter(class uint32) {
	sc.counts[class]++
	sc.present++
}

func (sc *scope) leave(class uint32) {
	sc.counts[class]--
	if sc.counts[class] == 0 {
		delete(sc.counts, class)
	}
	sc.present--
}

// record returns the record of an instance as the store has it now.
func (p *pager) record(ordinal uint32) (*record.Record, error) {
	enc, err := p.rowOf(ordinal)
	if err != nil {
		return nil, err
	}
	row, facts, err := p.instanceOf(enc)
	if err != nil {
		return nil, err
	}
	return p.j.render(&p.sc.scopeValue, &row, &facts, format.Stamp{Order: p.ix.at[ordinal].order, Scan: p.ix.names[p.ix.at[ordinal].scan]}), nil
}

// tie decides between two rows observed at the same time: the one that knows
// more of its image, else the larger encoding, so that the order of arrival
// does not matter.
func (p *pager) tie(ordinal uint32, candidate *candidate) (bool, error) {
	enc, err := p.rowOf(ordinal)
	if err != nil {
		return false, err
	}
	old, facts, err := p.instanceOf(enc)
	if err != nil {
		return false, err
	}
	row, err := p.atHand()
	if err != nil {
		return false, err
	}
	is := p.m.Facts(candidate.of)
	if a, b := is.Image.Presence != rules.ImageNotAsked, facts.Image.Presence != rules.ImageNotAsked; a != b {
		return a, nil
	}
	return bytes.Compare(weigh(&row, &is), weigh(&old, &facts)) > 0, nil
}

// atHand decodes the current row.
func (p *pager) atHand() (event.Row, error) {
	row, _, err := format.ReadRow(p.row, p.db.dict.Words())
	return row, err
}

func weigh(row *event.Row, f *rules.Facts) []byte {
	b := event.AppendFacts(nil, f)
	for _, s := range []string{row.Name, row.Zone, row.Status, row.CreationTime, row.NetworkType, fmt.Sprint(row.CPU, row.MemoryMiB)} {
		b = format.AppendString(b, s)
	}
	for _, t := range row.Tags {
		b = format.AppendString(format.AppendString(b, t.Key), t.Value)
	}
	return b
}

// changed adds a changed verdict to the result of Apply, and its event to the
// outbox.
func (a *applier) changed(before, after *record.Record, cause string) {
	change := Change{At: a.msg.Position, Index: a.event, Before: before, After: after, Cause: cause}
	a.out.changed(&change)
	a.events = append(a.events, Event{
		At: change.At, Index: change.Index, Time: utc(a.msg.Stored), Judgement: a.judgement,
		changed: &event.VerdictChanged{Before: before, After: after, Cause: cause},
	})
	a.event++
}

// clampClock corrects what a clock that ran ahead dated in the scope of the page: no
// later observation would ever replace those rows. They are dated at the current
// observation instead.
func (p *pager) clampClock() error {
	stored := p.msg.Stored
	if stored <= 0 || max(p.ix.newest, p.sc.Floor()) <= stored+clockTolerance {
		return nil
	}
	limit := min(stored, p.order) - 1
	if p.scan != nil && p.scan.Planned {
		limit = min(limit, p.scan.Epoch.UnixNano()-1)
	}
	if err := p.datedBy(p.sc, p.ix, limit); err != nil {
		return err
	}
	var err error
	p.ix, err = p.index(p.sc)
	return err
}

// datedBy dates at limit what is known of a scope and dated later.
func (a *applier) datedBy(sc *scope, ix *index, limit int64) error {
	floor := sc.Floor()
	for i := range ix.at {
		order := ix.at[i].order
		if order >= limit && order < floor {
			ix.at[i].order = limit - 1 // still gone
		} else {
			ix.at[i].order = min(order, limit)
		}
	}
	sc.NotAfter(limit)
	a.scopes[sc] = true
	return a.foldScope(sc)
}

// correctClock corrects, before a scan begins, what a clock that ran ahead dated: the
// scan would seem to be older than what is known, and nothing that it says of a scope
// or an account would count until that time has come, a failure least of all.
func (a *applier) correctClock(epoch int64) error {
	stored := a.msg.Stored // 0 where it is not known, which no scan is before
	if epoch <= 0 || epoch > stored+clockTolerance {
		return nil
	}
	limit := min(stored, epoch) - 1
	for _, sc := range a.db.scopes {
		if max(sc.Floor(), sc.StatusEpoch) <= stored+clockTolerance {
			continue
		}
		ix, err := a.index(sc)
		if err != nil {
			return err
		}
		if err := a.datedBy(sc, ix, limit); err != nil {
			return err
		}
	}
	for name, acc := range a.db.meta.Accounts {
		if acc.Epoch > stored+clockTolerance {
			acc.Epoch, acc.EndedAt = limit, utc(limit)
			a.db.meta.Accounts[name] = acc
		}
	}
	return nil
}
