package rules

// Tri is a three-valued observation. The zero value means "not observed",
// which is never read as "no".
type Tri uint8

// The values of Tri.
const (
	Unobserved Tri = iota
	No
	Yes
)

// Facts are the raw observations of one instance, spelled exactly as the API
// or the guest spelled them. The zero value of a field means "not observed".
// Facts hold no derived value, so that a better rule set can judge yesterday's
// facts again without asking the cloud. Facts are comparable: two instances
// with equal Facts get the same Classification.
type Facts struct {
	// From DescribeInstances.
	OSName, OSNameEn, OSType string // OSType: "linux" (FreeBSD too) or "windows"
	ImageID                  string
	InstanceType             string // "ecs.g6.large"
	InstanceFamily           string // "ecs.g6"
	IoOptimized              Tri
	OSNVMe                   Tri // ImageOptions.CurrentOSNVMeSupported
	Running                  Tri // Status Running: the OS boots on InstanceType as it is

	Image ImageFacts
	Guest GuestFacts

	// A bare string whose kind is not known (classify's argument): an OS name
	// or an image id.
	Name string
}

// Hardware is the part of Facts that tells of the machine; the rest tells what
// runs on it.
type Hardware struct {
	InstanceType, InstanceFamily string
	IoOptimized, OSNVMe, Running Tri
}

// Hardware returns the machine's part of the facts.
func (f *Facts) Hardware() Hardware {
	return Hardware{f.InstanceType, f.InstanceFamily, f.IoOptimized, f.OSNVMe, f.Running}
}

// Software returns the facts without the machine's part.
func (f *Facts) Software() *Facts {
	out := *f
	out.Put(Hardware{})
	return &out
}

// Put replaces the machine's part of the facts.
func (f *Facts) Put(h Hardware) {
	f.InstanceType, f.InstanceFamily, f.IoOptimized, f.OSNVMe, f.Running = h.InstanceType, h.InstanceFamily, h.IoOptimized, h.OSNVMe, h.Running
}

// ImagePresence says what DescribeImages answered for an image id.
type ImagePresence uint8

// The values of ImagePresence.
const (
	ImageNotAsked ImagePresence = iota // DescribeImages was not asked or failed
	ImageFound
	ImageMissing // asked with every Status and not there: deleted or no longer shared
)

// ImageFacts are the raw observations of the image an instance was made from
// (DescribeImages).
type ImageFacts struct {
	Presence                         ImagePresence
	Name                             string
	Family                           string // ImageFamily, e.g. "acs:centos_7_9_x64"
	Platform                         string
	OSName, OSNameEn, OSType         string
	Architecture                     string // "i386", "x86_64", "arm64"
	BootMode                         string // "BIOS", "UEFI", "UEFI-Preferred" or ""
	Owner                            string // ImageOwnerAlias: system, self, others, marketplace
	Status                           string // Available, Deprecated, UnAvailable, ...
	IoOptimized                      Tri    // IsSupportIoOptimized
	NVMe                             Tri    // Features.NvmeSupport
	CheckVirtio, CheckNVMe, CheckXen Tri    // DetectionOptions items: Supported = Yes
	CheckFstab, CheckGRUB            Tri    // DetectionOptions items: passed = Yes
	CheckSupported                   Tri    // GUESTOS.SupportMocInstanceTypes: Alibaba's own answer
	CheckOSVersion, CheckKernel      string // DetectionOptions GUESTOS.OSVersion, GUESTOS.KernelVersion
	TagOSVersion, TagKernelVersion   string // tags acs:ecs:image:osVersion, acs:ecs:image:kernelVersion
	// Offered are the instance families on which the platform offers the image
	// in its region (DescribeImageSupportInstanceTypes), sorted, separated by
	// spaces; Refused are those on which it offers a current public image of the
	// same architecture there and not this one. Both are "" where it was not
	// asked.
	Offered, Refused string
	// Fleet is what other instances of the image in its account and region tell
	// of it (ImageFleet), "" where none is known to be up anywhere.
	Fleet string
}

// GuestFacts are what the machine itself answered (the in-guest probe).
type GuestFacts struct {
	Release      string // first line of /etc/redhat-release and the like, or the Windows caption
	Kernel       string // the release of the kernel that its boot loader starts, or where that is not told uname -r
	Architecture string // uname -m
	Virtio       Tri    // virtio drivers can be loaded at boot
	NVMe         Tri    // NVMe driver can be loaded at boot
	XenResidue   Tri    // Windows: Xen packages or a non-empty hide_devices registry value
	DeviceNames  Tri    // fstab or boot loader names devices by /dev/xvdX, /dev/vdX
	SecuritySoft Tri    // Windows: third-party security software is running
	FreeBSDPatch Tri    // FreeBSD: the patch or kern.maxphys setting is in place
	SystemFiles  Tri    // Windows: the last run of SFC found every system file sound
	Up           Tri    // the guest itself was heard of since it started: a heartbeat, or a console log that reached login
	// ConsoleKernel and ConsoleNames are what a console log that is newer than the
	// machine's answer shows of the same: the kernel that was started, where it is
	// another one than Kernel, and that its root is named by device.
	ConsoleKernel string
	ConsoleNames  Tri
}

// Answered says whether the machine was asked itself, and its answer could be
// read: each names its system or its architecture, and nothing else does.
func (g *GuestFacts) Answered() bool { return g.Release != "" || g.Architecture != "" }

// Texts are the fields of f that hold text of everything but the machine, in
// the order in which messages and the store spell them. With Tris it is the
// one list of them: what writes, hashes or copies facts goes by it.
func (f *Facts) Texts() [26]*string {
	return [...]*string{
		&f.OSName, &f.OSNameEn, &f.OSType, &f.ImageID, &f.Name,
		&f.Image.Name, &f.Image.Family, &f.Image.Platform, &f.Image.OSName, &f.Image.OSNameEn, &f.Image.OSType,
		&f.Image.Architecture, &f.Image.BootMode, &f.Image.Owner, &f.Image.Status,
		&f.Image.CheckOSVersion, &f.Image.CheckKernel, &f.Image.TagOSVersion, &f.Image.TagKernelVersion,
		&f.Image.Offered, &f.Image.Refused,
		&f.Guest.Release, &f.Guest.Kernel, &f.Guest.Architecture,
		&f.Image.Fleet, &f.Guest.ConsoleKernel,
	}
}

// Tris are the three-valued fields of f of everything but the machine, in the
// order in which messages and the store spell them.
func (f *Facts) Tris() [17]*Tri {
	return [...]*Tri{
		&f.Image.IoOptimized, &f.Image.NVMe, &f.Image.CheckVirtio, &f.Image.CheckNVMe, &f.Image.CheckXen,
		&f.Image.CheckFstab, &f.Image.CheckGRUB, &f.Image.CheckSupported,
		&f.Guest.Virtio, &f.Guest.NVMe, &f.Guest.XenResidue, &f.Guest.DeviceNames, &f.Guest.SecuritySoft, &f.Guest.FreeBSDPatch, &f.Guest.SystemFiles, &f.Guest.Up, &f.Guest.ConsoleNames,
	}
}

// Level is a verdict's severity. The zero value is Unknown, so that a verdict
// nobody filled in never reads as compatible.
type Level uint8

// The levels. Severity order, worst first: Incompatible, Unknown,
// NeedsAction, Compatible (see Worse).
const (
	Unknown Level = iota
	Compatible
	NeedsAction
	Incompatible
)

// Confidence says how firmly the evidence and the rule's source carry a
// verdict. The zero value is Low.
type Confidence uint8

// The confidences.
const (
	Low Confidence = iota
	Medium
	High
)

// Evidence says where an OS identity came from.
type Evidence uint8

// The evidence kinds, weakest first.
const (
	EvidenceNone     Evidence = iota // nothing was observed
	EvidenceName                     // an image id or a bare string
	EvidenceInstance                 // DescribeInstances
	EvidenceImage                    // DescribeImages
	EvidenceGuest                    // the machine itself
)

// OS is the identity of an operating system. Versions are canonical and short
// ("5.8", "6.0.9", "2008r2"); "" means not known.
type OS struct {
	Family      string   `json:"family"`
	Version     string   `json:"version"`
	ServicePack string   `json:"service_pack"`
	Edition     string   `json:"edition"`
	Arch        string   `json:"arch"` // "i386", "x86_64", "arm64" or ""
	Kernel      string   `json:"kernel"`
	Evidence    Evidence `json:"evidence"`
}

// Conflict is a piece of evidence that contradicts the chosen identity, or what
// the table of families says of a target.
type Conflict struct {
	Field    string   `json:"field"` // "family", "version", "arch", "kernel", "target NVMe", ...
	Chosen   string   `json:"chosen"`
	Other    string   `json:"other"`
	Evidence Evidence `json:"evidence"` // where Other was seen
	Text     string   `json:"text"`     // the string it was read from
}

// Machine is what the current instance type says of the hardware.
type Machine struct {
	Family         string // "ecs.g6"
	Generation     int    // ECS generation, 0 when not known
	Virtualization string // "xen", "kvm", "shenlong" or "unknown"
	Arch           string // "x86_64", "arm64" or ""
	Retired        bool
}

// Remedy is a way to make an instance boot on a target.
type Remedy struct {
	ID       string   `json:"id"` // "replace-os", "minor-upgrade", "stay-gen5", ...
	To       string   `json:"to,omitempty"`
	Families []string `json:"families,omitempty"`
	Text     string   `json:"text"`
	Steps    []string `json:"steps,omitempty"`
	Benefit  string   `json:"benefit,omitempty"`
	Drawback string   `json:"drawback,omitempty"`
}

// Finding is one rule that fired.
type Finding struct {
	Rule       string     `json:"rule"`
	Level      Level      `json:"verdict"`
	Confidence Confidence `json:"confidence"`
	Reason     string     `json:"reason"`
	Source     string     `json:"source"`
}

// Waiver says that an overlay set a verdict aside for a scope.
type Waiver struct {
	ID     string `json:"id"`
	Was    Level  `json:"was"`
	Until  string `json:"until"` // RFC 3339 date
	Reason string `json:"reason"`
}

// Verdict is the answer for one target: the worst finding first, every
// finding, remedy and check kept.
type Verdict struct {
	Target     string     `json:"target"`
	Level      Level      `json:"verdict"`
	Confidence Confidence `json:"confidence"`
	Rule       string     `json:"rule"`
	Reason     string     `json:"reason"`
	Source     string     `json:"source"`
	Remedies   []Remedy   `json:"remedies"`
	Checks     []string   `json:"checks"`
	Findings   []Finding  `json:"findings,omitempty"`
	Waiver     *Waiver    `json:"waiver,omitempty"`
	// HangsOnUp says that the verdict rests on nothing but an instance that is
	// Running, and that it is not known whether its guest is up: to be heard of
	// would make it firmer.
	HangsOnUp bool `json:"-"`
}

// Classification is all that the rule set says of one set of Facts. It is
// immutable and shared between callers.
type Classification struct {
	OS        OS         `json:"os"`
	Conflicts []Conflict `json:"conflicts,omitempty"`
	Legacy    bool       `json:"legacy"`
	Verdicts  []Verdict  `json:"verdicts"` // one for each target, in the classifier's order
}
