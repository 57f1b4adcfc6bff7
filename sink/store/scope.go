package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
)

// scope is what is kept in memory of one account and region. Only the writer
// touches it.
type scope struct {
	no  uint32
	key ecs.Scope
	scopeValue

	ix      *index         // nil while nobody writes
	counts  map[uint32]int // present instances by class
	present int
	gone    int
	snap    *scopeSnap // as published; nil once it changed
}

// scopeValue is its stored form.
type scopeValue struct {
	Account string  `json:"account"`
	Region  string  `json:"region"`
	Fold    uint64  `json:"fold"`   // counts folds: readers see by it that ordinals moved
	Epochs  []int64 `json:"epochs"` // of complete scans, ascending
	// The last ended scan of the scope, by epoch.
	Status      *record.ScopeStatus `json:"status,omitempty"`
	StatusEpoch int64               `json:"status_epoch,omitempty"`
	WholeEpoch  int64               `json:"whole_epoch,omitempty"` // of the last complete one
}

// maxEpochs bounds the epochs kept; GoneRetention usually does so earlier.
const maxEpochs = 2400

// floor is the epoch of the newest complete scan: what was last observed
// before it is gone.
func (v *scopeValue) floor() int64 {
	if len(v.Epochs) == 0 {
		return -1 << 63
	}
	return v.Epochs[len(v.Epochs)-1]
}

// goneAt returns when an instance last observed at order was found missing.
func (v *scopeValue) goneAt(order int64) (int64, bool) {
	i, _ := slices.BinarySearch(v.Epochs, order+1)
	if i == len(v.Epochs) {
		return 0, false
	}
	return v.Epochs[i], true
}

// addEpoch notes a complete scan.
func (v *scopeValue) addEpoch(epoch int64) {
	i, found := slices.BinarySearch(v.Epochs, epoch)
	if !found {
		v.Epochs = slices.Insert(v.Epochs, i, epoch)
	}
}

// prune forgets epochs before cutoff, keeping the newest. Instances that were
// found missing then are forgotten already.
func (v *scopeValue) prune(cutoff int64) {
	n := 0
	for n < len(v.Epochs)-1 && (v.Epochs[n] < cutoff || len(v.Epochs)-n > maxEpochs) {
		n++
	}
	v.Epochs = slices.Delete(v.Epochs, 0, n)
}

// ended notes how a scan of the scope ended. An older scan that ends late
// changes nothing that a newer one said.
func (v *scopeValue) ended(scanID string, epoch int64, c record.Completeness, failures []record.Failure, end int64) {
	at := utc(end)
	if v.Status == nil {
		v.Status = &record.ScopeStatus{Account: v.Account, Region: v.Region}
	}
	st := *v.Status
	if c == record.ScopeComplete && epoch >= v.WholeEpoch {
		v.WholeEpoch = epoch
		st.LastComplete = &at
	}
	if epoch >= v.StatusEpoch {
		v.StatusEpoch = epoch
		st.Completeness, st.LastScan, st.LastEnd, st.Failures = c, scanID, &at, failures
	}
	v.Status = &st
}

func (v *scopeValue) encode() ([]byte, error) { return jsonValue(v) }

func (v *scopeValue) decode(b []byte) error { return readJSON("scope", b, v) }

func jsonValue(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("store: encode %T: %w", v, err)
	}
	return seal(append(startValue(make([]byte, 0, 5+len(body))), body...)), nil
}

func readJSON(what string, b []byte, into any) error {
	body, err := unseal(what, b)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, what, err)
	}
	return nil
}

// utc turns unix nanoseconds into a time.
func utc(ns int64) time.Time { return time.Unix(0, ns).UTC() }
