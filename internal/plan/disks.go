package plan

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
	"github.com/shenscan/shenscan/rules/waves"
)

// Disks is what the cloud said about the disks of instances that move to families
// which do not take every disk, or of which it is not known. A scope that could not be asked is
// in Failures, and its instances are planned as if nobody had asked.
type Disks struct {
	AskedAt  time.Time        `json:"asked_at"`
	Regions  int              `json:"regions"` // accounts and regions with such instances
	Unasked  int              `json:"unasked"` // of them, that could not be asked
	Calls    int              `json:"calls"`   // of DescribeDisks, repeats of failed ones apart
	Failures []record.Failure `json:"failures"`
	// Doubts are listings that something contradicts: what they name is used, and
	// that an instance has nothing else is not.
	Doubts []record.Failure `json:"doubts"`
	// What came of it, in instances.
	Fit      int `json:"fit"`
	Convert  int `json:"convert"`
	NotKnown int `json:"not_known"`

	scopes map[ecs.Scope]*heard
}

const actDisks = "DescribeDisks"

// Bounds of asking.
const (
	diskTimeout = 20 * time.Minute // for one scope: a million disks are two thousand calls
	maxWords    = 1000             // that are kept once in a scope
	maxDisks    = 100              // that one instance is said to have; ECS attaches 17, and 64 to the largest
)

// AskDisks asks, region by region, for the disks of the instances that would move
// to a family which does not take every disk. The error is ctx's, or what the records
// gave.
func AskDisks(ctx context.Context, cloud ecs.DiskAPI, o Options, records iter.Seq2[*record.Record, error]) (*Disks, error) {
	moving, err := newBuilder(o).moves(records)
	if err != nil {
		return nil, err
	}
	out := &Disks{AskedAt: o.Now.UTC(), Regions: len(moving), Doubts: []record.Failure{}, scopes: make(map[ecs.Scope]*heard, len(moving))}
	scopes := scopesOf(moving)
	var mu sync.Mutex
	out.Failures, err = askScopes(ctx, actDisks, scopes, diskTimeout, func(call context.Context, scope ecs.Scope) error {
		asked := askedDisks(moving[scope], out.AskedAt)
		listing, err := cloud.InstanceDisks(call, scope, moving[scope].ids, asked.hear)
		mu.Lock()
		defer mu.Unlock()
		out.Calls += listing.Calls
		if err != nil {
			return err
		}
		if listing.Doubt != nil {
			out.Doubts = append(out.Doubts, failureOf(actDisks, scope, listing.Doubt))
		}
		asked.doubted = listing.Doubt != nil
		asked.close()
		out.scopes[scope] = asked
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Unasked = len(out.Failures)
	out.Failures, out.Doubts = merge(out.Failures, scopes), merge(out.Doubts, scopes)
	return out, nil
}

// moving are the instances of one scope whose disks matter, in order, and which disks are taken
// where they go: of nearly all the same.
type moving struct {
	ids    []string
	takes  string
	others map[string]string // where another is taken than by most
}

func (m *moving) add(id, takes string) {
	m.ids = append(m.ids, id)
	switch {
	case m.takes == "":
		m.takes = takes
	case m.takes != takes:
		m.others[id] = takes
	}
}

// moves are the instances whose disks matter, by scope.
func (b *builder) moves(records iter.Seq2[*record.Record, error]) (map[ecs.Scope]*moving, error) {
	out := map[ecs.Scope]*moving{}
	for each, err := range b.candidates(records) {
		if err != nil {
			return nil, err
		}
		if each.takes == family.AnyDisks {
			continue
		}
		own := out[each.scope()]
		if own == nil {
			own = &moving{others: map[string]string{}}
			out[each.scope()] = own
		}
		own.add(strings.Clone(each.rec.InstanceID), each.takes) // a record's texts are one with its row, which would be kept
	}
	for _, own := range out {
		own.ids = slices.Clip(own.ids)
		slices.Sort(own.ids) // as records come, but it is not for them that a disk is lost
	}
	return out, nil
}

// takes says which disks are taken where the instance is to move; every one where it
// stays.
func (b *builder) takes(rec *record.Record, id waves.ID, there bool) string {
	target := &b.o.Target
	if there || id == waves.AlreadyThere || id == waves.StayGen5 || target.Family == "" && target.Class == rules.ClassKVM {
		return family.AnyDisks
	}
	if target.Family != "" {
		return target.Disks
	}
	if to := b.chooser.replacement(rec).Type; to != "" {
		return b.chooser.byID[to].info.Disks
	}
	if target.Class == rules.ClassShenlong6 {
		return family.Unknown // some of its families take ESSDs alone
	}
	return family.ESSD
}

// todo says what is to be done about a disk of the category that goes to where some
// are taken: "" for one of those. A category that no document names is never taken for
// one of those that are.
func todo(category, takes string) string {
	other := record.DiskConvert
	if takes == family.Unknown {
		other = record.DiskAskOf
	}
	switch category {
	case "cloud_essd", "cloud_auto":
		if takes == family.Unknown {
			return other
		}
		return ""
	case "cloud_essd_entry":
		if takes == family.ESSDEntry {
			return ""
		}
		return other
	case "cloud", "cloud_efficiency", "cloud_ssd":
		return other
	case "local_ssd_pro", "local_hdd_pro", "ephemeral", "ephemeral_ssd":
		return record.DiskLocal
	}
	return record.DiskAskOf
}

// heard is what was said of the disks of the instances of one scope. A fleet has
// millions of disks, so those that are named are kept packed, and what they mean is
// said when somebody asks.
type heard struct {
	*moving

	at      time.Time
	own     []ownDisks     // by the place of the instance among the ids
	odd     map[int]string // what is wrong with an answer, by the same
	words   *words
	doubted bool // the listing is contradicted
}

// ownDisks are those of one instance.
type ownDisks struct {
	named          string // those to do something about, packed
	listed, system uint8
}

func askedDisks(own *moving, at time.Time) *heard {
	return &heard{moving: own, at: at, own: make([]ownDisks, len(own.ids)), odd: map[int]string{}, words: newWords()}
}

// hear notes a disk, which may be one of other instances. One that is said to be two
// things comes twice; the listing is doubted then, and what it was said to be last
// stands unless that needs nothing done.
func (h *heard) hear(disk *ecs.Disk) {
	for _, id := range disk.Instances {
		at, ok := slices.BinarySearch(h.ids, id)
		if !ok {
			continue
		}
		own := &h.own[at]
		if own.listed >= maxDisks {
			h.odd[at] = fmt.Sprintf("more than %d disks are said to be attached to it", maxDisks)
			continue
		}
		own.listed++
		switch disk.Kind {
		case "system":
			own.system++
		case "data":
		default:
			h.odd[at] = fmt.Sprintf("disk %s is neither a system disk nor a data disk", disk.ID)
		}
		what := todo(disk.Category, cmp.Or(h.others[id], h.takes))
		if what == "" {
			continue
		}
		said := record.Disk{ID: disk.ID, Category: disk.Category, Type: disk.Kind, SizeGiB: disk.SizeGiB, Device: disk.Device, Do: what}
		named := h.words.unpackDisks([]byte(own.named))
		if before := slices.IndexFunc(named, func(d record.Disk) bool { return d.ID == disk.ID }); before >= 0 {
			named[before] = said
		} else {
			named = append(named, said)
		}
		var packed []byte
		for i := range named {
			packed = h.words.packDisk(packed, &named[i])
		}
		own.named = string(packed)
	}
}

// close keeps what was heard in no more room than it takes.
func (h *heard) close() {
	texts := make([]*string, 0, 2*len(h.ids))
	for i := range h.ids {
		texts = append(texts, &h.ids[i], &h.own[i].named)
	}
	var size int
	for _, text := range texts {
		size += len(*text)
	}
	var whole strings.Builder
	whole.Grow(size)
	for _, text := range texts {
		whole.WriteString(*text)
	}
	all := whole.String()
	for _, text := range texts {
		*text, all = all[:len(*text)], all[len(*text):]
	}
}

// of says what the disks of an instance mean; nil where it was not asked about. That
// nothing is to be done is said only where one system disk was named and nothing
// contradicts the answer: an instance of which no disk was told has disks all the same.
func (h *heard) of(id string) *record.InstanceDisks {
	if h == nil {
		return nil
	}
	place, ok := slices.BinarySearch(h.ids, id)
	if !ok {
		return nil
	}
	own := h.own[place]
	out := &record.InstanceDisks{AskedAt: h.at, Listed: int(own.listed), Disks: h.words.unpackDisks([]byte(own.named))}
	slices.SortFunc(out.Disks, func(a, b record.Disk) int {
		return cmp.Or(strings.Compare(b.Type, a.Type), strings.Compare(a.Device, b.Device), strings.Compare(a.ID, b.ID))
	})
	surely := slices.ContainsFunc(out.Disks, func(d record.Disk) bool { return d.Do != record.DiskAskOf })
	open := slices.IndexFunc(out.Disks, func(d record.Disk) bool { return d.Do == record.DiskAskOf })
	switch {
	case h.doubted:
		out.Why = "the listing of its region is contradicted"
	case h.odd[place] != "":
		out.Why = h.odd[place]
	case own.listed == 0:
		out.Why = "no disk was named that is attached to it"
	case own.system != 1:
		out.Why = fmt.Sprintf("%d system disks were named that are attached to it", own.system)
	case open >= 0:
		out.Why = "whether the target takes disks of the category " + cmp.Or(out.Disks[open].Category, "(none)") + " is not known"
	}
	switch {
	case surely:
		out.State = record.DisksConvert
	case out.Why != "":
		out.State = record.DisksNotKnown
	default:
		out.State = record.DisksFit
	}
	return out
}

// words are texts that many disks have in common: categories, kinds, devices and what
// is to be done. Each is kept once, as far as there is room.
type words struct {
	texts  []string
	number map[string]uint64 // from 1 on
}

func newWords() *words { return &words{number: map[string]uint64{}} }

// pack appends the text as its number, or, behind a 0, as it is.
func (w *words) pack(to []byte, text string) []byte {
	n, ok := w.number[text]
	switch {
	case ok:
		return binary.AppendUvarint(to, n)
	case len(w.texts) < maxWords:
		w.texts = append(w.texts, text)
		w.number[text] = uint64(len(w.texts))
		return binary.AppendUvarint(to, w.number[text])
	}
	to = binary.AppendUvarint(append(to, 0), uint64(len(text)))
	return append(to, text...)
}

// unpack reads what pack appended.
func (w *words) unpack(from []byte) (text string, rest []byte) {
	n, size := binary.Uvarint(from)
	from = from[size:]
	if n > 0 {
		return w.texts[n-1], from
	}
	n, size = binary.Uvarint(from)
	from = from[size:]
	return string(from[:n]), from[n:]
}

func (w *words) packDisk(to []byte, disk *record.Disk) []byte {
	to = binary.AppendUvarint(to, uint64(len(disk.ID)))
	to = append(to, disk.ID...)
	for _, text := range []string{disk.Category, disk.Type, disk.Device, disk.Do} {
		to = w.pack(to, text)
	}
	return binary.AppendUvarint(to, uint64(max(disk.SizeGiB, 0)))
}

func (w *words) unpackDisks(from []byte) []record.Disk {
	out := []record.Disk{}
	for len(from) > 0 {
		var disk record.Disk
		n, size := binary.Uvarint(from)
		from = from[size:]
		disk.ID, from = string(from[:n]), from[n:]
		for _, text := range []*string{&disk.Category, &disk.Type, &disk.Device, &disk.Do} {
			*text, from = w.unpack(from)
		}
		n, size = binary.Uvarint(from)
		disk.SizeGiB, from = int(n), from[size:]
		out = append(out, disk)
	}
	return out
}

// Of is what was said of the instance; nil where it was not asked about.
func (d *Disks) Of(account, region, id string) *record.InstanceDisks {
	if d == nil {
		return nil
	}
	return d.scopes[ecs.Scope{Account: account, Region: region}].of(id)
}

// count notes what came of it for one instance that is planned.
func (d *Disks) count(own *record.InstanceDisks) {
	switch {
	case d == nil:
	case own == nil || own.State == record.DisksNotKnown:
		d.NotKnown++
	case own.State == record.DisksConvert:
		d.Convert++
	default:
		d.Fit++
	}
}

// Words says in one sentence what was asked and what came of it.
func (d *Disks) Words() string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("disks as of %s, in %s of DescribeDisks: the target takes all disks of %s and not all of %s; of %s it is not known", report.Moment(d.AskedAt),
		report.Plural(d.Calls, "call", "calls"), report.Plural(d.Fit, "instance", "instances"), report.Number(d.Convert), report.Number(d.NotKnown))
}

// diskLine says what to do about a disk.
func diskLine(disk *record.Disk, in lang.Language) string {
	about := disk.ID + " (" + diskAbout(disk, in) + ")"
	switch disk.Do {
	case record.DiskConvert:
		return in.Say("convert " + about)
	case record.DiskLocal:
		return in.Say("copy off " + about)
	}
	return in.Say("find out about " + about)
}

func diskAbout(disk *record.Disk, in lang.Language) string {
	kind := disk.Type
	if kind == "system" || kind == "data" {
		kind = in.Say(kind + " disk")
	}
	parts := []string{kind, disk.Category, fmt.Sprintf("%d GiB", disk.SizeGiB)}
	if disk.Device != "" {
		parts = append(parts, disk.Device)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// DiskText says in words what the disks of an instance mean for its move; "" where
// they were not asked for.
func DiskText(own *record.InstanceDisks, in lang.Language) string {
	if own == nil {
		return ""
	}
	var lines []string
	for i := range own.Disks {
		lines = append(lines, diskLine(&own.Disks[i], in))
	}
	if own.Why != "" {
		why := "not known: " + own.Why
		if own.State == record.DisksConvert {
			why = "perhaps others: " + own.Why
		}
		lines = append(lines, in.Say(why))
	}
	if own.State == record.DisksFit {
		lines = append(lines, in.Say("the target takes them all"))
	}
	return strings.Join(lines, in.Say("; "))
}

// disksLine is the same with what it is about in front.
func disksLine(item *Item, in lang.Language) string {
	if item.Disks == nil {
		return ""
	}
	return in.Say("Disks:") + " " + DiskText(item.Disks, in)
}
