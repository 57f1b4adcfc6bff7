package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/scans"
	"github.com/shenscan/shenscan/sink/store/format"
)

// ErrRunning is returned where a scan that has not ended reads what was to be forgotten.
var ErrRunning = errors.New("a scan of it has not ended")

// maxForgotten bounds how many forgotten scopes are told of.
const maxForgotten = 1000

// Forget removes what the store holds of an account, or of one of its regions:
// instances, history and standing. Somebody settled that it is truly gone, which
// every later report says, until a scan finds it again. It returns what was
// removed, ErrNotFound where there is nothing, and ErrRunning while a scan reads
// it.
func (db *DB) Forget(ctx context.Context, account, region string, now time.Time) ([]record.Forgotten, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var chosen []*scope
	for _, sc := range db.scopes {
		if !sc.Unread && sc.Account == account && (region == "" || sc.Region == region) {
			chosen = append(chosen, sc)
		}
	}
	_, told := db.meta.Accounts[account]
	if len(chosen) == 0 && (region != "" || !told) {
		return nil, fmt.Errorf("account %.64q, region %.64q: %w in the store", account, region, ErrNotFound)
	}
	slices.SortFunc(chosen, func(a, b *scope) int { return a.key.Compare(b.key) })
	var out []record.Forgotten
	err := db.update(func(tx *bbolt.Tx) error {
		for _, sc := range chosen {
			for id, s := range db.running {
				if s.Progress[sc.key] != nil || slices.Contains(s.Scopes, sc.key) {
					return fmt.Errorf("forget %s: %w: %s; wait for its end, or start shenscan, which ends what a killed process left", sc.key, ErrRunning, id)
				}
			}
			out = append(out, record.Forgotten{Account: sc.Account, Region: sc.Region, Instances: sc.present, At: now.UTC()})
			if err := db.forgetScope(tx, sc); err != nil {
				return fmt.Errorf("forget %s: %w", sc.key, err)
			}
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(db.scopes)), func(sc *scope) bool { return sc.Account == account && !sc.Unread }) {
			db.meta.Accounts = maps.Clone(db.meta.Accounts)
			delete(db.meta.Accounts, account)
		}
		all := append(slices.Clone(db.meta.Forgotten), out...)
		db.meta.Forgotten = all[max(0, len(all)-maxForgotten):]
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// forgetScope removes all that stands under the scope's number, which it keeps.
func (db *DB) forgetScope(tx *bbolt.Tx, sc *scope) error {
	prefix := format.Key32(sc.no)
	for name, prefix := range map[string][]byte{
		string(bucketBlocks): prefix, string(bucketOrders): prefix, string(bucketJournal): prefix, string(bucketHistory): prefix, string(bucketWaived): prefix,
		string(bucketEvidence): []byte(sc.Account + "\x00" + sc.Region + "\x00"),
	} {
		bucket := tx.Bucket([]byte(name))
		if err := deleteKeys(bucket, keysOf(bucket, prefix)); err != nil {
			return err
		}
	}
	for class, n := range sc.counts {
		db.went(class, n)
	}
	// Readers see by the number of folds that ordinals moved.
	sc.scopeValue = scopeValue{Standing: scans.Standing{Account: sc.Account, Region: sc.Region, Unread: true}, Fold: sc.Fold + 1}
	sc.ix, sc.counts, sc.present, sc.gone, sc.snap, sc.owned = nil, map[uint32]int{}, 0, 0, nil, nil
	return putJSON(tx.Bucket(bucketScopes), prefix, &sc.scopeValue)
}
