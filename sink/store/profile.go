package store

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// class is what counts and changes look at: instances of one class count
// alike.
type class struct {
	levels  string // one byte for each target, in the classifier's order
	family  string
	version string
	legacy  bool
}

func (c *class) level(target int) rules.Level {
	if target >= len(c.levels) {
		return rules.Unknown
	}
	return rules.Level(c.levels[target])
}

// os names the operating system for the history.
func (c *class) os() string { return strings.TrimSpace(c.family + " " + c.version) }

// classOf reduces a classification.
func classOf(cl *rules.Classification) class {
	levels := make([]byte, len(cl.Verdicts))
	for i := range cl.Verdicts {
		levels[i] = byte(cl.Verdicts[i].Level)
	}
	return class{string(levels), cl.OS.Family, cl.OS.Version, cl.Legacy}
}

// classes numbers classes; numbers hold as long as the process runs.
type classes struct {
	by   map[class]uint32
	list atomic.Pointer[[]class]
}

func newClasses() *classes {
	c := &classes{by: map[class]uint32{}}
	c.list.Store(&[]class{})
	return c
}

func (c *classes) number(k class) uint32 {
	if n, ok := c.by[k]; ok {
		return n
	}
	list := append(*c.list.Load(), k)
	c.list.Store(&list)
	n := uint32(len(list) - 1)
	c.by[k] = n
	return n
}

func (c *classes) at(n uint32) *class { return &(*c.list.Load())[n] }

// profiles knows the class of every stored profile, and the number of every
// profile by its facts. The facts themselves stay in the file.
type profiles struct {
	seed   maphash.Seed
	byHash map[uint64]uint32
	class  atomic.Pointer[[]uint32] // by profile
	fresh  []freshProfile

	softByHash map[uint64]uint32
	softNext   uint32
	freshSoft  []freshProfile
}

type freshProfile struct {
	id    uint32
	value []byte
}

// noClass marks the number of a profile that is not there any more.
const noClass = ^uint32(0)

func newProfiles(seed maphash.Seed) *profiles {
	p := &profiles{seed: seed, byHash: map[uint64]uint32{}, softByHash: map[uint64]uint32{}}
	p.class.Store(&[]uint32{})
	return p
}

func (p *profiles) set(id, class uint32) {
	list := *p.class.Load()
	for int(id) > len(list) {
		list = append(list, noClass)
	}
	if int(id) == len(list) {
		list = append(list, class)
		p.class.Store(&list)
		return
	}
	// A number below the end was free: readers cannot know it yet.
	next := append([]uint32(nil), list...)
	next[id] = class
	p.class.Store(&next)
}

func (p *profiles) classOf(id uint32) (uint32, bool) {
	list := *p.class.Load()
	if int(id) >= len(list) || list[id] == noClass {
		return 0, false
	}
	return list[id], true
}

// number returns the profile of the facts, making one where there is none.
func (p *profiles) number(f *rules.Facts, judge func(*rules.Facts) uint32, cs *classes) uint32 {
	h := hashFacts(p.seed, f)
	if id, ok := p.byHash[h]; ok {
		return id
	}
	id := uint32(len(*p.class.Load()))
	n := judge(f)
	p.byHash[h] = id
	p.set(id, n)
	p.fresh = append(p.fresh, freshProfile{id, profileValue(cs.at(n), event.AppendMachine(binary.AppendUvarint(nil, uint64(p.software(f))), f))})
	return id
}

// software returns the number of what runs, machine apart.
func (p *profiles) software(f *rules.Facts) uint32 {
	h := hashSoftware(p.seed, f)
	if id, ok := p.softByHash[h]; ok {
		return id
	}
	id := p.softNext
	p.softNext++
	p.softByHash[h] = id
	p.freshSoft = append(p.freshSoft, freshProfile{id, seal(event.AppendSoftware(startValue(nil), f))})
	return id
}

func hashSoftware(seed maphash.Seed, f *rules.Facts) uint64 {
	soft := *f
	soft.InstanceType, soft.InstanceFamily, soft.IoOptimized, soft.OSNVMe, soft.Running = "", "", 0, 0, 0
	return hashFacts(seed, &soft)
}

// hashFacts covers every field. The seed is secret and of this process, so
// that nobody can make two facts collide.
func hashFacts(seed maphash.Seed, f *rules.Facts) uint64 {
	const odd = 0x9E3779B97F4A7C15
	h := uint64(odd)
	for i, s := range [...]*string{
		&f.OSName, &f.OSNameEn, &f.OSType, &f.ImageID, &f.InstanceType, &f.InstanceFamily, &f.Name,
		&f.Image.Name, &f.Image.Family, &f.Image.Platform, &f.Image.OSName, &f.Image.OSNameEn, &f.Image.OSType,
		&f.Image.Architecture, &f.Image.BootMode, &f.Image.Owner, &f.Image.Status,
		&f.Image.CheckOSVersion, &f.Image.CheckKernel, &f.Image.TagOSVersion, &f.Image.TagKernelVersion,
		&f.Guest.Release, &f.Guest.Kernel, &f.Guest.Architecture,
	} {
		if *s != "" {
			h = (bits.RotateLeft64(h, 29) ^ maphash.String(seed, *s) + uint64(i)) * odd
		}
	}
	for _, t := range [...]rules.Tri{
		f.IoOptimized, f.OSNVMe, f.Running,
		f.Image.IoOptimized, f.Image.NVMe, f.Image.CheckVirtio, f.Image.CheckNVMe, f.Image.CheckXen,
		f.Image.CheckFstab, f.Image.CheckGRUB, f.Image.CheckSupported,
		f.Guest.Virtio, f.Guest.NVMe, f.Guest.XenResidue, f.Guest.DeviceNames, f.Guest.SecuritySoft, f.Guest.FreeBSDPatch,
	} {
		h = h<<2 ^ h>>62 ^ uint64(t)
	}
	h = (h ^ uint64(f.Image.Presence)) * odd
	return h ^ h>>32
}

// profileValue is what the profiles bucket holds: how the facts were judged,
// then the facts.
func profileValue(c *class, facts []byte) []byte {
	b := startValue(make([]byte, 0, 64+len(facts)))
	b = appendStr(b, c.levels)
	b = appendStr(b, c.family)
	b = appendStr(b, c.version)
	legacy := byte(0)
	if c.legacy {
		legacy = 1
	}
	return seal(append(append(b, legacy), facts...))
}

// readProfile splits a value of the profiles bucket; facts alias it.
func readProfile(v []byte) (class, []byte, error) {
	body, err := unseal("profile", v)
	if err != nil {
		return class{}, nil, err
	}
	d := dec{b: body}
	c := class{levels: d.str(), family: d.str(), version: d.str(), legacy: d.byte() == 1}
	if d.bad || len(c.levels) > maxTargets {
		return class{}, nil, fmt.Errorf("%w: profile has another shape", ErrCorrupt)
	}
	return c, d.b[d.off:], nil
}

// softwareOf splits the facts in a profile's value: the number of the software
// and the machine.
func softwareOf(enc []byte) (id uint32, machine []byte, err error) {
	n, used := binary.Uvarint(enc)
	if used <= 0 || n > maxProfile {
		return 0, nil, fmt.Errorf("%w: facts of a profile name no software", ErrCorrupt)
	}
	return uint32(n), enc[used:], nil
}

// decodeFacts puts the facts of a profile together.
func decodeFacts(tx *bbolt.Tx, enc []byte) (rules.Facts, error) {
	id, machine, err := softwareOf(enc)
	if err != nil {
		return rules.Facts{}, err
	}
	v := tx.Bucket(bucketSoftware).Get(key32(id))
	if v == nil {
		return rules.Facts{}, fmt.Errorf("%w: software %d of a profile is missing", ErrCorrupt, id)
	}
	software, err := unseal("software", v)
	if err != nil {
		return rules.Facts{}, err
	}
	f, err := event.DecodeParts(software, machine)
	if err != nil {
		return f, fmt.Errorf("%w: facts of a profile: %w", ErrCorrupt, err)
	}
	return f, nil
}

// restore takes a stored profile.
func (p *profiles) restore(id uint32, facts *rules.Facts, class uint32) {
	p.byHash[hashFacts(p.seed, facts)] = id
	p.set(id, class)
}
