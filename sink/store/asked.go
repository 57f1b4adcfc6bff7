package store

import (
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// Asked returns what a rescan that ended came to for each of the instances. One
// that it was not asked for is not read. It returns ErrNotFound where no rescan
// of that id is remembered as ended.
func (db *DB) Asked(scanID string, ids []string) ([]record.AskedInstance, error) {
	var ended *endedScan
	err := db.view(func(tx *bbolt.Tx) (err error) {
		if key := tx.Bucket(bucketEndedIDs).Get([]byte(scanID)); key != nil {
			ended, err = readEnded(tx.Bucket(bucketEnded).Get(key))
		}
		return err
	})
	if err == nil && (ended == nil || ended.Kind != string(event.KindRescan)) {
		err = fmt.Errorf("ended rescan %.64q: %w", scanID, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	out := make([]record.AskedInstance, 0, len(ids))
	for _, id := range ids {
		i, ok := slices.BinarySearchFunc(ended.Outcomes, id, func(o record.AskedInstance, id string) int { return strings.Compare(o.InstanceID, id) })
		switch {
		case ok:
			out = append(out, ended.Outcomes[i])
		case ended.State == record.ScanAborted:
			out = append(out, record.AskedInstance{InstanceID: id, Outcome: record.NotRead, Cause: ended.Reason})
		default:
			out = append(out, record.AskedInstance{InstanceID: id, Outcome: record.NotRead, Cause: "the rescan was not asked for it"})
		}
	}
	return out, nil
}
