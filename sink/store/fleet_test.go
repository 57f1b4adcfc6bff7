package store_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/sink/store"
)

// judge is a small, honest classifier: it knows an operating system by
// "FAMILY VERSION" in OSName, and what old says is incompatible.
type judge struct {
	digest  string
	targets []string
	old     map[string]rules.Level
	milder  string            // the target that takes what others find incompatible after some work
	waive   map[string]string // tag key -> value that makes everything compatible
	until   string
	known   sync.Map // facts -> classification, as the real one remembers them
	systems sync.Map // *rules.System -> classification
	pairs   sync.Map // classification -> its number
	paired  atomic.Uint64
}

func newJudge(digest string, old map[string]rules.Level) *judge {
	return &judge{digest: digest, targets: []string{"kvm", "shenlong-6", "shenlong-7"}, old: old, milder: "kvm"}
}

var oldOnes = map[string]rules.Level{"centos 5.8": rules.Incompatible, "debian 7": rules.NeedsAction, "windows-server 2003": rules.Incompatible}

func (j *judge) Classify(f *rules.Facts) *rules.Classification {
	if cl, ok := j.known.Load(f.OSName); ok {
		return cl.(*rules.Classification)
	}
	cl := j.classify(f)
	j.known.Store(f.OSName, cl)
	return cl
}

func (j *judge) System(f *rules.Facts) *rules.System {
	s := new(rules.System)
	j.systems.Store(s, j.Classify(f))
	return s
}

func (j *judge) Host(rules.Hardware) *rules.Host { return nil }

func (j *judge) Judge(s *rules.System, _ *rules.Host) *rules.Classification {
	cl, _ := j.systems.Load(s)
	return cl.(*rules.Classification)
}

func (j *judge) Pair(s *rules.System, h *rules.Host) uint64 {
	pair, known := j.pairs.Load(j.Judge(s, h))
	if !known {
		pair, _ = j.pairs.LoadOrStore(j.Judge(s, h), j.paired.Add(1))
	}
	return pair.(uint64)
}

func (j *judge) classify(f *rules.Facts) *rules.Classification {
	family, version, _ := strings.Cut(f.OSName, " ")
	if family == "" {
		family = "unknown"
	}
	sure := rules.High
	switch family {
	case "ubuntu":
		sure = rules.Low
	case "alinux":
		sure = rules.Medium
	}
	out := &rules.Classification{OS: rules.OS{Family: family, Version: version, Evidence: rules.EvidenceInstance}}
	level, old := j.old[f.OSName]
	out.Legacy = old
	if !old {
		level = rules.Compatible
	}
	if f.OSName == "" {
		level = rules.Unknown
	}
	for _, t := range j.targets {
		v := rules.Verdict{Target: t, Level: level, Confidence: sure, Rule: "test", Reason: "a test says so", Remedies: []rules.Remedy{}, Checks: []string{}}
		if t == j.milder && level == rules.Incompatible {
			v.Level = rules.NeedsAction
		}
		out.Verdicts = append(out.Verdicts, v)
	}
	return out
}

func (j *judge) Waive(cl *rules.Classification, w rules.Waivable) *rules.Classification {
	for k, v := range j.waive {
		if got, ok := w.Tags(k); ok && got == v && w.Today <= j.until {
			c := *cl
			c.Verdicts = slices.Clone(cl.Verdicts)
			for i := range c.Verdicts {
				if c.Verdicts[i].Level == rules.Compatible {
					continue // nothing is to be waived
				}
				c.Verdicts[i].Waiver = &rules.Waiver{ID: "w", Was: c.Verdicts[i].Level, Until: j.until}
				c.Verdicts[i].Level = rules.Compatible
			}
			return &c
		}
	}
	return cl
}

func (j *judge) Machine(h rules.Hardware) rules.Machine {
	return rules.Machine{Family: h.InstanceFamily, Generation: 5, Virtualization: "kvm"}
}

func (j *judge) HasWaivers() bool  { return len(j.waive) > 0 }
func (j *judge) Targets() []string { return j.targets }
func (j *judge) TargetList() []rules.Target {
	out := make([]rules.Target, len(j.targets))
	for i, t := range j.targets {
		out[i] = rules.Target{ID: t, Class: rules.Class(max(0, slices.Index(rules.Classes(), t)))}
	}
	return out
}
func (j *judge) Digest() string { return j.digest }

const second = int64(time.Second)

// t0 is when the tests' time begins.
var t0 = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC).UnixNano()

func at(seconds int64) time.Time { return time.Unix(0, t0+seconds*second).UTC() }

// stream gives messages their places in a results stream.
type stream struct {
	id    int64
	seq   uint64
	now   int64 // seconds since t0
	pages []*event.InstancesClassified
}

// between leaves room in the stream for what answers a message.
const between = 100

// announce gives the end of a walk the numbers of the pages that it announces,
// as a producer would, unless it has numbers.
func (s *stream) announce(m *event.LaneEnded) {
	if m.Instances != 0 || m.Listed != 0 {
		return
	}
	known := map[int]bool{}
	for _, p := range s.pages {
		if p.ScanID != m.ScanID || p.Scope != m.Scope || p.Lane != m.Lane || p.Walk.Walk != m.Walk || p.Page >= m.Pages || known[p.Page] {
			continue
		}
		known[p.Page] = true
		for row := range p.Rows.All() {
			m.Instances++
			m.Listed++
			m.IDs += event.IDSum(row.ID)
		}
	}
}

func newStream() *stream { return &stream{id: t0} }

func (s *stream) put(msgs ...event.Message) []event.Received {
	out := make([]event.Received, len(msgs))
	for _, m := range msgs {
		if p, ok := m.(*event.InstancesClassified); ok {
			s.pages = append(s.pages, p)
		}
	}
	for i, m := range msgs {
		if end, ok := m.(*event.LaneEnded); ok {
			s.announce(end)
		}
		s.seq += between
		out[i] = event.Received{Position: event.Position{Stream: s.id, Seq: s.seq}, Stored: t0 + s.now*second, Msg: m}
	}
	return out
}

var hangzhou = ecs.Scope{Account: "prod", Region: "cn-hangzhou"}

func facts(os string) rules.Facts {
	return rules.Facts{OSName: os, OSType: "linux", ImageID: "m-" + strings.ReplaceAll(os, " ", "-"), InstanceType: "ecs.c5.large", InstanceFamily: "ecs.c5", Running: rules.Yes}
}

// machine is an instance of a test fleet.
type machine struct {
	id, name, os string
	tags         []ecs.Tag
}

// honest judges what workers of the test fleets judge.
var honest = newJudge("a", oldOnes)

// page is a classified page of machines.
func page(scan string, kind event.Kind, s ecs.Scope, lane, walk string, n int, seconds int64, machines ...machine) *event.InstancesClassified {
	m := &event.InstancesClassified{
		Walk: event.Walk{ScanID: scan, Kind: kind, Scope: s, Lane: lane, Walk: walk}, Page: n,
		Order: t0 + seconds*second, Ruleset: "a", Targets: []string{"kvm", "shenlong-6", "shenlong-7"},
	}
	var rows []event.Row
	for _, x := range machines {
		p := -1
		for i := range m.Profiles {
			if m.Software[i].OSName == x.os {
				p = i
			}
		}
		if p < 0 {
			p = len(m.Profiles)
			f := facts(x.os)
			m.Software = append(m.Software, f.Software())
			m.Hardware = append(m.Hardware, f.Hardware())
			m.Profiles = append(m.Profiles, event.Profile{Software: p, Hardware: p, Class: p})
			m.Classes = append(m.Classes, outcome.Of(honest.Classify(&f), rules.There(honest.TargetList(), f.Hardware(), honest.Machine(f.Hardware()))))
		}
		name := x.name
		if name == "" {
			name = "name of " + x.id
		}
		rows = append(rows, event.Row{
			ID: x.id, Name: name, Zone: s.Region + "-b", Status: "Running", CreationTime: "2017-12-10T04:04Z", NetworkType: "vpc",
			CPU: 2, MemoryMiB: 4096, Tags: x.tags, Profile: p,
		})
	}
	m.Rows = event.RowsOf(rows)
	return m
}

func planned(scan string, kind event.Kind, epoch int64, scopes ...ecs.Scope) *event.ScanPlanned {
	return &event.ScanPlanned{ScanID: scan, Kind: kind, Epoch: at(epoch), Scopes: scopes}
}

func scopePlanned(scan string, kind event.Kind, s ecs.Scope, plan string, lanes ...string) *event.ScopePlanned {
	return &event.ScopePlanned{ScanID: scan, Kind: kind, Scope: s, Plan: plan, Lanes: lanes}
}

func laneEnded(scan string, kind event.Kind, s ecs.Scope, lane, walk string, pages int) *event.LaneEnded {
	return &event.LaneEnded{ScanID: scan, Kind: kind, Scope: s, Lane: lane, Walk: walk, Pages: pages}
}

// whole is a complete scan of one scope in one page.
func whole(scan string, s ecs.Scope, epoch int64, machines ...machine) []event.Message {
	return []event.Message{
		planned(scan, event.KindScan, epoch, s),
		scopePlanned(scan, event.KindScan, s, "1", "1.0"),
		page(scan, event.KindScan, s, "1.0", "1.0", 0, epoch+1, machines...),
		laneEnded(scan, event.KindScan, s, "1.0", "1.0", 1),
	}
}

func open(tb testing.TB, path string, c store.Classifier) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{Path: path, Classifier: c, Today: func() string { return "2026-11-23" }})
	if err != nil {
		tb.Fatal(err)
	}
	db.NoSync()
	tb.Cleanup(func() { db.Close() })
	return db
}

func fresh(tb testing.TB) *store.DB {
	tb.Helper()
	return open(tb, filepath.Join(tb.TempDir(), "store.db"), newJudge("a", oldOnes))
}

func apply(tb testing.TB, db *store.DB, batch []event.Received) store.Applied {
	tb.Helper()
	got, err := db.Apply(tb.Context(), batch)
	if err != nil {
		tb.Fatal(err)
	}
	for len(batch) > 0 {
		answers := nobodyIsThere(tb, db, batch[len(batch)-1].Stored)
		if len(answers) == 0 {
			return got
		}
		more, err := db.Apply(tb.Context(), answers)
		if err != nil {
			tb.Fatal(err)
		}
		got.Changes, got.Scans = append(got.Changes, more.Changes...), append(got.Scans, more.Scans...)
		got.Gone += more.Gone
		got.NotUp = append(got.NotUp, more.NotUp...)
	}
	return got
}

// told is what an event says of a verdict that changed.
func told(tb testing.TB, e *store.Event) *event.VerdictChanged {
	tb.Helper()
	var out event.VerdictChanged
	if err := json.Unmarshal(e.Change.Data, &out); err != nil {
		tb.Fatal(err)
	}
	if out.After.Account != e.Change.Account || out.After.Region != e.Change.Region || out.After.InstanceID != e.Change.InstanceID {
		tb.Errorf("the event of %s/%s/%s is of %s/%s/%s", e.Change.Account, e.Change.Region, e.Change.InstanceID, out.After.Account, out.After.Region, out.After.InstanceID)
	}
	return &out
}

// questions are what the store wants to know of a producer.
func questions(tb testing.TB, db *store.DB) (out []*event.ScopeCheck) {
	tb.Helper()
	waiting, err := db.Questions(1 << 20)
	if err != nil {
		tb.Fatal(err)
	}
	for _, q := range waiting {
		if db.Awaits(q.Check) {
			out = append(out, q.Check)
		}
	}
	return out
}

// nobodyIsThere answers as a producer does where the cloud knows none of the
// instances.
func nobodyIsThere(tb testing.TB, db *store.DB, stored int64) (out []event.Received) {
	tb.Helper()
	at := db.Position()
	for _, m := range questions(tb, db) {
		at.Seq++
		out = append(out, event.Received{Position: at, Stored: stored, Msg: &event.ScopeChecked{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Question: m.Question, Part: m.Part}})
	}
	return out
}

// all lists the store, gone instances included.
func all(tb testing.TB, db *store.DB, f store.Filter) []*record.Record {
	tb.Helper()
	f.Gone = true
	var out []*record.Record
	for r, err := range db.Instances(tb.Context(), f) {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// lines spells records shortly.
func lines(recs []*record.Record) []string {
	var out []string
	for _, r := range recs {
		gone := ""
		if r.GoneAt != nil {
			gone = fmt.Sprintf(" gone %d", (r.GoneAt.UnixNano()-t0)/second)
		}
		out = append(out, fmt.Sprintf("%s/%s %s %q %s %s %s @%d %s%s", r.Account, r.Region, r.InstanceID, r.InstanceName, r.OS.Family, r.OS.Version,
			r.Verdicts[2].Level, (r.ObservedAt.UnixNano()-t0)/second, r.ScanID, gone))
	}
	return out
}

// fleetOf makes n machines with random ids and a realistic spread of systems.
func fleetOf(r *rand.Rand, n int) []machine {
	systems := []string{"centos 5.8", "centos 7.9", "debian 7", "debian 12", "ubuntu 22.04", "windows-server 2003", "alinux 3", ""}
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]machine, n)
	for i := range out {
		id := []byte("i-bp1")
		for range 15 {
			id = append(id, letters[r.IntN(len(letters))])
		}
		out[i] = machine{id: string(id), os: systems[r.IntN(len(systems))]}
	}
	return out
}
