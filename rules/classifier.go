package rules

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

const (
	cacheSets = 1 << 12 // sets of each cache, a power of two
	cacheWays = 4       // entries in a set
)

// Classifier judges Facts for fixed targets. It is safe for concurrent use. It
// remembers up to 16,384 classifications, so that known Facts cost no
// allocation and no evaluation, and as many identities of operating systems,
// which repeat in far more combinations with instance types.
type Classifier struct {
	r       *Ruleset
	targets []Target
	ids     []string
	seed    maphash.Seed
	known   *[cacheSets][cacheWays]atomic.Pointer[remembered]
	systems *[cacheSets][cacheWays]atomic.Pointer[system]
	shared  *[cacheSets][cacheWays]atomic.Pointer[sharedProfile]
	// once holds hashes of facts that were seen once: only what comes again is
	// worth a copy.
	once *[cacheSets * cacheWays]atomic.Uint64
}

// system is the identity of an operating system and the facts, those of the
// machine left out, that it was read from.
type system struct {
	hash  uint64
	facts Facts
	id    identity
}

// remembered is one immutable entry: the facts and what was said of them.
type remembered struct {
	hash  uint64
	facts Facts
	cl    *Classification
}

// sharedProfile lets Facts that differ only in what no rule looks at share one
// Classification.
type sharedProfile struct {
	hash    uint64
	profile profile
	cl      *Classification
}

// NewClassifier makes a classifier for the targets; none means the default
// ones.
func (r *Ruleset) NewClassifier(targets []Target) *Classifier {
	if len(targets) == 0 {
		targets = DefaultTargets()
	}
	c := &Classifier{
		r: r, targets: append([]Target(nil), targets...), seed: maphash.MakeSeed(),
		known:   new([cacheSets][cacheWays]atomic.Pointer[remembered]),
		systems: new([cacheSets][cacheWays]atomic.Pointer[system]),
		shared:  new([cacheSets][cacheWays]atomic.Pointer[sharedProfile]),
		once:    new([cacheSets * cacheWays]atomic.Uint64),
	}
	for i := range targets {
		c.ids = append(c.ids, targets[i].ID)
	}
	return c
}

// Targets are the ids of the targets, in the order of the verdicts.
func (c *Classifier) Targets() []string { return append([]string(nil), c.ids...) }

// TargetList are the targets, in the order of the verdicts.
func (c *Classifier) TargetList() []Target { return append([]Target(nil), c.targets...) }

// Digest is that of the rule set.
func (c *Classifier) Digest() string { return c.r.digest }

// Ruleset is the rule set in use.
func (c *Classifier) Ruleset() *Ruleset { return c.r }

// Classify says what the rule set says of f. The result is shared and must not
// be changed. f is not kept: strings that are remembered are copied.
func (c *Classifier) Classify(f *Facts) *Classification {
	h := c.hash(f)
	set := &c.known[h&(cacheSets-1)]
	for i := range set {
		if e := set[i].Load(); e != nil && e.hash == h && e.facts.same(f) {
			return e.cl
		}
	}
	cl := c.classify(f)
	if o := &c.once[h%(cacheSets*cacheWays)]; o.Load() != h {
		o.Store(h)
		return cl
	}
	e := &remembered{hash: h, facts: f.clone(), cl: cl}
	for i := range set {
		if set[i].CompareAndSwap(nil, e) {
			return cl
		}
	}
	set[(h>>32)%cacheWays].Store(e)
	return cl
}

// same is ==, which the compiler makes with a call for every string, the empty
// ones included.
func (f *Facts) same(o *Facts) bool {
	a, b, g, h := &f.Image, &o.Image, &f.Guest, &o.Guest
	return eq(f.ImageID, o.ImageID) && eq(f.InstanceType, o.InstanceType) && eq(f.OSName, o.OSName) &&
		eq(f.OSNameEn, o.OSNameEn) && eq(f.OSType, o.OSType) && eq(f.InstanceFamily, o.InstanceFamily) && eq(f.Name, o.Name) &&
		f.IoOptimized == o.IoOptimized && f.OSNVMe == o.OSNVMe && f.Running == o.Running &&
		eq(a.Name, b.Name) && eq(a.Family, b.Family) && eq(a.Platform, b.Platform) && eq(a.OSName, b.OSName) &&
		eq(a.OSNameEn, b.OSNameEn) && eq(a.OSType, b.OSType) && eq(a.Architecture, b.Architecture) && eq(a.BootMode, b.BootMode) &&
		eq(a.Owner, b.Owner) && eq(a.Status, b.Status) && a.Presence == b.Presence &&
		a.IoOptimized == b.IoOptimized && a.NVMe == b.NVMe && a.CheckVirtio == b.CheckVirtio && a.CheckNVMe == b.CheckNVMe &&
		a.CheckXen == b.CheckXen && a.CheckFstab == b.CheckFstab && a.CheckGRUB == b.CheckGRUB && a.CheckSupported == b.CheckSupported &&
		eq(a.CheckOSVersion, b.CheckOSVersion) && eq(a.CheckKernel, b.CheckKernel) &&
		eq(a.TagOSVersion, b.TagOSVersion) && eq(a.TagKernelVersion, b.TagKernelVersion) &&
		eq(g.Release, h.Release) && eq(g.Kernel, h.Kernel) && eq(g.Architecture, h.Architecture) &&
		g.Virtio == h.Virtio && g.NVMe == h.NVMe && g.XenResidue == h.XenResidue && g.DeviceNames == h.DeviceNames &&
		g.SecuritySoft == h.SecuritySoft && g.FreeBSDPatch == h.FreeBSDPatch
}

func eq(a, b string) bool { return len(a) == len(b) && (a == "" || a == b) }

// hash covers what tells the facts of a fleet apart; equality decides about
// the rest.
func (c *Classifier) hash(f *Facts) uint64 {
	text := f.ImageID
	if text == "" {
		text = f.OSName
		if text == "" {
			text = f.Name
		}
	}
	h := maphash.String(c.seed, text)
	if f.Guest.Kernel != "" {
		h = mix(h, maphash.String(c.seed, f.Guest.Kernel))
	}
	if t := f.InstanceType; len(t) > 8 { // "ecs." says nothing
		h = mix(h, word(t[4:])^word(t[len(t)-8:])<<1)
	}
	return mix(h, uint64(f.Running)|uint64(f.IoOptimized)<<8|uint64(f.Image.Presence)<<16|uint64(len(f.OSName))<<24|uint64(len(f.InstanceType))<<40)
}

// word is the first eight bytes of s, fewer where s is shorter.
func word(s string) uint64 {
	var w uint64
	for i := 0; i < len(s) && i < 8; i++ {
		w |= uint64(s[i]) << (8 * i)
	}
	return w
}

func mix(a, b uint64) uint64 {
	a = (a ^ b) * 0x9E3779B97F4A7C15
	return a ^ a>>29
}

// identify reads the operating system, from memory where the same facts were
// read before on whatever machine.
func (c *Classifier) identify(f *Facts) *identity {
	soft := *f
	soft.InstanceType, soft.InstanceFamily, soft.IoOptimized, soft.OSNVMe, soft.Running = "", "", Unobserved, Unobserved, Unobserved
	h := c.hash(&soft)
	set := &c.systems[h&(cacheSets-1)]
	for i := range set {
		if e := set[i].Load(); e != nil && e.hash == h && e.facts.same(&soft) {
			return &e.id
		}
	}
	e := &system{hash: h, facts: soft.clone()}
	e.id = e.facts.identify()
	for i := range set {
		if set[i].CompareAndSwap(nil, e) {
			return &e.id
		}
	}
	set[(h>>32)%cacheWays].Store(e)
	return &e.id
}

// classify is the path of facts that are not remembered.
func (c *Classifier) classify(f *Facts) *Classification {
	id := c.identify(f)
	p := c.r.profile(f, id)
	if len(id.conflicts) > 0 || len(id.alts) > 0 {
		p.os = p.os.clone()
		return c.r.evaluate(&p, id, c.targets, nil)
	}
	h := maphash.Comparable(c.seed, p)
	set := &c.shared[h&(cacheSets-1)]
	for i := range set {
		if e := set[i].Load(); e != nil && e.hash == h && e.profile == p {
			return e.cl
		}
	}
	p.os = p.os.clone()
	p.machine.Family = strings.Clone(p.machine.Family)
	p.owner = strings.Clone(p.owner)
	cl := c.r.evaluate(&p, id, c.targets, nil)
	e := &sharedProfile{hash: h, profile: p, cl: cl}
	for i := range set {
		if set[i].CompareAndSwap(nil, e) {
			return cl
		}
	}
	set[(h>>32)%cacheWays].Store(e)
	return cl
}

func (o OS) clone() OS {
	o.Version, o.ServicePack = strings.Clone(o.Version), strings.Clone(o.ServicePack)
	o.Edition, o.Kernel = strings.Clone(o.Edition), strings.Clone(o.Kernel)
	return o
}

// clone copies every string of f into one piece of memory, so that the cache
// pins no message buffer and a comparison walks along.
func (f *Facts) clone() Facts {
	out := *f
	all := [...]*string{
		&out.OSName, &out.OSNameEn, &out.OSType, &out.ImageID, &out.InstanceType, &out.InstanceFamily,
		&out.Image.Name, &out.Image.Family, &out.Image.Platform, &out.Image.OSName, &out.Image.OSNameEn, &out.Image.OSType,
		&out.Image.Architecture, &out.Image.BootMode, &out.Image.Owner, &out.Image.Status,
		&out.Image.CheckOSVersion, &out.Image.CheckKernel, &out.Image.TagOSVersion, &out.Image.TagKernelVersion,
		&out.Guest.Release, &out.Guest.Kernel, &out.Guest.Architecture, &out.Name,
	}
	n := 0
	for _, s := range all {
		n += len(*s)
	}
	var b strings.Builder
	b.Grow(n)
	for _, s := range all {
		b.WriteString(*s)
	}
	text := b.String()
	for _, s := range all {
		*s, text = text[:len(*s)], text[len(*s):]
	}
	return out
}
