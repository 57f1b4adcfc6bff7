package rules

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// A Classifier reads the two halves of Facts apart: what runs, and what it
// runs on. In a fleet both repeat, their combinations hardly do. Each half is
// reduced to what the rules look at and numbered; a classification belongs to a
// pair of numbers.

const (
	cacheSets = 1 << 13 // sets of each cache, a power of two
	cacheWays = 4       // entries in a set
)

// cache is a set-associative cache, as those of processors are: the hash of a key
// chooses one of cacheSets, which has room for cacheWays entries, and an entry too many
// replaces one of them. So it never grows, and readers take no lock.
type cache[E any] [cacheSets][cacheWays]atomic.Pointer[E]

func (c *cache[E]) set(h uint64) *[cacheWays]atomic.Pointer[E] { return &c[h&(cacheSets-1)] }

func (c *cache[E]) put(hash uint64, e *E) {
	set := c.set(hash)
	for i := range set {
		if set[i].CompareAndSwap(nil, e) {
			return
		}
	}
	set[hash>>32%cacheWays].Store(e)
}

// Classifier judges Facts for fixed targets. It is safe for concurrent use. It
// remembers up to 32,768 each of operating systems, machines and
// classifications, so that known Facts cost no allocation and no evaluation.
type Classifier struct {
	r       *Ruleset
	targets []Target
	ids     []string
	seed    maphash.Seed
	systems *cache[System]
	hosts   *cache[Host]
	verdict *cache[remembered]

	mu    sync.Mutex
	softs map[software]uint32
	hards map[hardware]uint32
	next  uint32
}

// System is an operating system as a Classifier read it from facts, which are
// kept without their machine.
type System struct {
	hash  uint64
	facts Facts
	id    identity
	soft  software
	no    uint32
}

// Host is a machine as a Classifier read it, and what it was read from.
type Host struct {
	hash  uint64
	from  Hardware
	no    uint32
	there uint32
	machine
}

// There has a bit for each of the classifier's targets whose hardware the machine
// is.
func (h *Host) There() uint32 { return h.there }

// remembered is the classification of a pair of numbers.
type remembered struct {
	pair uint64
	cl   *Classification
}

// maxNumbered bounds how many systems, and how many machines, have a number at a
// time. Beyond it all numbers are forgotten: what is read again gets another one,
// which costs that it is evaluated again, and nothing else.
const maxNumbered = 1 << 16

// NewClassifier makes a classifier for the targets; none means the default
// ones.
func (r *Ruleset) NewClassifier(targets []Target) *Classifier {
	if len(targets) == 0 {
		targets = DefaultTargets()
	}
	classifier := &Classifier{
		r: r, targets: append([]Target(nil), targets...), seed: maphash.MakeSeed(),
		systems: new(cache[System]), hosts: new(cache[Host]), verdict: new(cache[remembered]),
		softs: map[software]uint32{}, hards: map[hardware]uint32{},
	}
	for i := range targets {
		classifier.ids = append(classifier.ids, targets[i].ID)
	}
	return classifier
}

// Targets are the ids of the targets, in the order of the verdicts.
func (c *Classifier) Targets() []string { return append([]string(nil), c.ids...) }

// TargetList are the targets, in the order of the verdicts.
func (c *Classifier) TargetList() []Target { return append([]Target(nil), c.targets...) }

// Digest is that of the rule set.
func (c *Classifier) Digest() string { return c.r.digest }

// Ruleset is the rule set in use.
func (c *Classifier) Ruleset() *Ruleset { return c.r }

// Machine says what is known of the hardware.
func (c *Classifier) Machine(h Hardware) Machine { return c.Host(h).Machine }

// Classify says what the rule set says of f. The result is shared and must not
// be changed. f is not kept: strings that are remembered are copied.
func (c *Classifier) Classify(f *Facts) *Classification {
	return c.Judge(c.System(f), c.Host(f.Hardware()))
}

// Pair numbers what rules look at in a system and a host, both read by one
// Classifier: it judges what has the same number alike, and hosts of the same
// number are there on the same targets.
func Pair(s *System, m *Host) uint64 { return uint64(s.no)<<32 | uint64(m.no) }

// Pair is the function of that name, for those who judge by an interface.
func (c *Classifier) Pair(s *System, m *Host) uint64 { return Pair(s, m) }

// Judge says what the rule set says of a system on a host, both read by this
// Classifier. The result is shared and must not be changed.
func (c *Classifier) Judge(system *System, host *Host) *Classification {
	pair := Pair(system, host)
	hash := mix(pair, pair>>32)
	set := c.verdict.set(hash)
	for i := range set {
		if e := set[i].Load(); e != nil && e.pair == pair {
			return e.cl
		}
	}
	e := &remembered{pair, c.Evaluate(system, host)}
	c.verdict.put(hash, e)
	return e.cl
}

// Evaluate is Judge for those who remember what they made of it: it neither
// looks whether the pair is known nor remembers it.
func (c *Classifier) Evaluate(s *System, m *Host) *Classification {
	p := s.soft.on(&m.machine)
	return c.r.evaluate(&p, &s.id, c.targets, nil)
}

// System reads the operating system from facts. Where the same facts were read
// before, on whatever machine, it returns what was read then. facts is not kept.
func (c *Classifier) System(facts *Facts) *System {
	hash := c.hash(facts)
	set := c.systems.set(hash)
	for i := range set {
		if e := set[i].Load(); e != nil && e.hash == hash && e.facts.sameSoftware(facts) {
			return e
		}
	}
	system := &System{hash: hash, facts: facts.Software().clone()}
	system.id = system.facts.identify()
	system.soft = c.r.software(&system.facts, &system.id)
	system.no = c.number(&system.soft, len(system.id.conflicts)+len(system.id.alts) > 0)
	c.systems.put(hash, system)
	return system
}

// number returns a number for what rules look at in a system: systems that rules
// cannot tell apart share one, and with it their verdicts. alone asks for a number of
// its own, for a system whose evidence contradicts itself: the verdict names the
// texts that do, and those of another system would be others.
func (c *Classifier) number(software *software, alone bool) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, ok := c.softs[*software]; ok && !alone {
		return n
	}
	c.next++
	if alone {
		return c.next
	}
	if len(c.softs) >= maxNumbered {
		clear(c.softs)
	}
	c.softs[*software] = c.next
	return c.next
}

// Host reads a machine. Where the same hardware was read before, it returns what was
// read then.
func (c *Classifier) Host(hw Hardware) *Host {
	hash := c.hashHardware(&hw)
	set := c.hosts.set(hash)
	for i := range set {
		if e := set[i].Load(); e != nil && e.hash == hash && e.from.same(&hw) {
			return e
		}
	}
	hw.InstanceType, hw.InstanceFamily = strings.Clone(hw.InstanceType), strings.Clone(hw.InstanceFamily)
	host := &Host{hash: hash, from: hw, machine: c.r.machine(hw)}
	host.there = There(c.targets, hw, host.Machine)
	key := c.r.hardware(&host.machine, c.targets)
	key.there = host.there
	c.mu.Lock()
	defer c.mu.Unlock()
	number, ok := c.hards[key]
	if !ok {
		if len(c.hards) >= maxNumbered {
			clear(c.hards)
		}
		c.next++
		number = c.next
		c.hards[key] = number
	}
	host.no = number
	c.hosts.put(hash, host)
	return host
}

// There has a bit for each target whose hardware it is; machine is what is known of
// the hardware. The family that the cloud names counts before the one that the type
// is named after; where they contradict each other, it is nobody's.
func There(targets []Target, hardware Hardware, machine Machine) uint32 {
	if hardware.InstanceFamily != "" {
		if machine.Family == "" {
			return 0
		}
		machine.Family = hardware.InstanceFamily
	}
	bits := uint32(0)
	for i := range targets {
		if targets[i].There(hardware.InstanceType, &machine) {
			bits |= 1 << i
		}
	}
	return bits
}

// sameSoftware says whether both tell the same of an operating system, whatever the
// machine. It is written out field by field because it runs for every known system of
// every page: == on the whole struct calls a function for each pair of strings, and
// most of these strings are empty on both sides, which eq sees without a call.
func (f *Facts) sameSoftware(other *Facts) bool {
	image, otherImage, guest, otherGuest := &f.Image, &other.Image, &f.Guest, &other.Guest
	return eq(f.ImageID, other.ImageID) && eq(f.OSName, other.OSName) &&
		eq(f.OSNameEn, other.OSNameEn) && eq(f.OSType, other.OSType) && eq(f.Name, other.Name) &&
		eq(image.Name, otherImage.Name) && eq(image.Family, otherImage.Family) && eq(image.Platform, otherImage.Platform) && eq(image.OSName, otherImage.OSName) &&
		eq(image.OSNameEn, otherImage.OSNameEn) && eq(image.OSType, otherImage.OSType) && eq(image.Architecture, otherImage.Architecture) && eq(image.BootMode, otherImage.BootMode) &&
		eq(image.Owner, otherImage.Owner) && eq(image.Status, otherImage.Status) && image.Presence == otherImage.Presence &&
		image.IoOptimized == otherImage.IoOptimized && image.NVMe == otherImage.NVMe && image.CheckVirtio == otherImage.CheckVirtio && image.CheckNVMe == otherImage.CheckNVMe &&
		image.CheckXen == otherImage.CheckXen && image.CheckFstab == otherImage.CheckFstab && image.CheckGRUB == otherImage.CheckGRUB && image.CheckSupported == otherImage.CheckSupported &&
		eq(image.CheckOSVersion, otherImage.CheckOSVersion) && eq(image.CheckKernel, otherImage.CheckKernel) &&
		eq(image.TagOSVersion, otherImage.TagOSVersion) && eq(image.TagKernelVersion, otherImage.TagKernelVersion) &&
		eq(image.Offered, otherImage.Offered) && eq(image.Refused, otherImage.Refused) && eq(image.Fleet, otherImage.Fleet) &&
		eq(guest.Release, otherGuest.Release) && eq(guest.Kernel, otherGuest.Kernel) && eq(guest.Architecture, otherGuest.Architecture) &&
		guest.Virtio == otherGuest.Virtio && guest.NVMe == otherGuest.NVMe && guest.XenResidue == otherGuest.XenResidue && guest.DeviceNames == otherGuest.DeviceNames &&
		guest.SecuritySoft == otherGuest.SecuritySoft && guest.FreeBSDPatch == otherGuest.FreeBSDPatch && guest.SystemFiles == otherGuest.SystemFiles && guest.Up == otherGuest.Up &&
		eq(guest.ConsoleKernel, otherGuest.ConsoleKernel) && guest.ConsoleNames == otherGuest.ConsoleNames
}

func eq(a, b string) bool { return len(a) == len(b) && (a == "" || a == b) }

func (h *Hardware) same(o *Hardware) bool {
	return eq(h.InstanceType, o.InstanceType) && eq(h.InstanceFamily, o.InstanceFamily) &&
		h.IoOptimized == o.IoOptimized && h.OSNVMe == o.OSNVMe && h.Running == o.Running
}

// hash covers what tells the software of a fleet apart; equality decides about
// the rest.
func (c *Classifier) hash(facts *Facts) uint64 {
	text := facts.ImageID
	if text == "" {
		text = facts.OSName
		if text == "" {
			text = facts.Name
		}
	}
	h := maphash.String(c.seed, text)
	if facts.Guest.Kernel != "" {
		h = mix(h, maphash.String(c.seed, facts.Guest.Kernel))
	}
	return mix(h, uint64(facts.Image.Presence)|uint64(len(facts.OSName))<<8)
}

func (c *Classifier) hashHardware(h *Hardware) uint64 {
	return mix(maphash.String(c.seed, h.InstanceType), uint64(h.Running)|uint64(h.IoOptimized)<<8|uint64(h.OSNVMe)<<16|uint64(len(h.InstanceFamily))<<24)
}

func mix(a, b uint64) uint64 {
	a = (a ^ b) * 0x9E3779B97F4A7C15
	return a ^ a>>29
}

// clone copies every string of f into one piece of memory, so that the cache
// pins no message buffer and a comparison walks along.
func (f *Facts) clone() Facts {
	out := *f
	texts := out.Texts()
	all := append(texts[:], &out.InstanceType, &out.InstanceFamily)
	n := 0
	for _, s := range all {
		n += len(*s)
	}
	var builder strings.Builder
	builder.Grow(n)
	for _, s := range all {
		builder.WriteString(*s)
	}
	text := builder.String()
	for _, s := range all {
		*s, text = text[:len(*s)], text[len(*s):]
	}
	return out
}
