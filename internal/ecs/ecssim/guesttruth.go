package ecssim

import (
	"strconv"
	"strings"
)

// judge derives what holds of an instance whose machine was asked itself: its
// system and kernel are known, and so are the drivers that it can load at boot.
// What the platform answered for the image counts as it does without (judge),
// and so does what the machine adds:
//
//  1. What an instance runs on it boots on, unless Linux cannot load the disks'
//     driver there at all.
//
//  2. Otherwise the verdict of the operating system that runs stands. On
//     SHENLONG 8 the platform accepts listed systems only, and the system needs
//     the NVMe driver at boot: where the guest has it that is settled, where it
//     has not it is to be added, and kernels without one never start.
//
//  3. A source on Xen whose virtio drivers do not load at boot needs action, and
//     so does Windows with remnants of Xen, Linux that names disks as the kernel
//     numbers them, and an image that is not I/O optimized.
func (g *guest) judge(slot *slot, machineFacts machineFacts, asked bool) [targets]level {
	var out [targets]level
	for i, t := range target {
		out[i] = g.judgeOne(slot, machineFacts, i, t.class, asked)
	}
	return out
}

func (g *guest) judgeOne(slot *slot, machineFacts machineFacts, number int, to machineClass, asked bool) level {
	offered, refused := false, false
	if asked && slot.present {
		offered, refused = slot.answers(to)
	}
	settled := levelNeedsAction
	if slot.owner == "system" || slot.owner == "marketplace" {
		settled = levelCompatible
	}
	// open is what is left of a question that the platform may have answered.
	open := func(v level) level {
		if v == levelUnknown && offered && g.kind.version != "" {
			return settled
		}
		return v
	}
	there := machineFacts.running && machineFacts.class == to
	worst := levelCompatible
	if !there {
		worst = open(g.kind.verdicts[min(number, 2)]) // on SHENLONG 8 no other than on 7, but for what follows
		if to == classShenlong8 && !g.kind.accepted() {
			worst = max(worst, open(levelUnknown))
		}
	}
	if to == classShenlong8 {
		worst = max(worst, g.fromNVMe())
	}
	if refused && !there {
		worst = levelIncompatible
	}
	windows := g.kind.osType() == "windows"
	if !there && (machineFacts.class == classXen && !g.virtio || windows && g.residue || !windows && g.names > 0 || slot.present && slot.noIO) {
		worst = max(worst, levelNeedsAction)
	}
	return worst
}

// accepted says whether the system is one of those that families of the 8th
// generation and later are known to accept: the data file says of them that a
// flag, or for Windows a driver, is all that is missing.
func (k *osKind) accepted() bool {
	return k.flagged == levelCompatible || k.flagged == levelNeedsAction
}

// fromNVMe says what a guest whose kernel and drivers are known needs to start
// from an NVMe disk.
func (g *guest) fromNVMe() level {
	kind := g.kind
	first, second := g.kernelNumbers()
	backported := kind.family == "sles" && kind.version == "11" || strings.Contains(g.kernel, ".el6")
	beforeNVMe := kind.osType() == "linux" && first > 0 && (first < 3 || first == 3 && second < 3) && !backported // the driver came with Linux 3.3
	switch {
	// The last of the targets is SHENLONG 8, whose disks are all NVMe.
	case kind.verdicts[targets-1] == levelIncompatible, beforeNVMe:
		return levelIncompatible
	case g.nvme:
		return levelCompatible
	}
	switch kind.family {
	case "windows-server":
		if kind.version == "2008r2" || kind.version == "2012" {
			return levelUnknown // a hotfix or a vendor's driver may be there
		}
	case "sles":
		if kind.version == "11" {
			return levelUnknown
		}
	case "coreos":
		return levelUnknown
	}
	return levelNeedsAction
}

// kernelNumbers are the first two numbers of the kernel's release.
func (g *guest) kernelNumbers() (first, second int) {
	parts := strings.SplitN(g.kernel, ".", 3)
	if len(parts) < 2 {
		return 0, 0
	}
	first, _ = strconv.Atoi(parts[0])
	second, _ = strconv.Atoi(parts[1])
	return first, second
}
