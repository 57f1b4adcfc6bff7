// Package family tells what hardware an ECS instance type stands for: its
// family, ECS generation, virtualization, CPU architecture and what it demands
// of a system disk. Facts come from a table; for families that nobody listed
// yet the naming rule decides as far as it goes, and what it does not decide
// is unknown. It never asks the cloud.
package family

import (
	_ "embed"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// The virtualization technologies.
const (
	Xen      = "xen"
	KVM      = "kvm"
	Shenlong = "shenlong"
	Unknown  = "unknown"

	byIoOptimized = "by_io_optimized"
)

// Info is what is known of one instance family.
type Info struct {
	Family         string // "ecs.g6"
	Generation     int    // ECS generation, 0 when not known
	Virtualization string // Xen, KVM, Shenlong or Unknown; "by_io_optimized" is resolved by Virt
	Arch           string // "x86_64" or "arm64"
	Vendor         string // CPU vendor: "intel", "amd", "arm"
	Lifecycle      string // "current", "previous", "retired", "" when not listed
	NVMe           string // system disk attachment: "required", "likely", "unsupported", "unknown"
	Boot           string // "bios", "uefi", "unknown"
	NoTypeChange   bool   // no instance type change to another family is offered
	Listed         bool   // from the table, not from the naming rule
	Source         string
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
var embedded string

// Embedded is the family table that the binary carries, as text.
func Embedded() string { return embedded }

// Table is an immutable set of families.
type Table struct {
	byName map[string]*Info
	names  []string
}

const columns = 10

// ParseTable reads a family table: tab-separated lines of family, generation,
// virtualization, arch, vendor, lifecycle, nvme, boot, type_change, source.
// Lines that start with # and the header line are skipped. A later line
// replaces an earlier one of the same family.
func ParseTable(text string) (*Table, error) {
	t := &Table{byName: map[string]*Info{}}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "family\t") {
			continue
		}
		info, err := parseRow(line)
		if err != nil {
			return nil, fmt.Errorf("family table line %d: %w", n+1, err)
		}
		t.byName[info.Family] = info
	}
	for name := range t.byName {
		t.names = append(t.names, name)
	}
	sort.Strings(t.names)
	return t, nil
}

func parseRow(line string) (*Info, error) {
	c := strings.Split(line, "\t")
	if len(c) != columns {
		return nil, fmt.Errorf("%d columns instead of %d", len(c), columns)
	}
	gen, err := strconv.Atoi(c[1])
	if err != nil || gen < 0 || gen > 99 {
		return nil, fmt.Errorf("generation %q is no number", c[1])
	}
	info := &Info{
		Family: c[0], Generation: gen, Virtualization: c[2], Arch: c[3], Vendor: c[4], Lifecycle: c[5],
		NVMe: c[6], Boot: c[7], NoTypeChange: c[8] == "no", Listed: true, Source: c[9],
	}
	if !strings.HasPrefix(info.Family, "ecs.") {
		return nil, fmt.Errorf("family %q lacks the ecs. in front", info.Family)
	}
	for _, f := range []struct{ name, value, allowed string }{
		{"virtualization", info.Virtualization, "xen kvm shenlong unknown by_io_optimized"},
		{"arch", info.Arch, "x86_64 arm64"},
		{"vendor", info.Vendor, "intel amd arm"},
		{"lifecycle", info.Lifecycle, "current previous retired"},
		{"nvme", info.NVMe, "required likely unsupported unknown"},
		{"boot", info.Boot, "bios uefi unknown"},
	} {
		if f.value == "" || !strings.Contains(" "+f.allowed+" ", " "+f.value+" ") {
			return nil, fmt.Errorf("%s %q is none of %s", f.name, f.value, f.allowed)
		}
	}
	return info, nil
}

// Names returns the listed families in order.
func (t *Table) Names() []string { return append([]string(nil), t.names...) }

// Lookup resolves an instance: by its family as the API names it, or, when
// that is empty, by its type. A type that is not an ECS type at all gives an
// Info with an empty Family.
func (t *Table) Lookup(instanceType, instanceFamily string) Info {
	name := strings.ToLower(strings.TrimSpace(instanceFamily))
	if name == "" {
		name = t.FamilyOf(instanceType)
	}
	if name == "" {
		return Info{Virtualization: Unknown, NVMe: "unknown", Boot: "unknown"}
	}
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

func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s[0] >= 'a' && s[0] <= 'z'
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
		case "vws", "redis", "6t", "trans", "enhance":
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
		Family: name, Virtualization: Unknown, Arch: "x86_64", Vendor: "intel", NVMe: "unknown", Boot: "unknown",
		Source: "naming rule",
	}
	rest, _, _ := strings.Cut(strings.TrimPrefix(name, "ecs."), "-")
	bare := false
	for _, p := range []string{"ebm", "scc"} {
		if r, ok := strings.CutPrefix(rest, p); ok && r != "" {
			rest, bare = r, true
			info.Virtualization = Shenlong
		}
	}
	body, digits, suffix := splitName(rest)
	if digits == "" {
		info.Arch, info.Vendor = "", ""
		return info
	}
	info.cpu(suffix)
	generation, _ := strconv.Atoi(digits)
	for _, b := range generationBodies {
		if b == body && generation >= 5 && generation <= 20 {
			info.Generation = generation
		}
	}
	switch {
	case bare:
	case info.Generation >= 6:
		info.Virtualization = Shenlong
	case info.Generation == 5:
		info.Virtualization = KVM
	default:
		info.Arch, info.Vendor = "", ""
	}
	if info.Generation >= 8 {
		info.NVMe = "likely"
	}
	if info.Generation > 0 && info.Generation < 7 {
		info.NVMe = "unsupported"
	}
	return info
}

// cpu reads the CPU vendor out of the suffix letters.
func (i *Info) cpu(suffix string) {
	switch {
	case suffix == "y", suffix == "r":
		i.Arch, i.Vendor, i.Boot = "arm64", "arm", "uefi"
	case strings.HasPrefix(suffix, "a"):
		i.Vendor = "amd"
	}
}

func splitName(s string) (body, digits, suffix string) {
	i := 0
	for i < len(s) && s[i] >= 'a' && s[i] <= 'z' {
		i++
	}
	j := i
	for j < len(s) && j < i+2 && s[j] >= '0' && s[j] <= '9' {
		j++
	}
	return s[:i], s[i:j], s[j:]
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
	case "nano", "small", "medium":
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
