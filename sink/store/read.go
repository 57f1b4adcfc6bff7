package store

import (
	"bytes"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store/format"
)

// Found is an instance with what became of it over time, oldest first.
type Found struct {
	Record  *record.Record
	History []record.Change
}

// render makes the public record of a row.
func (j *judge) render(sc *scopeValue, row *event.Row, facts *rules.Facts, st format.Stamp) *record.Record {
	cl := j.judgeRow(sc, row, facts)
	machine := j.Machine(facts.Hardware())
	out := &record.Record{
		Account: sc.Account, AccountName: sc.Label, Region: sc.Region, Zone: row.Zone, InstanceID: row.ID, InstanceName: row.Name,
		InstanceType: facts.InstanceType, InstanceFamily: facts.InstanceFamily,
		Generation: machine.Generation, Virtualization: machine.Virtualization,
		Status: row.Status, ImageID: facts.ImageID, ImageOwner: facts.Image.Owner, CPU: int(row.CPU), MemoryMiB: int(row.MemoryMiB), NetworkType: row.NetworkType,
		Tags: make(map[string]string, len(row.Tags)), Classification: *cl,
		ObservedAt: utc(st.Order), ScanID: st.Scan, Ruleset: j.Digest(),
	}
	if out.InstanceFamily == "" {
		out.InstanceFamily = machine.Family
	}
	if out.Virtualization == "" {
		out.Virtualization = "unknown"
	}
	for _, t := range row.Tags {
		out.Tags[t.Key] = t.Value
	}
	if at, gone := sc.GoneAt(st.Order); gone {
		t := utc(at)
		out.GoneAt = &t
	}
	return out
}

// finding is a row as a reader came upon it; it is valid as long as the
// transaction.
type finding struct {
	row   []byte
	stamp format.Stamp
}

// Get returns one instance, gone ones included, or ErrNotFound.
func (db *DB) Get(account, region, instanceID string) (*Found, error) {
	snapshot := db.snap.Load()
	i, ok := slices.BinarySearchFunc(snapshot.scopes, ecs.Scope{Account: account, Region: region}, func(sc *scopeSnap, k ecs.Scope) int { return sc.key.Compare(k) })
	if !ok {
		return nil, fmt.Errorf("instance %.64q in %s/%s: %w", instanceID, account, region, ErrNotFound)
	}
	found, err := db.reading().find(db.judge.Load(), snapshot.scopes[i:i+1], instanceID)
	if err != nil {
		return nil, err
	}
	return &found[0], nil
}

// Find returns every instance with the id, whatever its account and region,
// or ErrNotFound.
func (db *DB) Find(instanceID string) ([]Found, error) {
	return db.reading().find(db.judge.Load(), db.snap.Load().scopes, instanceID)
}

func (r *reading) find(judge *judge, scopes []*scopeSnap, instanceID string) ([]Found, error) {
	var out []Found
	err := r.view(func(tx *bbolt.Tx) error {
		for _, sc := range scopes {
			found, err := r.lookup(tx, judge, sc, instanceID)
			if err != nil {
				return fmt.Errorf("instance %.64q in %s: %w", instanceID, sc.key, err)
			}
			if found != nil {
				out = append(out, *found)
			}
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("instance %.64q: %w", instanceID, ErrNotFound)
	}
	return out, err
}

// Locate returns the scopes of the instances that are there. Ids that are not
// known, or only as gone, are missing from the answer.
func (db *DB) Locate(ids []string) (map[string]ecs.Scope, error) {
	out := map[string]ecs.Scope{}
	err := db.view(func(tx *bbolt.Tx) error {
		for _, sc := range db.snap.Load().scopes {
			var value scopeValue
			if err := format.ReadJSON("scope", tx.Bucket(bucketScopes).Get(format.Key32(sc.no)), &value); err != nil {
				return err
			}
			found, err := lookup(tx, sc.no, ids)
			if err != nil {
				return fmt.Errorf("%s: %w", sc.key, err)
			}
			for id, f := range found {
				if f.stamp.Order >= value.Floor() {
					out[id] = sc.key
				}
			}
		}
		return nil
	})
	return out, err
}

// lookup renders an instance of one scope, or nil.
func (r *reading) lookup(tx *bbolt.Tx, judge *judge, sc *scopeSnap, id string) (*Found, error) {
	found, err := lookup(tx, sc.no, []string{id})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var value scopeValue
	if err := format.ReadJSON("scope", tx.Bucket(bucketScopes).Get(format.Key32(sc.no)), &value); err != nil {
		return nil, err
	}
	rec, err := r.renderRow(tx, judge, &value, found[id])
	if err != nil {
		return nil, err
	}
	out := &Found{Record: rec, History: []record.Change{}}
	for _, h := range entries(tx.Bucket(bucketHistory), format.HistoryPrefix(sc.no, []byte(id))) {
		var change record.Change
		if err := format.ReadJSON("history", h, &change); err != nil {
			return nil, err
		}
		out.History = append(out.History, change)
	}
	return out, nil
}

// renderRow makes the public record of a stored row, with the verdicts of a judge.
func (r *reading) renderRow(tx *bbolt.Tx, judge *judge, sc *scopeValue, finding finding) (*record.Record, error) {
	row, facts, err := r.tables().profs.readers.Load().reader().instance(tx, finding.row, r.tables().dict.Words())
	if err != nil {
		return nil, err
	}
	return judge.render(sc, &row, &facts, finding.stamp), nil
}

// lookup finds instances of one scope in its blocks and its journal.
func lookup(tx *bbolt.Tx, scope uint32, ids []string) (map[string]finding, error) {
	out := map[string]finding{}
	where := map[uint32]string{} // ordinal -> id
	prefix := format.Key32(scope)
	first, _ := tx.Bucket(bucketJournal).Cursor().Seek(prefix)
	journal := bytes.HasPrefix(first, prefix)
	var starts map[string]uint32
	if journal {
		var err error
		if starts, err = blockStarts(tx, prefix); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		f, key, i, err := inBlock(tx, scope, []byte(id))
		if err != nil {
			return nil, err
		}
		if f != nil {
			out[id] = *f
			where[starts[string(key)]+uint32(i)] = id
		}
	}
	if !journal {
		return out, nil
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var section format.Section
	for _, v := range entries(tx.Bucket(bucketJournal), prefix) {
		if err := format.ReadSection(v, &section); err != nil {
			return nil, err
		}
		for i, row := range section.Rows {
			if id := format.RowID(row); wanted[string(id)] {
				out[string(id)] = finding{row, out[string(id)].stamp.Later(section.Order, section.Scan)}
				where[section.Ordinals[i]] = string(id)
			}
		}
		for _, o := range section.Seen {
			if id, ok := where[o]; ok {
				f := out[id]
				f.stamp = f.stamp.Later(section.Order, section.Scan)
				out[id] = f
			}
		}
	}
	return out, nil
}

// inBlock finds an instance in the blocks of a scope.
func inBlock(tx *bbolt.Tx, scope uint32, id []byte) (*finding, []byte, int, error) {
	key, value := seekBlock(tx.Bucket(bucketBlocks).Cursor(), scope, id)
	if key == nil {
		return nil, nil, 0, nil
	}
	row, i, err := format.FindRow(value, id)
	if row == nil || err != nil {
		return nil, nil, 0, err
	}
	orders, err := format.ReadOrders(tx.Bucket(bucketOrders).Get(key))
	if err != nil || i >= orders.Len {
		return nil, nil, 0, format.OrCorrupt(err, "orders do not fit their block")
	}
	return &finding{row, format.Stamp{Order: orders.At(i), Scan: orders.Scans[orders.Scan(i)]}}, key, i, nil
}

// blockStarts returns the ordinal of the first row of each block.
func blockStarts(tx *bbolt.Tx, prefix []byte) (map[string]uint32, error) {
	out := map[string]uint32{}
	n := uint32(0)
	for key, v := range entries(tx.Bucket(bucketOrders), prefix) {
		orders, err := format.ReadOrders(v)
		if err != nil {
			return nil, err
		}
		out[string(key)] = n
		n += uint32(orders.Len)
	}
	return out, nil
}
