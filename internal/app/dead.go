package app

import (
	"context"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// onDead tells the sink what a dead letter means for its scan: without that
// word the scan would wait for ever for what will not come.
func (a *App) onDead(ctx context.Context, dead bus.Dead) error {
	var said event.Message
	fail := func(s ecs.Scope) record.Failure {
		return record.Failure{
			Account: s.Account, Region: s.Region, API: "shenscan", Class: "dead-letter", Error: dead.Cause,
			Mend: "see `shenscan dead list`; once the cause is mended, scan again",
		}
	}
	switch m := dead.Msg.(type) {
	case *event.InstancesListed:
		said = &event.PageFailed{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Lane: m.Lane, Walk: m.Walk.Walk, Page: m.Page, Failure: fail(m.Scope)}
	case *event.InstancesClassified:
		said = &event.PageFailed{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Lane: m.Lane, Walk: m.Walk.Walk, Page: m.Page, Failure: fail(m.Scope)}
	case *event.LaneJob:
		f := fail(m.Scope)
		said = &event.LaneEnded{ScanID: m.ScanID, Kind: event.KindScan, Scope: m.Scope, Lane: m.Lane, Walk: "dead", Failure: &f}
	case *event.ScopeCheck:
		f := fail(m.Scope)
		said = &event.ScopeChecked{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Question: m.Question, Part: m.Part, Failure: &f}
	case *event.ScopeJob:
		said = &event.ScopeFailed{ScanID: m.ScanID, Kind: m.Kind, Scope: m.Scope, Failure: fail(m.Scope)}
	case *event.ScanRequested:
		said = &event.ScanAborted{ScanID: m.ScanID, Kind: m.Kind, Reason: "the request was dead-lettered: " + dead.Cause}
	default:
		return nil
	}
	return a.bus.Publish(ctx, said)
}
