package plan

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
)

// What the cloud is asked for a plan has this in common: which instances it is about,
// that scopes are asked side by side, and that one that does not answer is named and
// planned as if nobody had asked.

// candidate is an instance that is planned, with its wave and what its move demands of
// disks.
type candidate struct {
	rec     *record.Record
	verdict *rules.Verdict
	id      waves.ID
	there   bool
	takes   string // the disks that are taken where it goes
}

func (c *candidate) scope() ecs.Scope {
	return ecs.Scope{Account: c.rec.Account, Region: c.rec.Region}
}

// candidates are the instances that a plan has. Each is good until the next.
func (b *builder) candidates(records iter.Seq2[*record.Record, error]) iter.Seq2[*candidate, error] {
	return func(yield func(*candidate, error) bool) {
		for rec, err := range records {
			if err != nil {
				yield(nil, fmt.Errorf("plan: read instances: %w", err))
				return
			}
			verdict := report.VerdictOn(rec, b.o.Target.ID)
			if rec.GoneAt != nil || verdict == nil {
				continue
			}
			if !yield(b.sort(rec, verdict), nil) {
				return
			}
		}
	}
}

// scopeCalls is how many scopes are asked side by side.
const scopeCalls = 8

// askScopes asks each scope within a time and returns why some did not answer. The
// error is ctx's alone.
func askScopes(ctx context.Context, action string, scopes []ecs.Scope, within time.Duration, ask func(context.Context, ecs.Scope) error) ([]record.Failure, error) {
	var (
		mu    sync.Mutex
		group errgroup.Group
	)
	failures := []record.Failure{}
	group.SetLimit(scopeCalls)
	for _, scope := range scopes {
		group.Go(func() error {
			call, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			if err := ask(call, scope); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, failureOf(action, scope, err))
			}
			return nil
		})
	}
	_ = group.Wait() // no call returns one
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("ask %s: %w", action, err)
	}
	return failures, nil
}

// scopesOf are the scopes that a table is about.
func scopesOf[T any](table map[ecs.Scope]T) []ecs.Scope { return slices.Collect(maps.Keys(table)) }
