package rules

import (
	"fmt"
	"hash/fnv"
	"math/bits"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/rules/distro"
)

// Siblings counts instances of one image that ran on a class of machines and
// whose guests were known to be up when a complete scan of their account and
// region ended.
type Siblings struct {
	Up  int // the guest was heard of, and no other kernel than the image's is known to run
	Own int // of these, those whose kernel is known to be the image's own
}

// fleet is what the instances of one image tell of it, by class.
type fleet [classes]Siblings

// ImageFleet gathers what the instances of one image tell of it. Where they are
// read as different systems, or their image is described in different ways, they
// tell nothing.
type ImageFleet struct {
	seen  fleet
	os    OS
	image string
	any   bool
	mixed bool
}

// Add counts n instances that run on a class, read as a system. Other evidence
// than a guest that was heard of counts for nothing, and so does one whose
// kernel is another than the image's.
func (f *ImageFleet) Add(class Class, os *OS, facts *Facts, instances int) {
	if !facts.TellsOfImage() {
		return
	}
	own := facts.kernelOfImage()
	image := facts.Image.description()
	switch {
	case !f.any:
		f.os, f.image, f.any = *os, image, true
	case f.image != image || !mayBeOne(&f.os, os):
		f.mixed = true
	case len(f.os.Version) < len(os.Version) || f.os.Version == "" && catchAll(f.os.Family):
		f.os = *os // the one that is known better
	}
	f.seen[class].Up += instances
	if own == Yes {
		f.seen[class].Own += instances
	}
}

// TellsOfImage says whether an instance counts for its image on the class of
// machines that it runs on: it runs, its guest was heard of, and no other kernel
// than the image's is known to run.
func (f *Facts) TellsOfImage() bool {
	return f.Running == Yes && f.Guest.Up == Yes && f.kernelOfImage() != No
}

// Text spells what the instances tell, as ImageFacts.Fleet has it: the counts by
// class, the system that they are read as, and a sum of what their image is
// described as. Counts above three are rounded down to a power of two, so that
// facts do not change with every instance that comes or goes. It is "" where
// they tell nothing.
func (f *ImageFleet) Text() string {
	if !f.any || f.mixed {
		return ""
	}
	var text strings.Builder
	for c, s := range f.seen {
		if s.Up > 0 {
			fmt.Fprintf(&text, "%s=%d/%d ", Class(c), atLeast(s.Up), atLeast(s.Own))
		}
	}
	return text.String() + "os=" + strings.Join([]string{f.os.Family, f.os.Version, f.os.ServicePack}, "/") + " image=" + f.image
}

// mayBeOne says whether two readings may be of one system: neither names what
// the other excludes.
func mayBeOne(os, other *OS) bool {
	if catchAll(os.Family) && os.Version == "" || catchAll(other.Family) && other.Version == "" {
		return true
	}
	within := func(whole, part string) bool {
		return whole == "" || part == whole || strings.HasPrefix(part, whole+".")
	}
	return os.Family == other.Family && (within(os.Version, other.Version) || within(other.Version, os.Version)) &&
		(os.ServicePack == "" || other.ServicePack == "" || os.ServicePack == other.ServicePack)
}

func catchAll(family string) bool {
	return family == distro.Unknown || family == distro.OtherLinux || family == ""
}

// description is a sum of what an image is described as, but for what changes
// without another image behind it.
func (im *ImageFacts) description() string {
	hash := fnv.New64a()
	for _, s := range [...]string{
		im.Name, im.Family, im.Platform, im.OSName, im.OSNameEn, im.OSType, im.Architecture, im.BootMode, im.Owner,
		im.CheckOSVersion, im.CheckKernel, im.TagOSVersion, im.TagKernelVersion, strconv.Itoa(int(im.Presence)),
	} {
		hash.Write([]byte(s))
		hash.Write([]byte{0})
	}
	return strconv.FormatUint(hash.Sum64(), 36)
}

func atLeast(n int) int {
	if n <= 3 {
		return n
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// maxSiblings bounds what is read as a count.
const maxSiblings = 1 << 30

// fleet is what the fleet tells of the image of these facts. It tells nothing of
// an instance that is read as another system than the others of its image, or
// whose kernel is another than the image's, and nothing where the image is
// described otherwise than it was then. What is garbled counts for nothing.
func (f *Facts) fleet(os *OS) fleet {
	if f.Image.Fleet == "" || f.kernelOfImage() == No {
		return fleet{}
	}
	var out fleet
	for word := range strings.FieldsSeq(f.Image.Fleet) {
		key, value, _ := strings.Cut(word, "=")
		part := strings.SplitN(value, "/", 3)
		switch {
		case key == "image":
			if value != f.Image.description() {
				return fleet{}
			}
			continue
		case key == "os":
			if len(part) != 3 || !mayBeOne(os, &OS{Family: part[0], Version: part[1], ServicePack: part[2]}) {
				return fleet{}
			}
			continue
		case len(part) != 2:
			return fleet{}
		}
		class, known := parseClass(key)
		up, err := strconv.Atoi(part[0])
		own, ownErr := strconv.Atoi(part[1])
		if !known || err != nil || ownErr != nil || up < 1 || up > maxSiblings || own < 0 || own > up {
			return fleet{}
		}
		out[class] = Siblings{up, own}
	}
	return out
}

// kernelOfImage says whether the kernel that runs is the image's own.
func (f *Facts) kernelOfImage() Tri {
	own, runs := f.Image.TagKernelVersion, strings.TrimSpace(f.Guest.Kernel)
	if own == "" {
		own = f.Image.CheckKernel
	}
	switch own = strings.TrimSpace(own); {
	case own == "" || runs == "":
		return Unobserved
	case own == runs && (f.Guest.ConsoleKernel == "" || own == strings.TrimSpace(f.Guest.ConsoleKernel)):
		return Yes
	}
	return No
}

// enoughSiblings are as many as it takes for more than low confidence.
const enoughSiblings = 3

// settle says whether so many are enough to answer what is open of a system. One
// alone may have been upgraded in place since it was made from the image: where
// the release is named, both are held to that name, but where nothing names it
// and no kernel is known to be the image's own, nothing in hand tells that one
// from the others.
func (s Siblings) settle(os *OS) bool {
	return s.Up > 1 || s.Up == 1 && (os.Version != "" || s.Own > 0)
}

// siblings are the instances that count for a target: those of its class.
func (p *profile) siblings(t *Target) Siblings { return p.fleet[t.Class] }

// sentence says how many there are; counts above three are "at least".
func (s Siblings) sentence(class Class) string {
	many := func(n int) string {
		if n > 3 {
			return "at least " + strconv.Itoa(n)
		}
		return strconv.Itoa(n)
	}
	out := fmt.Sprintf("When the last complete scan ended, %s of the instances of this image ran on %s with a guest that was heard of", many(s.Up), class)
	if s.Own > 0 {
		out += fmt.Sprintf(", %s of them with the image's own kernel", many(s.Own))
	}
	return out + ". "
}
