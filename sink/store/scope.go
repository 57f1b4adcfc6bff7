package store

import (
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// scopeValue is what is stored of one account and region.
type scopeValue struct {
	Account string  `json:"account"`
	Region  string  `json:"region"`
	Label   string  `json:"label,omitempty"` // what people call the account
	Fold    uint64  `json:"fold"`            // counts folds: readers see by it that ordinals moved
	Rows    int     `json:"rows"`            // in its blocks since the last fold, gone ones too
	Epochs  []int64 `json:"epochs"`          // of complete scans, ascending
	// The last ended scan of the scope, by epoch.
	Status      *record.ScopeStatus `json:"status,omitempty"`
	StatusEpoch int64               `json:"status_epoch,omitempty"`
	WholeEpoch  int64               `json:"whole_epoch,omitempty"` // of the last complete one
	// Unread says that only a rescan asked here, and found nothing: there is
	// nothing to tell of the scope.
	Unread bool `json:"unread,omitempty"`
	// Unlisted is the epoch of the first scan for which the region, or its
	// account, was not there any more.
	Unlisted int64 `json:"unlisted,omitempty"`
}

// AccountStatus is how the last ended scan of an account went.
type AccountStatus struct {
	ScanID        string           `json:"scan_id"`
	Epoch         int64            `json:"epoch"`
	EndedAt       time.Time        `json:"ended_at"`
	Duration      time.Duration    `json:"duration"`
	FailedRegions int              `json:"failed_regions"`     // failed or partial
	Failures      []record.Failure `json:"failures,omitempty"` // of the account as a whole
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
func (v *scopeValue) ended(scanID string, epoch int64, c record.Completeness, numbers *record.Numbers, failures []record.Failure, end int64) {
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
		st.Completeness, st.LastScan, st.LastEnd, st.Numbers, st.Failures = c, scanID, &at, numbers, failures
	}
	v.Status = &st
}

// utc turns unix nanoseconds into a time.
func utc(ns int64) time.Time { return time.Unix(0, ns).UTC() }
