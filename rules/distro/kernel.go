package distro

import (
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/rules/version"
)

// KernelGuess is what a kernel release says of the system that runs it.
type KernelGuess struct {
	Family string // "" when the build is shared by several families
	// EL is the Enterprise Linux major release that the kernel was built for,
	// whichever rebuild runs it; 0 when it is none.
	EL      int
	Version string // canonical version of Family, or the major release of EL
}

// IdentifyKernel reads a kernel release by the tag of its builder. A version that
// no release ever had is not said.
func IdentifyKernel(s string) KernelGuess {
	kernelGuess := builderOf(s)
	if kernelGuess.EL > 0 && Existing(OtherLinux, "el", kernelGuess.Version) == "" {
		return KernelGuess{}
	}
	if kernelGuess.Family != "" {
		kernelGuess.Version = Existing(kernelGuess.Family, "", kernelGuess.Version)
	}
	return kernelGuess
}

// KernelOf says which kind of system a kernel release is of, by its number alone:
// Windows with its release, or a Linux of any make. It knows no others.
func KernelOf(s string) System {
	kernel := version.ParseKernel(s)
	base := kernel.Base
	switch {
	case !kernel.OK:
		return System{}
	case base[2] >= 1000: // Windows counts builds, and has three numbers
		system := builds[base[2]]
		if named, ok := ntRelease(base[0], base[1]); base[0] != 10 && (!ok || named.Version != system.Version) {
			return System{}
		}
		return system
	case base[0] < 2 || base[0] > 9, IdentifyKernel(s).Family == FreeBSD:
		return System{}
	}
	return System{Family: OtherLinux}
}

// KernelArch reads what a kernel is built for: by its name in full, because a bare
// number is one of its build (3.13.0-32-generic).
func KernelArch(s string) string {
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		switch strings.ToLower(word) {
		case "x86_64", "amd64":
			return "x86_64"
		case "aarch64", "arm64":
			return "arm64"
		case "i386", "i486", "i586", "i686":
			return "i386"
		}
	}
	return ""
}

func builderOf(s string) KernelGuess {
	kernel := version.ParseKernel(s)
	if !kernel.OK {
		return KernelGuess{}
	}
	name, number := kernel.TagNumber()
	major := ""
	if number > 0 && number < 1000 {
		major = strconv.Itoa(int(number))
	}
	switch name {
	case "el":
		if major == "" || number > 99 {
			return KernelGuess{}
		}
		return KernelGuess{EL: int(number), Version: major}
	case "al":
		switch number {
		case 7:
			if kernel.Base[0] == 4 && kernel.Base[1] == 4 {
				return KernelGuess{Family: Alinux, Version: "17.1"}
			}
			return KernelGuess{Family: Alinux, Version: "2"}
		case 8:
			return KernelGuess{Family: Alinux, Version: "3"}
		}
		return KernelGuess{Family: Alinux}
	case "alnx":
		return KernelGuess{Family: Alinux, Version: major}
	case "an":
		return KernelGuess{Family: Anolis, Version: major}
	case "fc":
		return KernelGuess{Family: Fedora, Version: major}
	case "oe":
		return KernelGuess{Family: OpenEuler}
	case "ky":
		return KernelGuess{Family: Kylin}
	case "amzn":
		return KernelGuess{Family: OtherLinux}
	}
	switch kernel.Flavour {
	case "release", "stable":
		return KernelGuess{Family: FreeBSD, Version: join(int(kernel.Base[0]), int(kernel.Base[1]))}
	case "gentoo":
		return KernelGuess{Family: Gentoo}
	case "coreos":
		return KernelGuess{Family: CoreOS}
	case "flatcar":
		return KernelGuess{Family: Flatcar}
	}
	return KernelGuess{}
}
