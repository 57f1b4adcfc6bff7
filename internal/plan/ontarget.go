package plan

import (
	"cmp"
	"slices"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// onTarget returns the groups with what is said of their images on one target
// alone, the worst first. The view that found them may judge for several
// targets; a plan says the same whichever of them it was made from.
func onTarget(found *record.StartGroups, target string) *record.StartGroups {
	if found == nil {
		return nil
	}
	out := *found
	out.Groups = slices.Clone(found.Groups)
	for i := range out.Groups {
		g := &out.Groups[i]
		g.Images = slices.Clone(g.Images)
		for at := range g.Images {
			image := &g.Images[at]
			verdict := image.On(target)
			image.Verdicts = []record.ImageVerdict{}
			if verdict != nil {
				image.Verdicts = append(image.Verdicts, *verdict)
			}
		}
	}
	slices.SortStableFunc(out.Groups, func(a, b record.StartGroup) int {
		if len(a.Images) == 0 || len(b.Images) == 0 {
			return cmp.Compare(len(b.Images), len(a.Images))
		}
		return cmp.Or(cmp.Compare(badness(&b.Images[0]), badness(&a.Images[0])), cmp.Compare(b.Instances, a.Instances),
			cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return &out
}

// badness orders the verdicts of images, which have one or none.
func badness(image *record.StartImage) int {
	if len(image.Verdicts) == 0 {
		return -1
	}
	return slices.Index(rules.Levels(), image.Verdicts[0].Verdict)
}
