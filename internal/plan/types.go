package plan

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/family"
)

// offer is a type of the catalogue with what its family stands for.
type offer struct {
	ecs.InstanceType
	info *family.Info
	rank int // how plain the family is, the plainest first
}

// chooser recommends types.
type chooser struct {
	o       Options
	byID    map[string]*offer
	targets []*offer // that the target allows, best first
	gen5    []*offer // of the 5th generation, not SHENLONG, best first
	cache   map[choiceKey]Choice
	onClass *fits // of the target
	onGen5  *fits
}

// choiceKey is all that a recommendation depends on.
type choiceKey struct {
	scope       ecs.Scope // where stock was asked for
	typ, zone   string
	cpu, memory int
	arch        string
	system      *fits // of the target, or of the 5th generation
	against     *reserve
}

func newChooser(options Options) *chooser {
	c := &chooser{o: options, byID: map[string]*offer{}, cache: map[choiceKey]Choice{}}
	for i := range options.Types {
		instanceType := &options.Types[i]
		info := options.Families.Lookup(instanceType.ID, instanceType.Family)
		of := &offer{InstanceType: *instanceType, info: &info, rank: 2*plainness(instanceType.Family) + variant(instanceType)}
		c.byID[instanceType.ID] = of
		if c.onTarget(of) {
			c.targets = append(c.targets, of)
		}
		if info.Generation == 5 && info.Virtualization == family.KVM && general(instanceType.Family) {
			c.gen5 = append(c.gen5, of)
		}
	}
	for _, list := range [][]*offer{c.targets, c.gen5} {
		slices.SortFunc(list, func(a, b *offer) int {
			return cmp.Or(
				cmp.Compare(a.info.Generation, b.info.Generation), cmp.Compare(a.rank, b.rank),
				cmp.Compare(a.CPU, b.CPU), cmp.Compare(a.MemoryGiB, b.MemoryGiB), cmp.Compare(a.ID, b.ID),
			)
		})
	}
	class := options.Target
	if class.Type == "" && class.Family == "" {
		c.onClass = newFits(options.Rules, class, c.targets, ecs.TypeFacts(options.Types))
	} else {
		c.onClass = newFits(nil, class, nil, nil) // the family was chosen by a person, and the verdict is its own
	}
	c.onGen5 = newFits(options.Rules, rules.Target{ID: "kvm", Class: rules.ClassKVM}, c.gen5, ecs.TypeFacts(options.Types))
	return c
}

// onTarget tells whether a type may be recommended for the target.
func (c *chooser) onTarget(of *offer) bool {
	target := &c.o.Target
	switch {
	case target.Type != "":
		return of.ID == target.Type
	case target.Family != "":
		return of.Family == target.Family
	}
	if !general(of.Family) || of.info.Lifecycle == "retired" || of.info.Lifecycle == "private" || needsUEFI(of) || of.info.Generation == 0 {
		return false
	}
	if target.Class == rules.ClassKVM {
		return of.info.Generation == 5 && of.info.Class == family.KVM
	}
	return of.info.Class == target.Class.String() && of.info.Lifecycle == "current"
}

// needsUEFI tells whether an x86 type boots UEFI images only: most images of
// old instances are BIOS images, and records do not tell.
func needsUEFI(of *offer) bool {
	return arch(of) == "x86_64" && len(of.BootModes) > 0 && !slices.Contains(of.BootModes, "BIOS") || len(of.BootModes) == 0 && of.info.Boot == "uefi" && arch(of) == "x86_64"
}

// generalFamily are the families that can stand in for one another: general
// purpose, compute, memory, high frequency and burstable, without GPUs, local
// disks or bare metal.
var generalFamily = regexp.MustCompile(`^ecs\.(g|c|r|hfg|hfc|hfr|t|ic|s)[0-9]+[a-z]*$`)

func general(name string) bool { return generalFamily.MatchString(name) }

// plainness ranks families of one generation: g6 before hfg6 before g6e before
// t6 (burstable).
func plainness(name string) int {
	body := strings.TrimPrefix(name, "ecs.")
	digits := strings.IndexAny(body, "0123456789")
	if digits < 0 {
		return 9
	}
	kind, suffix := body[:digits], strings.TrimLeft(body[digits:], "0123456789")
	rank := 0
	switch kind {
	case "g", "c", "r":
	case "hfg", "hfc", "hfr", "ic":
		rank = 2
	default:
		rank = 6
	}
	switch suffix {
	case "":
	case "i":
		rank++
	case "a", "y", "r":
		rank += 2
	default:
		rank += 3
	}
	return rank
}

// variant tells apart "ecs.g6-nfveni.large" from "ecs.g6.large": what is made
// for one purpose comes after what is made for any.
func variant(t *ecs.InstanceType) int {
	if strings.HasPrefix(t.ID, t.Family+"-") {
		return 1
	}
	return 0
}

func arch(of *offer) string {
	switch of.Arch {
	case "ARM":
		return "arm64"
	case "X86":
		return "x86_64"
	}
	return of.info.Arch
}

// size is what the instance has now.
func (c *chooser) size(rec *record.Record) (cpu int, memoryMiB int, cpuArch string) {
	cpu, memoryMiB = rec.CPU, rec.MemoryMiB
	cpuArch = "x86_64"
	info := c.o.Families.Lookup(rec.InstanceType, rec.InstanceFamily)
	if info.Arch != "" {
		cpuArch = info.Arch
	}
	if have := c.byID[rec.InstanceType]; have != nil {
		cpuArch = arch(have)
		if cpu == 0 || memoryMiB == 0 {
			cpu, memoryMiB = have.CPU, int(have.MemoryGiB*1024)
		}
	}
	if memoryMiB > 0 && strings.HasPrefix(rec.OS.Family, "windows") {
		memoryMiB = max(memoryMiB, windowsMemoryMiB)
	}
	return cpu, memoryMiB, cpuArch
}

// replacement recommends a type of the target.
func (c *chooser) replacement(rec *record.Record) Choice {
	return c.choose(rec, c.targets, c.onClass)
}

// fallback recommends a 5th-generation type that runs the instance's system.
func (c *chooser) fallback(rec *record.Record) Choice {
	verdict := report.VerdictOn(rec, "kvm")
	switch {
	case rec.Virtualization == family.Shenlong:
		return Choice{Type: rec.InstanceType, Why: "it runs on SHENLONG now and stays where it is"}
	case verdict == nil:
		return Choice{Why: "there is no verdict on kvm; scan with --target kvm too"}
	case verdict.Level == rules.Incompatible:
		return Choice{Why: "its operating system does not boot on the 5th generation either"}
	case verdict.Level == rules.NeedsAction && c.noWayOut(rec):
		return Choice{Why: "the 5th generation is no way out either: " + verdict.Reason}
	case verdict.Level == rules.Unknown:
		return Choice{Why: "whether its operating system boots on the 5th generation is not known"}
	case rec.Virtualization == family.KVM:
		return Choice{Type: rec.InstanceType, Why: "it runs on KVM now and can stay"}
	}
	choice := c.choose(rec, c.gen5, c.onGen5)
	if verdict.Level == rules.NeedsAction && choice.Type != "" {
		choice.Why += "; there too it needs action: " + verdict.Reason
	}
	return choice
}

// noWayOut tells whether the rules hold an instance back from the target and do
// not offer the 5th generation instead.
func (c *chooser) noWayOut(rec *record.Record) bool {
	v := report.VerdictOn(rec, c.o.Target.ID)
	return v != nil && v.Level == rules.Incompatible && !has(v, "stay-gen5") && rec.Virtualization != family.KVM
}

// choose picks an offer, once for all instances that the choice is the same for.
func (c *chooser) choose(rec *record.Record, offers []*offer, system *fits) Choice {
	cpu, memory, arch := c.size(rec)
	key := choiceKey{typ: rec.InstanceType, cpu: cpu, memory: memory, arch: arch, system: system}
	key.against = system.of(rec, arch == "arm64")
	if c.o.Stock != nil {
		key.scope, key.zone = ecs.Scope{Account: rec.Account, Region: rec.Region}, rec.Zone
	}
	choice, ok := c.cache[key]
	if !ok {
		choice = c.pick(offers, rec, cpu, memory, arch, *key.against)
		c.cache[key] = choice
	}
	return choice
}

// pick finds the first type of the same size, else the smallest that is no
// smaller.
func (c *chooser) pick(offers []*offer, rec *record.Record, cpu, memory int, cpuArch string, against reserve) Choice {
	switch {
	case len(c.o.Types) == 0:
		return Choice{Why: "the type catalogue was not read"}
	case cpu == 0 || memory == 0:
		return Choice{Why: "its vCPUs and memory are not known"}
	case !general(rec.InstanceFamily) && !oldGeneral(rec.InstanceFamily) && c.o.Target.Family == "":
		return Choice{Why: rec.InstanceFamily + " has hardware of its own (local disks, GPU, bare metal or the like): choose by hand"}
	}
	return c.among(offers, rec, cpu, memory, cpuArch, against)
}

// among picks by size and by what the zone sells: of the same size the first
// that is well in stock, else the first that is sold at all; else the smallest
// that is larger; else what would fit if it were sold.
func (c *chooser) among(offers []*offer, rec *record.Record, cpu, memory int, cpuArch string, against reserve) Choice {
	var same, scarce, sameGone, larger, largerGone, left *offer
	at := c.place(rec)
	for _, of := range c.byRoute(rec, offers) {
		memoryOf := of.MemoryGiB * 1024
		if arch(of) != cpuArch || of.CPU < cpu || memoryOf < 0.99*float64(memory) || burstable(of.Family) && !burstable(rec.InstanceFamily) {
			continue
		}
		if against[of.Family] != "" {
			if same == nil {
				left = cmp.Or(left, of)
			}
			continue
		}
		stock := at.stock(of.ID)
		if of.CPU == cpu && math.Abs(memoryOf-float64(memory)) <= 0.01*float64(memory) {
			slot := [...]**offer{ecs.SoldOut: &sameGone, ecs.LowStock: &scarce, ecs.InStock: &same}[stock]
			*slot = cmp.Or(*slot, of)
			continue
		}
		slot := &larger
		if stock == ecs.SoldOut {
			slot = &largerGone
		}
		if *slot == nil || of.CPU < (*slot).CPU || of.CPU == (*slot).CPU && of.MemoryGiB < (*slot).MemoryGiB {
			*slot = of
		}
	}
	want := fmt.Sprintf("%d and %s, %s", cpu, gib(float64(memory)/1024), cpuArch)
	enlarged := func(of *offer) string {
		return fmt.Sprintf("the next larger: %d vCPU and %s instead of %s", of.CPU, gib(of.MemoryGiB), want)
	}
	first := cmp.Or(sameGone, largerGone) // what would be taken if it were sold
	switch same = cmp.Or(same, scarce); {
	case same != nil:
		return at.choice(same, sameGone, fmt.Sprintf("%d vCPU and %s as now, %s", cpu, gib(same.MemoryGiB), cpuArch))
	case larger != nil && sameGone != nil:
		return at.choice(larger, sameGone, "no type of the same size is sold in "+rec.Zone+"; "+enlarged(larger))
	case larger != nil:
		return at.choice(larger, nil, "no type of the same size; "+enlarged(larger))
	case first == nil && left != nil:
		return Choice{Why: "every type that would fit has something against it, " + left.ID + " for one: " + against[left.Family]}
	case first == nil:
		return Choice{Why: fmt.Sprintf("no type of the target has %d vCPU, %s and %s", cpu, gib(float64(memory)/1024), cpuArch)}
	case first == largerGone:
		return at.choice(first, first, "no type of the same size; "+enlarged(first))
	}
	return at.choice(first, first, fmt.Sprintf("%d vCPU and %s as now, %s", cpu, gib(first.MemoryGiB), cpuArch))
}

// choice is a recommended type; gone is a better one that is sold out here.
func (p *place) choice(of, gone *offer, why string) Choice {
	out := Choice{Type: of.ID, Why: why, Availability: p.word(of.ID)}
	switch out.Availability {
	case Sold:
		out.Why += ", sold in " + p.zone
	case LowStock:
		out.Why += ", few left in " + p.zone
	}
	if gone != nil && (gone == of || gone.better(of)) {
		out.FirstChoice, out.Zones = gone.ID, p.elsewhere(gone.ID)
		out.Why += "; " + p.gone(gone.ID)
	}
	return out
}

// better tells whether a comes before b where both are sold.
func (a *offer) better(b *offer) bool {
	return a.CPU != b.CPU || a.MemoryGiB != b.MemoryGiB || cmp.Or(cmp.Compare(a.info.Generation, b.info.Generation), cmp.Compare(a.rank, b.rank)) < 0
}

func gib(n float64) string { return fmt.Sprintf("%g GiB", n) }

var (
	oldGeneralFamily = regexp.MustCompile(`^ecs\.(t1|s[1-3]|m[12]|c[12]|n[1-4]|mn4|xn4|e[34]|sn[12](ne)?|se1(ne)?|cm4|ce4|c4|t5|u1|e)$`)
	burstableFamily  = regexp.MustCompile(`^ecs\.(t[0-9]+|xn4)$`)
)

// oldGeneral names the families before the naming rule that had no hardware of
// their own.
func oldGeneral(name string) bool { return oldGeneralFamily.MatchString(name) }

func burstable(name string) bool { return burstableFamily.MatchString(name) }

// way is from a family to another or, where to is "", to a class.
type way struct {
	from, to string
	class    rules.Class
}

// wayFound is a path with its note, kept once for all instances that take it.
type wayFound struct {
	path Path
	note string
}

// path says how the instance gets to a family or, where none is recommended
// ("") and none was asked for, to the class.
func (b *builder) path(rec *record.Record, to string, class rules.Class) (Path, string) {
	from := b.o.Families.Lookup(rec.InstanceType, rec.InstanceFamily)
	key := way{from.Family, to, class}
	found, ok := b.ways[key]
	if !ok {
		found.path, found.note = b.find(&from, to, class)
		b.ways[key] = found
	}
	return found.path, found.note
}

// find looks into the matrix of type changes.
func (b *builder) find(from *family.Info, to string, class rules.Class) (Path, string) {
	families := b.o.Families
	matrix := "the vendor's matrix of type changes of " + families.Matrix().AsOf
	if from.Family == "" {
		return PathUnknown, "its family is not known; ask DescribeResourcesModification"
	}
	routes := families.Routes(from.Family)
	if routes == nil {
		return NewInstance, matrix + " does not name " + from.Family
	}
	if to == "" {
		switch {
		case len(routes.Families()) == 0:
			return NewInstance, from.Family + " offers no type change, by " + matrix
		case !routes.ToClass(class.String()):
			return NewInstance, "no change from " + from.Family + " to any family of " + class.String() + " is in " + matrix
		}
		return PathUnknown, "a type change leads from " + from.Family + " to some families of " + class.String() + ", by " + matrix
	}
	if !routes.ToFamily(to) {
		note := "no change from " + from.Family + " to " + to + " is in " + matrix
		if vendor := families.Lookup("", to).Vendor; from.Vendor != vendor && from.Vendor != "" && vendor != "" {
			note += "; the CPUs are of different makers"
		}
		return NewInstance, note
	}
	note := "from " + from.Family + " to " + to + ", by " + matrix
	if !families.Routes(to).ToFamily(from.Family) {
		note += "; no change leads back"
	}
	return TypeChange, note
}

// byRoute puts the types that a type change leads to before the others, which
// keep their order.
func (c *chooser) byRoute(rec *record.Record, offers []*offer) []*offer {
	routes := c.o.Families.Routes(c.o.Families.Lookup(rec.InstanceType, rec.InstanceFamily).Family)
	out := make([]*offer, 0, len(offers))
	for _, reachable := range []bool{true, false} {
		for _, of := range offers {
			if routes.ToFamily(of.Family) == reachable {
				out = append(out, of)
			}
		}
	}
	return out
}
