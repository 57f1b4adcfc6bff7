package version

import "strings"

// Kernel is a kernel release (uname -r) taken apart. Base and Release order
// kernels of one distribution; Tag and Flavour say whose build it is.
type Kernel struct {
	Base    Key       // 2.6.18
	Release [6]uint32 // 348.18.1
	N       int       // numbers in Release
	Tag     string    // "el5", "el8_3", "al7", "fc33"; lower case, "" when none
	Flavour string    // what follows the tag or the release: "xen", "uek", "generic"; lower case
	OK      bool      // Base was found
}

// ParseKernel takes a kernel release apart, also where it stands in the name of a
// package or file (kernel-2.6.18-398.el5, vmlinuz-…) or in a line of uname -a.
// It never fails: what is not there stays zero, and OK is false for a string that
// holds no kernel release.
func ParseKernel(text string) Kernel {
	if len(text) > 256 {
		text = text[:256]
	}
	fields := strings.Fields(text)
	if len(fields) > 2 && (fields[0] == "Linux" || fields[0] == "FreeBSD") && (parseField(fields[2]).OK || !parseField(fields[1]).OK) {
		fields = fields[2:] // the system's and the host's name come first
	}
	for _, f := range fields {
		if k := parseField(f); k.OK {
			return k
		}
	}
	return Kernel{}
}

// flavours are the builds that are told apart wherever their word stands.
var flavours = [...]string{"xen", "uek"}

// parseField reads a word that is a kernel release, or the name of a package or
// file that ends with one: what the package is built for counts (kernel-xen-…).
func parseField(f string) Kernel {
	at := strings.IndexAny(f, "0123456789")
	if at < 0 || at > 0 && f[at-1] != '-' {
		return Kernel{}
	}
	kernel := parseKernel(f[at:])
	for _, word := range flavours {
		if kernel.OK && built(lowerString(f[:at]), word) {
			kernel.Flavour = word
		}
	}
	return kernel
}

func parseKernel(text string) Kernel {
	var kernel Kernel
	if len(text) > 128 {
		text = text[:128]
	}
	i := 0
	for n := 0; i < len(text); i++ {
		if isDigit(text[i]) {
			if n == 0 {
				n = 1
			}
			kernel.Base[n-1] = addDigit(kernel.Base[n-1], text[i])
			continue
		}
		if text[i] != '.' || n == 0 || n == len(kernel.Base) || i+1 >= len(text) || !isDigit(text[i+1]) {
			kernel.OK = n >= 2
			break
		}
		n++
		kernel.OK = true
	}
	if !kernel.OK {
		return Kernel{}
	}
	for i < len(text) && text[i] == '-' {
		i++
	}
	return kernel.release(text[i:])
}

// release reads "348.18.1.el5xen" or "144-generic".
func (k Kernel) release(text string) Kernel {
	i := 0
	for i < len(text) && isDigit(text[i]) {
		var v uint32
		for i < len(text) && isDigit(text[i]) {
			v = addDigit(v, text[i])
			i++
		}
		if k.N < len(k.Release) {
			k.Release[k.N] = v
			k.N++
		}
		if i < len(text) && text[i] == '.' {
			i++
		} else {
			break
		}
	}
	for i < len(text) && !isLetter(text[i]) && !isDigit(text[i]) {
		i++
	}
	j := i
	for j < len(text) && isLetter(text[j]) {
		j++
	}
	word := j
	for j < len(text) && (isDigit(text[j]) || text[j] == '_' && j > word) {
		j++
	}
	if j > word {
		k.Tag = lowerString(text[i:j])
		i = j
		for j < len(text) && isLetter(text[j]) {
			j++
		}
	}
	k.Flavour = lowerString(text[i:j])
	for _, word := range flavours {
		if built(lowerString(text), word) {
			k.Flavour = word
		}
	}
	return k
}

// built says whether the build names a flavour, wherever the word stands: -xen,
// el5xen, xenU, plusxen; xenial is none.
func built(s, flavour string) bool {
	_, rest, found := strings.Cut(s, flavour)
	if !found {
		return false
	}
	if flavour == "xen" {
		rest = strings.TrimLeft(rest, "u0")
	}
	return rest == "" || !isLetter(rest[0])
}

func lowerString(text string) string {
	for i := 0; i < len(text); i++ {
		if text[i] != lower(text[i]) {
			b := []byte(text)
			for j := range b {
				b[j] = lower(b[j])
			}
			return string(b)
		}
	}
	return text
}

// TagNumber splits the tag: "el8_3" is ("el", 8).
func (k Kernel) TagNumber() (name string, number uint32) {
	i := 0
	for i < len(k.Tag) && isLetter(k.Tag[i]) {
		i++
	}
	n, _ := Parse(k.Tag[i:])
	return k.Tag[:i], n[0]
}

// CmpKernel orders two kernels by base and then by release, number by number:
// 2.6.18-348 < 2.6.18-348.1.1 < 2.6.18-371. Tags and flavours do not count.
func CmpKernel(kernel, b Kernel) int {
	if c := kernel.Base.Cmp(b.Base); c != 0 {
		return c
	}
	for i := range kernel.Release {
		switch {
		case kernel.Release[i] < b.Release[i]:
			return -1
		case kernel.Release[i] > b.Release[i]:
			return 1
		}
	}
	return 0
}
