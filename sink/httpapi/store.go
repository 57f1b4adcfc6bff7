package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// ErrNotFound is what a Store returns for an instance or a scan that it does
// not hold.
var ErrNotFound = errors.New("not found")

// Store is what pages and API read. Implementations are safe for concurrent
// use.
type Store interface {
	// View opens one answer: what the filter lets through at one moment, judged by
	// one rule set. Whoever opens it closes it soon, and asks nothing else of the
	// store or of Answers before: a file that grows is mapped anew when nobody reads
	// it, and whoever begins to read meanwhile waits for that.
	View(ctx context.Context, f store.Filter) (View, error)
}

// View is one answer. Totals, rows, scans and trend are of the same moment.
type View interface {
	// Known is what the names of a filter are held against.
	Known() *filter.Known
	// Summary returns the totals of what the filter lets through. The caller does
	// not change them.
	Summary() *record.Summary
	// Sorted lists in an order, from behind a place if there is one, at most limit.
	// What it keeps in memory does not grow with the fleet.
	Sorted(ctx context.Context, by store.Sort, after *store.Place, limit int) ([]store.Placed, error)
	// Instance returns one instance, gone or not, with its verdict history,
	// newest first. Account and region narrow the search when not empty; the
	// filter does not.
	Instance(account, region, id string) (*record.Record, []record.Change, error)
	// GuestEvidence is what the guest of an instance was asked for: heartbeat and
	// console log, as old as they are by now.
	GuestEvidence(account, region, id string, now time.Time) ([]record.GuestEvidence, error)
	// Explain says how the verdicts of an instance come about, or ErrNotFound.
	Explain(account, region, id string) (*rules.Explanation, error)
	// Scans returns the newest scans first, at most limit.
	Scans(limit int) ([]record.Scan, error)
	Scan(id string) (*record.Scan, error)
	// Evidence says what each source of evidence beyond the listing came to, as of
	// a scan that began then.
	Evidence(began time.Time) ([]record.Evidence, error)
	// Outcomes returns the score of what was said before moves, and at most so many
	// moves of what the view shows.
	Outcomes(ctx context.Context, limit int) (*record.MoveOutcomes, error)
	// Trend returns totals over time, oldest first, at most limit points.
	Trend(limit int) ([]Point, error)
	// The counts at the end of each scan, from which the burn-down is drawn.
	plan.ProgressSource
	Close() error
}

// Point is the fleet at one moment.
type Point struct {
	At        time.Time `json:"at"`
	Instances int       `json:"instances"`
	Legacy    int       `json:"legacy"`
	Complete  bool      `json:"complete"` // every scope had been read to its end
	ScanID    string    `json:"scan_id"`
	// Verdicts are instances by target and verdict, as they were judged then.
	Verdicts map[string]map[string]int `json:"verdicts"`
}

// Rescanner takes requests for rescans and scans. What it accepted is durable.
type Rescanner interface {
	Rescan(ctx context.Context, r record.RescanRequest) (record.RescanReply, error)
	// Scan asks for a scan of everything that is configured and returns its id,
	// that of the scan that runs where there is one.
	Scan(ctx context.Context, reason string) (string, error)
}
