package reporttest

import (
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// Started gives every sixth record of the fleet the tags of a group, and returns
// these groups: a node pool and a scaling group in turns, one of them with a
// hostile name.
func (f *Fleet) Started() *record.StartGroups {
	keys := record.StartTagKeys()
	out := &record.StartGroups{Unlisted: 3}
	for i := 0; i < len(f.Records); i += 6 {
		entry := f.Records[i]
		count := len(out.Groups)
		group := record.StartGroup{Kind: record.ScalingGroup, ID: fmt.Sprintf("asg-%012d", count), Account: entry.Account, Region: entry.Region, Instances: 1}
		if count == 0 {
			group.ID = Hostile()[0]
		}
		entry.Tags[keys[2]] = group.ID
		if count%2 == 1 {
			group.Kind, group.ID = record.NodePool, fmt.Sprintf("np%014d", count)
			entry.Tags[keys[0]] = group.ID
		}
		image := record.StartImage{ImageID: entry.ImageID, Instances: 1, Newest: "2026-11-20T01:02Z", OS: entry.OS, Legacy: entry.Legacy}
		for j := range entry.Verdicts {
			v := &entry.Verdicts[j]
			image.Verdicts = append(image.Verdicts, record.ImageVerdict{Target: v.Target, Verdict: v.Level, Confidence: v.Confidence, Rule: v.Rule, Reason: v.Reason})
		}
		older := image
		older.ImageID, older.Newest, older.OS = "m-older", "2020-11-20T01:02Z", rules.OS{Family: "centos", Version: "5"}
		group.Images = []record.StartImage{image, older}[:1+count%2]
		out.Groups = append(out.Groups, group)
	}
	bare := record.StartImage{Version: record.VersionName(4, false, true), Verdicts: []record.ImageVerdict{}}
	initial := out.Groups[0].Images[0]
	initial.Version, initial.Instances, initial.Newest = record.VersionName(3, true, false), 0, ""
	first := &out.Groups[0]
	out.Groups = append([]record.StartGroup{
		{Kind: record.LaunchTemplate, ID: "lt-000000000001", Name: "web", Account: first.Account, Region: first.Region, Images: []record.StartImage{initial, bare}},
		{Kind: record.LaunchTemplate, ID: "lt-000000000002", Account: first.Account, Region: first.Region, Images: []record.StartImage{}, Cause: "they were not read within 2m0s"},
	}, out.Groups...)
	out.Unread = []record.StartUnread{{Account: first.Account, Region: first.Region, Cause: "9 launch templates are counted and 2 listed", Mend: "grant ecs:DescribeLaunchTemplates"}}
	return out
}

// StartWords are the words that groups bring along.
func StartWords(groups *record.StartGroups) []string {
	out := []string{"change-node-pool", "change-scaling-group", "--output json", "web", "grant ecs:DescribeLaunchTemplates"}
	for i := range groups.Groups {
		g := &groups.Groups[i]
		out = append(out, g.ID, strings.ToLower(g.ID), g.Account, g.Region)
		for j := range g.Images {
			out = append(out, g.Images[j].ImageID, g.Images[j].OS.Family)
		}
	}
	return out
}
