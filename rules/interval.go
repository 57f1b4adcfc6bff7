package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

// interval is the set of releases lo <= v < hi. What is known of a version is
// an interval too: "5" is [5, 6), "5.8" is [5.8, 5.9).
type interval struct{ lo, hi version.Key }

func (a interval) empty() bool                 { return a.lo.Cmp(a.hi) >= 0 }
func (a interval) overlaps(b interval) bool    { return a.lo.Cmp(b.hi) < 0 && b.lo.Cmp(a.hi) < 0 }
func (a interval) within(b interval) bool      { return b.lo.Cmp(a.lo) <= 0 && a.hi.Cmp(b.hi) <= 0 }
func (a interval) contains(k version.Key) bool { return a.lo.Cmp(k) <= 0 && k.Cmp(a.hi) < 0 }

// minus removes interval where that leaves one interval; otherwise a stays whole,
// which errs on the side of more possibilities.
func (a interval) minus(interval interval) interval {
	switch {
	case interval.lo.Cmp(a.lo) <= 0 && interval.hi.Cmp(a.lo) > 0:
		a.lo = interval.hi
	case interval.hi.Cmp(a.hi) >= 0 && interval.lo.Cmp(a.hi) < 0:
		a.hi = interval.lo
	}
	return a
}

// and is what both hold.
func (a interval) and(b interval) interval {
	if b.lo.Cmp(a.lo) > 0 {
		a.lo = b.lo
	}
	if b.hi.Cmp(a.hi) < 0 {
		a.hi = b.hi
	}
	return a
}

func everything() interval { return interval{hi: version.Key{}.Next(0)} }

// key orders the versions of one family. Semi-annual Windows Server releases
// are of the 2016 line; Windows clients go by their kernel.
func key(family, value string) (version.Key, int) {
	switch family {
	case distro.WindowsServer:
		switch value {
		case "nt3", "nt4":
			return version.Key{uint32(value[2] - '0')}, 1
		case "1709", "1803", "1809", "1903", "1909", "2004", "20h2":
			k, _ := version.Parse(value)
			return version.Key{2016, 1, k[0]}, 3
		case "23h2":
			return version.Key{2022, 1}, 2
		}
	case distro.WindowsClient:
		switch value {
		case "95", "98", "me":
			return version.Key{4}, 1
		case "xp":
			return version.Key{5, 1}, 2
		case "vista":
			return version.Key{6}, 1
		}
	}
	return version.Parse(value)
}

// known is the interval of releases that a version may be; ok is false when
// nothing is known.
func known(family, v, sp string) (interval, bool) {
	bound, parts := key(family, v)
	if parts == 0 {
		return interval{}, false
	}
	if sp != "" && parts < len(bound) {
		p, m := version.Parse(sp)
		if m > 0 {
			bound[parts] = p[0]
			parts++
		}
	}
	switch family {
	case distro.WindowsServer, distro.WindowsClient:
		// Releases, not points of a line: 2008 is not "some 2008".
		return interval{lo: bound, hi: bound.Next(len(bound))}, true
	}
	return interval{lo: bound, hi: bound.Next(parts)}, true
}

// parseRange reads ">=5.9 <6", "<6.0.9", "13" (all of 13).
func parseRange(s string) (interval, error) {
	out := everything()
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return out, nil
	}
	for _, field := range fields {
		op := strings.TrimRight(field, "0123456789.")
		bound, parts := version.Parse(field[len(op):])
		if parts == 0 {
			return out, fmt.Errorf("%q has no version", field)
		}
		one := everything()
		switch op {
		case "<":
			one.hi = bound
		case "<=":
			one.hi = bound.Next(parts)
		case ">=":
			one.lo = bound
		case ">":
			one.lo = bound.Next(parts)
		case "", "=":
			one = interval{bound, bound.Next(parts)}
		default:
			return out, fmt.Errorf("%q starts with none of < <= > >= =", field)
		}
		out = out.and(one)
	}
	if out.empty() {
		return out, errors.New("the range is empty")
	}
	return out, nil
}

// kernelRange is a range of kernel releases, both ends included where set.
type kernelRange struct {
	lo, hi         version.Kernel
	hasLo, hasHi   bool
	loOpen, hiOpen bool
}

// parseKernelRange reads ">=2.6.18-0 <=2.6.18-348".
func parseKernelRange(s string) (kernelRange, error) {
	var kernels kernelRange
	for field := range strings.FieldsSeq(s) {
		op := field[:len(field)-len(strings.TrimLeft(field, "<>="))]
		kernel := version.ParseKernel(field[len(op):])
		if !kernel.OK {
			return kernels, fmt.Errorf("%q has no kernel release", field)
		}
		switch op {
		case "<", "<=":
			kernels.hi, kernels.hasHi, kernels.hiOpen = kernel, true, op == "<"
		case ">", ">=":
			kernels.lo, kernels.hasLo, kernels.loOpen = kernel, true, op == ">"
		default:
			return kernels, fmt.Errorf("%q starts with none of < <= > >=", field)
		}
	}
	if !kernels.hasLo && !kernels.hasHi {
		return kernels, errors.New("the kernel range is empty")
	}
	return kernels, nil
}

func (r *kernelRange) contains(kernel version.Kernel) bool {
	if r.hasLo {
		if c := version.CmpKernel(kernel, r.lo); c < 0 || c == 0 && r.loOpen {
			return false
		}
	}
	if r.hasHi {
		if c := version.CmpKernel(kernel, r.hi); c > 0 || c == 0 && r.hiOpen {
			return false
		}
	}
	return true
}

// elKernel narrows a release of Enterprise Linux by its running kernel: each
// minor release came with a kernel of its own (5.9 with 2.6.18-348).
func elKernel(kernel version.Kernel) (interval, bool) {
	for _, t := range [...]struct {
		base  version.Key
		el    uint32
		first uint32 // minor release of the first entry
		gen   []uint32
	}{
		{version.Key{2, 6, 18}, 5, 0, []uint32{8, 53, 92, 128, 164, 194, 238, 274, 308, 348, 371, 398}},
		{version.Key{2, 6, 32}, 6, 0, []uint32{71, 131, 220, 279, 358, 431, 504, 573, 642, 696, 754}},
		{version.Key{3, 10, 0}, 7, 0, []uint32{123, 229, 327, 514, 693, 862, 957, 1062, 1127, 1160}},
	} {
		if kernel.Base != t.base || kernel.N == 0 {
			continue
		}
		minor := 0
		for i, first := range t.gen {
			if kernel.Release[0] >= first {
				minor = i
			}
		}
		lo := version.Key{t.el, uint32(minor)}
		if minor == len(t.gen)-1 {
			return interval{lo: lo, hi: version.Key{t.el + 1}}, true
		}
		return interval{lo: lo, hi: lo.Next(2)}, true
	}
	return interval{}, false
}
