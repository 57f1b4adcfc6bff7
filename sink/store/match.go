package store

import (
	"bytes"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store/format"
)

// matcher decides which instances pass a filter. Where the filter asks only for
// what a class holds, one decision serves all instances of that class.
type matcher struct {
	f     *Filter
	j     *judge
	t     *tables
	query []byte // in lower case
	since int64
	rank  func(*outcome.Class) string // the value that instances of a class sort by; nil: they do not sort by class
	only  *string                     // with rank: let only instances of this value pass
	fits  map[uint32]*fit             // by class
	// foreign says that the stored verdicts are not j's: rows are judged anew.
	foreign bool
	judged  byNumber[*fit]         // where rows are judged anew without waivers
	onto    *byNumber[answer]      // whether the machine passes
	other   map[outcome.Class]*fit // the same by what a class is
}

// byNumber has a value for each profile or software that is known: they are numbered
// from 0. A large fleet has millions, of which a map would take several times as
// much.
type byNumber[T any] []T

func (b byNumber[T]) at(profile uint32) (v T) {
	if int(profile) < len(b) {
		v = b[profile]
	}
	return v
}

// put is for profiles that are there: the number takes as much memory as all
// below it.
func (b *byNumber[T]) put(profile uint32, v T) {
	if n := int(profile) + 1 - len(*b); n > 0 {
		*b = append(*b, make([]T, n)...)
	}
	(*b)[profile] = v
}

// answer is whether something passes, once that was found out.
type answer uint8

const (
	notAsked answer = iota
	passes
	fails
)

// fit says whether instances of a class pass, and the value that they sort by.
type fit struct {
	pass  bool
	rank  string
	class outcome.Class
}

// classed says whether the class alone decides, beside account and region: then
// the stored counts tell how many pass.
func (m *matcher) classed() bool {
	return !m.foreign && !m.f.Scope.ByMachine() && !m.f.Scope.ByRow() && len(m.query) == 0 && m.since == -1<<63
}

// judge says what the filter makes of a classification.
func (m *matcher) judge(classification *rules.Classification, f *rules.Facts) *fit {
	class := m.j.classOf(classification, f.Hardware())
	if !m.f.Scope.Judged(classification, m.machine(f)) {
		return &fit{class: class}
	}
	return m.known(&class)
}

// machine is what a filter looks at beside the classification.
func (m *matcher) machine(facts *rules.Facts) filter.Machine {
	out := filter.Machine{Family: m.family(facts), Image: facts.ImageID}
	if m.f.Scope.ByUp() && facts.TellsOfImage() {
		machine := m.j.Machine(facts.Hardware())
		if class, known := rules.ClassOf(machine.Virtualization, machine.Generation); known {
			out.Up = class.String()
		}
	}
	return out
}

// family is the instance family as records name it.
func (m *matcher) family(facts *rules.Facts) string {
	if facts.InstanceFamily != "" {
		return facts.InstanceFamily
	}
	return m.j.Machine(facts.Hardware()).Family
}

func newMatcher(wanted *Filter, j *judge, t *tables) *matcher {
	m := &matcher{
		f: wanted, j: j, t: t, query: []byte(strings.ToLower(wanted.Query)), since: -1 << 63,
		fits: map[uint32]*fit{}, other: map[outcome.Class]*fit{}, onto: new(byNumber[answer]),
	}
	if !wanted.ObservedSince.IsZero() {
		m.since = wanted.ObservedSince.UnixNano()
	}
	return m
}

// scopes leaves those in which something can pass.
func (m *matcher) scopes(all []*scopeSnap) []*scopeSnap {
	out := make([]*scopeSnap, 0, len(all))
	for _, sc := range all {
		if m.scope(sc) {
			out = append(out, sc)
		}
	}
	return out
}

func (m *matcher) scope(sc *scopeSnap) bool {
	if !m.within(sc) {
		return false
	}
	return m.f.Gone || m.foreign || slices.ContainsFunc(sc.counts, func(c classCount) bool { return m.known(&c.Class).pass })
}

// within says whether the filter's accounts and regions hold a scope.
func (m *matcher) within(sc *scopeSnap) bool { return m.f.within(sc.key) }

func (f *Filter) within(key ecs.Scope) bool {
	return (f.Account == "" || key.Account == f.Account) && (f.Region == "" || key.Region == f.Region) && f.Scope.Scope(key.Account, key.Region)
}

// scopesOnly says whether the filter is about accounts and regions alone.
func (f *Filter) scopesOnly() bool {
	return f.Target == "" && f.Verdict == "" && f.OSFamily == "" && f.OSVersion == "" && f.Legacy == nil && f.Query == "" && f.ObservedSince.IsZero() && f.Scope.ByScope()
}

// Everything says whether the filter lets the whole fleet through.
func (f *Filter) Everything() bool {
	return f.Account == "" && f.Region == "" && f.Scope.IsZero() && f.scopesOnly()
}

// fit says what the filter makes of an instance by its profile and, where
// there are waivers, by what they changed.
func (m *matcher) fit(profile uint32, waivedCursor *waivedCursor, id []byte) (*fit, error) {
	number, ok := m.t.profs.readers.Load().classOf(profile)
	if !ok {
		return &fit{pass: true}, nil // the class is not known yet: hiding the row would omit an instance
	}
	if waivedCursor != nil {
		class := *m.t.classes.at(number)
		waived, err := waivedCursor.put(id, &class)
		if err != nil {
			return nil, err
		}
		if waived {
			return m.known(&class), nil
		}
	}
	match := m.fits[number]
	if match == nil {
		match = m.known(m.t.classes.at(number))
		m.fits[number] = match
	}
	return match, nil
}

func (m *matcher) known(class *outcome.Class) *fit {
	if f := m.other[*class]; f != nil {
		return f
	}
	match := &fit{pass: m.class(class), class: *class}
	m.other[*class] = match
	if match.pass && m.rank != nil {
		match.rank = m.rank(class)
		match.pass = m.only == nil || *m.only == match.rank
	}
	return match
}

// narrow lets only instances pass whose class has this value, or with nil all again.
func (m *matcher) narrow(rank *string) {
	m.only = rank
	clear(m.fits)
	clear(m.judged)
	clear(m.other)
}

func (m *matcher) class(judged *outcome.Class) bool {
	wanted := m.f
	if wanted.OSFamily != "" && judged.Family != wanted.OSFamily || wanted.OSVersion != "" && judged.Version != wanted.OSVersion && (wanted.OSVersion != filter.NoVersion || judged.Version != "") || wanted.Legacy != nil && judged.Legacy != *wanted.Legacy {
		return false
	}
	if !wanted.Scope.ByScope() && !wanted.Scope.Classed(m.classification(judged)) {
		return false
	}
	if wanted.Verdict == "" {
		return wanted.Target == "" || slices.Contains(m.j.targets, wanted.Target)
	}
	for t, name := range m.j.targets {
		if (wanted.Target == "" || wanted.Target == name) && judged.Level(t).String() == wanted.Verdict {
			return true
		}
	}
	return false
}

// classification rebuilds from a class as much of a classification as it holds:
// levels, family, version and legacy, but no rules and remedies.
func (m *matcher) classification(class *outcome.Class) *rules.Classification {
	classification := &rules.Classification{OS: rules.OS{Family: class.Family, Version: class.Version}, Legacy: class.Legacy, Verdicts: make([]rules.Verdict, len(m.j.targets))}
	for t, name := range m.j.targets {
		verdict := &classification.Verdicts[t]
		verdict.Target, verdict.Level = name, class.Level(t)
		var waived bool
		if verdict.Confidence, waived = sureness(class, t); waived {
			verdict.Waiver = &rules.Waiver{}
		}
	}
	return classification
}

// describe returns the class as Sort.Class is given it.
func (m *matcher) describe(class *outcome.Class) *Class {
	out := &Class{OSFamily: class.Family, OSVersion: class.Version, Levels: make(map[string]rules.Level, len(m.j.targets))}
	for t, name := range m.j.targets {
		out.Levels[name] = class.Level(t)
	}
	return out
}

// text reports whether the id or the name contains the query.
func (m *matcher) text(id, name []byte) bool {
	return len(m.query) == 0 || contains(id, m.query) || contains(name, m.query)
}

// contains reports whether s contains q, ignoring the case of ASCII letters. q must
// be in lower case.
func contains(text, query []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return bytes.Contains(bytes.ToLower(text), query)
		}
	}
	for i := 0; i+len(query) <= len(text); i++ {
		j := 0
		for j < len(query) && (text[i+j] == query[j] || text[i+j]-'A' < 26 && text[i+j]+'a'-'A' == query[j]) {
			j++
		}
		if j == len(query) {
			return true
		}
	}
	return false
}

// waivedCursor reads the waived instances of a scope in the order of ids, in step
// with a caller that reads all instances in that order.
type waivedCursor struct {
	c    *bbolt.Cursor
	k, v []byte // the next one; k without the scope, nil at the end
	from []byte
}

func newWaivedCursor(tx *bbolt.Tx, scope uint32, after []byte) *waivedCursor {
	w := &waivedCursor{c: tx.Bucket(bucketWaived).Cursor(), from: format.Key32(scope)}
	w.hold(w.c.Seek(format.RowKey(scope, after)))
	return w
}

func (w *waivedCursor) hold(k, v []byte) {
	w.k, w.v = nil, v
	if bytes.HasPrefix(k, w.from) {
		w.k = k[len(w.from):]
	}
}

// put replaces the class by what a waiver made of it for the instance, and reports
// whether it did. Calls must come in the order of ids.
func (w *waivedCursor) put(id []byte, class *outcome.Class) (bool, error) {
	for w.k != nil && bytes.Compare(w.k, id) < 0 {
		w.hold(w.c.Next())
	}
	if w.k == nil || !bytes.Equal(w.k, id) {
		return false, nil
	}
	return true, format.ReadWaived(w.v, class)
}
