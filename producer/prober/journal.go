package prober

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// Journal is a Book in one file: a line for every change, synced before Write
// returns, and written anew when it is opened with much in it that is
// superseded. One process has it open. It is safe for concurrent use.
type Journal struct {
	now func() time.Time

	mu      sync.Mutex
	file    *os.File
	guests  map[guestKey]Guest
	batches map[string]Batch
	of      time.Time // when the book was made that this one is a copy of; zero where it is none
	failed  error     // of a write: what the file then holds is not known
	lost    error     // what the file held and could not be read
	runs    int       // of those who ask, since it was opened
}

type guestKey struct {
	scope ecs.Scope
	id    string
}

// entry is one line.
type entry struct {
	Batch *Batch `json:"batch,omitempty"`
	Guest *Guest `json:"guest,omitempty"`
	// Of is when the book was made that this one is a copy of.
	Of time.Time `json:"of,omitzero"`
}

// OpenJournal opens the file, which is made where there is none. A last line
// that was cut off by a kill is dropped: what it said had not been promised.
// Lines that cannot be read are said in the log and dropped; Lost tells of them.
func OpenJournal(path string, now func() time.Time, log *slog.Logger) (*Journal, error) {
	journal := &Journal{now: now, guests: map[guestKey]Guest{}, batches: map[string]Batch{}}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("what machines answered: %w", err)
	}
	bad := journal.load(old)
	if bad > 0 {
		lines := "lines"
		if bad == 1 {
			lines = "line"
		}
		journal.lost = fmt.Errorf("%d %s of %s could not be read, and nobody knows whose answers they were; machines are asked again with --probe, and a restart goes on without", bad, lines, path)
		log.Warn("what some machines answered cannot be read and is forgotten; they may be asked again", "file", path, "lines", bad)
	}
	if err := journal.rewrite(path); err != nil {
		return nil, fmt.Errorf("what machines answered: %w", err)
	}
	return journal, nil
}

// load reads the lines of a file and counts those that cannot be read.
func (j *Journal) load(content []byte) (bad int) {
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	for line := range bytes.Lines(whole) {
		var e entry
		if json.Unmarshal(line, &e) != nil {
			bad++
			continue
		}
		j.take(&e)
	}
	// A guest that waits for a batch that is not known was not asked: a batch is
	// written down before it is.
	for k, g := range j.guests {
		if _, there := j.batches[g.Batch]; !g.Answered.IsZero() || there {
			continue
		}
		if g.Heard.IsZero() {
			delete(j.guests, k)
			continue
		}
		g.Asked, g.Answered, g.Batch = time.Time{}, g.Heard, "" // what it said before counts
		j.guests[k] = g
	}
	return bad
}

// take makes a line part of what is known.
func (j *Journal) take(entry *entry) {
	if entry.Batch != nil {
		if entry.Batch.Closed {
			delete(j.batches, entry.Batch.Token)
		} else {
			j.batches[entry.Batch.Token] = *entry.Batch
		}
	}
	if entry.Guest != nil {
		j.guests[guestKey{entry.Guest.Scope, entry.Guest.ID}] = *entry.Guest
	}
	if !entry.Of.IsZero() {
		j.of = entry.Of
	}
}

// rewrite writes what is known into a new file that takes the place of the old
// one. What is too old to be of use is left out.
func (j *Journal) rewrite(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	out := bufio.NewWriter(tmp)
	enc := json.NewEncoder(out)
	for _, b := range j.batches {
		if err := enc.Encode(entry{Batch: &b}); err != nil {
			return err
		}
	}
	if !j.of.IsZero() {
		if err := enc.Encode(entry{Of: j.of}); err != nil {
			return err
		}
	}
	for k, guest := range j.guests {
		if guest.Outlived(j.now()) {
			delete(j.guests, k)
			continue
		}
		if err := enc.Encode(entry{Guest: &guest}); err != nil {
			return err
		}
	}
	if err := errors.Join(out.Flush(), tmp.Sync()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	j.file = tmp
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.file.Close()
}

// Guests implements Book.
func (j *Journal) Guests(_ context.Context, scope ecs.Scope, ids []string) (map[string]Guest, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]Guest{}
	for _, id := range ids {
		if g, ok := j.guests[guestKey{scope, id}]; ok {
			out[id] = g
		}
	}
	return out, nil
}

// Len is the number of machines that something is kept of.
func (j *Journal) Len() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.guests)
}

// Lost says what the file held that could not be read when it was opened: what some
// machine answered is not known. Who lists instances is told, since the answer may have
// spoken against a verdict, until a run of those who ask is over: it asked for what was
// missing.
func (j *Journal) Lost() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lost
}

// Open implements Book. A run begins with it, and the one before is over.
func (j *Journal) Open(context.Context) ([]Batch, error) {
	j.mu.Lock()
	if j.runs++; j.runs > 1 {
		j.lost = nil
	}
	j.mu.Unlock()
	return j.open(), nil
}

func (j *Journal) open() []Batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := slices.Collect(maps.Values(j.batches))
	slices.SortFunc(out, func(a, b Batch) int { return strings.Compare(a.Token, b.Token) })
	return out
}

// Claim implements Book. Nobody else has the file open, so that all are this
// process's.
func (j *Journal) Claim(ctx context.Context, batch *Batch, guests []Guest, _ func(*Guest) bool) ([]Guest, error) {
	batch.IDs = nil
	for i := range guests {
		batch.IDs = append(batch.IDs, guests[i].ID)
	}
	return guests, j.Write(ctx, batch, guests)
}

// Write implements Book.
func (j *Journal) Write(_ context.Context, batch *Batch, guests []Guest) error {
	entries := make([]entry, 0, len(guests)+1)
	// The batch comes last: a kill between the lines leaves no batch whose guests
	// are not written down.
	for i := range guests {
		entries = append(entries, entry{Guest: &guests[i]})
	}
	if batch != nil {
		open := *batch
		entries = append(entries, entry{Batch: &open})
	}
	return j.append(entries)
}

// Of is when the book was made that this one is a copy of; zero where it is none.
func (j *Journal) Of() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.of
}

// Follow makes it a copy of the book that was made at that time. Which batches
// are open is that book's to know, and forgotten here.
func (j *Journal) Follow(made time.Time) error {
	entries := []entry{{Of: made.UTC()}}
	for _, b := range j.open() {
		b.Closed = true
		entries = append(entries, entry{Batch: &b})
	}
	return j.append(entries)
}

// All returns what is kept of every machine.
func (j *Journal) All() []Guest {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Collect(maps.Values(j.guests))
}

func (j *Journal) append(entries []entry) error {
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for i := range entries {
		if err := enc.Encode(&entries[i]); err != nil {
			return fmt.Errorf("write down what machines answered: %w", err)
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed != nil {
		return j.failed
	}
	if _, err := io.Copy(j.file, &lines); err != nil {
		j.failed = fmt.Errorf("write down what machines answered: %w", err)
		return j.failed
	}
	if err := j.file.Sync(); err != nil {
		j.failed = fmt.Errorf("write down what machines answered: %w", err)
		return j.failed
	}
	for i := range entries {
		j.take(&entries[i])
	}
	return nil
}
