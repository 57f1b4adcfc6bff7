package app

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/httpapi"
	"github.com/shenscan/shenscan/sink/store"
)

// pageStore shows the store to the page.
type pageStore struct{ a *App }

var _ httpapi.Store = pageStore{}

// Summary implements httpapi.Store.
func (p pageStore) Summary() *record.Summary {
	s := *p.a.db.Summary()
	s.CaughtUp = p.a.sink.CaughtUp()
	return &s
}

// Known implements httpapi.Store.
func (p pageStore) Known() *filter.Known { return p.a.db.Known() }

// Instances implements httpapi.Store.
func (p pageStore) Instances(ctx context.Context, f httpapi.Filter) iter.Seq2[*record.Record, error] {
	q := storeFilter(&f)
	if f.After != (httpapi.Key{}) {
		q.Cursor = store.CursorAfter(&record.Record{Account: f.After.Account, Region: f.After.Region, InstanceID: f.After.InstanceID})
	}
	return p.a.db.Instances(ctx, q)
}

func storeFilter(f *httpapi.Filter) store.Filter {
	return store.Filter{
		Account: f.Account, Region: f.Region, Target: f.Target, Verdict: f.Verdict, OSFamily: f.OSFamily, OSVersion: f.OSVersion,
		Legacy: f.Legacy, Scope: f.Scope, Query: f.Q, Gone: f.Gone, Limit: f.Limit,
	}
}

// Sorted implements httpapi.Store.
func (p pageStore) Sorted(ctx context.Context, f httpapi.Filter, by httpapi.Order, after *httpapi.Place) ([]httpapi.Placed, error) {
	sort := store.Sort{By: store.SortByID, Down: by.Down}
	switch by.By {
	case "name":
		sort.By = store.SortByName
	case "type":
		sort.By = store.SortByType
	case "class":
		sort.By, sort.Class = store.SortByClass, func(c *store.Class) string {
			levels := make(map[string]string, len(c.Levels))
			for target, level := range c.Levels {
				levels[target] = level.String()
			}
			return by.Class(httpapi.Class{OSFamily: c.OSFamily, OSVersion: c.OSVersion, Levels: levels})
		}
	}
	var place *store.Place
	if after != nil {
		place = &store.Place{Value: after.Value, Account: after.Key.Account, Region: after.Key.Region, InstanceID: after.Key.InstanceID}
	}
	got, err := p.a.db.Sorted(ctx, storeFilter(&f), sort, place)
	out := make([]httpapi.Placed, len(got))
	for i, g := range got {
		out[i] = httpapi.Placed{
			Place:  httpapi.Place{Value: g.Place.Value, Key: httpapi.Key{Account: g.Place.Account, Region: g.Place.Region, InstanceID: g.Place.InstanceID}},
			Record: g.Record,
		}
	}
	return out, err
}

// Instance implements httpapi.Store.
func (p pageStore) Instance(_ context.Context, account, region, id string) (*record.Record, []record.Change, error) {
	found, err := p.a.db.Find(id)
	for _, f := range found {
		if (account == "" || account == f.Record.Account) && (region == "" || region == f.Record.Region) {
			history := slices.Clone(f.History)
			slices.Reverse(history)
			return f.Record, history, nil
		}
	}
	return nil, nil, notFound(errors.Join(err, store.ErrNotFound))
}

func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.ErrNotFound
	}
	return err
}

// Scans implements httpapi.Store.
func (p pageStore) Scans(_ context.Context, limit int) ([]record.Scan, error) {
	scans, err := p.a.db.Scans(limit)
	return scans[:min(limit, len(scans))], err
}

// Scan implements httpapi.Store.
func (p pageStore) Scan(_ context.Context, id string) (*record.Scan, error) {
	s, err := p.a.db.Scan(id)
	return s, notFound(err)
}

// Trend implements httpapi.Store.
func (p pageStore) Trend(_ context.Context, limit int) ([]httpapi.Point, error) {
	points, err := p.a.db.Trend(limit)
	out := make([]httpapi.Point, 0, len(points))
	for _, t := range points {
		out = append(out, httpapi.Point{At: t.At, Instances: t.Instances, Legacy: t.Legacy, Complete: t.State == record.ScanComplete, ScanID: t.ScanID, Verdicts: t.Verdicts})
	}
	return out, err
}

// pageRescanner asks a producer over the bus, in whatever process it is.
type pageRescanner struct{ bus *bus.Bus }

// Rescan implements httpapi.Rescanner.
func (p pageRescanner) Rescan(ctx context.Context, r httpapi.RescanRequest) (httpapi.RescanReply, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var reply httpapi.RescanReply
	err := p.bus.Call(ctx, event.SubjectRescan, r, &reply)
	return reply, err
}
