// Package record holds the public JSON objects of shenscan: the instance
// record and the scan that reports, the API, events and queries show. It holds
// no logic beyond what keeps them well formed.
package record

import (
	"time"

	"github.com/shenscan/shenscan/rules"
)

// Record is one instance as reports, the API and events show it.
type Record struct {
	Account        string            `json:"account"`
	AccountName    string            `json:"account_name"` // what people call the account, "" where it is its id
	Region         string            `json:"region"`
	Zone           string            `json:"zone"`
	InstanceID     string            `json:"instance_id"`
	InstanceName   string            `json:"instance_name"`
	InstanceType   string            `json:"instance_type"`
	InstanceFamily string            `json:"instance_family"`
	Generation     int               `json:"generation"`
	Virtualization string            `json:"virtualization"` // xen, kvm, shenlong, unknown
	Status         string            `json:"status"`
	ImageID        string            `json:"image_id"`
	ImageOwner     string            `json:"image_owner"`
	CPU            int               `json:"cpu"`
	MemoryMiB      int               `json:"memory_mib"`
	NetworkType    string            `json:"network_type,omitempty"` // classic or vpc, "" where the API did not say
	Tags           map[string]string `json:"tags"`
	rules.Classification
	ObservedAt time.Time  `json:"observed_at"` // when the cloud was asked, UTC
	ScanID     string     `json:"scan_id"`
	Ruleset    string     `json:"ruleset"` // digest of the effective rule set
	GoneAt     *time.Time `json:"gone_at,omitempty"`
}

// Change is one entry of an instance's verdict history.
type Change struct {
	At     time.Time         `json:"at"`
	ScanID string            `json:"scan_id"`
	Cause  string            `json:"cause"`            // observation, ruleset, appeared, gone, returned
	Before map[string]string `json:"before,omitempty"` // target -> verdict
	After  map[string]string `json:"after,omitempty"`
	OS     string            `json:"os"` // family and version after the change
	// What an observation found to be different, "" where it is as it was or,
	// for the type, where no verdict changed.
	OSBefore   string `json:"os_before,omitempty"`
	Type       string `json:"type,omitempty"`
	TypeBefore string `json:"type_before,omitempty"`
}

// VerdictChanged is the data of one dev.shenscan.verdict.changed.v1 event.
type VerdictChanged struct {
	Before *Record `json:"before"`
	After  *Record `json:"after"`
	Cause  string  `json:"cause"` // observation or ruleset
}

// ScanState is where a scan is.
type ScanState string

// The states of a scan. Complete, Partial and Aborted are final.
const (
	ScanRunning  ScanState = "running"
	ScanComplete ScanState = "complete"
	ScanPartial  ScanState = "partial"
	ScanAborted  ScanState = "aborted"
)

// Scan is one enumeration of some accounts and regions.
type Scan struct {
	ID        string      `json:"scan_id"`
	Kind      string      `json:"kind"` // scan or rescan
	State     ScanState   `json:"state"`
	Reason    string      `json:"reason"` // why it was asked for, or why it was aborted
	StartedAt time.Time   `json:"started_at"`
	EndedAt   *time.Time  `json:"ended_at,omitempty"`
	Regions   int         `json:"regions"`      // scopes planned
	Done      int         `json:"regions_done"` // scopes that ended, in whatever way
	Instances int         `json:"instances"`    // distinct instances committed
	Pages     int         `json:"pages"`        // pages committed
	Gone      int         `json:"gone"`
	New       int         `json:"new"`
	Changed   int         `json:"changed"` // verdict changes
	Scopes    []ScanScope `json:"scopes"`
	// Accounts are the same scopes summed up by account.
	Accounts []ScanAccount `json:"accounts,omitempty"`
	// Excluded are the accounts that the configuration leaves alone.
	Excluded []AccountLabel `json:"excluded,omitempty"`
	// Asked is what a rescan came to for the instances that it was asked for.
	Asked *AskedTotals `json:"asked,omitempty"`
}

// ScanAccount is how far a scan is with one account. Regions that are neither
// complete nor partial nor failed are still being read.
type ScanAccount struct {
	Account  string `json:"account"`
	Name     string `json:"account_name,omitempty"`
	Planning bool   `json:"planning,omitempty"` // which regions it has is not known yet
	Regions  int    `json:"regions"`
	Complete int    `json:"regions_complete"`
	Partial  int    `json:"regions_partial"`
	Failed   int    `json:"regions_failed"`
	// Instances are distinct ones that were stored.
	Instances int `json:"instances"`
	// Seconds is how long it took, from the start of the scan, until the last of
	// its regions that ended had.
	Seconds float64 `json:"duration_seconds"`
}

// AccountLabel is an account with what people call it.
type AccountLabel struct {
	Account string `json:"account"`
	Name    string `json:"account_name,omitempty"`
}

// Forgotten is an account, or one of its regions, that somebody settled as
// truly gone, with what the store held of it.
type Forgotten struct {
	Account   string    `json:"account"`
	Region    string    `json:"region"`
	Instances int       `json:"instances"` // that were there when it was forgotten
	At        time.Time `json:"at"`
}

// AskedTotals counts the instances of a rescan by what became of them.
type AskedTotals struct {
	Instances int `json:"instances"`
	Found     int `json:"found"`
	NotFound  int `json:"not_found"`
	NotRead   int `json:"not_read"`
}

// Outcome is what asking for one instance came to.
type Outcome string

// The outcomes of a rescan. NotFound is said only where asking was proved to be
// allowed, in every place where the instance may be.
const (
	Found    Outcome = "found"     // the store holds what was seen
	NotFound Outcome = "not-found" // released, or never there
	NotRead  Outcome = "not-read"  // nobody knows; Cause says why
)

// AskedInstance is what a rescan came to for one instance.
type AskedInstance struct {
	InstanceID string  `json:"instance_id"`
	Outcome    Outcome `json:"outcome"`
	// Account and Region are where it was found, or where it was looked for if
	// that was one place.
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Cause   string `json:"cause,omitempty"`
}

// Completeness of one account and region in one scan.
type Completeness string

// The values of Completeness.
const (
	ScopePending  Completeness = "pending"
	ScopeComplete Completeness = "complete"
	ScopePartial  Completeness = "partial"
	ScopeFailed   Completeness = "failed"
)

// Numbers are how many instances of a scope each stage of a scan had in hand.
// In a complete scope they agree. Counted may differ from the others by what
// was created or released while the scope was read.
type Numbers struct {
	Counted    *int `json:"counted"`    // by the cloud, when it was asked last; nil where it did not say
	Listed     int  `json:"listed"`     // by the cloud, each id once
	Published  int  `json:"published"`  // by the producer, in pages for the workers
	Classified int  `json:"classified"` // by the workers, as it reached the sink
	Stored     int  `json:"stored"`     // by the sink
}

// ScanScope is what a scan knows of one account and region.
type ScanScope struct {
	Account      string       `json:"account"`
	AccountName  string       `json:"account_name,omitempty"` // of an account that could not be identified
	Region       string       `json:"region"`
	Completeness Completeness `json:"completeness"`
	Instances    int          `json:"instances"` // distinct ones that were stored, by whatever attempt
	Numbers
	AskedByID int       `json:"asked_by_id,omitempty"` // instances that no listing had, before they were taken for gone
	Pages     int       `json:"pages"`
	Gone      int       `json:"gone"`
	Failures  []Failure `json:"failures,omitempty"`
}

// Failure names one thing that could not be read, and the mend.
type Failure struct {
	Account   string `json:"account"`
	Region    string `json:"region"`
	API       string `json:"api"`   // DescribeInstances, DescribeImages, ...
	Class     string `json:"class"` // as internal/ecs spells it
	Code      string `json:"code,omitempty"`
	Error     string `json:"error"`
	Mend      string `json:"mend,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Group is a count of instances that share a few attributes. Those whose verdict
// is not of high confidence, and those whose verdict a waiver set aside, are
// among Instances.
type Group struct {
	Account          string `json:"account"`
	Region           string `json:"region"`
	Target           string `json:"target"`
	Verdict          string `json:"verdict"`
	OSFamily         string `json:"os_family"`
	OSVersion        string `json:"os_version"`
	Legacy           bool   `json:"legacy"`
	Instances        int    `json:"instances"`
	LowConfidence    int    `json:"low_confidence"`
	MediumConfidence int    `json:"medium_confidence"`
	Waived           int    `json:"waived"`
}

// Add adds count instances whose verdict is so sure and waived or not.
func (g *Group) Add(count int, c rules.Confidence, waived bool) {
	g.Instances += count
	switch c {
	case rules.Low:
		g.LowConfidence += count
	case rules.Medium:
		g.MediumConfidence += count
	case rules.High:
	}
	if waived {
		g.Waived += count
	}
}

// NoConfidence counts nothing at each confidence.
func NoConfidence() map[string]int {
	return map[string]int{rules.High.String(): 0, rules.Medium.String(): 0, rules.Low.String(): 0}
}

// NoQuestions counts nothing at each question.
func NoQuestions() map[string]int {
	out := map[string]int{}
	for _, q := range rules.Questions() {
		out[string(q)] = 0
	}
	return out
}

// Summary is the store's totals; counts never travel without Scopes, which
// say how complete they are.
type Summary struct {
	Instances int                       `json:"instances"` // present, gone ones apart
	Gone      int                       `json:"gone"`
	Legacy    int                       `json:"legacy"`
	Targets   []string                  `json:"targets"`
	Verdicts  map[string]map[string]int `json:"verdicts"` // target -> verdict -> instances
	// Confidence tells the same instances apart by how sure their verdict is:
	// target -> verdict -> high, medium, low -> instances.
	Confidence map[string]map[string]map[string]int `json:"confidence"`
	// UnknownByQuestion tells the unknown verdicts apart by the cheapest check that
	// settles them: target -> check -> instances.
	UnknownByQuestion map[string]map[string]int `json:"unknown_by_question"`
	// Waived are the instances whose verdict a waiver set aside, by target.
	Waived    map[string]int `json:"waived"`
	Groups    []Group        `json:"groups"` // account, region, target, verdict, os_family, os_version
	Scopes    []ScopeStatus  `json:"scopes"`
	Excluded  []AccountLabel `json:"excluded,omitempty"`  // left alone by the configuration, as of the last scan
	Forgotten []Forgotten    `json:"forgotten,omitempty"` // settled as truly gone, the newest last
	Ruleset   string         `json:"ruleset"`
	// JudgedAnew are the pages that the store judged by its own rule set,
	// although a worker had judged them, since the process started.
	JudgedAnew []JudgedAnew `json:"judged_anew,omitempty"`
	// Rejudging says how far the instances were looked at for what another
	// rule set, target or day moved; it is there until that is known of all. The
	// totals are of the new judgement already.
	Rejudging *Rejudging `json:"rejudging,omitempty"`
	CaughtUp  bool       `json:"caught_up"`
	AsOf      time.Time  `json:"as_of"`
}

// Rejudging says how far a change of judgement is told.
type Rejudging struct {
	Instances int `json:"instances"` // looked at
	Of        int `json:"of"`
}

// Percent is how much that is, at most 99: it is not there any more at the end.
func (r *Rejudging) Percent() int { return min(99, 100*r.Instances/max(r.Of, 1)) }

// JudgedAnew says of pages who had judged them before the store did.
type JudgedAnew struct {
	Ruleset string   `json:"ruleset"` // digest of the worker's rule set
	Targets []string `json:"targets"`
	Pages   int      `json:"pages"`
	// Unsound says that it was the store's own rule set, and that what came
	// cannot be what a rule set says.
	Unsound bool `json:"unsound,omitempty"`
}

// ScopeStatus is how fresh and whole the knowledge of one scope is.
type ScopeStatus struct {
	Account      string       `json:"account"`
	AccountName  string       `json:"account_name,omitempty"`
	Region       string       `json:"region"`
	Instances    int          `json:"instances"`
	Completeness Completeness `json:"completeness"` // of the last ended scan of this scope
	LastScan     string       `json:"last_scan"`
	LastEnd      *time.Time   `json:"last_end,omitempty"`      // of the last ended scan, whatever its end
	LastComplete *time.Time   `json:"last_complete,omitempty"` // of the last complete scan
	Numbers      *Numbers     `json:"numbers,omitempty"`       // of the last ended scan
	// Unlisted is since when the region, or its account, is not named any more
	// by those who list them: what is known of it is from before.
	Unlisted *time.Time `json:"unlisted,omitempty"`
	Failures []Failure  `json:"failures,omitempty"`
}
