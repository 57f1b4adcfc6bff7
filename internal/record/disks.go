package record

import "time"

// What a target that takes ESSD and ESSD AutoPL disks alone means for the disks of
// an instance.
const (
	DisksFit      = "fit"       // every disk of it was named, and the target takes them all
	DisksConvert  = "convert"   // it has disks that the target does not take
	DisksNotKnown = "not-known" // the cloud was asked, and its answer does not tell
)

// What is to be done about a disk.
const (
	DiskConvert = "convert"  // into an ESSD or ESSD AutoPL disk
	DiskLocal   = "copy-off" // it is part of the machine and stays behind: its data is copied
	DiskAskOf   = "find-out" // whether the target takes its category is not known
)

// Disk is a disk that the target does not take, or perhaps does not.
type Disk struct {
	ID       string `json:"id"`
	Category string `json:"category"`
	Type     string `json:"type"` // system or data
	SizeGiB  int    `json:"size_gib"`
	Device   string `json:"device"` // as the cloud names the place; the guest may have another name for it
	Do       string `json:"do"`
}

// InstanceDisks is what the disks of an instance mean for its move.
type InstanceDisks struct {
	State   string    `json:"state"`
	Why     string    `json:"why,omitempty"` // it is not known, or may not be all
	AskedAt time.Time `json:"asked_at"`
	Listed  int       `json:"listed"` // disks that the cloud named
	// Disks are those to do something about.
	Disks []Disk `json:"disks"`
}
