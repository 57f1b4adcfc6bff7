package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
	"github.com/shenscan/shenscan/sink/store"
)

// pageStore shows the store to the page.
type pageStore struct{ a *App }

var _ httpapi.Store = pageStore{}

// View implements httpapi.Store.
func (p pageStore) View(ctx context.Context, filter store.Filter) (httpapi.View, error) {
	view, err := p.a.db.View(ctx, nil, filter)
	if err != nil {
		return nil, err
	}
	return &pageView{view, p.a}, nil
}

// pageView shows one moment of the store to a page.
type pageView struct {
	*store.View
	a *App
}

// Summary implements httpapi.View.
func (p *pageView) Summary() *record.Summary {
	s := p.View.Summary()
	s.CaughtUp = p.a.sink.CaughtUp()
	return s
}

// Instance implements httpapi.View.
func (p *pageView) Instance(account, region, id string) (*record.Record, []record.Change, error) {
	found, err := p.Find(id)
	for _, f := range found {
		if (account == "" || account == f.Record.Account) && (region == "" || region == f.Record.Region) {
			history := slices.Clone(f.History)
			slices.Reverse(history)
			return f.Record, history, nil
		}
	}
	return nil, nil, notFound(errors.Join(err, store.ErrNotFound))
}

// Explain implements httpapi.View.
func (p *pageView) Explain(account, region, id string) (*rules.Explanation, error) {
	judged := p.Classifier()
	targets, err := answers{p.a}.targets(rulesOf(judged), judged.Targets())
	if err != nil {
		return nil, err
	}
	facts, err := p.Facts(account, region, id)
	if err != nil {
		return nil, notFound(err)
	}
	return rulesOf(judged).Explain(facts, targets), nil
}

func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.ErrNotFound
	}
	return err
}

// Scans implements httpapi.View.
func (p *pageView) Scans(limit int) ([]record.Scan, error) {
	scans, err := p.View.Scans(limit)
	return scans[:min(limit, len(scans))], err
}

// Scan implements httpapi.View.
func (p *pageView) Scan(id string) (*record.Scan, error) {
	s, err := p.View.Scan(id)
	return s, notFound(err)
}

// Trend implements httpapi.View.
func (p *pageView) Trend(limit int) ([]httpapi.Point, error) {
	points, err := p.View.Trend(limit)
	out := make([]httpapi.Point, 0, len(points))
	for _, t := range points {
		out = append(out, httpapi.Point{At: t.At, Instances: t.Instances, Legacy: t.Legacy, Complete: t.State == record.ScanComplete, ScanID: t.ScanID, Verdicts: t.Verdicts})
	}
	return out, err
}

// pageRescanner asks a producer over the bus, in whatever process it is.
type pageRescanner struct{ bus *bus.Bus }

// Rescan implements httpapi.Rescanner.
func (p pageRescanner) Rescan(ctx context.Context, request record.RescanRequest) (record.RescanReply, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var reply record.RescanReply
	err := p.bus.Call(ctx, event.SubjectRescan, request, &reply)
	return reply, err
}

// Scan implements httpapi.Rescanner.
func (p pageRescanner) Scan(ctx context.Context, reason string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var reply record.ScanReply
	err := p.bus.Call(ctx, event.SubjectScan, record.ScanRequest{Reason: reason}, &reply)
	return reply.ScanID, err
}
