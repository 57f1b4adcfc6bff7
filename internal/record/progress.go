package record

import (
	"time"

	"github.com/shenscan/shenscan/rules"
)

// Standing is how the instances of a part of the fleet stand on one target.
type Standing struct {
	// Open counts those that still need something before they can move: all but
	// the ones that are ready and the ones that are there already. Waived ones are
	// open, since nothing was mended.
	Open     int            `json:"open"`
	Verdicts map[string]int `json:"verdicts"` // by verdict
	Waves    map[string]int `json:"waves"`    // by wave of the plan
}

// Share is the part of one owner, account or region.
type Share struct {
	Name      string              `json:"name"` // "" for instances without an owner
	Instances int                 `json:"instances"`
	Targets   map[string]Standing `json:"targets"`
}

// Shares divide a fleet. Largest and Rest together are all of it.
type Shares struct {
	Names   int     `json:"names"`          // different ones; more than 65,536 are counted as so many
	Largest []Share `json:"largest"`        // by name
	Rest    *Share  `json:"rest,omitempty"` // the others together; null where there is none
}

// Moves count instances that came to be open or ceased to be, on one target,
// since the point before. Open then, plus what is opened and came, less what is
// closed and went, is open now.
type Moves struct {
	Closed        int `json:"closed"`          // seen to be mended
	Opened        int `json:"opened"`          // seen to need something that they did not
	ClosedByRules int `json:"closed_by_rules"` // judged by other rules or waivers; nothing was mended
	OpenedByRules int `json:"opened_by_rules"`
	// More is known of the same installation, or less: the platform, the fleet, a
	// heartbeat or the machine itself told of it. Nothing was mended, nothing broke.
	ClosedByEvidence int `json:"closed_by_evidence"`
	OpenedByEvidence int `json:"opened_by_evidence"`

	Came int `json:"came"` // open when they were found, or found again
	Went int `json:"went"` // open when they were not found any more, or forgotten
}

// Add adds what was seen over another span of time.
func (m *Moves) Add(moves *Moves) {
	m.Closed += moves.Closed
	m.Opened += moves.Opened
	m.ClosedByRules += moves.ClosedByRules
	m.OpenedByRules += moves.OpenedByRules
	m.ClosedByEvidence += moves.ClosedByEvidence
	m.OpenedByEvidence += moves.OpenedByEvidence
	m.Came += moves.Came
	m.Went += moves.Went
}

// Net is by how much the open ones grew.
func (m *Moves) Net() int {
	return m.Opened - m.Closed + m.NetByJudgement() + m.Came - m.Went
}

// NetByJudgement is the part of Net for which nobody did anything: other rules, or
// other evidence of the same installation.
func (m *Moves) NetByJudgement() int {
	return m.OpenedByRules - m.ClosedByRules + m.OpenedByEvidence - m.ClosedByEvidence
}

// Handover counts instances whose owner was another one before.
type Handover struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Instances int    `json:"instances"`
}

// CarriedScope is an account and region whose counts are of an earlier scan.
type CarriedScope struct {
	Account      string       `json:"account"`
	Region       string       `json:"region"` // "" for an account none of whose regions is known
	Instances    int          `json:"instances"`
	Completeness Completeness `json:"completeness"`
	LastComplete *time.Time   `json:"last_complete,omitempty"`
}

// The kinds of progress points.
const (
	PointScan  = "scan"  // a scan ended
	PointRules = "rules" // the fleet was judged by another rule set, for other targets or on another day of waivers
)

// ProgressPoint is how far the fleet was at one moment.
type ProgressPoint struct {
	Number    uint64    `json:"number"` // points are numbered in their order
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`    // scan or rules
	ScanID    string    `json:"scan_id"` // the scan that ended last
	State     ScanState `json:"state"`   // of that scan
	Ruleset   string    `json:"ruleset"` // digest of the rule set that judged
	Targets   []string  `json:"targets"`
	Instances int       `json:"instances"`
	// On says how they stand, by target; Moves what moved since the point before.
	On    map[string]Standing `json:"standing"`
	Moves map[string]Moves    `json:"moves"`
	// OwnerTags named the owners then; none where owners were not counted.
	OwnerTags    []string `json:"owner_tags"`
	OwnerAccount bool     `json:"owner_account"` // what had none of the tags counted for its account
	// Handovers are instances that went from one owner to another since the point
	// before, HandedOver all of them.
	Handovers  []Handover `json:"handovers,omitempty"`
	HandedOver int        `json:"handed_over"`
	// Carried are the accounts and regions that were not read to their end: their
	// counts are of an earlier scan. The numbers are of all of them, the list is
	// bounded.
	Carried          []CarriedScope `json:"carried"`
	CarriedScopes    int            `json:"carried_scopes"`
	CarriedInstances int            `json:"carried_instances"`
	// Others are accounts and regions that this scan was not about: their counts
	// are of the scans before it.
	Others int `json:"other_scopes"`
	Scopes int `json:"scopes"` // known accounts and regions
}

// Progress is a point with its parts.
type Progress struct {
	ProgressPoint
	Owners   *Shares `json:"owners"` // null where no owner tag was configured
	Accounts Shares  `json:"accounts"`
	Regions  Shares  `json:"regions"`
}

// Alike is a classification that instances share.
type Alike struct {
	*rules.Classification
	Instances int
}
