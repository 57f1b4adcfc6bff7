package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/producer/cloudevents"
)

// eventsPath is where the cloud's events are taken.
const eventsPath = "/events"

// EventsOptions say whether the cloud may send events.
type EventsOptions struct {
	Secrets cloudevents.Secrets // none: there is no endpoint
}

// withEvents adds the endpoint of the cloud's events to next where this process
// takes requests and has a secret. It stands before the page's own checks: a sender is
// no visitor, and the secret is what lets it in.
func (a *App) withEvents(next http.Handler) (http.Handler, error) {
	if a.o.Events.Secrets.Empty() || a.requests == nil {
		return next, nil
	}
	options := cloudevents.DefaultOptions()
	options.Secrets, options.Rescanner, options.Log, options.Now = a.o.Events.Secrets, eventRescanner{a.requests}, a.log, a.o.Now
	options.Account = func(ctx context.Context, id string) bool {
		found, err := a.roster.Find(ctx, id)
		return err == nil && found.ID == id
	}
	events, err := cloudevents.New(options, a.registry)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(eventsPath, events)
	mux.Handle("/", next)
	return mux, nil
}

// eventRescanner asks the request service of this process, as any caller would over the
// bus: the request is stored before the answer, merged with others of the same
// moment, limited per caller and served ahead of a running scan.
type eventRescanner struct{ requests *producer.Requests }

// Rescan implements cloudevents.Rescanner.
func (e eventRescanner) Rescan(ctx context.Context, request cloudevents.Request) (string, error) {
	body, err := json.Marshal(record.RescanRequest{
		Account: request.Scope.Account, Region: request.Scope.Region, InstanceIDs: request.InstanceIDs, Reason: request.Reason,
	})
	if err != nil {
		return "", err
	}
	reply, err := e.requests.Rescan(ctx, body, "events/"+request.Scope.Account)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("rescan of %d instances not stored in time; is NATS reachable? %w", len(request.InstanceIDs), ctx.Err())
	case err != nil:
		return "", err
	}
	if reply.Accepted != len(request.InstanceIDs) {
		return "", fmt.Errorf("rescan: %d of %d instances accepted: %v", reply.Accepted, len(request.InstanceIDs), reply.Rejected)
	}
	return reply.ScanID, nil
}
