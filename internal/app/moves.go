package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/probe"
)

const (
	// movesEvery is how often moves that wait to be told are looked at.
	movesEvery = 5 * time.Minute
	// maxMoves is how many of them are looked at then.
	maxMoves = 1000
	// maxMoveLogs is how many console logs are read then, one a call.
	maxMoveLogs = 20
)

// keepTellingMoves looks again at instances that moved, until it is told whether
// they came up: their agents are asked for a heartbeat, the console logs of those
// that do not answer are read where that was opted for, and they are scanned anew.
// What cannot be asked is tried again.
func (a *App) keepTellingMoves(ctx context.Context) error {
	return every(ctx, movesEvery, func() {
		if err := a.tellMoves(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "instances that moved were not looked at again; they will be", "err", err)
		}
	})
}

func (a *App) tellMoves(ctx context.Context) error {
	waiting, err := a.db.Unsettled(a.o.Now(), maxMoves)
	if err != nil {
		return err
	}
	logs := maxMoveLogs
	for scope, ids := range waiting {
		for part := range slices.Chunk(ids, ecs.MaxAgents) {
			silent, err := a.askAgents(ctx, scope, part)
			if err != nil {
				return err
			}
			silent = silent[:min(len(silent), logs)]
			logs -= len(silent)
			if err := a.readLogs(ctx, scope, silent); err != nil {
				return err
			}
			if _, err := a.rescan(ctx, []string{scope.Account}, []string{scope.Region}, part, fmt.Sprintf("moves/%s/%s", scope, part[0]), "did the move work"); err != nil {
				return err
			}
		}
	}
	return nil
}

// askAgents announces when agents of some instances were heard of last, and
// returns those that were not heard of lately. Where that may not be asked,
// nothing tells whether a guest is up.
func (a *App) askAgents(ctx context.Context, scope ecs.Scope, ids []string) (silent []string, err error) {
	cloud, ok := a.cloud.(ecs.AgentAPI)
	if !ok || a.o.Evidence.HeartbeatShare <= 0 {
		return ids, nil
	}
	agents, calls, err := cloud.Agents(ctx, scope, ids)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		a.log.InfoContext(ctx, "instances that moved are looked at without their heartbeats", "account", scope.Account, "region", scope.Region, "err", err)
		return ids, nil
	}
	now := a.o.Now().UTC()
	evidence := &event.EvidenceRead{Scope: scope, Source: event.EvidenceHeartbeat, At: now}
	awake := map[string]bool{}
	for i := range agents {
		if slices.Contains(ids, agents[i].InstanceID) && len(evidence.Items) < event.MaxEvidence {
			evidence.Items = append(evidence.Items, event.EvidenceItem{ID: agents[i].InstanceID, Asked: now, Heard: agents[i].Heartbeat, Calls: calls})
			awake[agents[i].InstanceID] = now.Sub(agents[i].Heartbeat) < movesEvery
			calls = 0
		}
	}
	for _, id := range ids {
		if !awake[id] {
			silent = append(silent, id)
		}
	}
	if len(evidence.Items) == 0 {
		return silent, nil
	}
	return silent, a.bus.Publish(ctx, evidence)
}

// readLogs announces what the console logs of some instances show, where reading
// them was opted for.
func (a *App) readLogs(ctx context.Context, scope ecs.Scope, ids []string) error {
	cloud, ok := a.cloud.(ecs.ConsoleAPI)
	if !ok || a.o.Evidence.ConsoleShare <= 0 || len(ids) == 0 {
		return nil
	}
	evidence := &event.EvidenceRead{Scope: scope, Source: event.EvidenceConsole, At: a.o.Now().UTC()}
	for _, id := range ids {
		log, err := cloud.ConsoleOutput(ctx, scope, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			a.log.InfoContext(ctx, "an instance that moved is looked at without its console log", "account", scope.Account, "region", scope.Region, "instance", id, "err", err)
			if class := ecs.ClassOf(err); class == ecs.Permission || class == ecs.Credentials || class == ecs.RegionClosed {
				break // for the others, too
			}
			continue
		}
		item := event.EvidenceItem{ID: id, Asked: a.o.Now().UTC(), Heard: log.Updated, Calls: 1}
		read := probe.ReadConsole(log.Log)
		item.Console = &event.Console{Kernel: read.Kernel, Root: read.Root, End: read.End.String(), Excerpt: read.Excerpt}
		evidence.Items = append(evidence.Items, item)
	}
	if len(evidence.Items) == 0 {
		return nil
	}
	return a.bus.Publish(ctx, evidence)
}
