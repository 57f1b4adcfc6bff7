package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/family"
)

// Class is one of the kinds of machine that an instance may move to.
type Class uint8

// The classes, the mildest demands first. What a rule says of a system is never
// milder on a later class of SHENLONG than on an earlier one.
const (
	ClassKVM       Class = iota // 5th generation and earlier, not SHENLONG
	ClassShenlong6              // 6th generation
	ClassShenlong7              // 7th generation: virtio disks, ESSD only
	ClassShenlong8              // 8th generation and later: disks by NVMe, systems from a list
	classes
)

var classNames = [classes]string{"kvm", "shenlong-6", "shenlong-7", "shenlong-8"}

// classOfGeneration is the class of SHENLONG machines by ECS generation.
func classOfGeneration(generation int) Class {
	return Class(min(max(generation, 6)-5, int(classes)-1))
}

// ClassOf is the class of machines of a virtualization and ECS generation; ok is
// false where these do not tell.
func ClassOf(virtualization string, generation int) (c Class, ok bool) {
	switch {
	case virtualization == family.KVM:
		return ClassKVM, true
	case virtualization == family.Shenlong && generation >= 6:
		return classOfGeneration(generation), true
	}
	return 0, false
}

// Generation is the ECS generation that a class begins with.
func (c Class) Generation() int { return 5 + int(c) }

// Classes are the names of the classes, in order.
func Classes() []string { return slices.Clone(classNames[:]) }

// ClassList names the classes in a sentence.
func ClassList() string { return strings.Join(classNames[:], ", ") }

// String is the class as a target's name.
func (c Class) String() string { return classNames[min(c, classes-1)] }

func parseClass(s string) (Class, bool) {
	i := slices.Index(classNames[:], s)
	return Class(max(i, 0)), i >= 0
}

// Target is where an instance may move: a class of machines, or one family or
// type, which adds the demands of its hardware.
type Target struct {
	ID         string // as it was asked for: "shenlong-6", "ecs.g8i", "ecs.g8y.large"
	Class      Class
	Family     string   // "ecs.g8i", "" for a class
	Type       string   // "ecs.g8y.large", "" for a class or family
	Generation int      // ECS generation, 0 when not known
	Arch       string   // "x86_64" or "arm64", "" for a class
	Vendor     string   // CPU vendor: "intel", "amd", "arm", "" for a class
	NVMe       string   // system disk: "required", "unsupported", "unknown"; "" for a class
	BootModes  []string // boot modes of the family: "BIOS", "UEFI"; empty when not known
	Unlisted   bool     // the family is in no table: its facts are from its name
	Disks      string   // the cloud disks that it takes, as family.Info has them; "" for a class
	MemoryMiB  int      // smallest memory of the type or family, 0 when not known

	conflicts []Conflict // what the API says of its types against the table
}

// TypeFacts is what DescribeInstanceTypes says of an instance type.
type TypeFacts struct {
	Type, Family string
	Arch         string   // "x86_64", "arm64", "" when it does not say
	NVMe         string   // "required", "supported", "unsupported", "" when it does not say
	BootModes    []string // "BIOS", "UEFI"; none when it does not say
}

// Learn is the target with what the API says of its types: of the type itself,
// of all types of the family, of all types that count as the class. What every one
// of them says holds. Where that contradicts the table of families the worse
// counts, and every classification for the target shows both. news says whether
// they said anything that was not known.
func (r *Ruleset) Learn(target Target, types []TypeFacts) (learned Target, news bool) {
	var said []*TypeFacts
	for i := range types {
		typeFacts := &types[i]
		switch {
		case target.Type != "" && typeFacts.Type != target.Type, target.Family != "" && typeFacts.Family != target.Family:
			continue
		case target.Family == "":
			if info := r.families.Lookup(typeFacts.Type, typeFacts.Family); info.Class != target.Class.String() || info.Lifecycle == "private" {
				continue
			}
		}
		said = append(said, typeFacts)
	}
	if len(said) == 0 {
		return target, false
	}
	before := target
	target.learnArch(agreed(said, func(f *TypeFacts) string { return f.Arch }))
	target.learnNVMe(agreed(said, func(f *TypeFacts) string { return f.NVMe }))
	if target.Family == "" {
		target.learnBoot(agreedModes(said, false))
	} else {
		target.learnBoot(agreedModes(said, true))
	}
	return target, target.Arch != before.Arch || target.NVMe != before.NVMe || !slices.Equal(target.BootModes, before.BootModes) || len(target.conflicts) > 0
}

// agreed is what every one says, "" where one says another thing or nothing.
func agreed(said []*TypeFacts, of func(*TypeFacts) string) string {
	first := of(said[0])
	for _, f := range said[1:] {
		if of(f) != first {
			return ""
		}
	}
	return first
}

// agreedModes are the boot modes that all have, or, of a class, that any has: an
// image that starts on one of its types has somewhere to go.
func agreedModes(said []*TypeFacts, all bool) []string {
	var out []string
	for _, mode := range []string{"BIOS", "UEFI"} {
		has := 0
		for _, typeFacts := range said {
			if len(typeFacts.BootModes) == 0 {
				return nil
			}
			if slices.Contains(typeFacts.BootModes, mode) {
				has++
			}
		}
		if has == len(said) || !all && has > 0 {
			out = append(out, mode)
		}
	}
	return out
}

func (t *Target) contradict(field, table, api string) {
	t.conflicts = append(t.conflicts, Conflict{
		Field: "target " + field, Chosen: table, Other: api, Text: "DescribeInstanceTypes on " + t.ID,
	})
}

func (t *Target) learnArch(arch string) {
	switch {
	case arch == "" || arch == t.Arch:
	case t.Arch == "" && (t.Family != "" || arch != "x86_64"):
		t.Arch = arch
	case t.Arch != "":
		t.contradict("architecture", t.Arch, arch)
		t.Arch = "" // neither is known to fit
	}
}

func (t *Target) learnNVMe(nvme string) {
	switch {
	case nvme == "" || nvme == t.NVMe:
	case t.Unlisted: // its name alone spoke before
		t.NVMe = nvme
	case nvme == "required":
		if t.NVMe == "unsupported" {
			t.contradict("NVMe", t.NVMe, nvme)
		}
		t.NVMe = nvme
	case t.NVMe == "required":
		t.contradict("NVMe", t.NVMe, nvme)
	case nvme == "unsupported" && t.Class != ClassShenlong8 && t.Family != "":
		t.NVMe = nvme
	}
}

func (t *Target) learnBoot(modes []string) {
	if len(modes) == 0 || slices.Equal(modes, t.BootModes) || t.Family == "" && len(modes) > 1 {
		return
	}
	if len(t.BootModes) == 0 {
		t.BootModes = modes
		return
	}
	t.contradict("boot modes", strings.Join(t.BootModes, " "), strings.Join(modes, " "))
	both := slices.DeleteFunc(slices.Clone(modes), func(m string) bool { return !slices.Contains(t.BootModes, m) })
	if len(both) > 0 {
		t.BootModes = both
	}
}

// AttachesNVMe says whether the target attaches disks by NVMe. From the 8th
// generation on the class demands it where the family's own fact is not known.
func (t *Target) AttachesNVMe() bool {
	return t.NVMe == "required" || t.Class == ClassShenlong8 && t.NVMe != "unsupported"
}

// There tells whether an instance of a type runs on hardware of the target
// already.
func (t *Target) There(instanceType string, machine *Machine) bool {
	switch {
	case t.Type != "":
		return instanceType == t.Type
	case t.Family != "":
		return machine.Family == t.Family
	case t.Class == ClassKVM:
		return machine.Virtualization == family.KVM
	default:
		class, ok := ClassOf(machine.Virtualization, machine.Generation)
		return ok && class >= t.Class
	}
}

// DefaultTargets are the classes.
func DefaultTargets() []Target {
	out := make([]Target, 0, classes)
	for c := range classes {
		out = append(out, Target{ID: c.String(), Class: c})
	}
	return out
}

// ErrTarget is returned, wrapped, for a target that nobody can move to.
var ErrTarget = errors.New("no such target")

// ParseTarget reads a class ("shenlong-6"), an instance family ("ecs.g8i") or
// an instance type ("ecs.g8y.large").
func (r *Ruleset) ParseTarget(text string) (Target, error) {
	id := strings.ToLower(strings.TrimSpace(text))
	if c, ok := parseClass(id); ok {
		return Target{ID: id, Class: c}, nil
	}
	name := r.families.FamilyOf(id)
	if name == "" {
		return Target{}, fmt.Errorf("target %.40q: %w: use %s, an instance family such as ecs.g8i or a type such as ecs.g8y.large", text, ErrTarget, ClassList())
	}
	info := r.families.Lookup("", name)
	target := Target{ID: id, Family: name, Generation: info.Generation, Arch: info.Arch, Vendor: info.Vendor, NVMe: info.NVMe, Disks: info.Disks}
	if strings.Count(id, ".") > 1 {
		cpus, ok := family.Size(id)
		if !ok {
			return Target{}, fmt.Errorf("target %.40q: %w: the size of an instance type reads like large or 4xlarge; the family is %s", text, ErrTarget, name)
		}
		target.Type, target.MemoryMiB = id, memory(id, name, cpus)
	} else {
		target.MemoryMiB = memory(id, name, 2)
	}
	target.BootModes = info.BootModes()
	switch {
	case info.Class != "":
	case info.Listed:
		return Target{}, fmt.Errorf("target %.40q: %w: %s is a Generation I family on Xen; nothing moves there", text, ErrTarget, name)
	default:
		return Target{}, fmt.Errorf("target %.40q: %w: %s is not in the family table and is not formed like the name of a family, such as ecs.g8i", text, ErrTarget, name)
	}
	if c, ok := parseClass(info.Class); ok {
		target.Class = c
	} else {
		target.Class = classes - 1
	}
	if info.Class == family.Shenlong8 && target.NVMe == family.Unknown {
		target.NVMe = "required" // the class demands it
	}
	target.Unlisted = !info.Listed
	return target, nil
}

// memory returns the memory in MiB of a type with that many vCPUs, for the
// families whose name fixes the ratio (c 1:2, g 1:4, r 1:8), or 0.
func memory(id, name string, vcpus int) int {
	if strings.Contains(strings.TrimPrefix(id, name), "-") {
		return 0
	}
	rest := strings.TrimPrefix(name, "ecs.")
	if len(rest) < 2 || rest[1] < '5' || rest[1] > '9' {
		return 0
	}
	switch rest[0] {
	case 'c':
		return vcpus * 2048
	case 'g':
		return vcpus * 4096
	case 'r':
		return vcpus * 8192
	}
	return 0
}
