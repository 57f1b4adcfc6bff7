package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/rules/version"
)

// firstKernel is a release and the kernel that it came with.
type firstKernel struct {
	kernel  version.Key
	order   version.Key // of the release among those of its family
	release string
}

// firstKernels are the releases of the families whose kernels tell them apart,
// in order. A release that came with the kernel of the one before is left out.
var firstKernels = map[string][]firstKernel{
	distro.Debian: firsts("3.1 2.6.8", "4 2.6.18", "5 2.6.26", "6 2.6.32", "7 3.2", "8 3.16", "9 4.9", "10 4.19", "11 5.10", "12 6.1", "13 6.12"),
	distro.Ubuntu: firsts("4.10 2.6.8", "5.10 2.6.12", "6.06 2.6.15", "6.10 2.6.17", "7.04 2.6.20", "7.10 2.6.22", "8.04 2.6.24", "8.10 2.6.27",
		"9.04 2.6.28", "9.10 2.6.31", "10.04 2.6.32", "10.10 2.6.35", "11.04 2.6.38", "11.10 3.0", "12.04 3.2", "12.10 3.5", "13.04 3.8",
		"13.10 3.11", "14.04 3.13", "14.10 3.16", "15.04 3.19", "15.10 4.2", "16.04 4.4", "16.10 4.8", "17.04 4.10", "17.10 4.13",
		"18.04 4.15", "18.10 4.18", "19.04 5.0", "19.10 5.3", "20.04 5.4", "20.10 5.8", "21.04 5.11", "21.10 5.13", "22.04 5.15",
		"22.10 5.19", "23.04 6.2", "23.10 6.5", "24.04 6.8"),
	distro.SLES: firsts("9 2.6.5", "10 2.6.16", "11 2.6.27", "11.1 2.6.32", "11.2 3.0", "12 3.12", "12.2 4.4", "12.4 4.12", "15.2 5.3", "15.4 5.14",
		"15.6 6.4"),
	distro.OpenSUSE: firsts("10.2 2.6.18", "10.3 2.6.22", "11.0 2.6.25", "11.1 2.6.27", "11.2 2.6.31", "11.3 2.6.34", "11.4 2.6.37", "12.1 3.1",
		"12.2 3.4", "12.3 3.7", "13.1 3.11", "13.2 3.16", "42.1 4.1", "15.0 4.12", "15.2 5.3", "15.4 5.14", "15.6 6.4"),
	distro.Fedora: firsts("1 2.4", "4 2.6.11", "8 2.6.23", "9 2.6.25", "10 2.6.27", "11 2.6.29", "12 2.6.31", "13 2.6.33", "14 2.6.35", "15 2.6.38",
		"16 3.1", "17 3.3", "18 3.6", "19 3.9", "20 3.11", "21 3.17", "22 4.0", "23 4.2", "24 4.5", "25 4.8", "26 4.11", "27 4.13", "28 4.16"),
	distro.Alinux: firsts("17.1 4.4", "2 4.19", "3 5.10", "4 6.6"),
	elLine:        firsts("4 2.6.9", "5 2.6.18", "6 2.6.32", "7 3.10", "8 4.18", "9 5.14", "10 6.12"),
}

// elLine stands for all builds of Enterprise Linux.
const elLine = "el"

// firsts reads lines of this file, each a release and the kernel that its first
// edition shipped.
func firsts(list ...string) []firstKernel {
	out := make([]firstKernel, 0, len(list))
	for _, s := range list {
		var f firstKernel
		var kernel string
		if _, err := fmt.Sscan(s, &f.release, &kernel); err != nil {
			panic(err) // a line of this file
		}
		f.kernel, _ = version.Parse(kernel)
		f.order, _ = version.Parse(f.release)
		out = append(out, f)
	}
	return out
}

// ordinal puts the two lines whose numbers do not follow their age where they
// belong: Leap 42 between openSUSE 13 and 15, Aliyun Linux 17 before Alibaba
// Cloud Linux 2.
func ordinal(family string, bound version.Key) version.Key {
	switch {
	case family == distro.OpenSUSE && bound[0] == 42:
		bound[0] = 14
	case family == distro.Alinux && bound[0] > 4:
		bound[0] = 1
	}
	return bound
}

// line is the family whose kernels tell its releases apart.
func (k *candidate) line() string {
	if elFamily(k.family) || k.family == distro.OtherLinux && (k.edition == "scientific" || k.edition == "el") {
		return elLine
	}
	return k.family
}

// newerByKernel is the release that the running kernel came with, where no update
// of what k may be ever had one so new; "" else. A kernel of Enterprise Linux says
// by its tag what it is built for, and one of another make has a rule of its own.
func (k *candidate) newerByKernel() string {
	line := k.line()
	table := firstKernels[line]
	if table == nil || line == elLine || !k.kernel.OK || !k.spanned || k.version == "" || k.kernel.Flavour == "uek" {
		return ""
	}
	i, found := slices.BinarySearchFunc(table, k.kernel.Base, func(f firstKernel, base version.Key) int { return f.kernel.Cmp(base) })
	if !found {
		i--
	}
	later := uint32(0) // how many releases on a kernel is still offered to an older one
	switch line {
	case distro.Ubuntu: // to the next release with long support, two years on
		later = 2
	case distro.Debian: // backports
		later = 1
	case distro.Fedora:
		later = 3
	}
	if i < 0 || ordinal(line, table[i].order)[0] <= ordinal(line, k.span.lo)[0]+later {
		return ""
	}
	return table[i].release
}

// kernelConflict says that the kernel is one of another release.
func (id *identity) kernelConflict(candidate *candidate, release string) Conflict {
	return Conflict{
		Field: "kernel", Chosen: osName(candidate.family, candidate.version, candidate.sp), Other: "a kernel of " + osName(candidate.family, release, ""),
		Evidence: id.kernelFrom, Text: strings.Clone(candidate.source),
	}
}

// olderByKernel is the release that the running kernel belongs to, where that is
// older than all that k may be: a system is as old as its kernel. A newer kernel
// makes no newer release.
func (k *candidate) olderByKernel() (candidate, bool) {
	line := k.line()
	table := firstKernels[line]
	if table == nil || !k.kernel.OK || !k.spanned || k.kernel.Flavour == "uek" {
		return candidate{}, false
	}
	i, found := slices.BinarySearchFunc(table, k.kernel.Base, func(f firstKernel, base version.Key) int { return f.kernel.Cmp(base) })
	if !found {
		i = max(i-1, 0)
	}
	older := *k
	older.version, older.sp, older.byKernel = table[i].release, "", true
	older.span, older.spanned = known(k.family, older.version, "")
	end := version.Key{^uint32(0)}
	if i+1 < len(table) {
		end = ordinal(line, table[i+1].order)
	}
	if narrow, ok := elKernel(k.kernel); ok && line == elLine {
		older.span, end = narrow, narrow.hi
		older.version = fmt.Sprintf("%d.%d", narrow.lo[0], narrow.lo[1])
	} else if line == elLine {
		end = older.span.hi
	}
	older.stated = older.span
	if end.Cmp(ordinal(line, k.span.lo)) > 0 {
		return candidate{}, false
	}
	return older, true
}
