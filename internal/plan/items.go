package plan

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A fleet has millions of instances and some thousand kinds of work on them. So
// an item is kept as its id and name and three numbers: of the place where it is, of
// the work on it, and of the group that started it, packed some hundred at a time.
// That takes some 23 bytes, where an Item takes 700. A fleet of ten million has
// hundreds of thousands of groups, so that a work told apart by group would be one
// for every few instances.

// table numbers what many items have in common.
type table struct {
	number map[string]uint32 // by what tells one entry from another
	items  []Item            // what the entry says of an item; the rest is zero
}

func (t *table) of(key []byte, item Item) uint32 {
	n, ok := t.number[string(key)]
	if !ok {
		n = uint32(len(t.items))
		t.number[string(key)] = n
		t.items = append(t.items, item)
	}
	return n
}

// run is the items of a wave that one owner has, or one account where owners
// are not named, in the order in which they came.
type run struct {
	owner  string
	n      int
	packed [][]byte // whole chunks, compressed
	open   []byte   // the last one, as entries lie in it
}

// chunkSize is how many bytes of entries are compressed together. Every run has
// one such chunk open, and a plan by owners has thousands of runs.
const chunkSize = 16 << 10

func (r *run) add(pack *packer, place, work, group uint32, id, name string) {
	for _, number := range []uint32{place, work, group} {
		r.open = binary.AppendUvarint(r.open, uint64(number))
	}
	for _, text := range []string{id, name} {
		r.open = binary.AppendUvarint(r.open, uint64(len(text)))
		r.open = append(r.open, text...)
	}
	r.n++
	if len(r.open) >= chunkSize {
		r.packed = append(r.packed, pack.pack(r.open))
		r.open = r.open[:0]
	}
}

// entry is an item as a run keeps it.
type entry struct {
	place, work, group uint32
	id, name           []byte // not to be kept
}

func (r *run) all(pack *packer) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		var plain []byte
		for _, b := range r.packed {
			plain = pack.unpack(plain[:0], b)
			if !entries(plain, yield) {
				return
			}
		}
		entries(r.open, yield)
	}
}

// entries takes a chunk apart, and tells whether more are wanted.
func entries(b []byte, yield func(entry) bool) bool {
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return n
	}
	text := func() []byte {
		n := number()
		s := b[:n]
		b = b[n:]
		return s
	}
	for len(b) > 0 {
		if !yield(entry{uint32(number()), uint32(number()), uint32(number()), text(), text()}) {
			return false
		}
	}
	return true
}

// packer compresses chunks.
type packer struct {
	in      *zstd.Encoder
	out     *zstd.Decoder
	scratch []byte // of pack
}

func newPacker() *packer {
	in, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(chunkSize), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(fmt.Sprintf("plan: the encoder of items: %v", err)) // its options are constants
	}
	out, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic(fmt.Sprintf("plan: the decoder of items: %v", err))
	}
	return &packer{in: in, out: out}
}

// pack returns b compressed. It is for the one goroutine that builds the plan.
func (p *packer) pack(b []byte) []byte {
	p.scratch = p.in.EncodeAll(b, p.scratch[:0])
	return bytes.Clone(p.scratch)
}

// unpack appends what pack was given. It is safe for concurrent use: a plan that
// is kept has several readers.
func (p *packer) unpack(to, b []byte) []byte {
	plain, err := p.out.DecodeAll(b, to)
	if err != nil { // cannot happen: pack made it, and to leave items out would be worse
		panic(fmt.Sprintf("plan: items cannot be read back: %v", err))
	}
	return plain
}

// waveRows are the items of one wave, as they are kept.
type waveRows struct {
	places, works, groups *table // shared by all waves
	pack                  *packer
	byOwner               bool
	disks                 *Disks   // of each, which no two have in common
	offered               *Offered // the same
	runs                  []*run   // by name
}

// all are the items by owner, account, region and instance id. Each may be kept.
func (p *waveRows) all(yield func(*Item) bool) {
	for _, run := range p.runs {
		for entry := range run.all(p.pack) {
			item := p.works.items[entry.work]
			place := &p.places.items[entry.place]
			item.Account, item.Region, item.Zone, item.Status, item.Window = place.Account, place.Region, place.Zone, place.Status, place.Window
			item.InstanceID, item.InstanceName = string(entry.id), string(entry.name)
			if p.byOwner {
				item.Owner = run.owner
			}
			item.join(&p.groups.items[entry.group])
			item.Disks = p.disks.Of(item.Account, item.Region, item.InstanceID)
			item.Offered = p.offered.Of(item.Account, item.Region, item.InstanceID)
			if !yield(&item) {
				return
			}
		}
	}
}

// owners counts the items of each owner, the largest first; nil where the plan does
// not divide its waves by owner.
func (p *waveRows) owners() []Owner {
	if !p.byOwner {
		return nil
	}
	out := make([]Owner, 0, len(p.runs))
	for _, r := range p.runs {
		out = append(out, Owner{r.owner, r.n})
	}
	slices.SortFunc(out, func(x, y Owner) int {
		return cmp.Or(cmp.Compare(y.Instances, x.Instances), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// same is what items have in common, and how many they are.
type same struct {
	*Item // without its place, id, name and owner
	N     int
}

// alike counts the items of a wave by the work on them, in their order.
func (w *Wave) alike() []same {
	var out []same
	at := map[uint32]int{}
	for _, r := range w.rows.runs {
		for entry := range r.all(w.rows.pack) {
			i, ok := at[entry.work]
			if !ok {
				i = len(out)
				at[entry.work] = i
				out = append(out, same{Item: &w.rows.works.items[entry.work]})
			}
			out[i].N++
		}
	}
	return out
}

// hold sets what the items of the wave are.
func (w *Wave) hold(p *waveRows) {
	w.rows, w.Items, w.Instances = p, p.all, 0
	for _, r := range p.runs {
		w.Instances += r.n
	}
}

// ErrOrder is returned for records that are not in the order of account, region
// and instance id.
var ErrOrder = errors.New("plan: instances are not in order")

// collector takes items wave by wave.
type collector struct {
	places, works, groups table
	pack                  *packer
	byOwner               bool
	runs                  map[runKey]*run
	key                   []byte
	last                  [3]string
}

type runKey struct {
	wave  *Wave
	owner string
}

func newCollector(byOwner bool) *collector {
	empty := func() table { return table{number: map[string]uint32{}} }
	return &collector{places: empty(), works: empty(), groups: empty(), pack: newPacker(), byOwner: byOwner, runs: map[runKey]*run{}}
}

// add takes an item. Those of one wave and owner stay in the order in which they
// come, so they must come in that of the plan.
func (c *collector) add(wave *Wave, item *Item) error {
	at := [3]string{item.Account, item.Region, item.InstanceID}
	if slices.Compare(at[:], c.last[:]) < 0 {
		return fmt.Errorf("%w: %.64q of %.64s/%.64s after %.64q of %.64s/%.64s", ErrOrder, item.InstanceID, item.Account, item.Region, c.last[2], c.last[0], c.last[1])
	}
	c.last = at
	key := runKey{wave, item.Owner}
	if !c.byOwner {
		key.owner = item.Account
	}
	r := c.runs[key]
	if r == nil {
		r = &run{owner: strings.Clone(key.owner)}
		key.owner = r.owner
		c.runs[key] = r
	}
	r.add(c.pack, c.place(item), c.work(item), c.group(item), item.InstanceID, item.InstanceName)
	return nil
}

func (c *collector) place(item *Item) uint32 {
	c.key = c.key[:0]
	c.texts(item.Account, item.Region, item.Zone, item.Status, item.Window)
	return c.places.of(c.key, Item{Account: item.Account, Region: item.Region, Zone: item.Zone, Status: item.Status, Window: item.Window})
}

// group numbers the group that started the item and what the item says of it.
func (c *collector) group(item *Item) uint32 {
	c.key = c.key[:0]
	if g := item.StartGroup; g != nil {
		c.texts(string(g.Kind), g.ID, item.groupNote)
	}
	return c.groups.of(c.key, Item{StartGroup: item.StartGroup, groupNote: item.groupNote})
}

// join adds what the item says of the group that started it.
func (item *Item) join(group *Item) {
	item.StartGroup = group.StartGroup
	switch {
	case item.Note == "":
		item.Note = group.groupNote
	case group.groupNote != "":
		item.Note += " " + group.groupNote
	}
}

// work numbers all that an item says beside its place, id, name, owner and group.
func (c *collector) work(item *Item) uint32 {
	c.key = c.key[:0]
	legacy := "no"
	if item.Legacy {
		legacy = "yes"
	}
	c.texts(item.OS, legacy, item.Verdict, item.Confidence, item.Reason, item.Rule, item.Source, item.CurrentType, string(item.Path), item.PathNote, item.Question, item.Note)
	var waiver []string
	if w := item.Waiver; w != nil {
		waiver = []string{w.ID, w.Was.String(), w.Until, w.Reason}
	}
	c.list(waiver)
	for _, choice := range []*Choice{&item.Replacement, &item.Fallback} {
		c.texts(choice.Type, choice.Why, choice.Availability, choice.FirstChoice)
		c.list(choice.Zones)
	}
	c.list(item.Solutions)
	c.list(item.Alternatives)
	c.list(item.Checklist)
	work := *item
	work.StartGroup, work.groupNote = nil, ""
	work.Account, work.Region, work.Zone, work.Status, work.Window, work.Owner, work.InstanceID, work.InstanceName = "", "", "", "", "", "", "", ""
	return c.works.of(c.key, work)
}

// texts appends texts to the key by which items are grouped, each with its length
// in front, so that no two lists of texts give the same key.
func (c *collector) texts(texts ...string) {
	for _, s := range texts {
		c.key = binary.AppendUvarint(c.key, uint64(len(s)))
		c.key = append(c.key, s...)
	}
}

func (c *collector) list(texts []string) {
	c.key = binary.AppendUvarint(c.key, uint64(len(texts)))
	c.texts(texts...)
}

// hold gives every wave its items.
func (c *collector) hold(all []*Wave, disks *Disks, offered *Offered) {
	runs := map[*Wave][]*run{}
	for _, key := range slices.SortedFunc(maps.Keys(c.runs), func(a, b runKey) int { return cmp.Compare(a.owner, b.owner) }) {
		runs[key.wave] = append(runs[key.wave], c.runs[key])
	}
	for _, w := range all {
		w.hold(&waveRows{&c.places, &c.works, &c.groups, c.pack, c.byOwner, disks, offered, runs[w]})
		w.Owners = w.rows.owners()
	}
}
