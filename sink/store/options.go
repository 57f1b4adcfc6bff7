package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Classifier judges facts. *rules.Classifier is one. It must be safe for
// concurrent use and answer equally for equal facts.
type Classifier interface {
	Classify(f *rules.Facts) *rules.Classification
	// System, Host and Judge are Classify in parts.
	System(f *rules.Facts) *rules.System
	Host(h rules.Hardware) *rules.Host
	Judge(s *rules.System, h *rules.Host) *rules.Classification
	// Pair numbers a system on a host: what has the same number is judged alike.
	Pair(s *rules.System, h *rules.Host) uint64
	Machine(h rules.Hardware) rules.Machine
	// Waive returns cl itself where no waiver of the rule set applies to w.
	Waive(cl *rules.Classification, w rules.Waivable) *rules.Classification
	HasWaivers() bool
	Targets() []string
	TargetList() []rules.Target // the same ones in the same order
	Digest() string
}

// What is remembered of the past where Options say nothing.
const (
	DefaultHistoryPerInstance = 20
	DefaultKeepScans          = 200
	DefaultGoneRetention      = 90 * 24 * time.Hour
)

// Options say where the store is and how much it remembers. The zero value of
// everything but Path and Classifier means the default.
type Options struct {
	Path       string
	Classifier Classifier
	// Today is the date that waivers are held against, "2026-11-23".
	Today func() string

	// OwnerTags are the tags that name the owner of an instance, for the counts of
	// progress; the first one counts that an instance has. None counts no owners.
	OwnerTags []string
	// OwnerAccount names the account as the owner of what has none of the tags.
	OwnerAccount bool

	// ReadOnly opens a store that is there to read it, also on a file system that
	// takes no writes, and beside others that only read. Nothing can be applied.
	ReadOnly bool

	LockWait           time.Duration // how long to wait for another process to let go of the file; 1s
	MaxSize            int64         // bytes the file may have; 0: as much as the disk takes
	HistoryPerInstance int           // changes remembered of an instance
	KeepScans          int           // ended scans remembered, and as many rescans
	GoneRetention      time.Duration // how long a gone instance is remembered
	TxRows             int           // rows in one transaction before Apply commits; 50,000
	TellRows           int           // instances that a change of judgement moved, in one transaction; 1,000
	IndexRows          int           // instances whose index may stay in memory between batches; 4,000,000
}

func (o Options) withDefaults() (Options, error) {
	if o.Path == "" {
		return o, errors.New("store: no path is given")
	}
	if o.Classifier == nil {
		return o, errors.New("store: no classifier is given")
	}
	if n := len(o.Classifier.Targets()); n == 0 || n > format.MaxTargets {
		return o, fmt.Errorf("store: %d targets; name 1 to %d", n, format.MaxTargets)
	}
	if o.Today == nil {
		o.Today = func() string { return time.Now().UTC().Format(time.DateOnly) }
	}
	def(&o.LockWait, time.Second)
	def(&o.HistoryPerInstance, DefaultHistoryPerInstance)
	def(&o.KeepScans, DefaultKeepScans)
	def(&o.GoneRetention, DefaultGoneRetention)
	def(&o.TxRows, 50_000)
	def(&o.TellRows, 1000)
	def(&o.IndexRows, 4_000_000)
	return o, nil
}

func def[T comparable](value *T, d T) {
	var zero T
	if *value == zero {
		*value = d
	}
}

const (
	fileFormat = 8
	// mostEncoded bounds how many classifications are kept encoded, of a few KB
	// each, for events to come.
	mostEncoded = 1024
	// maxID bounds account, region, scan and instance ids: they become keys.
	maxID = 200
)

// The errors that callers branch on; they come wrapped.
var (
	// ErrCorrupt: the file is damaged. What it held can be had again from the
	// results stream or a backup.
	ErrCorrupt = format.ErrCorrupt
	// ErrNewer: the file was written by a newer shenscan.
	ErrNewer = format.ErrNewer
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrFormat: the file was written before the first release, in a format
	// that nothing reads any more. What it held is had again by a scan.
	ErrFormat = errors.New("store is of an old format")
	// ErrNotFound: no such instance or scan.
	ErrNotFound = errors.New("not found")
	// ErrReclassify: the rule set, the targets or, with waivers, the day is
	// another one than the stored verdicts were made with; call Reclassify.
	ErrReclassify = errors.New("stored verdicts are of another rule set")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrFull: the disk or MaxSize leaves no room. Nothing was changed.
	ErrFull = errors.New("no room for the store")
)
