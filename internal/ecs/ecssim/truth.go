package ecssim

import (
	"encoding/json"
	"fmt"
)

// level is a verdict in the words of the truth file, ordered by severity.
type level uint8

const (
	levelCompatible level = iota
	levelNeedsAction
	levelUnknown
	levelIncompatible
)

func (l level) String() string {
	return [...]string{"compatible", "needs-action", "unknown", "incompatible"}[l]
}

func parseLevel(text string) (level, error) {
	for l := levelCompatible; l <= levelIncompatible; l++ {
		if l.String() == text {
			return l, nil
		}
	}
	return 0, fmt.Errorf("verdict %q", text)
}

// targets is how many targets the truth file judges.
const targets = 4

// target is one of them, and the machines that it stands for.
var target = [targets]struct {
	name  string
	class machineClass
}{{"kvm", classKVM}, {"shenlong-6", classShenlong6}, {"shenlong-7", classShenlong7}, {"shenlong-8", classShenlong8}}

// Targets are the targets of the truth file, in the order of Truth.Verdicts.
func Targets() []string {
	var out []string
	for _, t := range target {
		out = append(out, t.name)
	}
	return out
}

// System is an operating system by its label.
type System struct {
	Family      string `json:"family"`
	Version     string `json:"version"`
	ServicePack string `json:"service_pack"`
}

func (k *osKind) system() System { return System{k.family, k.version, k.servicePack} }

// Verdicts are in the order of Targets.
type Verdicts [targets]string

// MarshalJSON names the target of each verdict.
func (v Verdicts) MarshalJSON() ([]byte, error) {
	named := map[string]string{}
	for i, verdict := range v {
		named[target[i].name] = verdict
	}
	return json.Marshal(named)
}

func named(levels [targets]level) (out Verdicts) {
	for i, l := range levels {
		out[i] = l.String()
	}
	return out
}

// Truth is what the generator knows of one instance: one line of the truth
// file.
type Truth struct {
	Account    string `json:"account"`
	Region     string `json:"region"`
	InstanceID string `json:"instance_id"`
	OS         System `json:"os"`
	Family     string `json:"family"` // of OS, and so is Version
	Version    string `json:"version"`
	// Verdicts are what the evidence that every scan reads can show: it goes by the
	// names of instance and image.
	Verdicts Verdicts `json:"verdicts"`
	// Disks are those that are attached to it.
	Disks []TruthOfDisk `json:"disks"`
	// Guest is what really runs there, which a name may not tell.
	Guest TruthOfGuest `json:"guest"`
}

// TruthOfGuest is what really runs in an instance.
type TruthOfGuest struct {
	System
	// Names says what the names that the instance shows tell of it: right, vague,
	// wrong (the image is registered as another system) or stale (the machine's
	// system was replaced since it was made).
	Names string `json:"names"`
	// Answers says whether the machine answers when it is asked itself, and
	// Verdicts what holds then.
	Answers bool `json:"answers"`
	// Failed says that the last start failed: the machine is Running and its guest
	// is not up. The verdicts do not know of it: by default no console is read.
	Failed   bool     `json:"failed"`
	Verdicts Verdicts `json:"verdicts"`
}

// machineFacts is what the machine adds to the label of the operating system.
type machineFacts struct {
	class   machineClass
	running bool // Running, by an image of the machine's architecture
}

// judge derives the verdicts of one instance from the label of its operating
// system (data/os.tsv) and its machine, for the default targets:
//
//  1. An instance that is Running on a machine of the target's class is
//     compatible there, whatever else is known of its system
//     (observed.running); it proves nothing for another class, and a family of
//     open class proves nothing. Starting, Stopping and Stopped
//     instances prove nothing either, and neither does one whose image is of
//     another architecture than its machine (Change can bring that about):
//     one of the two is not what it is said to be.
//
//  2. Otherwise the verdict of the operating system stands (the boundary
//     cases). On SHENLONG 8 it depends on whether the flags of image and
//     instance say that NVMe is supported.
//
//     Where the platform is asked (DescribeImageSupportInstanceTypes; an image
//     that is gone cannot be asked about), its answer counts: a class on which
//     the image is not offered is incompatible, and one on which it is offered
//     settles what is unknown of a system whose release is known: as compatible
//     for public images and those of the marketplace, and as needs-action for
//     all others and on SHENLONG 8 without the flag for NVMe.
//
//  3. A source on Xen (families t1, s1; s2 s3 m1 m2 c1 c2 with IoOptimized
//     false) without proof of virtio needs action at least
//     (virtio.unverified). An image whose check reports Virtio Supported is
//     the only proof in this fleet.
//
//  4. A Windows source on Xen needs action at least, virtio or not
//     (win.xen-residue: the Xen packages and their registry values).
//
//  5. An image that is not I/O optimized needs action at least
//     (virtio.io-optimized-unsupported).
//
//  6. Windows on a machine with NVMe disks needs action at least on classes
//     that attach disks by virtio (nvme.windows-back).
//
// The worst of these wins: incompatible, unknown, needs-action, compatible.
// Overlays that need a concrete target type (NVMe, boot mode, architecture,
// AMD, RHEL policy) and advisories (end of life, deleted image, classic
// network) do not touch the default targets.
func judge(slot *slot, machineFacts machineFacts, asked bool) [targets]level {
	var out [targets]level
	for i, t := range target {
		out[i] = judgeOne(slot, machineFacts, i, t.class, asked)
	}
	return out
}

func judgeOne(slot *slot, machineFacts machineFacts, i int, target machineClass, asked bool) level {
	level := slot.kind.verdicts[i]
	if target == classShenlong8 && slot.nvme {
		level = slot.kind.flagged
	}
	if asked && slot.present {
		switch offered, refused := slot.answers(target); {
		case refused:
			level = levelIncompatible
		case offered && level == levelUnknown && slot.kind.version != "":
			level = levelNeedsAction
			if (slot.owner == "system" || slot.owner == "marketplace") && (target != classShenlong8 || slot.nvme) {
				level = levelCompatible
			}
		}
	}
	if machineFacts.running && machineFacts.class == target {
		level = levelCompatible
	}
	if machineFacts.class == classShenlong8 && target != classShenlong8 && slot.kind.osType() == "windows" {
		level = max(level, levelNeedsAction)
	}
	if machineFacts.class == classXen && !slot.virtio {
		level = max(level, levelNeedsAction)
	}
	if machineFacts.class == classXen && slot.kind.osType() == "windows" {
		level = max(level, levelNeedsAction)
	}
	if slot.present && slot.noIO {
		level = max(level, levelNeedsAction)
	}
	return level
}

// truth is what the generator knows of the instance.
func (sc *scope) truth(in *instance) Truth {
	ownArch := (in.slot.kind.arch == "arm64") == (in.typ.arch == "ARM")
	facts := machineFacts{class: in.typ.class(in.ioOptimized), running: in.status == statusRunning && ownArch}
	system, guest := in.slot.kind.system(), sc.guest(in)
	return Truth{
		Account: sc.account.ID, Region: sc.region.id, InstanceID: in.id(sc), OS: system, Family: system.Family, Version: system.Version,
		Verdicts: named(judge(in.slot, facts, sc.fleet.asked)), Disks: sc.disks(in),
		Guest: TruthOfGuest{
			System: guest.kind.system(), Names: guest.naming.String(), Answers: guest.answers && guest.oddity == oddNone && in.status == statusRunning,
			Failed: guest.failed, Verdicts: named(guest.judge(in.slot, facts, sc.fleet.asked)),
		},
	}
}
