package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// ErrNoStore is returned where nothing was ever scanned.
var ErrNoStore = errors.New("nothing was scanned yet")

// openStoreFile opens an existing store to read it, and nothing else. wait is how
// long another process may take to let go of it, 0 as long as usual.
func openStoreFile(ctx context.Context, path string, c *rules.Classifier, wait time.Duration) (*store.DB, error) {
	db, err := store.Open(ctx, store.Options{Path: path, Classifier: c, ReadOnly: true, LockWait: wait})
	return db, noStore(filepath.Dir(path), err)
}

// noStore is ErrNoStore, with what to do about it, where err says that there is
// no file.
func noStore(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no store in %s: %w; run `shenscan scan`, or name another folder with --store", dir, ErrNoStore)
	}
	return err
}

// ChangeStore opens an existing store, which nobody else may have open, for do.
func ChangeStore(ctx context.Context, dir string, act func(*store.DB) error) error {
	if _, err := os.Stat(StoreFile(dir)); err != nil {
		return noStore(dir, err)
	}
	classifier, err := Classifier(nil, nil)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{Path: StoreFile(dir), Classifier: classifier})
	if err != nil {
		return err
	}
	return errors.Join(act(db), db.Close())
}

// CheckStore reads a whole store and says how it is: a copy of it where a
// running process holds it.
func CheckStore(ctx context.Context, at Place) (string, error) {
	db, err := OpenStore(ctx, at, nil, nil)
	if err != nil {
		return "", err
	}
	if err := db.Check(ctx); err != nil {
		return "", errors.Join(err, db.Close())
	}
	s := db.Summary()
	said := fmt.Sprintf("sound; %d instances, %d gone, %d bytes", s.Instances, s.Gone, db.Size())
	if db.From != "" {
		said += ", read through the running shenscan at " + db.From
	}
	return said, db.Close()
}

// Answer is a report, and the view of the store that all of it comes from.
type Answer struct {
	*report.Report
	View *store.View
}

// Close lets the view go; the report's instances cannot be read any more.
func (a *Answer) Close() error { return a.View.Close() }

// Question says what is reported.
type Question struct {
	Filter store.Filter
	// Scan is the scan that is reported, "" the last one that ended.
	Scan string
	// Since names a scan or a time after which changes are told; where it is "",
	// they are told since the scan before.
	Since string
	// Of, where it is not "", names the scan whose own changes are told, and Kind
	// the only kind of changes that is listed.
	Of, Kind string
}

// StoreReport answers from what the store holds at one moment, judged as the
// store was opened to be.
func StoreReport(ctx context.Context, db *store.DB, question Question) (*Answer, error) {
	view, err := db.View(ctx, nil, question.Filter)
	if err != nil {
		return nil, err
	}
	result, err := viewReport(ctx, view, question)
	if err != nil {
		return nil, errors.Join(err, view.Close())
	}
	return &Answer{result, view}, nil
}

func viewReport(ctx context.Context, view *store.View, question Question) (*report.Report, error) {
	result := &report.Report{Summary: *view.Summary(), Instances: view.Instances(ctx)}
	result.Alike, result.StartGroups = groupsOf(ctx, view)
	// The reader waited for the end of the scan, or has the file to itself:
	// nothing more is coming in.
	result.Summary.CaughtUp = true
	scans, err := view.Scans(1000)
	if err != nil {
		return nil, err
	}
	last := question.Scan
	if last == "" {
		for i := range scans {
			if scans[i].Kind == "scan" && scans[i].State != record.ScanRunning {
				last = scans[i].ID
				break
			}
		}
	}
	if last != "" {
		scan, err := view.Scan(last)
		if err != nil {
			return nil, fmt.Errorf("scan %q: %w", last, err)
		}
		result.Scan = *scan
	}
	for _, sc := range result.Summary.Scopes {
		result.Failures = append(result.Failures, sc.Failures...)
	}
	if result.Evidence, err = view.Evidence(result.Scan.StartedAt); err != nil {
		return nil, err
	}
	if question.Of != "" {
		result.Since, err = foundBy(ctx, view, &question)
		return result, err
	}
	from, err := beginning(view, scans, &result.Scan, question.Since, time.Now())
	if err != nil {
		return nil, err
	}
	if !from.at.IsZero() {
		if result.Since, err = changedSince(ctx, view, scans, from, &question); err != nil {
			return nil, err
		}
		if from.asked && question.Filter.Everything() {
			if result.Since.Progress, err = progressSince(view, result.Summary.Targets, from.at); err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

// groupsOf returns what a report counts by what was judged, and by what started
// the instances: from one walk over the rows, when the first of them is asked for.
func groupsOf(ctx context.Context, view *store.View) (func() ([]record.Alike, error), func() (*record.StartGroups, error)) {
	var starts *record.StartGroups
	walk := sync.OnceValues(func() (alike []record.Alike, err error) {
		alike, starts, err = view.Groups(ctx)
		return alike, err
	})
	return walk, func() (*record.StartGroups, error) {
		_, err := walk()
		return starts, err
	}
}

// moment is where changes begin to count.
type moment struct {
	scan  string // "" where a time was named
	at    time.Time
	asked bool
}

// beginning reads --since: a scan, a time, or how long ago. Where nothing was
// named, it is the end of the scan before the one that is reported.
func beginning(view *store.View, scans []record.Scan, shown *record.Scan, since string, now time.Time) (moment, error) {
	if since == "" {
		for i := range scans {
			scan := &scans[i]
			whole := scan.Kind == "scan" && (scan.State == record.ScanComplete || scan.State == record.ScanPartial)
			if whole && scan.ID != shown.ID && scan.EndedAt != nil && !scan.EndedAt.After(shown.StartedAt) {
				return moment{scan: scan.ID, at: *scan.EndedAt}, nil
			}
		}
		return moment{}, nil
	}
	if at, ok := parseTime(since, now); ok {
		return moment{at: at, asked: true}, notYet(since, at, now)
	}
	scan, err := view.Scan(since)
	if err != nil {
		return moment{}, fmt.Errorf("%w %q is no scan that the store knows, no time (2026-11-23, 2026-11-23T08:00:00Z) and no duration (24h, 7d): %w; `shenscan report --scans` lists the scans", ErrSince, since, err)
	}
	if scan.EndedAt == nil {
		return moment{}, fmt.Errorf("%w %q: that scan has not ended", ErrSince, since)
	}
	return moment{scan: scan.ID, at: *scan.EndedAt, asked: true}, nil
}

// ErrSince begins what is wrong with a beginning: it is a mistake of the one who
// asks.
var ErrSince = errors.New("since")

// ErrOfScan begins what is wrong with a scan whose changes are asked for: it is a
// mistake of the one who asks.
var ErrOfScan = errors.New("no such scan")

// notYet is an error for a time that is still to come: nothing changed since.
func notYet(since string, at, now time.Time) error {
	if at.After(now) {
		return fmt.Errorf("%w %q is still to come: it is %s, and times are UTC", ErrSince, since, now.UTC().Format(time.RFC3339))
	}
	return nil
}

// parseTime reads a time, a date, both in UTC, or a time as long ago as said.
func parseTime(text string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	if ago, ok := parseAgo(text); ok {
		return now.UTC().Add(-ago), true
	}
	return time.Time{}, false
}

// parseAgo reads how long ago something was: 24h, 7d.
func parseAgo(text string) (time.Duration, bool) {
	const mostDays = 100_000 // a duration holds no more
	if days, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") && days >= 0 && days <= mostDays {
		return time.Duration(days) * 24 * time.Hour, true
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}

// progressSince says how far each target is, of those that the store judges by
// itself.
func progressSince(view *store.View, targets []string, since time.Time) ([]string, error) {
	if _, _, own := view.Judged(); !own {
		return nil, nil
	}
	var out []string
	for _, target := range targets {
		progress, err := plan.NewProgress(view, target, plan.Beginning{At: since}, since)
		switch {
		case errors.Is(err, plan.ErrNoProgress), errors.Is(err, plan.ErrNotJudged):
			continue
		case err != nil:
			return nil, err
		}
		out = append(out, strings.Join(append([]string{progress.Sentence}, progress.Notes...), " "))
	}
	return out, nil
}

// changedSince counts and lists what changed.
func changedSince(ctx context.Context, view *store.View, scans []record.Scan, from moment, question *Question) (*report.Since, error) {
	head := report.Since{ScanID: from.scan, At: from.at, Kind: question.Kind, Narrowed: !question.Filter.Everything(), Asked: from.asked}
	out, err := report.NewSince(head, changesOf(view.ChangesSince(ctx, from.at)))
	if err != nil || head.Narrowed {
		return out, err
	}
	// The first reading of a region is not remembered instance by instance, but
	// the scan counted it.
	found := 0
	for i := range scans {
		if scans[i].EndedAt != nil && scans[i].EndedAt.After(from.at) {
			found += scans[i].New
		}
	}
	out.Unlisted = max(0, found-out.New)
	out.New += out.Unlisted
	return out, nil
}

// changesOf are changes as a report tells them.
func changesOf(all iter.Seq2[*store.Moved, error]) iter.Seq2[*report.Change, error] {
	return func(yield func(*report.Change, error) bool) {
		for moved, err := range all {
			if err != nil {
				yield(nil, err)
				return
			}
			c := report.Change(*moved)
			if !yield(&c, nil) {
				return
			}
		}
	}
}

// foundBy counts and lists what one scan found, and holds it against what the
// scan counted itself: the list is what the store remembers.
func foundBy(ctx context.Context, view *store.View, question *Question) (*report.Since, error) {
	scan, err := view.Scan(question.Of)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w; `shenscan report --scans` lists the scans", ErrOfScan, question.Of, err)
	}
	head := report.Since{Of: scan.ID, At: scan.StartedAt, Kind: question.Kind, Narrowed: !question.Filter.Everything(), Asked: true}
	out, err := report.NewSince(head, changesOf(view.ChangesOf(ctx, scan)))
	if err != nil || head.Narrowed {
		return out, err
	}
	out.Unlisted = max(0, scan.New-out.New)
	out.New += out.Unlisted
	out.Unkept = max(0, scan.Gone-out.Gone) + max(0, scan.Changed-out.Changed)
	return out, nil
}
