package store

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// profiles knows every stored profile. The software itself stays in the file.
// It is the writer's; readers use what publish gave them.
type profiles struct {
	profileTable
	seed   maphash.Seed
	byPair []uint32            // hash table, open addressing: number in list, plus one
	used   int                 // slots of byPair that are taken
	free   []uint32            // numbers that no profile has
	dirty  map[uint32]struct{} // chunks that have to be stored

	softByHash map[uint64]uint32
	softNext   uint32
	freshSoft  []freshValue

	byHardware map[rules.Hardware]uint32
	freshHard  int // at the end of hardware, not stored yet

	readers atomic.Pointer[profileTable]
}

// profileTable is the part of profiles that readers use. Entries never change, so
// that readers need no lock; new ones are added at the end.
type profileTable struct {
	list     []format.Profile
	hardware []rules.Hardware
}

type freshValue struct {
	id    uint32
	value []byte
}

func newProfiles(seed maphash.Seed) *profiles {
	p := &profiles{
		seed: seed, dirty: map[uint32]struct{}{}, softByHash: map[uint64]uint32{},
		byHardware: map[rules.Hardware]uint32{},
	}
	p.publish()
	return p
}

// publish shows the profiles to readers. A number that was free may be used for
// another profile: no reader knows it before the commit that gives it to an instance.
func (p *profiles) publish() { p.readers.Store(p.now()) }

// now is what is known by now, that which is not published included.
func (p *profiles) now() *profileTable { return &profileTable{p.list, p.hardware} }

// retire lets go of what only the writer looks at. Readers go on with what was
// published last until others are: of ten million instances that is as much
// again.
func (p *profiles) retire() {
	p.byPair, p.softByHash, p.byHardware = nil, nil, nil
}

func (t *profileTable) classOf(id uint32) (uint32, bool) {
	if int(id) >= len(t.list) || t.list[id].Class == format.NoClass {
		return 0, false
	}
	return t.list[id].Class, true
}

// profile returns the profile of a number, whose parts are there, too.
func (t *profileTable) profile(id uint32) (*format.Profile, error) {
	if _, ok := t.classOf(id); !ok {
		return nil, fmt.Errorf("%w: profile %d is missing", ErrCorrupt, id)
	}
	return &t.list[id], nil
}

// instanceType is the instance type of a profile.
func (t *profileTable) instanceType(id uint32) (string, error) {
	profile, err := t.profile(id)
	if err != nil {
		return "", err
	}
	return t.hardware[profile.Hardware].InstanceType, nil
}

// factsReader reads the facts of profiles. It remembers software.
type factsReader struct {
	*profileTable
	software map[uint32]*rules.Facts
}

// maxSoftware bounds how much software is remembered beside its number.
const maxSoftware = 1 << 15

func (t *profileTable) reader() *factsReader {
	return &factsReader{t, map[uint32]*rules.Facts{}}
}

func (r *factsReader) facts(tx *bbolt.Tx, id uint32) (rules.Facts, error) {
	software, err := r.softwareOf(tx, id)
	if err != nil {
		return rules.Facts{}, err
	}
	out := *software
	out.Put(r.hardware[r.list[id].Hardware])
	return out, nil
}

// instance decodes a row and reads the facts of its profile.
func (r *factsReader) instance(tx *bbolt.Tx, enc []byte, words format.Words) (row event.Row, facts rules.Facts, err error) {
	row, profile, err := format.ReadRow(enc, words)
	if err != nil {
		return row, facts, fmt.Errorf("%w: row %.64q: %w", ErrCorrupt, format.RowID(enc), err)
	}
	facts, err = r.facts(tx, profile)
	return row, facts, err
}

// softwareOf returns the facts of a profile without its machine. They are
// shared and must not be changed.
func (r *factsReader) softwareOf(tx *bbolt.Tx, id uint32) (*rules.Facts, error) {
	profile, err := r.profile(id)
	if err != nil {
		return nil, err
	}
	number := profile.Software
	if known := r.software[number]; known != nil {
		return known, nil
	}
	software, err := storedSoftware(tx, number)
	if err != nil {
		return nil, err
	}
	if len(r.software) >= maxSoftware {
		clear(r.software)
	}
	r.software[number] = &software
	return &software, nil
}

func storedSoftware(tx *bbolt.Tx, id uint32) (rules.Facts, error) {
	value := tx.Bucket(bucketSoftware).Get(format.Key32(id))
	if value == nil {
		return rules.Facts{}, fmt.Errorf("%w: software %d of a profile is missing", ErrCorrupt, id)
	}
	enc, err := format.Unseal("software", value)
	if err != nil {
		return rules.Facts{}, err
	}
	facts, err := event.DecodeSoftware(enc)
	if err != nil {
		return facts, fmt.Errorf("%w: software %d: %w", ErrCorrupt, id, err)
	}
	return facts, nil
}

// number returns the profile of a pair, making one where there is none; class
// says how a new one is judged.
func (p *profiles) number(software, hardware uint32, class func() uint32) uint32 {
	if 3*p.used >= 2*len(p.byPair) {
		p.grow()
	}
	slot := p.slot(software, hardware)
	if id := *slot; id != 0 {
		return id - 1
	}
	is := format.Profile{Software: software, Hardware: hardware, Class: class()}
	id := uint32(len(p.list))
	if n := len(p.free); n > 0 {
		id, p.free = p.free[n-1], p.free[:n-1]
		p.list[id] = is
	} else {
		p.list = append(p.list, is)
	}
	*slot = id + 1
	p.used++
	p.dirty[id/format.MaxChunk] = struct{}{}
	return id
}

// slot returns the slot of a pair in the hash table, which is 0 where the pair is
// new. There may be as many pairs as instances; a built-in map would take four times
// the memory.
func (p *profiles) slot(software, hardware uint32) *uint32 {
	h := (uint64(software)<<32 | uint64(hardware)) * 0x9E3779B97F4A7C15
	mask := uint64(len(p.byPair) - 1)
	for i := (h ^ h>>32) & mask; ; i = (i + 1) & mask {
		id := p.byPair[i]
		if id == 0 || p.list[id-1].Software == software && p.list[id-1].Hardware == hardware {
			return &p.byPair[i]
		}
	}
}

func (p *profiles) grow() {
	old := p.byPair
	p.byPair = make([]uint32, max(1024, 2*len(old)))
	for _, id := range old {
		if id != 0 {
			is := &p.list[id-1]
			*p.slot(is.Software, is.Hardware) = id
		}
	}
}

// softwareOf returns the number of the software in these facts.
func (p *profiles) softwareOf(facts *rules.Facts) uint32 {
	h := hashSoftware(p.seed, facts)
	if id, ok := p.softByHash[h]; ok {
		return id
	}
	id := p.softNext
	p.softNext++
	p.softByHash[h] = id
	p.freshSoft = append(p.freshSoft, freshValue{id, format.Seal(event.AppendSoftware(format.Start(nil), facts))})
	return id
}

// hardwareOf returns the number of the hardware.
func (p *profiles) hardwareOf(hardware rules.Hardware) uint32 {
	if id, ok := p.byHardware[hardware]; ok {
		return id
	}
	// The caller's strings share memory with a message, which they would keep alive.
	hardware.InstanceType, hardware.InstanceFamily = strings.Clone(hardware.InstanceType), strings.Clone(hardware.InstanceFamily)
	id := uint32(len(p.hardware))
	p.hardware = append(p.hardware, hardware)
	p.byHardware[hardware] = id
	p.freshHard++
	return id
}

// hashSoftware covers every field but the machine's. The seed is secret and of
// this process, so that nobody can make two facts collide.
func hashSoftware(seed maphash.Seed, facts *rules.Facts) uint64 {
	return maphash.Comparable(seed, *facts.Software())
}

// store writes what the file does not have yet, and publishes it.
func (p *profiles) store(tx *bbolt.Tx) error {
	if err := p.storeParts(tx); err != nil {
		return err
	}
	bucket := tx.Bucket(bucketProfiles)
	chunks := make([]uint32, 0, len(p.dirty))
	for no := range p.dirty {
		chunks = append(chunks, no)
	}
	slices.Sort(chunks)
	for _, no := range chunks {
		part := p.list[no*format.MaxChunk : min(int(no+1)*format.MaxChunk, len(p.list))]
		if err := bucket.Put(format.Key32(no), format.ProfilesValue(part)); err != nil {
			return err
		}
	}
	clear(p.dirty)
	p.publish()
	return nil
}

// storeParts writes new software and hardware, which records of new profiles
// are made of.
func (p *profiles) storeParts(tx *bbolt.Tx) error {
	soft := tx.Bucket(bucketSoftware)
	for _, s := range p.freshSoft {
		if err := soft.Put(format.Key32(s.id), s.value); err != nil {
			return err
		}
	}
	p.freshSoft = p.freshSoft[:0]
	hard := tx.Bucket(bucketHardware)
	for ; p.freshHard > 0; p.freshHard-- {
		id := len(p.hardware) - p.freshHard
		if err := hard.Put(format.Key32(uint32(id)), format.Seal(event.AppendHardware(format.Start(nil), &p.hardware[id]))); err != nil {
			return err
		}
	}
	return nil
}

// restore takes the chunk with the number no.
func (p *profiles) restore(no uint32, part []format.Profile, classes int) error {
	if len(p.list) != int(no)*format.MaxChunk {
		return fmt.Errorf("%w: profiles are not numbered from 0", ErrCorrupt)
	}
	for _, is := range part {
		id := uint32(len(p.list))
		p.list = append(p.list, is)
		if is.Class == format.NoClass {
			p.free = append(p.free, id)
			continue
		}
		if int(is.Class) >= classes || int(is.Hardware) >= len(p.hardware) {
			return fmt.Errorf("%w: profile %d refers to what is not there", ErrCorrupt, id)
		}
		if 3*p.used >= 2*len(p.byPair) {
			p.grow()
		}
		*p.slot(is.Software, is.Hardware) = id + 1
		p.used++
	}
	return nil
}
