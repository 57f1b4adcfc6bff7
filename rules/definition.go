package rules

import "cmp"

// Definition is a rule set as data: what the catalog document and a user's
// overlay hold. Compile makes it executable.
type Definition struct {
	Version  int                  `yaml:"version"`
	AsOf     string               `yaml:"as_of"` // the day the sources were read, RFC 3339
	Sources  map[string]string    `yaml:"sources"`
	Dated    map[string]string    `yaml:"dated"` // source -> the day that it speaks of, where that is not AsOf
	Remedies map[string]RemedyDef `yaml:"remedies"`
	Checks   map[string]string    `yaml:"checks"`
	// Systems are named lists of operating systems that rules refer to.
	Systems map[string][]OSMatch `yaml:"systems"`
	// Restricted are families before the 8th generation that accept listed
	// systems only, as all later ones do.
	Restricted []string `yaml:"restricted_families"`
	// EndOfSupport is the last day of standard support by family, or
	// family/edition, and release; "*" is every release, where the whole family
	// ended.
	EndOfSupport map[string]map[string]string `yaml:"end_of_support"`
	Rules        []Rule                       `yaml:"rules"`
	Overrides    []Override                   `yaml:"overrides"`
	Waivers      []WaiverRule                 `yaml:"waivers"`
	Families     []FamilyRow                  `yaml:"families"`
}

// RuleAsOf is the day that a rule's knowledge is of: its source's.
func (d *Definition) RuleAsOf(u *Rule) string { return cmp.Or(d.Dated[u.Source], d.AsOf) }

// RemedyDef is the text of a remedy: what a person does.
type RemedyDef struct {
	Text     string   `yaml:"text"`
	Families []string `yaml:"families"`
	Steps    []string `yaml:"steps"`
	Benefit  string   `yaml:"benefit"`
	Drawback string   `yaml:"drawback"`
}

// Rule is one reason for a verdict.
type Rule struct {
	ID        string            `yaml:"id"`
	Title     string            `yaml:"title"`
	Stage     string            `yaml:"stage"` // StageOS, StageNVMe, StagePlatform, StageFinding, StageAdvisory, StageObserved, StageAnswer
	Withdrawn bool              `yaml:"withdrawn"`
	When      When              `yaml:"when"`
	Verdicts  map[string]string `yaml:"verdicts"` // class -> verdict; a class that is not named is not judged
	// Confidence is that of every verdict; ConfidenceAt replaces it for a class.
	Confidence   string            `yaml:"confidence"`
	ConfidenceAt map[string]string `yaml:"confidence_at"`
	// ConfirmedBy are facts by class any of which makes the confidence high.
	ConfirmedBy map[string][]string `yaml:"confirmed_by"`
	Legacy      bool                `yaml:"legacy"`
	// NextStart says that a finding is about the next start from a virtio disk, of
	// which it tells nothing that the instance runs on the target's class now.
	NextStart bool              `yaml:"next_start"`
	Reason    string            `yaml:"reason"`
	Reasons   map[string]string `yaml:"reasons"` // class -> reason, where it is another there
	Source    string            `yaml:"source"`  // a key of Sources
	Remedies  []RemedyUse       `yaml:"remedies"`
	Checks    []string          `yaml:"checks"`
	Fire      []Observation     `yaml:"fire"` // observations on which the rule must fire
	Hold      []Observation     `yaml:"hold"` // neighbours on which it must not
}

// The stages of a rule.
const (
	// StageOS judges the operating system: the first rule that matches wins;
	// where a boundary lies inside what is known, the worst of the possible.
	StageOS = "os"
	// StageNVMe judges as StageOS does whether the system starts from an NVMe
	// disk, on targets that attach disks so.
	StageNVMe = "nvme"
	// StagePlatform judges as StageOS does whether the platform accepts the
	// system, on targets that accept listed ones only.
	StagePlatform = "platform"
	// StageFinding adds a reason to the operating system's; it may raise a
	// verdict and never lowers one.
	StageFinding = "finding"
	// StageAdvisory tells something that does not touch the verdict.
	StageAdvisory = "advisory"
	// StageAnswer takes the place of an operating system or platform rule that
	// leaves the question open, where other instances of the image or the platform
	// itself answered it. It never touches what another verdict rests on.
	StageAnswer = "answer"
	// StageObserved replaces the judgement of the operating system where the
	// machine already runs on the target's class.
	StageObserved = "observed"

	// stageNames are all of them, in the order in which their reasons are told.
	stageNames = "observed answer os nvme platform finding advisory"
)

// When is what a rule matches; everything that is given must hold.
type When struct {
	Family        []string            `yaml:"family"`         // "centos", "other-linux/scientific", "*"; "windows" and "not-windows" for all of a kind
	Systems       string              `yaml:"systems"`        // a key of Systems, in place of family and version
	Version       string              `yaml:"version"`        // "<5.9", ">=5.9 <5.10", "5.9" for all of 5.9, "missing"
	Edition       []string            `yaml:"edition"`        // "none" for no edition
	Arch          []string            `yaml:"arch"`           // "none" for not known
	Kernel        string              `yaml:"kernel"`         // ">=2.6.18-0 <=2.6.18-348"; never holds for an unknown kernel
	KernelFlavour []string            `yaml:"kernel_flavour"` // "xen", "uek"
	KernelNot     string              `yaml:"kernel_not"`     // a known kernel whose base is not this one: "2.6.18"
	Owner         []string            `yaml:"owner"`          // ImageOwnerAlias
	Facts         map[string][]string `yaml:"facts"`          // three-valued facts: allowed values
	Except        []OSMatch           `yaml:"except"`         // operating systems that the rule leaves alone
	Mismatch      string              `yaml:"mismatch"`       // "arch", "arch-not-told", "boot-mode", "boot-mode-not-told", "to-nvme", "to-virtio", "type-change", "platform-offers", "platform-refuses", "fleet-up", "fleet-settles", "fleet-kernel": image or machine against target
	Source        *MachineMatch       `yaml:"source_machine"`
	Target        *MachineMatch       `yaml:"target_machine"`
}

// OSMatch is a family and a range of its releases, on any kernel or on known
// ones.
type OSMatch struct {
	Family  []string `yaml:"family"`
	Version string   `yaml:"version"`
	Kernel  string   `yaml:"kernel"`
}

// MachineMatch matches the machine an instance runs on, or a target that is a
// family or type.
type MachineMatch struct {
	Family         []string `yaml:"family"`
	NotFamily      []string `yaml:"not_family"`
	Virtualization []string `yaml:"virtualization"`
	Generation     string   `yaml:"generation"` // a range: "<=1"
	BootModes      []string `yaml:"boot_modes"` // of a target: exactly these
	NVMe           []string `yaml:"nvme"`
	Vendor         []string `yaml:"vendor"`
	MemoryMiB      int      `yaml:"memory_mib"` // at least
	Arch           []string `yaml:"arch"`       // of a target; "none" for not known
	Disks          []string `yaml:"disks"`      // that a target takes: any, essd, essd+entry, unknown
	Unlisted       bool     `yaml:"unlisted"`   // a target whose family is in no table
}

// RemedyUse offers a remedy in a rule.
type RemedyUse struct {
	ID      string   `yaml:"id"`
	To      string   `yaml:"to"`
	Note    string   `yaml:"note"`    // said after the remedy's text
	Targets []string `yaml:"targets"` // classes it helps for; all when empty
	NotFor  []string `yaml:"not_for"` // families it is not to be had for
}

// Override changes the verdict of a rule.
type Override struct {
	Rule       string            `yaml:"rule"`
	Verdicts   map[string]string `yaml:"verdicts"`
	Confidence string            `yaml:"confidence"`
	Disabled   bool              `yaml:"disabled"` // the rule never fires
	Reason     string            `yaml:"reason"`
}

// WaiverRule sets a verdict aside for some instances until a day.
type WaiverRule struct {
	ID      string     `yaml:"id"`
	Scope   WaiveScope `yaml:"scope"`
	Targets []string   `yaml:"targets"` // target ids or classes; all when empty
	Rules   []string   `yaml:"rules"`   // only verdicts that rest on these; all when empty
	As      string     `yaml:"as"`      // the verdict it becomes: compatible unless given
	Until   string     `yaml:"until"`   // the last day it holds, RFC 3339 date
	Reason  string     `yaml:"reason"`
}

// WaiveScope names instances; everything that is given must hold, and
// something must be given.
type WaiveScope struct {
	Accounts  []string          `yaml:"accounts"`
	Regions   []string          `yaml:"regions"`
	Instances []string          `yaml:"instances"`
	Images    []string          `yaml:"images"`
	Tags      map[string]string `yaml:"tags"` // "*" for any value
}

// FamilyRow adds or corrects an instance family.
type FamilyRow struct {
	Family         string   `yaml:"family"`
	Generation     int      `yaml:"generation"`
	Class          string   `yaml:"class"` // what it counts as where the generation does not tell
	Virtualization string   `yaml:"virtualization"`
	Arch           string   `yaml:"arch"`
	Vendor         string   `yaml:"vendor"`
	Lifecycle      string   `yaml:"lifecycle"`
	NVMe           string   `yaml:"nvme"`
	Boot           string   `yaml:"boot"`
	Disks          string   `yaml:"disks"`          // that it takes: any, essd, essd+entry, unknown; what the generation says where left out
	TypeChangeTo   []string `yaml:"type_change_to"` // families that its instances can change to
	NoTypeChange   bool     `yaml:"no_type_change"` // they can change to none
	Source         string   `yaml:"source"`
}

// Observation is Facts by name, for fixtures and for `shenscan classify`: a
// bare string or an object.
type Observation struct {
	Name           string `yaml:"name,omitempty" json:"name,omitzero"`
	OSName         string `yaml:"os_name,omitempty" json:"os_name,omitzero"`
	OSNameEn       string `yaml:"os_name_en,omitempty" json:"os_name_en,omitzero"`
	OSType         string `yaml:"os_type,omitempty" json:"os_type,omitzero"`
	Platform       string `yaml:"platform,omitempty" json:"platform,omitzero"`
	ImageID        string `yaml:"image_id,omitempty" json:"image_id,omitzero"`
	ImageName      string `yaml:"image_name,omitempty" json:"image_name,omitzero"`
	ImageFamily    string `yaml:"image_family,omitempty" json:"image_family,omitzero"`
	ImageOSName    string `yaml:"image_os_name,omitempty" json:"image_os_name,omitzero"`
	ImageOwner     string `yaml:"image_owner,omitempty" json:"image_owner,omitzero"`
	ImageStatus    string `yaml:"image_status,omitempty" json:"image_status,omitzero"`
	ImageMissing   bool   `yaml:"image_missing,omitempty" json:"image_missing,omitzero"`
	Architecture   string `yaml:"architecture,omitempty" json:"architecture,omitzero"`
	BootMode       string `yaml:"boot_mode,omitempty" json:"boot_mode,omitzero"`
	Kernel         string `yaml:"kernel,omitempty" json:"kernel,omitzero"`
	ImageKernel    string `yaml:"image_kernel,omitempty" json:"image_kernel,omitzero"`
	ConsoleKernel  string `yaml:"console_kernel,omitempty" json:"console_kernel,omitzero"` // of a console log newer than the answer that kernel is of
	Release        string `yaml:"release,omitempty" json:"release,omitzero"`
	InstanceType   string `yaml:"instance_type,omitempty" json:"instance_type,omitzero"`
	Target         string `yaml:"target,omitempty" json:"-"` // fixtures: a family or type to judge for
	IoOptimized    Tri    `yaml:"io_optimized,omitempty" json:"io_optimized,omitzero"`
	OSNVMe         Tri    `yaml:"os_nvme,omitempty" json:"os_nvme,omitzero"`
	Running        Tri    `yaml:"running,omitempty" json:"running,omitzero"`
	ImageIO        Tri    `yaml:"image_io_optimized,omitempty" json:"image_io_optimized,omitzero"`
	ImageNVMe      Tri    `yaml:"image_nvme,omitempty" json:"image_nvme,omitzero"`
	CheckVirtio    Tri    `yaml:"check_virtio,omitempty" json:"check_virtio,omitzero"`
	CheckNVMe      Tri    `yaml:"check_nvme,omitempty" json:"check_nvme,omitzero"`
	CheckFstab     Tri    `yaml:"check_fstab,omitempty" json:"check_fstab,omitzero"`
	CheckGRUB      Tri    `yaml:"check_grub,omitempty" json:"check_grub,omitzero"`
	CheckSupported Tri    `yaml:"check_supported,omitempty" json:"check_supported,omitzero"`
	Virtio         Tri    `yaml:"virtio,omitempty" json:"virtio,omitzero"`
	NVMe           Tri    `yaml:"nvme,omitempty" json:"nvme,omitzero"`
	XenResidue     Tri    `yaml:"xen_residue,omitempty" json:"xen_residue,omitzero"`
	DeviceNames    Tri    `yaml:"device_names,omitempty" json:"device_names,omitzero"`
	SecuritySoft   Tri    `yaml:"security_software,omitempty" json:"security_software,omitzero"`
	FreeBSDPatch   Tri    `yaml:"freebsd_patch,omitempty" json:"freebsd_patch,omitzero"`
	SystemFiles    Tri    `yaml:"system_files,omitempty" json:"system_files,omitzero"`
	ConsoleNames   Tri    `yaml:"console_device_names,omitempty" json:"console_device_names,omitzero"`
	Up             Tri    `yaml:"guest_up,omitempty" json:"guest_up,omitzero"`
	Offered        string `yaml:"platform_offers,omitempty" json:"platform_offers,omitzero"`   // families, separated by spaces
	Refused        string `yaml:"platform_refuses,omitempty" json:"platform_refuses,omitzero"` // families, separated by spaces
	Fleet          string `yaml:"fleet,omitempty" json:"fleet,omitzero"`                       // other instances of the image that are up: "shenlong-7=5/3", of which 3 with its own kernel
}

// UnmarshalYAML reads a bare string as the name, anything else as an object.
func (o *Observation) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&o.Name) == nil {
		return nil
	}
	type observation Observation // without this method; what is wrong is said to be in one of that name
	return unmarshal((*observation)(o))
}

// Facts are the facts that o spells.
func (o *Observation) Facts() Facts {
	facts := Facts{
		Name: o.Name, OSName: o.OSName, OSNameEn: o.OSNameEn, OSType: o.OSType, ImageID: o.ImageID,
		InstanceType: o.InstanceType, IoOptimized: o.IoOptimized, OSNVMe: o.OSNVMe, Running: o.Running,
		Image: ImageFacts{
			Name: o.ImageName, Family: o.ImageFamily, Platform: o.Platform, OSName: o.ImageOSName, Owner: o.ImageOwner,
			Status: o.ImageStatus, Architecture: o.Architecture, BootMode: o.BootMode, IoOptimized: o.ImageIO, NVMe: o.ImageNVMe,
			CheckVirtio: o.CheckVirtio, CheckNVMe: o.CheckNVMe, CheckFstab: o.CheckFstab, CheckGRUB: o.CheckGRUB,
			CheckSupported: o.CheckSupported, TagKernelVersion: o.ImageKernel, Offered: o.Offered, Refused: o.Refused, Fleet: o.Fleet,
		},
		Guest: GuestFacts{
			Release: o.Release, Kernel: o.Kernel, Virtio: o.Virtio, NVMe: o.NVMe, XenResidue: o.XenResidue,
			DeviceNames: o.DeviceNames, SecuritySoft: o.SecuritySoft, FreeBSDPatch: o.FreeBSDPatch, SystemFiles: o.SystemFiles, Up: o.Up,
			ConsoleKernel: o.ConsoleKernel, ConsoleNames: o.ConsoleNames,
		},
	}
	if o.ImageMissing {
		facts.Image.Presence = ImageMissing
	}
	return facts
}
