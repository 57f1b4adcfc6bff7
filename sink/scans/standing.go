package scans

import (
	"math"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/record"
)

// Standing is what the scans of one account and region have come to. An
// instance of it is gone exactly if a complete scan began after the instance
// was last observed.
type Standing struct {
	Account string  `json:"account"`
	Region  string  `json:"region"`
	Label   string  `json:"label,omitempty"` // what people call the account
	Epochs  []int64 `json:"epochs"`          // of complete scans, ascending, unix nanoseconds
	// The last ended scan of the scope, by epoch.
	Status      *record.ScopeStatus `json:"status,omitempty"`
	StatusEpoch int64               `json:"status_epoch,omitempty"`
	WholeEpoch  int64               `json:"whole_epoch,omitempty"` // of the last complete one
	// The complete one before it, which counts again where that is taken back.
	BeforeEpoch    int64      `json:"before_epoch,omitempty"`
	BeforeComplete *time.Time `json:"before_complete,omitempty"`
	// EmptyEpoch is of the first scan that found none of the scope's many instances
	// and was not believed; 0 where a later one listed some.
	EmptyEpoch int64 `json:"empty_epoch,omitempty"`
	// Unread says that only a rescan asked here, and found nothing: there is
	// nothing to tell of the scope.
	Unread bool `json:"unread,omitempty"`
	// Unlisted is the epoch of the first scan for which the region, or its
	// account, was not there any more.
	Unlisted int64 `json:"unlisted,omitempty"`
}

// maxEpochs bounds the epochs kept; the retention of gone instances usually
// does so earlier.
const maxEpochs = 2400

// Floor is the epoch of the newest complete scan: what was last observed before
// it is gone.
func (v *Standing) Floor() int64 {
	if len(v.Epochs) == 0 {
		return math.MinInt64
	}
	return v.Epochs[len(v.Epochs)-1]
}

// GoneAt returns when an instance that was last observed at a time was found
// missing, and whether it was.
func (v *Standing) GoneAt(observed int64) (int64, bool) {
	i, _ := slices.BinarySearch(v.Epochs, observed+1)
	if i == len(v.Epochs) {
		return 0, false
	}
	return v.Epochs[i], true
}

// Emptied reports whether a scan before the epoch found no instance here and was
// not believed.
func (v *Standing) Emptied(epoch int64) bool { return v.EmptyEpoch != 0 && v.EmptyEpoch < epoch }

// AddEpoch notes a complete scan.
func (v *Standing) AddEpoch(epoch int64) {
	i, found := slices.BinarySearch(v.Epochs, epoch)
	if !found {
		v.Epochs = slices.Insert(v.Epochs, i, epoch)
	}
}

// DropEpoch takes back that the last complete scan was complete. It reports
// whether there was one.
func (v *Standing) DropEpoch(epoch int64) bool {
	i, found := slices.BinarySearch(v.Epochs, epoch)
	if !found {
		return false
	}
	v.Epochs = slices.Delete(v.Epochs, i, i+1)
	if v.WholeEpoch == epoch && v.Status != nil {
		st := *v.Status
		st.LastComplete = v.BeforeComplete
		v.WholeEpoch, v.BeforeEpoch, v.BeforeComplete, v.Status = v.BeforeEpoch, 0, nil, &st
	}
	return true
}

// Doubt notes what speaks against what the last scan said of the scope.
func (v *Standing) Doubt(failure record.Failure) {
	if v.Status == nil || slices.Contains(v.Status.Failures, failure) {
		return
	}
	st := *v.Status
	st.Failures = addFailure(slices.Clone(st.Failures), failure)
	if st.Completeness == record.ScopeComplete {
		st.Completeness = record.ScopePartial
	}
	v.Status = &st
}

// NotAfter dates at limit what is dated later: the clock that said so ran ahead.
func (v *Standing) NotAfter(limit int64) {
	for i, epoch := range v.Epochs {
		v.Epochs[i] = min(epoch, limit)
	}
	for _, at := range []*int64{&v.StatusEpoch, &v.WholeEpoch, &v.BeforeEpoch, &v.EmptyEpoch, &v.Unlisted} {
		if *at != 0 { // which is none
			*at = min(*at, limit)
		}
	}
	v.BeforeComplete = notAfter(v.BeforeComplete, limit)
	if v.Status == nil {
		return
	}
	st := *v.Status // a reader may hold the one before
	st.LastEnd, st.LastComplete = notAfter(st.LastEnd, limit), notAfter(st.LastComplete, limit)
	v.Status = &st
}

func notAfter(at *time.Time, limit int64) *time.Time {
	if last := unixNano(limit); at != nil && at.After(last) {
		return &last
	}
	return at
}

// Prune forgets epochs before cutoff, keeping the newest. Instances that were
// found missing then are forgotten already.
func (v *Standing) Prune(cutoff int64) {
	n := 0
	for n < len(v.Epochs)-1 && (v.Epochs[n] < cutoff || len(v.Epochs)-n > maxEpochs) {
		n++
	}
	v.Epochs = slices.Delete(v.Epochs, 0, n)
}

// End notes how a scan ended here: its epoch and its end in unix nanoseconds,
// how complete it was, its numbers and its failures. An older scan that ends
// late changes nothing that a newer one said.
func (v *Standing) End(scanID string, epoch int64, scanScope *record.ScanScope, end int64) {
	at := unixNano(end)
	if v.Status == nil {
		v.Status = &record.ScopeStatus{Account: v.Account, Region: v.Region}
	}
	status := *v.Status // a reader may hold the one before
	if scanScope.Completeness == record.ScopeComplete && epoch >= v.WholeEpoch {
		if epoch > v.WholeEpoch {
			v.BeforeEpoch, v.BeforeComplete = v.WholeEpoch, status.LastComplete
		}
		v.WholeEpoch = epoch
		status.LastComplete = &at
	}
	if epoch >= v.StatusEpoch {
		if scanScope.Listed > 0 || scanScope.Stored > 0 || scanScope.Completeness == record.ScopeComplete {
			v.EmptyEpoch = 0
		}
		v.StatusEpoch = epoch
		numbers := scanScope.Numbers
		status.Completeness, status.LastScan, status.LastEnd, status.Numbers, status.Failures = scanScope.Completeness, scanID, &at, &numbers, scanScope.Failures
	}
	v.Status = &status
}

// unixNano turns unix nanoseconds into a time.
func unixNano(ns int64) time.Time { return time.Unix(0, ns).UTC() }
