package app

import (
	"context"
	"slices"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// mostNames bounds the names of releases of a family that are remembered.
const mostNames = 64

// Questions finds what would settle the verdicts of a view that are unknown on
// the one target of classifier. A waived verdict is settled by its waiver.
func Questions(ctx context.Context, view *store.View, classifier *rules.Classifier) (*plan.Settle, error) {
	releases := map[string][]string{}
	for entry, err := range view.Instances(ctx) {
		if err != nil {
			return nil, err
		}
		if !plan.Exact(&entry.OS) || len(releases[entry.OS.Family]) >= mostNames {
			continue
		}
		name := entry.OS.Family + " " + entry.OS.Version
		if entry.OS.ServicePack != "" {
			name += " SP" + entry.OS.ServicePack
		}
		if !slices.Contains(releases[entry.OS.Family], name) {
			releases[entry.OS.Family] = append(releases[entry.OS.Family], name)
		}
	}
	for _, names := range releases {
		slices.Sort(names)
	}
	return plan.FindQuestions(classifier, func(yield func(*plan.Open, error) bool) {
		for entry, err := range view.Instances(ctx) {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(entry.Verdicts) == 0 || entry.Verdicts[0].Level != rules.Unknown || entry.Verdicts[0].Waiver != nil {
				continue
			}
			facts, err := view.Facts(entry.Account, entry.Region, entry.InstanceID)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&plan.Open{Scope: ecs.Scope{Account: entry.Account, Region: entry.Region}, ID: entry.InstanceID, Facts: *facts}, nil) {
				return
			}
		}
	}, releases)
}
