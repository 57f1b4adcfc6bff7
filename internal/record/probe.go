package record

import "time"

// ProbeWork is what a process does about asking machines themselves.
type ProbeWork string

// What it does.
const (
	ProbeOff     ProbeWork = "off"     // it runs without --probe
	ProbeIdle    ProbeWork = "idle"    // it waits for a scan to end
	ProbeStandby ProbeWork = "standby" // another process on the same NATS asks
	ProbeAsking  ProbeWork = "asking"
)

// ProbeState is what asking machines themselves comes to in one process. The
// numbers are machines, of its last run or of the one that goes on.
type ProbeState struct {
	State ProbeWork `json:"state"`
	// ScanID is the newest scan that had ended when the run began; "" before the
	// first.
	ScanID    string     `json:"scan_id"`
	StartedAt *time.Time `json:"started_at,omitempty"`
	EndedAt   *time.Time `json:"ended_at,omitempty"` // nil while it goes on
	Planned   int        `json:"planned"`            // were to be asked
	Kept      int        `json:"kept"`               // need not be asked: they were lately
	Skipped   int        `json:"skipped"`            // cannot be asked: they do not run, or run no known system
	Asked     int        `json:"asked"`
	Answered  int        `json:"answered"` // with evidence
	Silent    int        `json:"silent"`   // without, for a cause
	Refused   int        `json:"refused"`  // could not be asked: the cloud refused it, or did not say whose agent answers
	Waiting   int        `json:"waiting"`  // asked, and not answered yet
	Calls     int        `json:"calls"`    // of the API, once the run has ended
	// Evidence says of each account and region what came of it, once the run has
	// ended, with the causes for which machines have no answer.
	Evidence []Evidence `json:"evidence"`
	// Errors say what kept machines from being asked or from answering.
	Errors []string `json:"errors"`
}
