package app

import (
	"context"
	"errors"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// mostNames bounds the names of releases of a family that are remembered.
const mostNames = 64

// Questions finds what would settle the verdicts of a view that are unknown on
// the one target of c. A waived verdict is settled by its waiver.
func Questions(ctx context.Context, db *store.DB, view *store.View, c *rules.Classifier) (*plan.Settle, error) {
	releases := map[string][]string{}
	for r, err := range view.Instances(ctx) {
		if err != nil {
			return nil, err
		}
		if !plan.Exact(&r.OS) || len(releases[r.OS.Family]) >= mostNames {
			continue
		}
		name := r.OS.Family + " " + r.OS.Version
		if r.OS.ServicePack != "" {
			name += " SP" + r.OS.ServicePack
		}
		if !slices.Contains(releases[r.OS.Family], name) {
			releases[r.OS.Family] = append(releases[r.OS.Family], name)
		}
	}
	for _, names := range releases {
		slices.Sort(names)
	}
	return plan.FindQuestions(c, func(yield func(*plan.Open, error) bool) {
		for r, err := range view.Instances(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(r.Verdicts) == 0 || r.Verdicts[0].Level != rules.Unknown || r.Verdicts[0].Waiver != nil {
				continue
			}
			facts, err := db.FactsOf(r.Account, r.Region, r.InstanceID)
			if errors.Is(err, store.ErrNotFound) {
				continue // gone since the view
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&plan.Open{Scope: ecs.Scope{Account: r.Account, Region: r.Region}, ID: r.InstanceID, Facts: *facts}, nil) {
				return
			}
		}
	}, releases)
}
