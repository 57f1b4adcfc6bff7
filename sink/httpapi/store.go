package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// ErrNotFound is what a Store returns for an instance or a scan that it does
// not hold.
var ErrNotFound = errors.New("not found")

// Key is the place of an instance in the order of a listing.
type Key struct {
	Account, Region, InstanceID string
}

// Filter narrows a listing. The zero value lists every present instance.
type Filter struct {
	Account, Region     string
	Target              string // with Verdict: the verdict on this target; without: ignored
	Verdict             string // on any target when Target is ""
	OSFamily, OSVersion string // filter.NoVersion: no version is known
	Legacy              *bool
	Scope               filter.Filter // the other words of the one filter
	Q                   string        // a part of the id or the name, whatever the case
	Gone                bool          // gone instances too
}

// Order is an order of instances. Where two have the same value, their keys
// decide, upwards in either direction.
type Order struct {
	By   string // "" (their keys), "id", "name", "type" or "class"
	Down bool
	// Back turns all of it around, keys too: what stands before a place comes
	// first, the nearest one in front.
	Back bool
	// Class gives all instances of one class their value; it is for "class".
	Class func(Class) string
}

// Class is what instances have in common that count alike.
type Class struct {
	OSFamily, OSVersion string
	Levels              map[string]string // verdict by target
}

// Place is where an instance stands in an Order. Value is what the store
// compares: bytes, not always text.
type Place struct {
	Value string
	Key   Key
}

// Placed is an instance with its place.
type Placed struct {
	Place  Place
	Record *record.Record
}

// Store is what pages and API read. Implementations are safe for concurrent
// use.
type Store interface {
	// View opens one answer: what the filter lets through at one moment, judged by
	// one rule set. Whoever opens it closes it soon.
	View(ctx context.Context, f Filter) (View, error)
}

// View is one answer. Totals, rows, scans and trend are of the same moment.
type View interface {
	// Known is what the names of a filter are held against.
	Known() *filter.Known
	// Summary returns the totals of what the filter lets through. The caller does
	// not change them.
	Summary() *record.Summary
	// Rows lists in an order, from behind a place if there is one, at most limit.
	// What it keeps in memory does not grow with the fleet.
	Rows(ctx context.Context, by Order, after *Place, limit int) ([]Placed, error)
	// Instance returns one instance, gone or not, with its verdict history,
	// newest first. Account and region narrow the search when not empty; the
	// filter does not.
	Instance(account, region, id string) (*record.Record, []record.Change, error)
	// Explain says how the verdicts of an instance come about, or ErrNotFound.
	Explain(account, region, id string) (*rules.Explanation, error)
	// Scans returns the newest scans first, at most limit.
	Scans(limit int) ([]record.Scan, error)
	Scan(id string) (*record.Scan, error)
	// Evidence says what each source of evidence beyond the listing came to, as of
	// a scan that began then.
	Evidence(began time.Time) ([]record.Evidence, error)
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
