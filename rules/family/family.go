// Package family tells what hardware an ECS instance type stands for: its
// family, ECS generation, virtualization, CPU architecture and what it demands
// of a system disk. Facts come from a table; for families that nobody listed
// yet the naming rule decides as far as it goes, and what it does not decide
// is unknown. It never asks the cloud.
package family

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// The virtualization technologies.
const (
	Xen      = "xen"
	KVM      = "kvm"
	Shenlong = "shenlong"
	Unknown  = "unknown"

	byIoOptimized = "by_io_optimized"
)

// Perhaps is said of disks that may be attached by NVMe: the machine is of one of two families.
const Perhaps = "perhaps"

// What cloud disks a family takes, beside Unknown.
const (
	AnyDisks  = "any"        // of every category
	ESSD      = "essd"       // ESSD and ESSD AutoPL alone
	ESSDEntry = "essd+entry" // those and ESSD Entry alone
)

// firstESSD is the generation from which on families take ESSDs alone.
const firstESSD = 7

// disks are those that a family of the generation takes where no page says it of the
// family itself.
func (i *Info) disks() string {
	switch {
	case i.Generation >= firstESSD:
		return ESSD
	case i.Generation > 0:
		return AnyDisks
	}
	return Unknown
}

// Info is what is known of one instance family.
type Info struct {
	Family         string // "ecs.g6"
	Generation     int    // ECS generation, 0 when not known
	Class          string // KVM, Shenlong6, Shenlong7, Shenlong8: what the family counts as where something moves there; "" where nothing can
	Virtualization string // Xen, KVM, Shenlong or Unknown; "by_io_optimized" is resolved by Virt
	Arch           string // "x86_64", "arm64" or "" when not known
	Vendor         string // CPU vendor: "intel", "amd", "hygon", "arm" or "" when not known
	Lifecycle      string // "current", "previous" (sold, not recommended, or no longer listed), "retired", "private" (the vendor's private cloud alone), "" when not listed
	NVMe           string // system disk attachment: "required", "unsupported", "unknown"; Perhaps of no family
	Boot           string // "bios", "uefi", "bios+uefi", "unknown"
	Disks          string // the disks that it takes: AnyDisks, ESSD, ESSDEntry or Unknown
	Listed         bool   // from the table, not from the naming rule
	Source         string // the page that says so
	AsOf           string // the day that the page speaks of, "" when not listed
}

// The classes of families, by what they demand of a system.
const (
	Shenlong6 = "shenlong-6"
	Shenlong7 = "shenlong-7"
	Shenlong8 = "shenlong-8"
)

// newest is the class that a family counts as of which nothing decides: the
// one that demands most.
const newest = Shenlong8

// class is the class by generation and virtualization.
func (i *Info) class() string {
	switch {
	case i.Virtualization == Xen, i.Virtualization == byIoOptimized, i.Generation == 1:
		return ""
	case i.Virtualization == KVM:
		return KVM
	case i.Virtualization != Shenlong, i.Generation == 0:
		return newest
	case i.Generation <= 6:
		return Shenlong6
	case i.Generation == 7:
		return Shenlong7
	}
	return Shenlong8
}

// BootModes are the boot modes as the API spells them, none when not known.
func (i *Info) BootModes() []string {
	switch i.Boot {
	case "bios":
		return []string{"BIOS"}
	case "uefi":
		return []string{"UEFI"}
	case "bios+uefi":
		return []string{"BIOS", "UEFI"}
	}
	return nil
}

// Virt resolves the virtualization with what DescribeInstances says of I/O
// optimization: 1 no, 2 yes, 0 not observed (the values of rules.Tri).
// Instances that are not I/O optimized are Generation I and run on Xen.
func (i *Info) Virt(ioOptimized uint8) string {
	if ioOptimized == 1 && (i.Generation <= 1) && i.Virtualization != Shenlong {
		return Xen
	}
	if i.Virtualization == byIoOptimized {
		if ioOptimized == 2 {
			return KVM
		}
		return Unknown
	}
	return i.Virtualization
}

//go:embed families.tsv
var families string

//go:embed typechange.tsv
var typeChanges string

// Embedded are the tables that the binary carries, as text: the families, and
// between which of them an instance type can be changed.
func Embedded() string { return families + typeChanges }

// Table is an immutable set of families and of type changes between them.
type Table struct {
	byName map[string]*Info
	disks  map[string]string // by family, where a page says it
	names  []string
	pages  map[string]Page
	routes map[string]*Routes
	matrix Page
}

// Page is where a fact comes from.
type Page struct {
	Key  string
	AsOf string // the day that it speaks of, RFC 3339
	Name string
}

// The columns of a family, and of a family's type changes.
const (
	familyColumns = 11
	changeColumns = 2
)

// ParseTable reads tables: tab-separated lines. A line of eleven columns is a
// family: family, generation, class, virtualization, arch, vendor, lifecycle,
// nvme, boot, page, note. A line of two is a family and those that its
// instances can change to, separated by spaces, or "none". "#page" names a page
// (key, day, name), "#table" the page of the type changes, and "#disks" what disks
// some families take (what, key of the page, families); other lines that start with
// # and header lines are skipped. A later line replaces an earlier one of the same
// family.
func ParseTable(text string) (*Table, error) {
	table := &Table{byName: map[string]*Info{}, disks: map[string]string{}, pages: map[string]Page{}, routes: map[string]*Routes{}}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if err := table.line(line); err != nil {
			return nil, fmt.Errorf("family table line %d: %w", n+1, err)
		}
	}
	for name, disks := range table.disks {
		if table.byName[name] == nil {
			return nil, fmt.Errorf("family table: #disks names %s, which is no family of it", name)
		}
		table.byName[name].Disks = disks
	}
	for name := range table.byName {
		table.names = append(table.names, name)
	}
	sort.Strings(table.names)
	for _, routes := range table.routes {
		for to := range routes.families {
			info := table.Lookup("", to)
			routes.classes[info.Class] = true
		}
	}
	return table, nil
}

func (t *Table) line(line string) error {
	cells := strings.Split(line, "\t")
	switch {
	case cells[0] == "#page", cells[0] == "#table":
		if len(cells) != 4 {
			return fmt.Errorf("%s has %d columns instead of 4", cells[0], len(cells))
		}
		page := Page{Key: cells[1], AsOf: cells[2], Name: cells[3]}
		if _, err := time.Parse(time.DateOnly, page.AsOf); err != nil {
			return fmt.Errorf("%s %s: %q is no day such as 2026-11-01", cells[0], page.Key, page.AsOf)
		}
		if cells[0] == "#table" {
			t.matrix = page
		} else {
			t.pages[page.Key] = page
		}
	case cells[0] == "#disks":
		return t.takes(cells)
	case line == "", line[0] == '#', cells[0] == "family", cells[0] == "source_family":
	case len(cells) == changeColumns:
		return t.change(cells[0], strings.Fields(cells[1]))
	default:
		info, err := t.row(cells)
		if err != nil {
			return err
		}
		t.byName[info.Family] = info
	}
	return nil
}

// takes reads what disks some families take.
func (t *Table) takes(cells []string) error {
	if len(cells) != 4 {
		return fmt.Errorf("#disks has %d columns instead of 4", len(cells))
	}
	if !slices.Contains([]string{AnyDisks, ESSD, ESSDEntry, Unknown}, cells[1]) {
		return fmt.Errorf("#disks %q is none of %s %s %s %s", cells[1], AnyDisks, ESSD, ESSDEntry, Unknown)
	}
	for name := range strings.FieldsSeq(cells[3]) {
		t.disks[name] = cells[1]
	}
	return nil
}

func (t *Table) row(cells []string) (*Info, error) {
	if len(cells) != familyColumns {
		return nil, fmt.Errorf("%d columns instead of %d", len(cells), familyColumns)
	}
	gen, err := strconv.Atoi(cells[1])
	if err != nil || gen < 0 || gen > 99 {
		return nil, fmt.Errorf("generation %q is no number", cells[1])
	}
	info := &Info{
		Family: cells[0], Generation: gen, Class: cells[2], Virtualization: cells[3], Arch: cells[4], Vendor: cells[5], Lifecycle: cells[6],
		NVMe: cells[7], Boot: cells[8], Listed: true, Source: cells[9],
	}
	if !strings.HasPrefix(info.Family, "ecs.") {
		return nil, fmt.Errorf("family %q lacks the ecs. in front", info.Family)
	}
	for _, field := range []struct{ name, value, allowed string }{
		{"class", or(info.Class, KVM), "kvm shenlong-6 shenlong-7 shenlong-8"},
		{"virtualization", info.Virtualization, "xen kvm shenlong unknown by_io_optimized"},
		{"arch", info.Arch, "x86_64 arm64 unknown"},
		{"vendor", info.Vendor, "intel amd hygon arm unknown"},
		{"lifecycle", info.Lifecycle, "current previous retired private"},
		{"nvme", info.NVMe, "required unsupported unknown"},
		{"boot", info.Boot, "bios uefi bios+uefi unknown"},
	} {
		if field.value == "" || !strings.Contains(" "+field.allowed+" ", " "+field.value+" ") {
			return nil, fmt.Errorf("%s %q is none of %s", field.name, field.value, field.allowed)
		}
	}
	info.Class, info.Disks = or(info.Class, info.class()), info.disks()
	info.Arch, info.Vendor = known(info.Arch), known(info.Vendor)
	if p, ok := t.pages[cells[9]]; ok {
		info.Source, info.AsOf = p.Name, p.AsOf
	}
	if cells[10] != "" {
		info.Source += "; " + cells[10]
	}
	return info, nil
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func known(text string) string {
	if text == Unknown {
		return ""
	}
	return text
}

func (t *Table) change(from string, to []string) error {
	if !strings.HasPrefix(from, "ecs.") {
		return fmt.Errorf("family %q lacks the ecs. in front", from)
	}
	if len(to) == 1 && to[0] == "none" {
		to = nil
	}
	routes := &Routes{families: make(map[string]bool, len(to)), classes: map[string]bool{}}
	for _, family := range to {
		if !strings.HasPrefix(family, "ecs.") {
			return fmt.Errorf("type change of %s: family %q lacks the ecs. in front", from, family)
		}
		routes.families[family] = true
	}
	t.routes[from] = routes
	return nil
}

// Routes are the type changes that the matrix offers from one family.
type Routes struct {
	families, classes map[string]bool
}

// Routes returns those from a family; nil for one that the matrix does not
// name, which promises nothing.
func (t *Table) Routes(from string) *Routes { return t.routes[t.base(from)] }

// Sources are the families that the matrix names as the start of a change, in
// order.
func (t *Table) Sources() []string { return slices.Sorted(maps.Keys(t.routes)) }

// ToFamily says whether a change to that family is offered.
func (r *Routes) ToFamily(name string) bool { return r != nil && r.families[stripVariant(name)] }

// ToClass says whether a change to some family of that class is offered.
func (r *Routes) ToClass(class string) bool { return r != nil && r.classes[class] }

// Families are those that a change is offered to, in order.
func (r *Routes) Families() []string {
	if r == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(r.families))
}

// Matrix is the page of the type changes.
func (t *Table) Matrix() Page { return t.matrix }

// base is the family without its variant.
func (t *Table) base(name string) string {
	name = strings.ToLower(name)
	if _, ok := t.byName[name]; ok {
		return name
	}
	return stripVariant(name)
}

// Names returns the listed families in order.
func (t *Table) Names() []string { return append([]string(nil), t.names...) }

// Lookup resolves an instance: by its family as the API names it, or, when
// that is empty, by its type. A type that is not an ECS type at all, and one that
// is named after a family of other machines than those of the one that the API
// names, give an Info with an empty Family. Of the latter is said what speaks
// against a move from either of the two.
func (t *Table) Lookup(instanceType, instanceFamily string) Info {
	name, typed := strings.ToLower(strings.TrimSpace(instanceFamily)), t.FamilyOf(instanceType)
	switch {
	case name == "":
		name = typed
	case typed != "" && stem(typed) != stem(name):
		if info, other := t.info(name), t.info(typed); !info.alike(&other) {
			return info.or(&other)
		}
	}
	if name == "" {
		return nowhere
	}
	return t.info(name)
}

// nowhere is what is known of an instance of which nothing is.
var nowhere = Info{Virtualization: Unknown, NVMe: "unknown", Boot: "unknown", Disks: Unknown}

// stem is the name of a family without what tells a variant of it: ecs.vgn6i-vws and the
// types ecs.vgn6i-m16-vws are of one.
func stem(name string) string {
	head, _, _ := strings.Cut(name, "-")
	return head
}

// alike says whether machines of both families are the same to a verdict.
func (i *Info) alike(other *Info) bool {
	return i.Class == other.Class && i.Generation == other.Generation && i.Virtualization == other.Virtualization && i.Arch == other.Arch && i.NVMe == other.NVMe && i.Boot == other.Boot
}

// or is what is known of a machine that is of one of two families: that it may be Xen, and
// that its disks may be attached by NVMe, from which not every system gets away.
func (i *Info) or(other *Info) Info {
	out := nowhere
	if i.Virtualization == Xen || other.Virtualization == Xen {
		out.Virtualization = Xen
	}
	attaches := func(i *Info) bool { return i.NVMe == "required" || i.Class == Shenlong8 }
	if attaches(i) || attaches(other) {
		out.NVMe = Perhaps
	}
	return out
}

// info is what is known of a family.
func (t *Table) info(name string) Info {
	if info, ok := t.byName[name]; ok {
		return *info
	}
	if base := stripVariant(name); base != name {
		if info, ok := t.byName[base]; ok {
			return *info
		}
	}
	return byNaming(name)
}

// FamilyOf returns the family of a type id: "ecs.gn7i-c16g1.4xlarge" is of
// "ecs.gn7i". It is "" for a string that is no ECS type id.
func (t *Table) FamilyOf(instanceType string) string {
	s := strings.ToLower(strings.TrimSpace(instanceType))
	rest, ok := strings.CutPrefix(s, "ecs.")
	if !ok || rest == "" || len(s) > 64 {
		return ""
	}
	rest, _, _ = strings.Cut(rest, ".")
	if rest == "" || !validName(rest) {
		return ""
	}
	name := "ecs." + rest
	if _, ok := t.byName[name]; ok {
		return name
	}
	return stripVariant(name)
}

func validName(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return text[0] >= 'a' && text[0] <= 'z'
}

// stripVariant removes what is a variant of a family and not part of its name:
// a ratio (-c1m2, -lc1m1, -c16g1, -c14d3, -8tc14d3g), a count (-2x), a NUMA
// setting (-nps1), a slice (-m4) on either side of -vws, an Intel or network
// variant (-618e, -2i, -nfveni).
func stripVariant(name string) string {
	head, tail, ok := strings.Cut(name, "-")
	if !ok {
		return name
	}
	for part := range strings.SplitSeq(tail, "-") {
		switch part {
		case "vws", "redis", "6t", "trans", "enhance", "tee", "k":
			head += "-" + part
		}
	}
	return head
}

// Family names and bodies whose digit is the ECS generation, and those on bare
// metal, as the naming page has them.
var generationBodies = [...]string{"g", "c", "r", "re", "hfg", "hfc", "hfr", "ic", "t", "s", "hpc"}

// byNaming applies the naming rule to a family that is not in the table.
func byNaming(name string) Info {
	info := Info{
		Family: name, Virtualization: Unknown, NVMe: "unknown", Boot: "unknown", Disks: Unknown, Source: "the naming rule",
	}
	rest, _, _ := strings.Cut(strings.TrimPrefix(name, "ecs."), "-")
	for _, p := range []string{"ebm", "scc"} {
		if r, ok := strings.CutPrefix(rest, p); ok && r != "" {
			rest, info.Virtualization = r, Shenlong
		}
	}
	body, digits, suffix := splitName(rest)
	if digits == "" {
		return info // no name of a family: nothing moves there
	}
	generation, _ := strconv.Atoi(digits)
	for _, b := range generationBodies {
		if b == body && generation >= 5 && generation <= 20 {
			info.Generation = generation
		}
	}
	switch {
	case info.Virtualization == Shenlong:
	case info.Generation >= 6:
		info.Virtualization = Shenlong
	case info.Generation == 5:
		info.Virtualization = KVM
	}
	if info.Generation > 0 || info.Virtualization == Shenlong {
		info.cpu(suffix)
	}
	if info.Generation > 0 && info.Generation < 7 {
		info.NVMe = "unsupported"
	}
	info.Class, info.Disks = info.class(), info.disks()
	return info
}

// intelSuffixes are those that the naming page, or a listed family of it, gives
// to families without a letter for the vendor: these are Intel's.
var intelSuffixes = [...]string{"", "e", "ex", "ne", "nec", "nex", "nv", "p", "s", "se", "t", "v", "vn"}

// firstOthers is the generation in which other vendors than Intel came.
const firstOthers = 6

// cpu reads the CPU vendor out of the suffix letters. Letters that nobody knows
// tell neither vendor nor architecture: the next line of Arm families will have
// some.
func (i *Info) cpu(suffix string) {
	vendor, arch := "intel", "x86_64"
	switch {
	case strings.HasPrefix(suffix, "y"), suffix == "r":
		vendor, arch, i.Boot = "arm", "arm64", "uefi"
	case i.Generation > 0 && i.Generation < firstOthers, slices.Contains(intelSuffixes[:], suffix):
	case strings.ContainsAny(suffix, "yr"):
		return
	case strings.HasPrefix(suffix, "i"):
	case strings.HasPrefix(suffix, "a"):
		vendor = "amd"
	case strings.HasPrefix(suffix, "h"):
		vendor = "hygon"
	default:
		return
	}
	i.Arch, i.Vendor = arch, vendor
}

func splitName(text string) (body, digits, suffix string) {
	at := 0
	for at < len(text) && text[at] >= 'a' && text[at] <= 'z' {
		at++
	}
	j := at
	for j < len(text) && text[j] >= '0' && text[j] <= '9' {
		j++
	}
	return text[:at], text[at:j], text[j:]
}

// Size reads the size part of a type id and says whether it is well formed:
// "small", "large", "xlarge", "4xlarge", "26xlarge", "3xlarge". It returns the
// number of vCPUs that the size means in families of a fixed ratio, 0 when the
// size does not say.
func Size(instanceType string) (vcpus int, ok bool) {
	s := strings.ToLower(strings.TrimSpace(instanceType))
	i := strings.LastIndexByte(s, '.')
	if i < 5 {
		return 0, false
	}
	switch size := s[i+1:]; size {
	case "nano", "tiny", "xsmall", "small", "medium":
		return 1, true
	case "large":
		return 2, true
	case "xlarge":
		return 4, true
	default:
		n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge"))
		if err != nil || !strings.HasSuffix(size, "xlarge") || n < 1 || n > 999 {
			return 0, false
		}
		return 4 * n, true
	}
}
