package store

import (
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/scans"
)

// scope is what is kept in memory of one account and region. Only the writer
// touches it.
type scope struct {
	no  uint32
	key ecs.Scope
	scopeValue

	ix      *index         // nil while nobody writes
	counts  map[uint32]int // present instances by class
	present int
	gone    int
	snap    *scopeSnap    // as published; nil once it changed
	owned   map[owned]int // as last counted; nil once it may have changed
}

// scopeValue is what is stored of one account and region.
type scopeValue struct {
	scans.Standing

	Fold uint64 `json:"fold"` // counts folds: readers see by it that ordinals moved
	Rows int    `json:"rows"` // in its blocks since the last fold, gone ones too
}

// AccountStatus is how the last ended scan of an account went.
type AccountStatus struct {
	ScanID        string           `json:"scan_id"`
	Epoch         int64            `json:"epoch"`
	EndedAt       time.Time        `json:"ended_at"`
	Duration      time.Duration    `json:"duration"`
	FailedRegions int              `json:"failed_regions"`     // failed or partial
	Failures      []record.Failure `json:"failures,omitempty"` // of the account as a whole
}

// unidentified is what a scan failed of before it was known of which account: one whose
// keys do not tell whose they are, by its name, or a list of accounts, which has none.
type unidentified struct {
	ScanID  string               `json:"scan_id"`
	Epoch   int64                `json:"epoch"`  // of the newest scan of all accounts; 0 is none
	Newest  int64                `json:"newest"` // of the newest scan that told of any
	EndedAt time.Time            `json:"ended_at"`
	Failed  []event.Unidentified `json:"failed"`
}

// utc turns unix nanoseconds into a time.
func utc(ns int64) time.Time { return time.Unix(0, ns).UTC() }
