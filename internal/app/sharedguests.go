package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer/prober"
)

// guestsBucket keeps what machines themselves answered where several processes
// share a NATS.
const guestsBucket = "shenscan-guests"

// sharedGuests implements prober.Book over a bucket, for all processes on one
// NATS. A machine has a key of its own, which is changed only where nobody else
// changed it: of two processes that would ask it, one does. A batch is written
// down before its machines are, and may be asked once they are; whoever gives up
// a batch that was not asked takes it out of the bucket first, so that its owner,
// if it lives, finds that out before it asks.
//
// Open batches lie on a fixed number of shelves, since the bucket can be asked
// for keys that are known alone.
//
// Beside a store there is a copy, from which the bucket is filled where the
// server has lost it.
type sharedGuests struct {
	kv   *bus.KV
	copy *prober.Journal // nil without a store
	now  func() time.Time
	log  *slog.Logger

	// ahead is by how much the server's clock is ahead of this machine's: every age
	// is the server's, so that no process asks again because its own clock is wrong.
	ahead atomic.Int64

	shelf sync.Mutex // one change of shelves of this process at a time

	filled atomic.Bool // the bucket was filled from the copy
}

const (
	batchShelves = 64
	clockKey     = "clock"
	// clockWrong is by how much clocks may differ before it is said.
	clockWrong = time.Minute
	// givenUp is how long ago a machine must have been asked that waits for a batch
	// which no shelf shows: a server that lags behind may not show it yet.
	givenUp = 10 * time.Minute
	// changeTries is how often a change is tried that others come before.
	changeTries = 20
)

// openSharedGuests opens the bucket, and fills it from the copy where it is
// another one than the copy is of.
func openSharedGuests(ctx context.Context, b *bus.Bus, dup *prober.Journal, now func() time.Time, log *slog.Logger) (*sharedGuests, error) {
	kv, err := b.KV(ctx, guestsBucket, prober.Kept, false)
	if err != nil {
		return nil, err
	}
	s := &sharedGuests{kv: kv, copy: dup, now: now, log: log}
	if err := s.lookAtClock(ctx); err != nil {
		return nil, err
	}
	return s, s.fill(ctx)
}

// Now is the time by the server's clock.
func (s *sharedGuests) Now() time.Time { return s.now().Add(time.Duration(s.ahead.Load())) }

// lookAtClock learns by how much the server's clock differs.
func (s *sharedGuests) lookAtClock(ctx context.Context) error {
	before := s.now()
	if _, err := s.kv.WriteAll(ctx, []bus.Write{{Key: clockKey, Value: []byte("{}"), Always: true}}); err != nil {
		return err
	}
	stored, err := s.kv.GetAll(ctx, []string{clockKey})
	if err != nil {
		return err
	}
	if stored[0].Stored.IsZero() {
		return errors.New("the bucket of what machines answered does not keep what is written to it")
	}
	ahead := stored[0].Stored.Sub(before.Add(s.now().Sub(before) / 2))
	if ahead.Abs() > clockWrong {
		s.log.WarnContext(ctx, "the clock of this machine differs from that of NATS, by which the age of answers counts; set it right", "differs_by", ahead.Round(time.Second))
	}
	s.ahead.Store(int64(ahead))
	return nil
}

// fill puts into the bucket what the copy holds and the bucket lacks, where the
// bucket was made after the one that the copy is of.
func (s *sharedGuests) fill(ctx context.Context) error {
	if s.copy == nil {
		return nil
	}
	made, err := s.kv.Made(ctx)
	if err != nil || made.Equal(s.copy.Of()) {
		return err
	}
	s.filled.Store(true)
	guests := s.copy.All()
	put, err := s.putBack(ctx, guests)
	if err != nil {
		return err
	}
	open, err := s.copy.Open(ctx)
	if err != nil {
		return err
	}
	for i := range open {
		open[i].Edition = 0
		if err := s.changeShelf(ctx, &open[i], addBatch); err != nil && !errors.Is(err, prober.ErrTaken) {
			return err
		}
	}
	if put > 0 {
		s.log.WarnContext(ctx, "the bucket of what machines answered is new; what this process has a copy of was put into it", "bucket", guestsBucket, "machines", put)
	}
	return s.copy.Follow(made)
}

// lost says what of the copy could not be read, where the bucket was filled from it.
func (s *sharedGuests) lost() error {
	if s.copy == nil || !s.filled.Load() {
		return nil
	}
	return s.copy.Lost()
}

// putBack writes guests of which the bucket knows nothing that is newer.
func (s *sharedGuests) putBack(ctx context.Context, guests []prober.Guest) (put int, err error) {
	for part := range slices.Chunk(guests, 256) {
		stored, _, entries, err := s.stored(ctx, part)
		if err != nil {
			return put, err
		}
		made, _, err := s.put(ctx, part, entries, func(i int) bool { return stored[i] == nil || newer(&part[i], stored[i]) })
		if err != nil {
			return put, err
		}
		put += len(made)
	}
	return put, nil
}

// put writes the guests that are wanted, by their place in the list, where the bucket
// still has what entries say. It returns those that it wrote, and those that somebody
// else wrote at the same time.
func (s *sharedGuests) put(ctx context.Context, guests []prober.Guest, entries []bus.Entry, wanted func(i int) bool) (made, lost []prober.Guest, err error) {
	var tried []prober.Guest
	var writes []bus.Write
	for i := range guests {
		if !wanted(i) {
			continue
		}
		value, err := json.Marshal(&guests[i])
		if err != nil {
			return nil, nil, err
		}
		tried = append(tried, guests[i])
		writes = append(writes, bus.Write{Key: guestKey(guests[i].Scope, guests[i].ID), Value: value, Revision: entries[i].Revision})
	}
	done, err := s.kv.WriteAll(ctx, writes)
	for i, ok := range done {
		if ok {
			made = append(made, tried[i])
		} else {
			lost = append(lost, tried[i])
		}
	}
	return made, lost, err
}

// newer says whether one copy of what is kept of a machine is newer than another.
func newer(a, b *prober.Guest) bool {
	if !a.Asked.Equal(b.Asked) {
		return a.Asked.After(b.Asked)
	}
	return a.Answered.After(b.Answered)
}

func guestKey(scope ecs.Scope, id string) string {
	return "guest." + event.Token(scope.Account) + "." + event.Token(scope.Region) + "." + event.Token(id)
}

// stored reads what the bucket has of each machine: nil where it has nothing that can
// be read. unread are the ids of those of which it has something else.
func (s *sharedGuests) stored(ctx context.Context, guests []prober.Guest) (out []*prober.Guest, unread []string, entries []bus.Entry, err error) {
	keys := make([]string, len(guests))
	for i := range guests {
		keys[i] = guestKey(guests[i].Scope, guests[i].ID)
	}
	entries, err = s.kv.GetAll(ctx, keys)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("what machines answered: %w", err)
	}
	out = make([]*prober.Guest, len(guests))
	for i, e := range entries {
		if e.Value == nil {
			continue
		}
		var guest prober.Guest
		if json.Unmarshal(e.Value, &guest) != nil || guest.Scope != guests[i].Scope || guest.ID != guests[i].ID {
			unread = append(unread, guests[i].ID)
			continue
		}
		out[i] = &guest
	}
	return out, unread, entries, nil
}

// unreadError names machines of which the bucket has something that cannot be read: what
// they answered may speak against their verdicts.
type unreadError struct{ ids []string }

func (e *unreadError) Error() string {
	text := "what " + strings.Join(e.ids[:min(len(e.ids), 5)], ", ")
	if more := len(e.ids) - 5; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " answered cannot be read in the bucket " + guestsBucket + "; a process with --probe asks them again"
}

// Guests implements prober.Book for who lists instances: an error beside what is known
// names the machines of which there is more.
func (s *sharedGuests) Guests(ctx context.Context, scope ecs.Scope, ids []string) (map[string]prober.Guest, error) {
	asked := make([]prober.Guest, len(ids))
	for i, id := range ids {
		asked[i] = prober.Guest{Scope: scope, ID: id}
	}
	stored, unread, _, err := s.stored(ctx, asked)
	if err != nil {
		return nil, err
	}
	out := map[string]prober.Guest{}
	for i := range stored {
		if stored[i] != nil {
			out[ids[i]] = *stored[i]
		}
	}
	if len(unread) > 0 {
		return out, &unreadError{unread}
	}
	return out, nil
}

// Open implements prober.Book. It is what a run begins with: the clock is
// looked at, and whether the bucket is still the one it was.
func (s *sharedGuests) Open(ctx context.Context) ([]prober.Batch, error) {
	if err := s.lookAtClock(ctx); err != nil {
		return nil, err
	}
	if err := s.fill(ctx); err != nil {
		return nil, err
	}
	return s.open(ctx)
}

func (s *sharedGuests) open(ctx context.Context) ([]prober.Batch, error) {
	keys := make([]string, batchShelves)
	for i := range keys {
		keys[i] = shelfKey(i)
	}
	entries, err := s.kv.GetAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("which machines have not answered: %w", err)
	}
	var out []prober.Batch
	for i, e := range entries {
		batches, err := readShelf(e.Value)
		if err != nil {
			return nil, fmt.Errorf("which machines have not answered: shelf %d of bucket %s: %w", i, guestsBucket, err)
		}
		out = append(out, batches...)
	}
	return out, nil
}

func shelfKey(i int) string { return "batches." + strconv.Itoa(i) }

func readShelf(value []byte) (batches []prober.Batch, err error) {
	if value != nil {
		err = json.Unmarshal(value, &batches)
	}
	return batches, err
}

// A shelfChange says what becomes of a shelf; ErrTaken that it was changed by
// somebody else.
type shelfChange func(shelf []prober.Batch, batch *prober.Batch) ([]prober.Batch, error)

func addBatch(shelf []prober.Batch, batch *prober.Batch) ([]prober.Batch, error) {
	if slices.ContainsFunc(shelf, func(b prober.Batch) bool { return b.Token == batch.Token }) {
		return nil, prober.ErrTaken
	}
	return append(shelf, *batch), nil
}

func setBatch(shelf []prober.Batch, batch *prober.Batch) ([]prober.Batch, error) {
	i := slices.IndexFunc(shelf, func(b prober.Batch) bool { return b.Token == batch.Token })
	switch {
	case i < 0 || shelf[i].Edition != batch.Edition:
		return nil, prober.ErrTaken
	case batch.Closed:
		return slices.Delete(shelf, i, i+1), nil
	}
	batch.Edition++
	shelf[i] = *batch
	return shelf, nil
}

// changeShelf changes the shelf on which a batch lies.
func (s *sharedGuests) changeShelf(ctx context.Context, batch *prober.Batch, change shelfChange) error {
	s.shelf.Lock()
	defer s.shelf.Unlock()
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(batch.Token))
	key := shelfKey(int(sum.Sum32() % batchShelves))
	for range changeTries {
		value, revision, err := s.kv.Get(ctx, key)
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			return err
		}
		shelf, err := readShelf(value)
		if err != nil {
			return fmt.Errorf("which machines have not answered: %s of bucket %s: %w", key, guestsBucket, err)
		}
		changed := *batch
		if shelf, err = change(shelf, &changed); err != nil {
			return err
		}
		if value, err = json.Marshal(shelf); err != nil {
			return err
		}
		if _, err = s.kv.Update(ctx, key, value, revision); err == nil {
			*batch = changed
			return nil
		} else if !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%s of bucket %s was changed by others %d times in a row", key, guestsBucket, changeTries)
}

// Claim implements prober.Book.
func (s *sharedGuests) Claim(ctx context.Context, batch *prober.Batch, guests []prober.Guest, held func(*prober.Guest) bool) ([]prober.Guest, error) {
	batch.Claiming, batch.IDs = true, nil
	for i := range guests {
		batch.IDs = append(batch.IDs, guests[i].ID)
	}
	if err := s.changeShelf(ctx, batch, addBatch); err != nil {
		return nil, err
	}
	mine, err := s.take(ctx, guests, held)
	if err != nil {
		return nil, err // the batch was not asked, and whoever looks after it says so
	}
	batch.Claiming, batch.Closed, batch.IDs = false, len(mine) == 0, nil
	for i := range mine {
		batch.IDs = append(batch.IDs, mine[i].ID)
	}
	if err := s.changeShelf(ctx, batch, setBatch); err != nil {
		return nil, err
	}
	if s.copy != nil && len(mine) > 0 {
		return mine, s.copy.Write(ctx, batch, mine)
	}
	return mine, nil
}

// take writes down that machines are asked, and returns those that nobody else
// asks.
func (s *sharedGuests) take(ctx context.Context, guests []prober.Guest, held func(*prober.Guest) bool) (mine []prober.Guest, err error) {
	// Shelves are read after machines: the batch that a machine waits for was put
	// there before the machine was written down.
	stored, _, entries, err := s.stored(ctx, guests)
	if err != nil {
		return nil, err
	}
	open, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	waits := map[string]bool{}
	for i := range open {
		waits[open[i].Token] = true
	}
	mine, _, err = s.put(ctx, guests, entries, func(i int) bool {
		have := stored[i]
		if have == nil {
			return true
		}
		if have.Answered.IsZero() {
			return !waits[have.Batch] && s.Now().Sub(have.Asked).Abs() >= givenUp
		}
		return !held(have)
	})
	return mine, err
}

// Write implements prober.Book. Of a batch that was not asked the machines are
// let go once its owner, if it lives, can ask it no more.
func (s *sharedGuests) Write(ctx context.Context, batch *prober.Batch, guests []prober.Guest) error {
	if batch != nil && batch.Claiming {
		if err := s.changeShelf(ctx, batch, setBatch); err != nil {
			return err
		}
		batch = nil
	}
	for try, left := 0, guests; len(left) > 0; try++ {
		if try == changeTries {
			return fmt.Errorf("what %d machines answered was changed by others %d times in a row", len(left), changeTries)
		}
		var err error
		if left, err = s.write(ctx, left); err != nil {
			return err
		}
	}
	if batch != nil {
		if err := s.changeShelf(ctx, batch, setBatch); err != nil {
			return err
		}
	}
	if s.copy == nil {
		return nil
	}
	return s.copy.Write(ctx, batch, guests)
}

// write writes guests and returns those that somebody else wrote at the same
// time. A guest that another batch waits for is that one's.
func (s *sharedGuests) write(ctx context.Context, guests []prober.Guest) (again []prober.Guest, err error) {
	stored, _, entries, err := s.stored(ctx, guests)
	if err != nil {
		return nil, err
	}
	_, again, err = s.put(ctx, guests, entries, func(i int) bool {
		have := stored[i]
		return have == nil || have.Batch == guests[i].Batch || !have.Answered.IsZero() && !newer(have, &guests[i])
	})
	return again, err
}

// askingGuests is the book of what asks: it copies what others were answered, so
// that every process that asks can fill a bucket that was lost. What cannot be read is
// nothing that is known: its machine is asked again, and the answer takes its place.
type askingGuests struct{ *sharedGuests }

// Guests implements prober.Book.
func (s askingGuests) Guests(ctx context.Context, scope ecs.Scope, ids []string) (map[string]prober.Guest, error) {
	known, err := s.sharedGuests.Guests(ctx, scope, ids)
	if unread, ok := errors.AsType[*unreadError](err); ok {
		s.log.WarnContext(ctx, "what some machines answered cannot be read; they are asked again", "account", scope.Account, "region", scope.Region, "bucket", guestsBucket, "machines", len(unread.ids))
		err = nil
	}
	if err != nil || s.copy == nil {
		return known, err
	}
	copied, err := s.copy.Guests(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	var lacks []prober.Guest
	for id, guest := range known {
		if have, there := copied[id]; !there || newer(&guest, &have) {
			lacks = append(lacks, guest)
		}
	}
	if len(lacks) > 0 {
		err = s.copy.Write(ctx, nil, lacks)
	}
	return known, err
}
