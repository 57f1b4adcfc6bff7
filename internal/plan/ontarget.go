package plan

import (
	"cmp"
	"slices"

	"github.com/shenscan/shenscan/internal/record"
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
		return cmp.Or(worse(&b.Images[0], &a.Images[0]), cmp.Compare(b.Instances, a.Instances),
			cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return &out
}

// worse compares the verdicts of two images, which have one or none.
func worse(a, b *record.StartImage) int {
	if len(a.Verdicts) == 0 || len(b.Verdicts) == 0 {
		return cmp.Compare(len(a.Verdicts), len(b.Verdicts))
	}
	switch one, other := a.Verdicts[0].Verdict, b.Verdicts[0].Verdict; {
	case one == other:
		return 0
	case one.AtLeast(other):
		return 1
	default:
		return -1
	}
}
