package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

const (
	// movesEvery is how often moves that wait to be told are looked at.
	movesEvery = 5 * time.Minute
	// maxMoves is how many of them are looked at then.
	maxMoves = 1000
)

// keepTellingMoves looks again at instances that moved, until it is told whether
// they came up: their agents are asked for a heartbeat and they are scanned
// anew. What cannot be asked is tried again.
func (a *App) keepTellingMoves(ctx context.Context) error {
	tick := time.NewTicker(movesEvery)
	defer tick.Stop()
	for {
		if err := a.tellMoves(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "instances that moved were not looked at again; they will be", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) tellMoves(ctx context.Context) error {
	now := a.o.Now()
	waiting, err := a.db.Unsettled(now, maxMoves)
	if err != nil {
		return err
	}
	for scope, ids := range waiting {
		for part := range slices.Chunk(ids, ecs.MaxAgents) {
			if err := a.askAgents(ctx, scope, part); err != nil {
				return err
			}
			req := &event.ScanRequested{
				ScanID: event.NewScanID(event.KindRescan, now, fmt.Sprintf("moves/%s/%s/%d", scope, part[0], now.UnixNano())), Kind: event.KindRescan,
				Accounts: []string{scope.Account}, Regions: []string{scope.Region}, InstanceIDs: part, Reason: "did the move work",
			}
			if err := a.bus.Publish(ctx, req); err != nil {
				return err
			}
		}
	}
	return nil
}

// askAgents announces when agents of some instances were heard of last. Where
// that may not be asked, nothing tells whether a guest is up.
func (a *App) askAgents(ctx context.Context, scope ecs.Scope, ids []string) error {
	cloud, ok := a.cloud.(ecs.AgentAPI)
	if !ok || a.o.Evidence.HeartbeatShare <= 0 {
		return nil
	}
	agents, calls, err := cloud.Agents(ctx, scope, ids)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.log.InfoContext(ctx, "instances that moved are looked at without their heartbeats", "account", scope.Account, "region", scope.Region, "err", err)
		return nil
	}
	now := a.o.Now().UTC()
	evidence := &event.EvidenceRead{Scope: scope, Source: event.EvidenceHeartbeat, At: now}
	for i := range agents {
		if slices.Contains(ids, agents[i].InstanceID) && len(evidence.Items) < event.MaxEvidence {
			evidence.Items = append(evidence.Items, event.EvidenceItem{ID: agents[i].InstanceID, Asked: now, Heard: agents[i].Heartbeat, Calls: calls})
			calls = 0
		}
	}
	if len(evidence.Items) == 0 {
		return nil
	}
	return a.bus.Publish(ctx, evidence)
}
