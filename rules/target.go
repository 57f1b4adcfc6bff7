package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/rules/family"
)

// Class is one of the three kinds of machine that an instance may move to.
type Class uint8

// The classes, the mildest demands first. A verdict on a later class is never
// milder than on an earlier one of SHENLONG.
const (
	ClassKVM       Class = iota // 5th generation and earlier, not SHENLONG
	ClassShenlong6              // 6th generation
	ClassShenlong7              // 7th generation and later
	classes
)

// String is the class as a target's name.
func (c Class) String() string {
	switch c {
	case ClassKVM:
		return "kvm"
	case ClassShenlong6:
		return "shenlong-6"
	default:
		return "shenlong-7"
	}
}

func parseClass(s string) (Class, bool) {
	for c := range classes {
		if c.String() == s {
			return c, true
		}
	}
	return 0, false
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
	MemoryMiB  int      // smallest memory of the type or family, 0 when not known
}

// DefaultTargets are the three classes.
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
func (r *Ruleset) ParseTarget(s string) (Target, error) {
	id := strings.ToLower(strings.TrimSpace(s))
	if c, ok := parseClass(id); ok {
		return Target{ID: id, Class: c}, nil
	}
	name := r.families.FamilyOf(id)
	if name == "" {
		return Target{}, fmt.Errorf("target %.40q: %w: use kvm, shenlong-6, shenlong-7, an instance family such as ecs.g8i or a type such as ecs.g8y.large", s, ErrTarget)
	}
	info := r.families.Lookup("", name)
	t := Target{ID: id, Family: name, Generation: info.Generation, Arch: info.Arch, Vendor: info.Vendor, NVMe: info.NVMe}
	if strings.Count(id, ".") > 1 {
		cpus, ok := family.Size(id)
		if !ok {
			return Target{}, fmt.Errorf("target %.40q: %w: the size of an instance type reads like large or 4xlarge; the family is %s", s, ErrTarget, name)
		}
		t.Type, t.MemoryMiB = id, memory(id, name, cpus)
	} else {
		t.MemoryMiB = memory(id, name, 2)
	}
	t.BootModes = info.BootModes()
	switch {
	case info.Class != "":
	case info.Listed:
		return Target{}, fmt.Errorf("target %.40q: %w: %s is a Generation I family on Xen; nothing moves there", s, ErrTarget, name)
	default:
		return Target{}, fmt.Errorf("target %.40q: %w: %s is not in the family table and is not formed like the name of a family, such as ecs.g8i", s, ErrTarget, name)
	}
	if c, ok := parseClass(info.Class); ok {
		t.Class = c
	} else {
		t.Class = classes - 1
	}
	if info.Class == family.Shenlong8 && t.NVMe == family.Unknown {
		t.NVMe = "required" // the class demands it
	}
	t.Unlisted = !info.Listed
	return t, nil
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
