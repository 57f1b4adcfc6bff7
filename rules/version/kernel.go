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
	fields := strings.Fields(text[:min(len(text), 256)])
	for i := range fields { // what stands before it is of something else: CentOS release 5.8 (Final) Kernel 2.6.18-308.el5
		if kernelFollows(fields[i:]) {
			fields = fields[i:]
			break
		}
	}
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

// kernelFollows says whether the words are such as a kernel log or a login banner has
// before the kernel.
func kernelFollows(fields []string) bool {
	switch {
	case len(fields) > 2 && fields[0] == "Linux" && fields[1] == "version":
		return parseField(fields[2]).OK
	case len(fields) > 1 && strings.EqualFold(strings.TrimSuffix(fields[0], ":"), "kernel"):
		return parseField(fields[1]).OK
	}
	return false
}

// flavours are the builds that are told apart wherever their word stands.
var flavours = [...]string{"xen", "uek"}

// parseField reads a word that is a kernel release, or the name of a package or
// file that ends with one: what the package is built for counts (kernel-xen-…).
func parseField(text string) Kernel {
	at := strings.IndexAny(text, "0123456789")
	if at < 0 || at > 0 && !strings.ContainsRune(`-=("'`, rune(text[at-1])) && text[:at] != "v" {
		return Kernel{}
	}
	kernel := parseKernel(text[at:])
	if kernel.Base[0] == 0 { // the seconds since the start: [    0.000000]
		return Kernel{}
	}
	for _, word := range flavours {
		if kernel.OK && built(lowerString(text[:at]), word) {
			kernel.Flavour = word
		}
	}
	return kernel
}

func parseKernel(text string) Kernel {
	var kernel Kernel
	text = text[:min(len(text), 128)]
	at := 0
	for fields := 0; at < len(text); at++ {
		if isDigit(text[at]) {
			if fields == 0 {
				fields = 1
			}
			kernel.Base[fields-1] = addDigit(kernel.Base[fields-1], text[at])
			continue
		}
		if text[at] != '.' || fields == 0 || fields == len(kernel.Base) || at+1 >= len(text) || !isDigit(text[at+1]) {
			kernel.OK = fields >= 2
			break
		}
		fields++
		kernel.OK = true
	}
	if !kernel.OK {
		return Kernel{}
	}
	for at < len(text) && text[at] == '-' {
		at++
	}
	kernel.patch()
	return kernel.release(text[at:])
}

// patch takes the fourth number of a kernel of the 2.x line for its release: 2.6.18.8 is
// a patch of 2.6.18, and older than 2.6.18-348.
func (k *Kernel) patch() {
	if k.Base[0] == 2 && k.Base[3] > 0 {
		k.Release[0], k.N = k.Base[3], 1
		k.Base[3] = 0
	}
}

// release reads "348.18.1.el5xen" or "144-generic".
func (k Kernel) release(text string) Kernel {
	at := 0
	for at < len(text) && isDigit(text[at]) {
		var value uint32
		for at < len(text) && isDigit(text[at]) {
			value = addDigit(value, text[at])
			at++
		}
		if k.N < len(k.Release) {
			k.Release[k.N] = value
			k.N++
		}
		if at < len(text) && text[at] == '.' {
			at++
		}
	}
	for at < len(text) && !isLetter(text[at]) && !isDigit(text[at]) {
		at++
	}
	end := at
	for end < len(text) && isLetter(text[end]) {
		end++
	}
	word := end
	for end < len(text) && (isDigit(text[end]) || text[end] == '_' && end > word) {
		end++
	}
	if end > word {
		k.Tag = lowerString(text[at:end])
		at = end
		for end < len(text) && isLetter(text[end]) {
			end++
		}
	}
	k.Flavour = lowerString(text[at:end])
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
func CmpKernel(kernel, other Kernel) int {
	if c := kernel.Base.Cmp(other.Base); c != 0 {
		return c
	}
	for i := range kernel.Release {
		switch {
		case kernel.Release[i] < other.Release[i]:
			return -1
		case kernel.Release[i] > other.Release[i]:
			return 1
		}
	}
	return 0
}
