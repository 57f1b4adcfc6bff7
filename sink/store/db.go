package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

var (
	bucketMeta      = []byte("meta")
	bucketStrings   = []byte("strings")
	bucketProfiles  = []byte("profiles")
	bucketSoftware  = []byte("software")
	bucketHardware  = []byte("hardware")
	bucketClasses   = []byte("classes")
	bucketScopes    = []byte("scopes")
	bucketBlocks    = []byte("blocks")
	bucketOrders    = []byte("orders")
	bucketJournal   = []byte("journal")
	bucketHistory   = []byte("history")
	bucketWaived    = []byte("waived")
	bucketScans     = []byte("scans")
	bucketProgress  = []byte("progress")
	bucketEnded     = []byte("ended")
	bucketEndedIDs  = []byte("endedids")
	bucketOutbox    = []byte("outbox")
	bucketQuestions = []byte("questions")
	bucketPoints    = []byte("points")
	bucketParts     = []byte("parts")
	bucketEvidence  = []byte("evidence")
	keyMeta         = []byte("meta")
)

func buckets() [][]byte {
	return [][]byte{
		bucketMeta, bucketStrings, bucketProfiles, bucketSoftware, bucketHardware, bucketClasses, bucketScopes, bucketBlocks, bucketOrders,
		bucketJournal, bucketHistory, bucketWaived, bucketScans, bucketProgress, bucketEnded, bucketEndedIDs, bucketOutbox,
		bucketPoints, bucketParts, bucketEvidence, bucketQuestions,
	}
}

// meta is the state that every commit writes.
type meta struct {
	Format    int                      `json:"format"`
	Stream    int64                    `json:"stream"` // the results stream, and how far it is applied
	Seq       uint64                   `json:"seq"`
	Now       int64                    `json:"now"`    // newest broker time seen
	Digest    string                   `json:"digest"` // of the rule set that profiles were judged with
	Targets   []string                 `json:"targets"`
	Today     string                   `json:"today"` // that waivers were held against, "" without waivers
	Journal   uint64                   `json:"journal"`
	History   uint64                   `json:"history"`
	Outbox    uint64                   `json:"outbox"`
	Sent      uint64                   `json:"sent"` // events up to here are published
	Questions uint64                   `json:"questions,omitempty"`
	Asked     uint64                   `json:"asked,omitempty"` // questions up to here are published
	Accounts  map[string]AccountStatus `json:"accounts"`
	// Unidentified is what the last scan failed of before it was known of which account.
	Unidentified *unidentified         `json:"unidentified,omitempty"`
	Excluded     []record.AccountLabel `json:"excluded,omitempty"`  // as of the last scan of all accounts
	Labels       map[string]string     `json:"labels,omitempty"`    // account -> what people call it
	Rejudging    *rejudging            `json:"rejudging,omitempty"` // a change of judgement that is not told to its end
	Forgotten    []record.Forgotten    `json:"forgotten,omitempty"` // the newest last
	// Since the last point of progress, whose number Points is.
	Points     uint64                   `json:"points,omitempty"`
	Moves      map[string]*record.Moves `json:"moves,omitempty"` // by target
	Handovers  []record.Handover        `json:"handovers,omitempty"`
	HandedOver int                      `json:"handed_over,omitempty"`
	// Outcomes counts moves by target, what was said and what was seen.
	Outcomes map[string]int `json:"outcomes,omitempty"`
}

// DB is an open store. It is safe for concurrent use; there is one writer at a
// time, and readers do not wait for it.
type DB struct {
	o       Options
	bolt    *bbolt.DB
	file    *os.File
	judge   atomic.Pointer[judge]
	ownedBy atomic.Pointer[owning]
	snap    atomic.Pointer[snapshot]
	size    atomic.Int64
	limit   atomic.Int64
	seen    atomic.Int64 // bbolt's transaction number of the last commit that readers see, or that is held back from them
	commits commitStats

	writing sync.Mutex // held while results are applied or the rule set changes, over several transactions; taken before mu
	mu      sync.Mutex // held by the writer for one transaction; guards everything below
	closed  bool
	broken  error
	hold    bool // commits are not published to readers
	commit  int  // bbolt's transaction number of the last commit
	batch   uint64
	meta    meta
	pruned  time.Time // when evidence that no image needs any more was last removed
	seed    maphash.Seed
	dict    *format.Dict
	codec   *format.RowCodec
	profs   *profiles
	classes *classes
	scopes  map[ecs.Scope]*scope
	byNo    map[uint32]*scope
	running map[string]*scans.Scan
	places  *whereabouts
	sec     format.SectionWriter
	records record.Encoder       // of events
	owners  *record.Shares       // of the last point of progress
	used    []bool               // profiles that some instance has, while opening
	changes map[ChangeKey]uint64 // since this process opened the store
	anew    map[JudgedBy]int     // pages judged anew, since then

	readers atomic.Pointer[tables]

	viewsMu sync.Mutex
	views   map[*View]struct{} // open ones; nil once the store is closed
}

// judge is a classifier with what is often asked of it.
type judge struct {
	Classifier
	targets []string
	list    []rules.Target // the same
	waivers bool
	today   string
}

// tables are what readers need to decode rows.
type tables struct {
	dict    *format.Dict
	profs   *profiles
	classes *classes
}

func (o *Options) judge(c Classifier) *judge {
	j := &judge{Classifier: c, targets: c.Targets(), list: c.TargetList(), waivers: c.HasWaivers()}
	if j.waivers {
		j.today = o.Today()
	}
	return j
}

// Open opens the store at options.Path, making it where there is none. A file that
// another process holds is ErrLocked; a damaged one is ErrCorrupt, never a
// panic; one that a newer shenscan wrote is ErrNewer, and one of an
// older format ErrFormat. With options.ReadOnly nothing is made or changed. Where NeedsReclassify
// reports true, Reclassify must be called before Apply.
func Open(ctx context.Context, options Options) (*DB, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !options.ReadOnly {
		if err := create(&options); err != nil {
			return nil, err
		}
	}
	db := &DB{o: options, seed: maphash.MakeSeed(), changes: map[ChangeKey]uint64{}, anew: map[JudgedBy]int{}, records: record.Encoder{Most: mostEncoded}, views: map[*View]struct{}{}}
	db.judge.Store(options.judge(options.Classifier))
	db.OwnBy(options.OwnerTags, options.OwnerAccount)
	if err := db.openFile(); err != nil {
		return nil, err
	}
	err = db.guard(func() error {
		err := db.bolt.View(db.prepare) // opening an existing store does not write to it
		if errors.Is(err, errEmpty) && !options.ReadOnly {
			err = db.bolt.Update(db.prepare)
		}
		if err != nil {
			return err
		}
		return db.reload()
	})
	if err == nil && !options.ReadOnly {
		err = db.sweepProfiles()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", options.Path, err), db.shut())
	}
	return db, nil
}

// create makes an empty store under a temporary name and links it to its own, so that
// a power cut leaves either no file or a whole one.
func create(options *Options) error {
	if _, err := os.Stat(options.Path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open store: %w", err)
	}
	dir := filepath.Dir(options.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("open store: make its folder: %w", err)
	}
	tmp, err := os.CreateTemp(dir, ".store-*")
	if err != nil {
		return fmt.Errorf("open store: %s must be writable: %w", dir, err)
	}
	name := tmp.Name()
	defer os.Remove(name)
	if err := tmp.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: options.LockWait})
	if err != nil {
		return fmt.Errorf("open store: %w", noRoom(err))
	}
	if err := db.Close(); err != nil { // bbolt synced what it wrote
		return err
	}
	// Where another process made a store in the meantime, that one counts.
	if err := giveName(name, options.Path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("open store: %w", err)
	}
	return syncDir(dir)
}

// giveName names a file that has a temporary name. Unlike a rename, a link refuses
// to replace what somebody made meanwhile, which is fs.ErrExist; where the file
// system has no links, nobody else can have known the name.
func giveName(tmp, name string) error {
	err := os.Link(tmp, name)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return os.Rename(tmp, name)
	}
	return errors.Join(err, os.Remove(tmp))
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer file.Close()
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// openFile opens the bbolt file, after its pages were found sound, and makes
// sure that it still is the file of that name: one that was compacted while its
// lock was waited for is nobody's any more.
func (db *DB) openFile() error {
	for {
		inPlace, err := db.openOnce()
		if err != nil {
			return fmt.Errorf("open store %s: %w", db.o.Path, err)
		}
		if inPlace {
			return nil
		}
	}
}

// openOnce reports whether what it opened still is the file of that name, and lets go
// of it where it is not.
func (db *DB) openOnce() (inPlace bool, err error) {
	path := db.o.Path
	db.file = nil // one of another inode may have been opened and closed before
	// While another process writes, the file holds pages of two moments, and the check
	// would find damage where there is none.
	err = withoutWriters(path, db.o.LockWait, func() error { return format.CheckPages(path) })
	switch {
	case errors.Is(err, ErrLocked):
		return false, errInUse
	case errors.Is(err, ErrCorrupt):
		return false, fmt.Errorf("%w; move it away: it is built again from the results stream, or restore a backup", err)
	case err != nil:
		return false, err
	}
	mmap := 0
	if bits.UintSize == 64 && !db.o.ReadOnly {
		mmap = 1 << 30 // address space only: the file is not remapped while it grows
	}
	err = db.guard(func() error {
		var err error
		db.bolt, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: db.o.LockWait, FreelistType: bbolt.FreelistMapType, InitialMmapSize: mmap, MaxSize: int(db.o.MaxSize), NoStatistics: true, ReadOnly: db.o.ReadOnly,
			OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
				file, err := os.OpenFile(name, flag, perm)
				if db.file == nil { // bbolt also opens the file to copy it; that handle is closed again
					db.file = file
				}
				return file, err
			},
		})
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return false, errInUse
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrChecksum), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, ErrCorrupt):
		db.file.Close()
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	case err != nil:
		return false, noRoom(err)
	}
	db.bolt.AllocSize = 4 << 20 // the file grows in these steps
	opened, err := db.file.Stat()
	if err != nil {
		return false, errors.Join(err, db.shut())
	}
	named, err := os.Stat(path)
	if err != nil || !os.SameFile(named, opened) {
		return false, errors.Join(err, db.shut())
	}
	return true, nil
}

// errInUse is ErrLocked with what to do about it.
var errInUse = fmt.Errorf("%w: stop it, or ask it over NATS or HTTP instead", ErrLocked)

// errEmpty is returned for a file that nothing was ever stored in.
var errEmpty = fmt.Errorf("%w: nothing was ever stored in it", ErrCorrupt)

// prepare makes what a new file lacks and refuses one of another format.
func (db *DB) prepare(tx *bbolt.Tx) error {
	if b := tx.Bucket(bucketMeta); b != nil {
		if v := b.Get(keyMeta); v != nil {
			var stored meta
			if err := format.ReadJSON("meta", v, &stored); err != nil {
				return err
			}
			switch {
			case stored.Format > fileFormat:
				return fmt.Errorf("%w: format %d, this binary knows %d; use that one", ErrNewer, stored.Format, fileFormat)
			case stored.Format < fileFormat:
				return fmt.Errorf("%w: format %d, this binary knows %d; move the file away and scan anew", ErrFormat, stored.Format, fileFormat)
			}
			for _, name := range buckets() {
				if tx.Bucket(name) == nil {
					return fmt.Errorf("%w: part %q is missing", ErrCorrupt, name)
				}
			}
			return nil
		}
	}
	if k, _ := tx.Cursor().First(); k != nil {
		return fmt.Errorf("%w: part %q is missing", ErrCorrupt, bucketMeta)
	}
	if !tx.Writable() {
		return errEmpty
	}
	for _, name := range buckets() {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	j := db.judge.Load()
	return putJSON(tx.Bucket(bucketMeta), keyMeta, &meta{Format: fileFormat, Digest: j.Digest(), Targets: j.targets, Today: j.today})
}

// guard runs fn so that a damaged file, which bbolt answers with a panic or a
// fault of the mapped memory, becomes ErrCorrupt. A panic of anything else, such
// as the rules, is a mistake in the program and stays one.
func (db *DB) guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			if !ofTheFile(r) {
				panic(r)
			}
			err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}()
	return fn()
}

// ofTheFile reports whether the panic that is being recovered from says that
// the file is damaged: a fault of mapped memory, or a panic of bbolt itself.
func ofTheFile(recovered any) bool {
	if _, fault := recovered.(interface{ Addr() uintptr }); fault {
		return true
	}
	// Frames: those of the runtime, the deferred function, the runtime's panic,
	// and then whoever panicked.
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	panicking := false
	for {
		frame, more := frames.Next()
		ofRuntime := strings.HasPrefix(frame.Function, "runtime.")
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && !ofRuntime:
			return strings.HasPrefix(frame.Function, "go.etcd.io/bbolt")
		}
		if !more {
			return false
		}
	}
}

func (db *DB) view(fn func(tx *bbolt.Tx) error) error {
	err := db.guard(func() error { return db.bolt.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// update runs fn in a write transaction together with meta and publishes what
// it changed. Any failure leaves memory as the file is.
func (db *DB) update(fn func(tx *bbolt.Tx) error) error {
	switch {
	case db.closed:
		return ErrClosed
	case db.broken != nil:
		return db.broken
	case db.o.ReadOnly:
		return errors.New("store is open to be read only")
	}
	began, number := time.Now(), 0
	err := db.guard(func() error {
		return db.bolt.Update(func(tx *bbolt.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			number = tx.ID()
			return putJSON(tx.Bucket(bucketMeta), keyMeta, &db.meta)
		})
	})
	if err == nil {
		db.commit = number
		db.commits.observe(time.Since(began))
		db.measure()
		if !db.hold {
			db.publish()
		}
		db.seen.Store(int64(number))
		return nil
	}
	err = noRoom(err)
	if errors.Is(err, ErrCorrupt) {
		db.broken = err
		return err
	}
	if lerr := db.guard(db.reload); lerr != nil {
		db.broken = fmt.Errorf("store: read again after a failed commit: %w", lerr)
		return errors.Join(err, db.broken)
	}
	return err
}

// measure notes the size of the file and what it may grow to.
func (db *DB) measure() {
	info, err := db.file.Stat()
	if err != nil {
		return
	}
	db.size.Store(info.Size())
	limit := db.o.MaxSize
	if free, known := room(db.file); known && (limit == 0 || info.Size()+free < limit) {
		limit = info.Size() + free
	}
	db.limit.Store(limit)
}

func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, berrors.ErrMaxSizeReached) {
		return fmt.Errorf("%w: %w; free disk space or raise the limit: work goes on by itself", ErrFull, err)
	}
	return err
}

// Close lets go of the file. It waits for a commit that runs.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil
	}
	db.closed = true
	return errors.Join(db.endViews(), db.shut())
}

// shut closes bbolt. A damaged file can have left bbolt holding its own locks:
// then only the file is let go of.
func (db *DB) shut() error {
	if !errors.Is(db.broken, ErrCorrupt) {
		if err := db.guard(db.bolt.Close); !errors.Is(err, ErrCorrupt) {
			return err
		}
	}
	return db.file.Close()
}

// Position is how far the results stream is applied; Seq 0 means not at all.
func (db *DB) Position() event.Position { return db.snap.Load().at }

// StartOver lets the results stream be applied from its start again.
func (db *DB) StartOver() error {
	db.writing.Lock()
	defer db.writing.Unlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.update(func(*bbolt.Tx) error {
		db.meta.Seq = 0
		return nil
	})
}

// NeedsReclassify reports whether the stored verdicts were made with another
// rule set or for other targets than the classifier's, or, where it has
// waivers, on another day, or whether what such a change moved is not told to
// its end.
func (db *DB) NeedsReclassify() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.needsReclassify(db.o.judge(db.judge.Load().Classifier))
}

// keysOf copies the keys with a prefix.
func keysOf(b *bbolt.Bucket, prefix []byte) [][]byte {
	var keys [][]byte
	for k := range entries(b, prefix) {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}

func deleteKeys(b *bbolt.Bucket, keys [][]byte) error {
	for _, k := range keys {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// putJSON stores value, which format.ReadJSON reads, under key.
func putJSON(b *bbolt.Bucket, key []byte, value any) error {
	v, err := format.JSON(value)
	if err != nil {
		return err
	}
	return b.Put(key, v)
}

// entries ranges over the keys with a prefix. Keys and values are valid as long
// as the transaction and must not be changed while it ranges.
func entries(b *bbolt.Bucket, prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		c := b.Cursor()
		for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}
