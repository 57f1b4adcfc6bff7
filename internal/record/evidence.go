package record

import (
	"time"

	"github.com/shenscan/shenscan/rules"
)

// Evidence says what one source of evidence beyond the listing came to in one
// account and region. Evidence that is missing makes no scan partial; it is
// named here with its cause.
type Evidence struct {
	Source  string `json:"source"`  // platform, heartbeat, disks, probe, fleet, …
	Account string `json:"account"` // "" for all
	Region  string `json:"region"`  // "" for all
	About   string `json:"about"`   // what is asked about: "images", "instances"
	// Asked is how many of these the source was wanted for, Answered how many of
	// them have an answer in use: of this scan or kept from an earlier one.
	Asked    int `json:"asked"`
	Answered int `json:"answered"`
	// Calls is how many calls of the API were made for it since the reported scan
	// began.
	Calls int `json:"calls"`
	// Oldest is when the oldest answer in use was given; nil where there is none.
	Oldest *time.Time `json:"oldest,omitempty"`
	// Skipped says, by cause, why the others have no answer.
	Skipped []EvidenceSkipped `json:"skipped,omitempty"`
}

// EvidenceSkipped is one cause for which a source has no answer.
type EvidenceSkipped struct {
	Count int    `json:"count"` // images, instances
	Cause string `json:"cause"` // one plain sentence or what the API said
	Mend  string `json:"mend,omitempty"`
}

// Missing is how many of what was asked about have no answer.
func (e *Evidence) Missing() int { return max(0, e.Asked-e.Answered) }

// Explained says how the verdicts of an instance came about, with what its guest
// was asked for.
type Explained struct {
	rules.Explanation
	GuestEvidence []GuestEvidence `json:"guest_evidence"`
	// Siblings are the instances of its image that the fleet's counts are of.
	Siblings []Siblings `json:"siblings"`
}

// Siblings are instances of one image that count for it on one class. They were
// counted when a scan had listed all of their region, and the list is of now: it
// is another one where some came, went, moved, stopped or fell silent since.
type Siblings struct {
	Class   string `json:"class"`
	Counted int    `json:"counted"` // by the scan; above three rounded down
	Now     int    `json:"now"`     // that the filter lets through
	// Filter are the words that list them: flags of report, parameters of
	// /api/v1/instances.
	Filter map[string]string `json:"filter"`
	Note   string            `json:"note,omitempty"` // why Now is less than what was counted
}

// GuestEvidence is what one source that was asked about an instance itself
// answered, and how old it is. Everything that comes from a console log is text
// of the machine: printable ASCII, bounded, and to be trusted in nothing.
type GuestEvidence struct {
	Source string `json:"source"` // heartbeat, console, probe
	// Asked is when it was asked; nil where it was not, for the cause.
	Asked *time.Time `json:"asked_at,omitempty"`
	// Heard is when the guest was heard of last, or the log was written to last.
	Heard *time.Time `json:"heard_at,omitempty"`
	// AgeSeconds is how long ago the guest was heard of; nil where it was not, or
	// where that is a time to come.
	AgeSeconds *int64 `json:"age_seconds,omitempty"`
	Cause      string `json:"cause,omitempty"` // why there is no answer that can be used, or why the last question brought none
	// Unused is why what was heard takes no part in what is known of the machine.
	Unused string `json:"unused,omitempty"`
	// What a console log shows.
	Kernel  string `json:"kernel,omitempty"`
	Root    string `json:"root,omitempty"`
	End     string `json:"end,omitempty"`     // login, panic, stuck, open
	Excerpt string `json:"excerpt,omitempty"` // the line that tells its end
}
