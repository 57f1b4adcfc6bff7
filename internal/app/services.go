package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/sink/store"
)

// serviceVersion is the version of the request and reply shapes.
const serviceVersion = "1.0.0"

// The NATS micro services of a producer and of a sink.
const (
	requestService  = "shenscan"
	queryService    = "shenscan-query"
	evidenceService = "shenscan-evidence"
)

func (a *App) serveRequests(ctx context.Context) error {
	return a.bus.Serve(ctx, requestService, "ask for a scan or a rescan, and what is done with dead letters", serviceVersion, 4096, append([]bus.Endpoint{
		{Name: "scan", Subject: event.SubjectScan, Handle: func(ctx context.Context, r bus.Request) (any, error) {
			reply, err := a.requests.Scan(ctx, r.Data)
			return reply, serviceError(err)
		}},
		{Name: "rescan", Subject: event.SubjectRescan, Handle: func(ctx context.Context, r bus.Request) (any, error) {
			reply, err := a.requests.Rescan(ctx, r.Data, r.Caller)
			return reply, serviceError(err)
		}},
	}, a.letters()...))
}

func serviceError(err error) error {
	if re, ok := errors.AsType[*producer.RequestError](err); ok {
		return &bus.ServiceError{Code: re.Code, Text: re.Text}
	}
	return err
}

// InstanceQuery asks for instances by id; empty Account and Region mean any.
type InstanceQuery struct {
	Account     string   `json:"account,omitempty"`
	Region      string   `json:"region,omitempty"`
	InstanceID  string   `json:"instance_id,omitempty"`
	InstanceIDs []string `json:"instance_ids,omitempty"`
	// ScanID is that of a rescan which ended: the answer then says what it came
	// to for each of them, and holds only what was found by it.
	ScanID string `json:"scan_id,omitempty"`
}

// InstanceAnswer is what the store holds of them.
type InstanceAnswer struct {
	Instances []*record.Record `json:"instances"`
	NotFound  []string         `json:"not_found"`
	// Asked is what the named rescan came to for each.
	Asked []record.AskedInstance `json:"asked,omitempty"`
}

// maxQuery bounds one instance query: its answer must fit a message.
const maxQuery = 200

// serveQueries answers while the store has caught up: one that lacks what the
// results stream holds would say of a running scan that it is not known, and of
// an instance that it does not exist.
func (a *App) serveQueries(ctx context.Context) error {
	return a.sink.WhileCaughtUp(ctx, func(ctx context.Context) error {
		return a.bus.Serve(ctx, queryService, "what the store holds", serviceVersion, 64, []bus.Endpoint{
			endpoint("instance", event.SubjectQueryInstance, a.queryInstance),
			{Name: "summary", Subject: event.SubjectQuerySummary, Handle: a.querySummary},
			endpoint("scan", event.SubjectQueryScan, a.queryScan),
			endpoint("locate", event.SubjectQueryLocate, a.queryLocate),
		})
	})
}

// endpoint answers requests that are the JSON of a Q.
func endpoint[Q any](name, subject string, answer func(context.Context, Q) (any, error)) bus.Endpoint {
	return bus.Endpoint{Name: name, Subject: subject, Handle: func(ctx context.Context, request bus.Request) (any, error) {
		var query Q
		if err := json.Unmarshal(request.Data, &query); err != nil {
			return nil, badRequest(err)
		}
		return answer(ctx, query)
	}}
}

func badRequest(err error) error {
	return &bus.ServiceError{Code: "400", Text: "request is not the JSON it should be: " + err.Error()}
}

func (a *App) queryInstance(_ context.Context, instanceQuery InstanceQuery) (any, error) {
	if instanceQuery.InstanceID != "" {
		instanceQuery.InstanceIDs = append(instanceQuery.InstanceIDs, instanceQuery.InstanceID)
	}
	if len(instanceQuery.InstanceIDs) == 0 || len(instanceQuery.InstanceIDs) > maxQuery {
		return nil, &bus.ServiceError{Code: "400", Text: fmt.Sprintf("name 1 to %d instances in instance_ids", maxQuery)}
	}
	answer := InstanceAnswer{Instances: []*record.Record{}, NotFound: []string{}}
	if instanceQuery.ScanID != "" {
		var err error
		answer.Asked, err = a.db.Asked(instanceQuery.ScanID, instanceQuery.InstanceIDs)
		if errors.Is(err, store.ErrNotFound) {
			return nil, &bus.ServiceError{Code: "404", Text: fmt.Sprintf("no rescan %q has ended", instanceQuery.ScanID)}
		}
		if err != nil {
			return nil, err
		}
	}
	for i, id := range instanceQuery.InstanceIDs {
		if answer.Asked != nil && answer.Asked[i].Outcome != record.Found {
			answer.NotFound = append(answer.NotFound, id)
			continue
		}
		found, err := a.db.Find(id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		matches := len(answer.Instances)
		for _, f := range found {
			if (instanceQuery.Account == "" || instanceQuery.Account == f.Record.Account) && (instanceQuery.Region == "" || instanceQuery.Region == f.Record.Region) {
				answer.Instances = append(answer.Instances, f.Record)
			}
		}
		if len(answer.Instances) == matches {
			answer.NotFound = append(answer.NotFound, id)
		}
	}
	return answer, nil
}

func (a *App) querySummary(context.Context, bus.Request) (any, error) {
	summary := *a.db.Summary()
	summary.CaughtUp = a.sink.CaughtUp()
	if body, err := json.Marshal(summary); err == nil && len(body) > event.MaxPayload {
		summary.Groups = nil // the totals still fit; the groups are on the HTTP API
	}
	return &summary, nil
}

// scanQuery asks for one scan.
type scanQuery struct {
	ScanID string `json:"scan_id"`
}

func (a *App) queryScan(_ context.Context, query scanQuery) (any, error) {
	scan, err := a.db.Scan(query.ScanID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, &bus.ServiceError{Code: "404", Text: fmt.Sprintf("scan %q is not known", query.ScanID)}
	}
	if err != nil {
		return nil, err
	}
	return scan.Brief(event.MaxPayload / 2), nil
}

func (a *App) queryLocate(_ context.Context, query InstanceQuery) (any, error) {
	scopes, err := a.db.Locate(query.InstanceIDs)
	if err != nil {
		return nil, err
	}
	return map[string]any{"scopes": scopes}, nil
}
