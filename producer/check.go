package producer

import (
	"context"
	"errors"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// examples is how many instances that should not be there an answer names.
const examples = 3

// HandleCheck answers a sink's question about a scope: how many instances it
// has, and which of those that no lane listed are there all the same. Where the
// question is for another listing, it plans that. try names this delivery.
func (p *Producer) HandleCheck(ctx context.Context, job *event.ScopeCheck, try string) error {
	if job.ScanID == "" || job.Question == "" || len(job.InstanceIDs) > event.MaxCheckIDs {
		return event.Terminal(errors.New("a question about a scope without a scan or name, or about too many instances"))
	}
	if job.Again {
		return p.listAgain(ctx, job, try)
	}
	out := &event.ScopeChecked{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Question: job.Question, Part: job.Part}
	if job.Count {
		n, err := p.cloud.CountInstances(ctx, job.Scope, ecs.Query{})
		if err == nil {
			out.Counted = said(n)
		}
		out.Failure = failureOf(job.Scope, "DescribeInstances", err)
	}
	if out.Failure == nil {
		got := p.lookUp(ctx, job.Scope, job.InstanceIDs, examples) // one is enough to say that lists were cut short
		out.Found, out.Failure = len(got.found), failureOf(job.Scope, "DescribeInstances", got.err)
		for i := range got.found[:min(len(got.found), examples)] {
			out.Examples = append(out.Examples, got.found[i].ID)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.bus.Publish(ctx, out)
}

// listAgain plans the scope as one lane.
func (p *Producer) listAgain(ctx context.Context, job *event.ScopeCheck, try string) error {
	count, err := p.cloud.CountInstances(ctx, job.Scope, ecs.Query{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return p.bus.Publish(ctx, &event.ScopeChecked{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Question: job.Question, Part: job.Part, Failure: failureOf(job.Scope, "DescribeInstances", err)})
	}
	return p.plan(ctx, &event.ScopeJob{ScanID: job.ScanID, Kind: job.Kind, Scope: job.Scope, Epoch: job.Epoch}, try, &cutting{counted: count, may: againCalls(max(count, 0)), took: 1})
}
