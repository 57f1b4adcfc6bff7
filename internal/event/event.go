// Package event holds every message that travels between shenscan's stages:
// its Go type, its subject, its deterministic message id and its encoding. It
// knows no NATS: internal/bus carries what it encodes.
//
// Pages and results, which carry the fleet, use a flat length-prefixed
// encoding with a version byte; everything else is JSON. Decoding is strict
// about shape and tolerant of newer optional fields; it never panics on
// hostile bytes.
package event

import (
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/outcome"
)

// Kind says what a scan enumerates.
type Kind string

// The kinds of scan.
const (
	KindScan   Kind = "scan"   // whole scopes; may mark instances gone
	KindRescan Kind = "rescan" // named instances; never marks anything gone
)

// ScanRequested asks for a scan or a rescan. It is stored before the caller
// is answered.
type ScanRequested struct {
	ScanID      string   `json:"scan_id"`
	Kind        Kind     `json:"kind"`
	Accounts    []string `json:"accounts,omitempty"` // empty: all configured
	Regions     []string `json:"regions,omitempty"`  // empty: all that DescribeRegions names
	InstanceIDs []string `json:"instance_ids,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// ScopeJob asks a producer to enumerate one account and region: to probe its
// size, cut it into lanes and hand these out.
type ScopeJob struct {
	ScanID string    `json:"scan_id"`
	Kind   Kind      `json:"kind"`
	Scope  ecs.Scope `json:"scope"`
	Epoch  time.Time `json:"epoch"` // broker time of the request: nothing of this scan was observed before
}

// LaneJob asks a producer to walk one token chain.
type LaneJob struct {
	ScanID string    `json:"scan_id"`
	Scope  ecs.Scope `json:"scope"`
	Epoch  time.Time `json:"epoch"`
	Lane   string    `json:"lane"`
	// From (inclusive) and To (exclusive) bound the creation time; zero means
	// unbounded. Lanes of one plan are disjoint and leave no gap.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Counted is how many instances the probe of the scope counted, where the
	// lane is all of it; nil where the lane is a part or nothing was counted.
	Counted *int `json:"counted,omitempty"`
	// Calls is how many calls the lane may take, of ScopeCalls that the scope may;
	// 0 where only what the calls bring bounds them.
	Calls      int `json:"calls,omitempty"`
	ScopeCalls int `json:"scope_calls,omitempty"`
}

// MaxCheckIDs is the most instances that one ScopeCheck names.
const MaxCheckIDs = 2000

// ScopeCheck asks a producer about a scope whose lanes have all ended. A sink
// asks it before it takes anything for gone: it knows what was there before, and
// a producer can ask the cloud. It is one part of one question.
type ScopeCheck struct {
	ScanID   string    `json:"scan_id"`
	Kind     Kind      `json:"kind"`
	Scope    ecs.Scope `json:"scope"`
	Epoch    time.Time `json:"epoch"`
	Question string    `json:"question"` // names the question: two sinks that ask the same are asked once
	Part     int       `json:"part"`     // counted from 0
	Parts    int       `json:"parts"`
	// Count asks for the number of instances in the scope.
	Count bool `json:"count,omitempty"`
	// InstanceIDs were there before and no lane listed them.
	InstanceIDs []string `json:"instance_ids,omitempty"`
	// Again asks for nothing else but that the scope is listed once more, as one
	// lane: its lanes together disagree with its counts.
	Again bool `json:"again,omitempty"`
}

// Walk names one attempt to walk one lane; pages and their announced counts
// refer to it.
type Walk struct {
	ScanID string
	Kind   Kind
	Scope  ecs.Scope
	Lane   string // "4k-1.0": plan 4k-1, shard 0
	Walk   string // "5c-1.1": first restart of delivery 5c-1; every delivery has a name of its own
}

// InstancesListed is a page as the producer read it, taken apart: in a fleet
// software and machines repeat far more than their combinations.
type InstancesListed struct {
	Walk
	Page     int              // counted from 0 within the walk
	Epoch    int64            // unix nanoseconds, broker time of the scan request
	Observed int64            // unix nanoseconds, when the answer arrived
	Software []Installed      // what runs in the page, each once
	Hardware []rules.Hardware // the machines of the page, each once
	Profiles []Profile        // which of them come together; nobody has judged them yet
	Rows     Rows
}

// Installed is what DescribeInstances tells of an instance's software, and what
// the machine itself answered where it was asked.
type Installed struct {
	OSName, OSNameEn, OSType, ImageID string
	Guest                             rules.GuestFacts
}

// InstancesClassified is a page after the workers: instances, their facts and
// what the named rule set says of them for the named targets. A sink that has
// the same takes it as it is.
type InstancesClassified struct {
	Walk
	Page     int
	Order    int64            // unix nanoseconds: when this was observed, bounded by the broker's clock
	Ruleset  string           // digest of the rule set that judged
	Targets  []string         // the targets that it judged, in the order of Class.Levels
	Classes  []outcome.Class  // what it said, each once
	Software []*rules.Facts   // what runs in the page, each once, without the machine's part; not to be changed
	Hardware []rules.Hardware // the machines of the page, each once
	Profiles []Profile        // which of them come together
	Rows     Rows
	Failures []record.Failure // evidence that could not be read (DescribeImages)
}

// Profile is software on hardware.
type Profile struct {
	Software, Hardware int // indexes into the page's
	Class              int // index into the page's classes; a listed page has none
}

// Facts returns the facts of a profile.
func (m *InstancesClassified) Facts(profile int) rules.Facts {
	p := &m.Profiles[profile]
	f := *m.Software[p.Software]
	f.Put(m.Hardware[p.Hardware])
	return f
}

// ScanPlanned announces a scan and its scopes, or a part of that: a scan is
// announced as soon as it is known which accounts it is about, each account when
// its regions are known, and then the end of the announcement.
type ScanPlanned struct {
	ScanID string           `json:"scan_id"`
	Kind   Kind             `json:"kind"`
	Reason string           `json:"reason,omitempty"`
	Epoch  time.Time        `json:"epoch"`
	Scopes []ecs.Scope      `json:"scopes"`           // to be enumerated
	Failed []record.Failure `json:"failed,omitempty"` // accounts or regions that could not even be planned
	// InstanceIDs are those that a rescan was asked for.
	InstanceIDs []string `json:"instance_ids,omitempty"`
	// Accounts are those that a scan was about and those that it left alone.
	Accounts []PlannedAccount `json:"accounts,omitempty"`
	// AllAccounts says that there is no account that the scan was not about:
	// whichever was scanned before and is not among them is not there any more.
	AllAccounts bool `json:"all_accounts,omitempty"`
	// Unidentified gives the failures of accounts whose id could not be found out
	// the names of these; they are among Failed.
	Unidentified []Unidentified `json:"unidentified,omitempty"`
	// Named says that the scan is about accounts that somebody named, and tells
	// nothing of those that could not be identified.
	Named bool `json:"named,omitempty"`
	// Part names a part of the announcement; More says that others follow it.
	Part string `json:"part,omitempty"`
	More bool   `json:"more,omitempty"`
}

// What fits into one part of an announcement, with room to spare.
const (
	scopesInPart   = 3000
	failuresInPart = 80
	accountsInPart = 2000
)

// Parts splits the announcement into parts that fit a message. Its own Part and
// More are those of the whole.
func (m *ScanPlanned) Parts() []*ScanPlanned {
	count := max(1, parts(len(m.Scopes), scopesInPart), parts(len(m.Failed), failuresInPart), parts(len(m.Unidentified), failuresInPart), parts(len(m.Accounts), accountsInPart))
	out := make([]*ScanPlanned, count)
	for i := range out {
		part := *m
		part.Unidentified = cut(m.Unidentified, i, failuresInPart)
		part.Scopes, part.Failed, part.Accounts = cut(m.Scopes, i, scopesInPart), cut(m.Failed, i, failuresInPart), cut(m.Accounts, i, accountsInPart)
		if i > 0 {
			part.InstanceIDs = nil
			part.Part += "+" + strconv.Itoa(i)
		}
		if i < count-1 {
			part.More, part.AllAccounts = true, false
		}
		out[i] = &part
	}
	return out
}

func parts(n, size int) int { return (n + size - 1) / size }

func cut[T any](list []T, i, size int) []T {
	return list[min(i*size, len(list)):min((i+1)*size, len(list))]
}

// Unidentified is an account of which nothing is known but what the configuration
// calls it, and why.
type Unidentified struct {
	Name    string         `json:"name"`
	Failure record.Failure `json:"failure"`
}

// PlannedAccount is what planning a scan came to for one account.
type PlannedAccount struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // what people call it, beside its id
	// AllRegions says that no region was left out on purpose; Listed, that the
	// cloud named them. With both, a region that is not among the scopes is not
	// there any more.
	AllRegions bool `json:"all_regions,omitempty"`
	Listed     bool `json:"listed,omitempty"`
	// Excluded accounts are left alone because the configuration says so.
	Excluded bool `json:"excluded,omitempty"`
	// Pending says that the regions are not known yet; a later part names them.
	Pending bool `json:"pending,omitempty"`
}

// ScopePlanned announces how a scope was cut. A scope is complete when every
// lane of one plan is.
type ScopePlanned struct {
	ScanID string    `json:"scan_id"`
	Kind   Kind      `json:"kind"`
	Scope  ecs.Scope `json:"scope"`
	Plan   string    `json:"plan"` // names the delivery of the scope job
	Lanes  []string  `json:"lanes"`
	// Counted is how many instances a probe counted before the scope was cut;
	// nil where the cloud did not say.
	Counted *int `json:"counted,omitempty"`
}

// LaneEnded announces the end of one walk: how many pages and instances it
// published, or why it stopped. What the cloud counted, what the walk listed
// and what it published are told apart, so that whoever reads on can hold each
// stage against the one before.
type LaneEnded struct {
	ScanID string    `json:"scan_id"`
	Kind   Kind      `json:"kind"`
	Scope  ecs.Scope `json:"scope"`
	Lane   string    `json:"lane"`
	Walk   string    `json:"walk"`
	Pages  int       `json:"pages"`
	// Instances are the distinct instances in the published pages, and IDs is
	// the sum of IDSum over them, by which a reader knows the same set again.
	Instances int    `json:"instances"`
	IDs       uint64 `json:"ids,omitempty"`
	// Listed are the distinct instances that the cloud listed of the lane, and
	// Created those of them that were created since the scan was asked for.
	Listed  int `json:"listed,omitempty"`
	Created int `json:"created,omitempty"`
	// Counted is what the last probe of the lane counted, by its own bounds;
	// nil where there was none or the cloud did not say.
	Counted *int            `json:"counted,omitempty"`
	Failure *record.Failure `json:"failure,omitempty"`
	// A rescan says of each id that was asked for what became of it.
	Found    []string `json:"found,omitempty"`
	NotFound []string `json:"not_found,omitempty"` // not there, and asking is allowed
	NotRead  []string `json:"not_read,omitempty"`  // for the cause in Failure
}

// ScopeChecked answers one part of a question. A producer answers as often as
// it is asked.
type ScopeChecked struct {
	ScanID   string    `json:"scan_id"`
	Kind     Kind      `json:"kind"`
	Scope    ecs.Scope `json:"scope"`
	Question string    `json:"question"`
	Part     int       `json:"part"`
	Counted  *int      `json:"counted,omitempty"` // nil where it was not asked for or the cloud did not say
	// Found is how many of the instances are there, and Examples are some.
	Found    int             `json:"found,omitempty"`
	Examples []string        `json:"examples,omitempty"`
	Failure  *record.Failure `json:"failure,omitempty"` // why the question has no answer
}

// ScopeFailed announces that a scope could not be enumerated at all.
type ScopeFailed struct {
	ScanID  string         `json:"scan_id"`
	Kind    Kind           `json:"kind"`
	Scope   ecs.Scope      `json:"scope"`
	Failure record.Failure `json:"failure"`
}

// PageFailed announces that a page was dead-lettered: its lane cannot become
// complete.
type PageFailed struct {
	ScanID  string         `json:"scan_id"`
	Kind    Kind           `json:"kind"`
	Scope   ecs.Scope      `json:"scope"`
	Lane    string         `json:"lane"`
	Walk    string         `json:"walk"`
	Page    int            `json:"page"`
	Failure record.Failure `json:"failure"`
}

// EvidenceRead announces what a worker knows of some images, or of other things
// that evidence is about, beyond their description. It belongs to no scan: an
// answer serves scans for weeks, and missing evidence makes none partial.
type EvidenceRead struct {
	Scope  ecs.Scope      `json:"scope"`
	Source string         `json:"source"` // EvidencePlatform, EvidenceHeartbeat, EvidenceConsole, EvidenceProbe, EvidenceTemplates
	At     time.Time      `json:"at"`     // when the worker had it together
	Items  []EvidenceItem `json:"items"`  // at most MaxEvidence
}

// EvidencePlatform is the platform's answer on which instance types it offers
// an image.
const EvidencePlatform = "platform"

// EvidenceHeartbeat is when the agent of Cloud Assistant of an instance was heard
// of last.
const EvidenceHeartbeat = "heartbeat"

// EvidenceFleet is what the instances of an image told of it when a complete
// scan of their account and region had ended (rules.ImageFleet).
const EvidenceFleet = "fleet"

// EarlierPrefix begins the id of an EvidenceItem that was counted before the
// newest; it is no image of the fleet.
const EarlierPrefix = "earlier "

// EvidenceConsole is what the console log of an instance shows of its last start.
const EvidenceConsole = "console"

// EvidenceProbe is when a machine that was asked itself answered; its Types is the
// instance type, and its Image the image, that the machine was of then. What it
// answered comes with the instance.
const EvidenceProbe = "probe"

// EvidenceTemplates is what the launch templates of an account and region start.
// A scan says all that it knows of them at one time; what it does not name is not
// there any more.
const EvidenceTemplates = "launch-templates"

// ListingID is the id of the EvidenceItem that says that the launch templates were
// listed, and UnreadID that of the one that says why they could not be; they are
// no launch templates.
const (
	ListingID = "the listing"
	UnreadID  = "the last attempt"
)

// Template is what is known of a launch template.
type Template struct {
	Name string `json:"name,omitempty"`
	// Versions are the default version and, where it is another, the latest.
	Versions []TemplateVersion `json:"versions"`
}

// TemplateVersion is what a version of a launch template starts.
type TemplateVersion struct {
	Number  int64 `json:"number"`
	Default bool  `json:"default,omitempty"`
	Latest  bool  `json:"latest,omitempty"`
	// Image is "" where the version names none.
	Image string           `json:"image,omitempty"`
	Facts rules.ImageFacts `json:"facts,omitzero"` // of the image
}

// Console is what was read of a console log. All of it was written by the
// machine: the texts are bounded and printable, and nothing to be trusted.
type Console struct {
	Kernel  string `json:"kernel,omitempty"` // release of the kernel that was started
	Root    string `json:"root,omitempty"`   // root= of its command line
	End     string `json:"end"`              // open, login, panic, stuck
	Excerpt string `json:"excerpt,omitempty"`
}

// YardstickPrefix begins the id of an EvidenceItem that others are compared
// with; it is no image of the fleet.
const YardstickPrefix = "yardstick "

// MaxEvidence is the most items of one EvidenceRead.
const MaxEvidence = 100

// EvidenceItem is what is known of one image or other thing.
type EvidenceItem struct {
	ID string `json:"id"`
	// Kept says that what is stored of it is in use, and nothing else.
	Kept bool `json:"kept,omitempty"`
	// Asked is when the cloud gave the answer; the zero time without one.
	Asked time.Time `json:"asked,omitzero"`
	// Calls is how many calls were made for it.
	Calls int `json:"calls,omitempty"`
	// Types counts the instance types of the answer by family, in order of their
	// names: "ecs.g6=11 ecs.g7=9".
	Types string `json:"types,omitempty"`
	// Image is the image that was asked about where ID is no image's own.
	Image string `json:"image,omitempty"`
	// Heard is the last heartbeat of the instance, or its last answer; zero where
	// there was none.
	Heard time.Time `json:"heard,omitzero"`
	// Fleet is what instances told of the image at the end of Scan, "" where they
	// told nothing any more.
	Fleet string `json:"fleet,omitempty"`
	Scan  string `json:"scan,omitempty"`
	// Console is what a console log shows that was written last when Heard says.
	Console *Console `json:"console,omitempty"`
	// Template is what a launch template starts.
	Template *Template `json:"template,omitempty"`
	// Unlisted are how many launch templates there are beyond those that were read.
	Unlisted int `json:"unlisted,omitempty"`
	// Cause is why there is no answer that can be used, and Mend what to do.
	Cause string `json:"cause,omitempty"`
	Mend  string `json:"mend,omitempty"`
}

// ScanAborted ends a scan that cannot end by itself.
type ScanAborted struct {
	ScanID string `json:"scan_id"`
	Kind   Kind   `json:"kind"`
	Reason string `json:"reason"`
}

// Message is one of the pointer types above.
type Message interface {
	// about says what the message is of; its Type is its name on the wire.
	about() About
	// route is the subject that the message is published on, and its message id.
	route() (subject, id string)
}

// IDSum is a number made of an instance id. Sums of them tell sets of ids
// apart: every process makes the same of the same id.
func IDSum(id string) uint64 { return xxhash.Sum64String(id) }

// Position is a place in the results stream. Positions of different
// incarnations are not comparable: a stream that was deleted or lost starts
// again at 1.
type Position struct {
	Stream int64  // unix nanoseconds when the stream was created
	Seq    uint64 // stream sequence, from 1
}

// Received is a message of the results stream with its place in it.
type Received struct {
	Position
	Stored int64 // unix nanoseconds, broker time when the stream took it
	Msg    Message
}

// VerdictChanged is the data of one dev.shenscan.verdict.changed.v1 event.
type VerdictChanged = record.VerdictChanged
