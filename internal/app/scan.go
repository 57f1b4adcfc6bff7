package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
)

// RequestScan stores a scan request and returns the scan's id. The scans that
// an earlier process of this store left running are ended first: nobody works
// on them any more. Accounts and regions that are not there are a ConfigError.
func (a *App) RequestScan(ctx context.Context, accounts, regions []string, reason string) (string, error) {
	ids, err := a.roster.Resolve(ctx, accounts, regions)
	if re, ok := errors.AsType[*producer.RequestError](err); ok && re.Code == "400" {
		return "", &ConfigError{re}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil { // it cannot be checked now; the scan names what it then cannot read
		a.log.WarnContext(ctx, "accounts and regions could not be checked before the scan", "err", err)
		ids = accounts
	}
	if !a.o.Distributed {
		scans, err := a.db.Scans(0)
		if err != nil {
			return "", err
		}
		for _, old := range scans {
			if old.State != record.ScanRunning {
				continue
			}
			if err := a.bus.Publish(ctx, &event.ScanAborted{ScanID: old.ID, Kind: event.Kind(old.Kind), Reason: "the process that ran it ended"}); err != nil {
				return "", err
			}
		}
	}
	host, _ := os.Hostname()
	return a.request(ctx, fmt.Sprintf("%s/%d", host, os.Getpid()), event.ScanRequested{
		Kind: event.KindScan, Accounts: slices.Sorted(slices.Values(ids)), Regions: slices.Sorted(slices.Values(regions)), Reason: reason,
	})
}

// RequestRescan stores a request to look at instances and returns its id. Where
// accounts and regions are named, they are looked for there alone.
func (a *App) RequestRescan(ctx context.Context, accounts, regions, instances []string, reason string) (string, error) {
	ids, err := a.roster.Resolve(ctx, accounts, regions)
	if err != nil {
		if re, ok := errors.AsType[*producer.RequestError](err); ok && re.Code == "400" {
			return "", &ConfigError{re}
		}
		return "", err
	}
	return a.rescan(ctx, ids, slices.Sorted(slices.Values(regions)), instances, instances[0], reason)
}

// rescan stores a request to look at instances and returns its id.
func (a *App) rescan(ctx context.Context, accounts, regions, instances []string, salt, reason string) (string, error) {
	return a.request(ctx, salt, event.ScanRequested{Kind: event.KindRescan, Accounts: accounts, Regions: regions, InstanceIDs: instances, Reason: reason})
}

// request stores a request and returns its id. salt tells it from other requests of the
// same moment.
func (a *App) request(ctx context.Context, salt string, req event.ScanRequested) (string, error) {
	now := a.o.Now()
	req.ScanID = event.NewScanID(req.Kind, now, fmt.Sprintf("%s/%d", salt, now.UnixNano()))
	return req.ScanID, a.bus.Publish(ctx, &req)
}

// Outcome is what a rescan came to for one instance; the record is nil where it
// was not found by it.
func (a *App) Outcome(scan, id string) (*record.AskedInstance, *record.Record, error) {
	asked, err := a.db.Asked(scan, []string{id})
	if err != nil {
		return nil, nil, err
	}
	if len(asked) != 1 || asked[0].Outcome != record.Found {
		out := &record.AskedInstance{InstanceID: id, Outcome: record.NotRead}
		if len(asked) == 1 {
			out = &asked[0]
		}
		return out, nil, nil
	}
	found, err := a.db.Get(asked[0].Account, asked[0].Region, id)
	if err != nil {
		return nil, nil, err
	}
	return &asked[0], found.Record, nil
}

// Scan is what the store of this process knows of a scan; store.ErrNotFound where it knows
// none of that id.
func (a *App) Scan(id string) (*record.Scan, error) { return a.db.Scan(id) }

// ScanMoved is sent to when Scan would say another state of some scan. It is
// for one receiver.
func (a *App) ScanMoved() <-chan struct{} { return a.sink.Moved() }

// Expected is how many instances a whole scan will find, as far as the last
// one tells.
func (a *App) Expected() int { return a.db.Summary().Instances }

// Report answers from this process's store, as StoreReport does; the answer has to be
// closed.
func (a *App) Report(ctx context.Context, q Question) (*Answer, error) {
	return StoreReport(ctx, a.db, q)
}
