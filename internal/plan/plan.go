// Package plan turns verdicts into work: which instances can move now, which
// need what first, to which type each goes and what it can fall back on. It
// reads records and the type catalogue and changes nothing in the cloud.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/rules/waves"
)

// Path says how an instance gets to its new type.
type Path string

// The paths, by the vendor's matrix of type changes. What it does not offer is
// a new instance from a custom image.
const (
	TypeChange  Path = "type-change"
	NewInstance Path = "new-instance-from-image"
	PathUnknown Path = "unknown"
)

// Options say what to plan for.
type Options struct {
	Target   rules.Target       // where to; the records need a verdict on Target.ID
	Families *family.Table      // what families stand for
	Rules    *rules.Ruleset     // judges single families; nil: they are as good as their generation
	Types    []ecs.InstanceType // the catalogue (DescribeInstanceTypes); empty: no types are recommended
	Stock    *Stock             // what zones sell; nil: it was not asked
	Disks    *Disks             // of the instances that move to where ESSDs alone are taken; nil: they were not asked for
	Offered  *Offered           // whether changes are offered; nil: it was not asked
	// StartGroups are the groups that started the instances; nil: nobody looked.
	StartGroups *record.StartGroups
	// OwnerTags are the tags that name an owner; the first one counts that an
	// instance has. None groups nothing.
	OwnerTags []string
	// OwnerAccount names the account as the owner of what has none of the tags.
	OwnerAccount bool
	// Windows say when instances are moved; the first one that fits counts.
	Windows []Window
	// KeepOS chooses a 5th-generation family over a new operating system where
	// both are offered.
	KeepOS bool
	// Checks are the texts of checks by id, as the rule set has them.
	Checks map[string]string
	Now    time.Time
	// Summary says how complete the records are.
	Summary *record.Summary
}

// Window is a time in which some instances are moved, a rule of the user's own.
type Window struct {
	Name        string
	From, Until string // days, "" for none
	Fits        func(*record.Record) bool
}

// String names the window and its days.
func (w *Window) String() string {
	switch {
	case w.From != "" && w.Until != "":
		return w.Name + ", " + w.From + " to " + w.Until
	case w.From != "":
		return w.Name + ", from " + w.From
	case w.Until != "":
		return w.Name + ", until " + w.Until
	}
	return w.Name
}

// Plan is the work for one target.
type Plan struct {
	Target       string    `json:"target"`
	MadeAt       time.Time `json:"made_at"`
	Ruleset      string    `json:"ruleset"`
	OwnerTags    []string  `json:"owner_tags,omitempty"`
	ByOwner      bool      `json:"by_owner"`        // the items name owners
	Owner        string    `json:"owner,omitempty"` // whose plan it is, where it is one owner's part
	Complete     bool      `json:"complete"`        // every scope was read to its end
	Completeness string    `json:"completeness"`
	Instances    int       `json:"instances"`
	Availability *Stock    `json:"availability"` // null: nobody asked which types are sold
	Disks        *Disks    `json:"disks"`        // null: nobody asked for disks
	Offered      *Offered  `json:"offered"`      // null: nobody asked whether changes are offered
	// StartGroups start machines again: an instance of theirs is migrated when its
	// group starts what the target boots. Null: nobody looked for them.
	StartGroups *record.StartGroups `json:"start_groups"`
	Waves       []*Wave             `json:"waves"`

	// Command is the command line that makes this plan, without what says where it
	// goes; "" for one that names the target alone.
	Command string `json:"-"`
}

// Wave is a set of instances that need the same kind of work.
type Wave struct {
	ID        waves.ID    `json:"id"`
	Title     string      `json:"title"`
	What      string      `json:"what"` // what this wave is, in a sentence
	Instances int         `json:"instances"`
	Owners    []Owner     `json:"owners,omitempty"`
	Solutions []*Solution `json:"solutions"` // what the items refer to by name
	// Items ranges over the instances by owner, account, region and instance id.
	// Only Write knows how to spell it in JSON.
	Items iter.Seq[*Item] `json:"items"`

	rows *waveRows // what Items ranges over
}

// Owner is the share of one owner.
type Owner struct {
	Name      string `json:"owner"`
	Instances int    `json:"instances"`
}

// Solution is a way to mend instances, once for all that share it.
type Solution struct {
	Name      string   `json:"name"` // "minor-upgrade to 5.11"
	Text      string   `json:"text"`
	Steps     []string `json:"steps,omitempty"`
	Benefit   string   `json:"benefit,omitempty"`
	Drawback  string   `json:"drawback,omitempty"`
	Instances int      `json:"instances"` // that need it; 0 for an alternative only
}

// Choice is a recommended instance type.
type Choice struct {
	Type string `json:"type"` // "" when there is none
	Why  string `json:"why"`
	// Availability is sold, low-stock, sold-out or not-checked; "" when nobody
	// asked.
	Availability string `json:"availability,omitempty"`
	// FirstChoice is the type that would fit best but is sold out in the
	// instance's zone; Zones are those of the region that do sell it. Where
	// nothing that fits is sold, it is Type itself.
	FirstChoice string   `json:"first_choice,omitempty"`
	Zones       []string `json:"zones,omitempty"`
}

// Item is the work on one instance.
type Item struct {
	Account      string `json:"account"`
	Region       string `json:"region"`
	Zone         string `json:"zone"`
	InstanceID   string `json:"instance_id"`
	InstanceName string `json:"instance_name"`
	Owner        string `json:"owner,omitempty"`
	Status       string `json:"status"`
	OS           string `json:"os"`
	Legacy       bool   `json:"legacy"`
	Verdict      string `json:"verdict"`
	Confidence   string `json:"confidence"`
	Reason       string `json:"reason"`
	Rule         string `json:"rule"`
	Source       string `json:"source,omitempty"` // of the rule
	// Waiver says which verdict is set aside until when; null where none is.
	Waiver *rules.Waiver `json:"waiver,omitempty"`
	// Window is when it is moved, "" where no rule says it.
	Window      string `json:"window,omitempty"`
	CurrentType string `json:"current_type"`
	Replacement Choice `json:"replacement"`
	Fallback    Choice `json:"fallback"`
	Path        Path   `json:"path"`
	PathNote    string `json:"path_note,omitempty"`
	// Solutions are names in the wave's list. All of them are needed, in this
	// order; Alternatives are other ways out.
	Solutions    []string `json:"solutions"`
	Alternatives []string `json:"alternatives,omitempty"`
	Checklist    []string `json:"checklist"` // in the order in which it is worked through
	Question     string   `json:"question,omitempty"`
	Note         string   `json:"note,omitempty"`
	// Disks says which of its disks the target does not take; null where nobody
	// asked.
	Disks *record.InstanceDisks `json:"disks,omitempty"`
	// Offered says whether the cloud offers the change to the replacement; null where
	// it was not to be asked.
	Offered *record.OfferedChange `json:"offered,omitempty"`
	// StartGroup is the group that started it, and starts others.
	StartGroup *ItemGroup `json:"start_group,omitempty"`
	groupNote  string     // the end of Note, which is about that group
}

// Build sorts records into waves. The records must come by account, region and
// instance id. It keeps some 22 bytes an instance; texts are shared.
func Build(records iter.Seq2[*record.Record, error], o Options) (*Plan, error) {
	builder := newBuilder(o)
	for rec, err := range records {
		if err != nil {
			return nil, fmt.Errorf("plan: read instances: %w", err)
		}
		if rec.GoneAt != nil {
			continue
		}
		if err := builder.add(rec); err != nil {
			return nil, err
		}
	}
	return builder.plan(), nil
}

// ErrNoVerdict is returned for a record that was never judged for the target.
var ErrNoVerdict = errors.New("plan: no verdict for this target")

// builder collects items wave by wave.
type builder struct {
	o         Options
	chooser   *chooser
	waves     map[waves.ID]*Wave
	solutions map[solutionKey]*Solution
	groups    map[groupKey]*group
	lists     map[string][]string // shared checklists
	ways      map[way]wayFound
	items     *collector
	ruleset   string
	n         int
}

type solutionKey struct {
	wave       waves.ID
	name, text string
}

func newBuilder(o Options) *builder {
	o.StartGroups = onTarget(o.StartGroups, o.Target.ID)
	b := &builder{o: o, chooser: newChooser(o), waves: map[waves.ID]*Wave{}, solutions: map[solutionKey]*Solution{}, groups: groupsOf(&o), lists: map[string][]string{}, ways: map[way]wayFound{}, items: newCollector(o.byOwner())}
	for _, w := range newWaves() {
		wave := w
		wave.Solutions = []*Solution{}
		b.waves[w.ID] = &wave
	}
	return b
}

func (b *builder) add(rec *record.Record) error {
	verdict := report.VerdictOn(rec, b.o.Target.ID)
	if verdict == nil {
		return fmt.Errorf("%w: instance %.64q has none on %q; scan with --target %s", ErrNoVerdict, rec.InstanceID, b.o.Target.ID, b.o.Target.ID)
	}
	at := b.sort(rec, verdict)
	id := at.id
	wave := b.waves[id]
	item := &Item{
		Account: rec.Account, Region: rec.Region, Zone: rec.Zone, InstanceID: rec.InstanceID, InstanceName: rec.InstanceName,
		Owner: b.owner(rec), Status: rec.Status, OS: osName(rec), Legacy: rec.Legacy,
		Verdict: verdict.Level.String(), Confidence: verdict.Confidence.String(), Reason: verdict.Reason, Rule: verdict.Rule, Source: verdict.Source, Waiver: verdict.Waiver,
		Window: b.window(rec), CurrentType: rec.InstanceType,
		Solutions: []string{}, Checklist: []string{},
	}
	if id != waves.AlreadyThere {
		b.move(item, at)
	}
	b.start(item, rec, id)
	if err := b.items.add(wave, item); err != nil {
		return err
	}
	b.n++
	if b.ruleset == "" {
		b.ruleset = rec.Ruleset
	}
	return nil
}

// sort finds the wave of an instance, and which disks are taken where it goes. One of
// which the cloud says that it cannot move as it is is not ready, whatever its system
// is.
func (b *builder) sort(rec *record.Record, verdict *rules.Verdict) *candidate {
	at := &candidate{rec: rec, verdict: verdict, there: b.there(rec)}
	at.id = waves.Of(verdict, at.there, b.o.KeepOS)
	at.takes = b.takes(rec, at.id, at.there)
	if at.id != waves.Ready {
		return at
	}
	disks, offered := b.o.Disks.Of(rec.Account, rec.Region, rec.InstanceID), b.o.Offered.Of(rec.Account, rec.Region, rec.InstanceID)
	if disks != nil && disks.State == record.DisksConvert || offered.Against() {
		at.id = waves.AfterChecks
	}
	return at
}

// move fills in how the instance moves.
func (b *builder) move(item *Item, at *candidate) {
	rec, verdict, id, there := at.rec, at.verdict, at.id, at.there
	if there {
		item.Note = "It is on a family of this target already: it may not come back from its next restart."
	}
	checks := b.diskChecks(at)
	offered := b.o.Offered.Of(rec.Account, rec.Region, rec.InstanceID)
	b.o.Offered.count(offered)
	item.Checklist = b.checklist(rec, offeredChecks(offered, at.takes, checks))
	needed, others := remedies(verdict, id)
	for _, m := range needed {
		s := b.solution(id, m)
		s.Instances++
		item.Solutions = append(item.Solutions, s.Name)
	}
	for _, m := range others {
		item.Alternatives = append(item.Alternatives, b.solution(id, m).Name)
	}
	if w := verdict.Waiver; w != nil {
		item.Note = strings.TrimSpace(waivedText(w) + " " + item.Note)
	}
	if id == waves.Unknown {
		item.Question = verdict.Reason + " " + b.settle(verdict)
	}
	switch {
	case there:
		item.Replacement.Why = "it is on hardware of the target already"
		item.Path, item.PathNote = PathUnknown, "no move is needed, only what mends it"
	case id != waves.StayGen5:
		item.Replacement = b.chooser.replacement(rec)
		b.o.Stock.count(&item.Replacement)
		item.Path, item.PathNote = b.path(rec, cmp.Or(b.o.Families.FamilyOf(item.Replacement.Type), b.o.Target.Family), b.o.Target.Class)
		item.Path, item.PathNote = offeredPath(offered, item.Path, item.PathNote)
	}
	if id != waves.Ready {
		item.Fallback = b.chooser.fallback(rec)
	}
	if id == waves.StayGen5 && !there {
		item.Path, item.PathNote = PathUnknown, "no move is needed while the current family is sold"
		if item.Fallback.Type != "" && item.Fallback.Type != rec.InstanceType {
			item.Path, item.PathNote = b.path(rec, b.o.Families.FamilyOf(item.Fallback.Type), rules.ClassKVM)
		}
	}
}

func (b *builder) owner(rec *record.Record) string {
	for _, tag := range b.o.OwnerTags {
		if name := rec.Tags[tag]; name != "" {
			return name
		}
	}
	if b.o.OwnerAccount {
		return "account " + rec.Account
	}
	return ""
}

// byOwner says whether instances are grouped by owners.
func (o *Options) byOwner() bool { return len(o.OwnerTags) > 0 || o.OwnerAccount }

func (b *builder) window(rec *record.Record) string {
	for i := range b.o.Windows {
		if w := &b.o.Windows[i]; w.Fits(rec) {
			return w.String()
		}
	}
	return ""
}

// waivedText says what a waiver set aside, until when and why.
func waivedText(w *rules.Waiver) string {
	return fmt.Sprintf("Waived, until %s, because %s. Without the waiver it is %s.", w.Until, strings.TrimRight(w.Reason, ". "), w.Was)
}

// there tells whether the instance is on hardware of the target already.
func (b *builder) there(rec *record.Record) bool { return b.o.There(rec) }

// There tells whether an instance is on hardware of the target already.
func (o *Options) There(rec *record.Record) bool {
	hardware := rules.Hardware{InstanceType: rec.InstanceType, InstanceFamily: rec.InstanceFamily}
	machine := rules.Machine{Family: o.Families.Lookup(rec.InstanceType, rec.InstanceFamily).Family, Generation: rec.Generation, Virtualization: rec.Virtualization}
	return rules.There([]rules.Target{o.Target}, hardware, machine) != 0
}

func (b *builder) solution(id waves.ID, remedy *rules.Remedy) *Solution {
	key := solutionKey{id, report.RemedyLine(remedy), remedy.Text}
	s := b.solutions[key]
	if s == nil {
		name := key.name
		for n := 2; b.waves[id].solution(name) != nil; n++ {
			name = fmt.Sprintf("%s (variant %d)", key.name, n)
		}
		s = &Solution{Name: name, Text: remedy.Text, Steps: remedy.Steps, Benefit: remedy.Benefit, Drawback: remedy.Drawback}
		b.solutions[key] = s
		b.waves[id].Solutions = append(b.waves[id].Solutions, s)
	}
	return s
}

// plan sorts and counts.
func (b *builder) plan() *Plan {
	whole := &Plan{Target: b.o.Target.ID, MadeAt: b.o.Now.UTC(), Ruleset: b.ruleset, OwnerTags: b.o.OwnerTags, ByOwner: b.o.byOwner(), Instances: b.n, Availability: b.o.Stock, Disks: b.o.Disks, Offered: b.o.Offered, StartGroups: b.o.StartGroups}
	whole.Complete, whole.Completeness = completeness(b.o.Summary)
	for _, w := range newWaves() {
		wave := b.waves[w.ID]
		slices.SortStableFunc(wave.Solutions, func(x, y *Solution) int {
			return cmp.Or(cmp.Compare(y.Instances, x.Instances), cmp.Compare(x.Name, y.Name))
		})
		whole.Waves = append(whole.Waves, wave)
	}
	b.items.hold(whole.Waves, b.o.Disks, b.o.Offered)
	return whole
}
