package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// StoredEvidence is what is kept of one thing that evidence was asked for.
type StoredEvidence struct {
	event.EvidenceItem
	Seen  time.Time // when a worker needed it last
	Tried time.Time // when Calls were made
}

// value is what is kept: a large fleet has tens of thousands of it.
func (e *StoredEvidence) value() []byte {
	return format.Seal(event.AppendEvidence(format.Start(make([]byte, 0, 256)), &e.EvidenceItem, e.Seen, e.Tried))
}

// readEvidence reads what StoredEvidence.value made.
func readEvidence(value []byte) (is StoredEvidence, err error) {
	body, err := format.Unseal("evidence", value)
	if err != nil {
		return is, err
	}
	if is.EvidenceItem, err = event.DecodeEvidence(body, &is.Seen, &is.Tried); err != nil {
		return StoredEvidence{}, fmt.Errorf("%w: evidence: %w", ErrCorrupt, err)
	}
	return is, nil
}

const (
	// evidenceLife is how long evidence that nobody needs any more is kept.
	evidenceLife = 45 * 24 * time.Hour
	// evidenceUse is how long before a scan an image may have been looked up that
	// is in use in it: workers remember images for six hours, twice where one
	// took it from another.
	evidenceUse = 13 * time.Hour
	// beatUse is the same of what a worker looks up with each page: as far as
	// clocks may be apart.
	beatUse = 5 * time.Minute
	// clocksApart is by how much clocks may be apart: what was heard of later than
	// that from now has no age.
	clocksApart = 5 * time.Minute
	// maxEvidenceText bounds each text of an item.
	maxEvidenceText = 64 << 10
)

func evidencePrefix(s ecs.Scope, source string) []byte {
	return []byte(s.Account + "\x00" + s.Region + "\x00" + source + "\x00")
}

// evidenceRead keeps what a worker knows. The newest answer counts, in whatever
// order messages come.
func (a *applier) evidenceRead(evidence *event.EvidenceRead) error {
	own := evidence.Source == sourceMove // what the store alone finds out
	if own || !usable(evidence.Scope.Account, evidence.Scope.Region, evidence.Source) || len(evidence.Items) > event.MaxEvidence {
		a.out.Invalid++
		return nil
	}
	bucket := a.tx.Bucket(bucketEvidence)
	prefix := evidencePrefix(evidence.Scope, evidence.Source)
	for i := range evidence.Items {
		item := &evidence.Items[i]
		if !item.Console.Sound() || !item.Template.Sound() || item.Unlisted < 0 || !usable(item.ID) || len(item.Types) > maxEvidenceText || len(item.Cause) > maxEvidenceText || len(item.Mend) > maxEvidenceText || len(item.Image) > maxID {
			a.out.Invalid++
			continue
		}
		if err := a.keepEvidence(bucket, append(bytes.Clone(prefix), item.ID...), evidence, item); err != nil {
			return fmt.Errorf("evidence of %s in %s: %w", item.ID, evidence.Scope, err)
		}
	}
	return a.pruneEvidence(bucket)
}

func (a *applier) keepEvidence(bucket *bbolt.Bucket, key []byte, evidence *event.EvidenceRead, item *event.EvidenceItem) error {
	var had StoredEvidence
	value := bucket.Get(key)
	if value != nil {
		var err error
		if had, err = readEvidence(value); err != nil {
			return err
		}
		if a.tooLate(had.Seen) && !a.tooLate(evidence.At) {
			before := evidence.At.Add(-1)
			if err := a.evidenceBefore(bucket, evidencePrefix(evidence.Scope, evidence.Source), before); err != nil {
				return err
			}
			had.Seen, had.Tried = before, earlier(had.Tried, before)
		}
	}
	is := had
	switch {
	case !item.Kept && !evidence.At.Before(had.Seen):
		is.EvidenceItem = *item
	case value == nil:
		return nil // kept by a store that this one is not
	}
	is.ID, is.Kept, is.Seen, is.Calls = "", false, had.Seen, had.Calls
	if evidence.At.After(had.Seen) {
		is.Seen = evidence.At.UTC()
	}
	if item.Calls > 0 && evidence.At.After(had.Tried) {
		is.Calls, is.Tried = item.Calls, evidence.At.UTC()
	}
	return bucket.Put(key, is.value())
}

// tooLate says whether a time has not come when the message at hand was stored: the
// clock that told it ran ahead. Where it is not known when that was, every time is too late,
// the message's own too, and nothing is dated by it.
func (a *applier) tooLate(at time.Time) bool {
	return at.UnixNano() > a.msg.Stored+int64(clocksApart)
}

// evidenceBefore dates what is kept under the prefix and was said to be of a time that
// has not come before the message at hand: no later answer would ever count, and a
// launch template that was not listed by that clock would be none.
func (a *applier) evidenceBefore(bucket *bbolt.Bucket, prefix []byte, before time.Time) error {
	dated := map[string][]byte{}
	for key, value := range entries(bucket, prefix) {
		is, err := readEvidence(value)
		if err != nil {
			return err
		}
		if a.tooLate(is.Seen) {
			is.Seen, is.Tried = before, earlier(is.Tried, before)
			dated[string(key)] = is.value()
		}
	}
	for key, value := range dated {
		if err := bucket.Put([]byte(key), value); err != nil {
			return err
		}
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// pruneEvidence forgets, once a day, evidence that nobody needed and moves that
// nobody looked at for long.
func (a *applier) pruneEvidence(bucket *bbolt.Bucket) error {
	now := time.Unix(0, a.db.meta.Now)
	if now.Sub(a.db.pruned) < 24*time.Hour {
		return nil
	}
	a.db.pruned = now
	var old [][]byte
	for key, value := range entries(bucket, nil) {
		last, life, err := neededLast(key, value)
		if err != nil {
			return err
		}
		if now.Sub(last) > life {
			old = append(old, bytes.Clone(key))
		}
	}
	return deleteKeys(bucket, old)
}

// neededLast says when evidence was needed, or a move looked at, and how long it
// is kept from then on.
func neededLast(key, value []byte) (time.Time, time.Duration, error) {
	if isMove(key) {
		var move record.Move
		err := format.ReadJSON("move", value, &move)
		return move.Checked, outcomeLife, err
	}
	is, err := readEvidence(value)
	return is.Seen, evidenceLife, err
}

// Evidence returns what is kept of ids; what nothing is kept of is absent.
func (db *DB) Evidence(scope ecs.Scope, source string, ids []string) (map[string]StoredEvidence, error) {
	out := map[string]StoredEvidence{}
	err := db.view(func(tx *bbolt.Tx) error {
		b, prefix := tx.Bucket(bucketEvidence), evidencePrefix(scope, source)
		for _, id := range ids {
			value := b.Get(append(bytes.Clone(prefix), id...))
			if value == nil {
				continue
			}
			is, err := readEvidence(value)
			if err != nil {
				return err
			}
			is.ID = id
			out[id] = is
		}
		return nil
	})
	return out, err
}

// guestSources are asked about an instance itself.
var guestSources = [...]string{event.EvidenceProbe, event.EvidenceHeartbeat, event.EvidenceConsole}

// GuestEvidence is what is kept of an instance that its guest was asked for.
func (db *DB) GuestEvidence(key ecs.Scope, id string, now time.Time) ([]record.GuestEvidence, error) {
	return db.reading().guestEvidence(key, id, now)
}

// GuestEvidence is DB.GuestEvidence at the view's moment.
func (v *View) GuestEvidence(account, region, id string, now time.Time) ([]record.GuestEvidence, error) {
	return v.reading().guestEvidence(ecs.Scope{Account: account, Region: region}, id, now)
}

func (r *reading) guestEvidence(key ecs.Scope, id string, now time.Time) ([]record.GuestEvidence, error) {
	facts, _, err := r.factsOf(key.Account, key.Region, id)
	if errors.Is(err, ErrNotFound) {
		facts, err = &rules.Facts{}, nil
	}
	if err != nil {
		return nil, err
	}
	out := []record.GuestEvidence{}
	err = r.view(func(tx *bbolt.Tx) error {
		for _, source := range guestSources {
			value := tx.Bucket(bucketEvidence).Get(append(evidencePrefix(key, source), id...))
			if value == nil {
				if source == event.EvidenceProbe && facts.Guest.Answered() {
					out = append(out, record.GuestEvidence{Source: source, Cause: "the machine answered, but this store was not told when"})
				}
				continue
			}
			is, err := readEvidence(value)
			if err != nil {
				return err
			}
			told := is.guest(source, now)
			if source == event.EvidenceProbe {
				told.Unused = is.unused(facts)
			}
			out = append(out, told)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("what the guest of %.64q was asked for: %w", id, err)
	}
	return out, nil
}

// guest is the public form of what is kept of an instance.
func (e *StoredEvidence) guest(source string, now time.Time) record.GuestEvidence {
	out := record.GuestEvidence{Source: source, Cause: e.Cause}
	if !e.Asked.IsZero() {
		asked := e.Asked.UTC()
		out.Asked = &asked
	}
	if !e.Heard.IsZero() {
		heard := e.Heard.UTC()
		out.Heard = &heard
		if age := now.Sub(e.Heard); age >= -clocksApart {
			seconds := max(0, int64(age/time.Second))
			out.AgeSeconds = &seconds
		}
	}
	if c := e.Console; c != nil {
		out.Kernel, out.Root, out.End, out.Excerpt = c.Kernel, c.Root, c.End, c.Excerpt
	}
	return out
}

// unused says why what a machine answered takes no part in what is known of it; ""
// where it does.
func (e *StoredEvidence) unused(facts *rules.Facts) string {
	switch {
	case e.Heard.IsZero() || facts.Guest.Answered():
		return ""
	case facts.ImageID != e.Image:
		return "what it answered is of another image, and does not count"
	case facts.InstanceType != e.Types:
		return "what it answered is of another instance type, and does not count"
	}
	return "what it answered does not count: it is too old, or no scan has read it since"
}

// Evidence sums up, by source, account and region, what workers needed since
// the scan that began then, or shortly before.
func (v *View) Evidence(began time.Time) ([]record.Evidence, error) {
	rows := map[string]*record.Evidence{}
	err := v.view(func(tx *bbolt.Tx) error {
		for key, value := range entries(tx.Bucket(bucketEvidence), nil) {
			if isMove(key) {
				continue // what was said before it, not evidence
			}
			part := strings.SplitN(string(key), "\x00", 4)
			if len(part) != 4 {
				return fmt.Errorf("%w: key of evidence", ErrCorrupt)
			}
			scope := ecs.Scope{Account: part[0], Region: part[1]}
			if !v.f.within(scope) {
				continue
			}
			is, err := readEvidence(value)
			if err != nil {
				return err
			}
			if part[2] == event.EvidenceProbe {
				continue // what asks machines says what it came to
			}
			if part[2] == event.EvidenceFleet && (is.Fleet == "" || strings.HasPrefix(part[3], event.EarlierPrefix)) {
				continue // a count of nothing, or of the scan before
			}
			about, use := "images", evidenceUse
			switch part[2] {
			case event.EvidenceHeartbeat, event.EvidenceConsole:
				about, use = "instances", beatUse
			case event.EvidenceTemplates:
				about, use = "launch templates", beatUse
			}
			if is.Seen.Before(began.Add(-use)) {
				continue
			}
			row := rows[string(key[:len(key)-len(part[3])])]
			if row == nil {
				row = &record.Evidence{Source: part[2], Account: scope.Account, Region: scope.Region, About: about}
				rows[string(key[:len(key)-len(part[3])])] = row
			}
			is.ID = part[3]
			is.addTo(row, began)
		}
		return nil
	})
	out := make([]record.Evidence, 0, len(rows))
	for _, row := range rows {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b record.Evidence) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region))
	})
	return out, err
}

func (e *StoredEvidence) addTo(row *record.Evidence, began time.Time) {
	if e.Calls > 0 && !e.Tried.Before(began) {
		row.Calls += e.Calls
	}
	about := 1
	if strings.HasPrefix(e.ID, event.YardstickPrefix) || e.ID == event.ListingID || e.ID == event.UnreadID {
		about = e.Unlisted
	}
	row.Asked += about
	if e.Cause == "" {
		row.Answered += about
		if !e.Asked.IsZero() && (row.Oldest == nil || e.Asked.Before(*row.Oldest)) {
			asked := e.Asked
			row.Oldest = &asked
		}
		return
	}
	at := slices.IndexFunc(row.Skipped, func(s record.EvidenceSkipped) bool { return s.Cause == e.Cause && s.Mend == e.Mend })
	if at < 0 {
		at = len(row.Skipped)
		row.Skipped = append(row.Skipped, record.EvidenceSkipped{Cause: e.Cause, Mend: e.Mend})
	}
	row.Skipped[at].Count += about
}
