package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/record"
)

// startReport is what a scan reports of what starts new machines.
type startReport struct {
	Groups    record.StartGroups `json:"start_groups"`
	Evidence  []record.Evidence  `json:"evidence"`
	Instances []record.Record    `json:"instances"`
}

func scanStarts(t *testing.T, sim *ecssim.Server, store string, args ...string) startReport {
	t.Helper()
	r := run(t, env(), append([]string{"scan", "--endpoint", sim.URL, "--store", store, "--output", "json", "--platform-evidence=false", "--heartbeat-share=0"}, args...)...)
	if r.code != 0 {
		t.Fatalf("exit %d: what is not known of launch templates makes no scan partial\n%s", r.code, r.stderr)
	}
	var out startReport
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// templateCalls counts the calls for launch templates.
func templateCalls(sim *ecssim.Server) (lists, versions int) {
	for _, c := range sim.Stats().Calls {
		switch c.Action {
		case "DescribeLaunchTemplates":
			lists += c.Calls
		case "DescribeLaunchTemplateVersions":
			versions += c.Calls
		}
	}
	return lists, versions
}

// launchTemplates are the groups of that kind.
func launchTemplates(r *startReport) []record.StartGroup {
	return slices.DeleteFunc(slices.Clone(r.Groups.Groups), func(g record.StartGroup) bool { return g.Kind != record.LaunchTemplate })
}

// Groups have the images of their instances, launch templates those of their
// versions, judged as instances of these images are; a second scan asks for the
// list alone.
func TestAScanShowsWhatStartsNewMachines(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Instances: 700, Regions: 4, Seed: 7})
	store := t.TempDir()
	first := scanStarts(t, sim, store)
	lists, versions := templateCalls(sim)
	templates := launchTemplates(&first)
	if len(templates) == 0 || versions != len(templates) || lists != 4 {
		t.Errorf("%d launch templates in %d lists and %d calls for versions", len(templates), lists, versions)
	}
	if len(first.Groups.Unread) != 0 || first.Groups.Unlisted != 0 {
		t.Errorf("%+v", first.Groups.Unread)
	}
	type image struct{ account, region, id string }
	systems, members := map[image]*record.Record{}, map[string]int{}
	for i := range first.Instances {
		rec := &first.Instances[i]
		systems[image{rec.Account, rec.Region, rec.ImageID}] = rec
		for key, kind := range map[string]record.StartGroupKind{"ack.alibabacloud.com/nodepool-id": record.NodePool, "acs:autoscaling:scalingGroupId": record.ScalingGroup} {
			if id := rec.Tags[key]; id != "" && (kind == record.NodePool || rec.Tags["ack.alibabacloud.com/nodepool-id"] == "") {
				members[string(kind)+" "+id]++
			}
		}
	}
	legacy, bare, grouped := 0, 0, map[record.StartGroupKind]int{}
	for _, g := range first.Groups.Groups {
		grouped[g.Kind]++
		if g.Kind != record.LaunchTemplate {
			if g.Instances == 0 || g.Instances != members[string(g.Kind)+" "+g.ID] {
				t.Errorf("%s %s has %d instances; %d have its tag", g.Kind, g.ID, g.Instances, members[string(g.Kind)+" "+g.ID])
			}
			delete(members, string(g.Kind)+" "+g.ID)
		}
		for _, x := range g.Images {
			switch rec := systems[image{g.Account, g.Region, x.ImageID}]; {
			case x.ImageID == "":
				bare++
			case x.Legacy:
				legacy++
				fallthrough
			case rec != nil && (rec.OS.Family != x.OS.Family || rec.OS.Version != x.OS.Version) && rec.OS.Family != "unknown" && x.OS.Family != "unknown":
				if rec != nil && rec.OS.Family != x.OS.Family {
					t.Errorf("%s %s starts %s, which is %s %s; instances of it are %s %s", g.Kind, g.ID, x.ImageID, x.OS.Family, x.OS.Version, rec.OS.Family, rec.OS.Version)
				}
			}
		}
	}
	if legacy == 0 || bare == 0 || grouped[record.NodePool] == 0 || grouped[record.ScalingGroup] == 0 || len(members) != 0 {
		t.Errorf("%d legacy images, %d versions without one, groups %v; not shown: %v", legacy, bare, grouped, members)
	}
	second := scanStarts(t, sim, store)
	if lists, again := templateCalls(sim); lists != 8 || again != versions {
		t.Errorf("the second scan made %d calls for lists and %d for versions", lists-4, again-versions)
	}
	if len(launchTemplates(&second)) != len(templates) {
		t.Errorf("%d launch templates in the second scan, %d in the first", len(launchTemplates(&second)), len(templates))
	}
	for _, e := range second.Evidence {
		if e.Source == "launch-templates" && (e.Asked != e.Answered || e.Calls != 1 || e.About != "launch templates") {
			t.Errorf("%+v", e)
		}
	}
	t.Logf("%d launch templates, %d node pools, %d scaling groups", len(templates), grouped[record.NodePool], grouped[record.ScalingGroup])

	// The plan tells of instances of such a group to change that first.
	p := run(t, env(), "plan", "--store", store, "--target", "shenlong-7", "--output", "markdown")
	for _, want := range []string{"## Groups that start new machines", "change-node-pool", "change-scaling-group", "launch template lt-"} {
		if !strings.Contains(p.stdout, want) {
			t.Errorf("the plan lacks %q", want)
		}
	}
}

// What is refused, cut or no answer is named; the scan is whole all the same, and
// where nobody is to be asked, nobody is.
func TestLaunchTemplatesThatAreNotKnownAreNamed(t *testing.T) {
	t.Parallel()
	o := ecssim.Options{Instances: 250, Regions: 2, Seed: 21}
	deny := func(action string) ecssim.Options {
		denied := o
		denied.Faults = []ecssim.Fault{{Kind: ecssim.FaultForbidden, Action: action}}
		return denied
	}
	bent := func(name string) ecssim.Options {
		wrong := o
		wrong.Contradict = []string{name}
		return wrong
	}
	for name, tt := range map[string]struct {
		options ecssim.Options
		cause   string
		whole   bool // the list itself is known
	}{
		"the list is denied":            {deny("DescribeLaunchTemplates"), "Forbidden.RAM", false},
		"versions are denied":           {deny("DescribeLaunchTemplateVersions"), "Forbidden.RAM", true},
		ecssim.TemplatesErrorAs200.Name: {bent(ecssim.TemplatesErrorAs200.Name), "Forbidden.RAM", false},
		ecssim.TemplatesGarbled.Name:    {bent(ecssim.TemplatesGarbled.Name), "no id of a launch template", false},
		ecssim.TemplatesCut.Name:        {bent(ecssim.TemplatesCut.Name), "launch templates are counted and 1 listed", false},
		ecssim.VersionsOfOthers.Name:    {bent(ecssim.VersionsOfOthers.Name), "is about launch template", true},
		ecssim.VersionsMissing.Name:     {bent(ecssim.VersionsMissing.Name), "lacks version", true},
		"nobody is to be asked of it":   {o, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := simulator(t, tt.options)
			var args []string
			if tt.cause == "" {
				args = []string{"--launch-templates=false"}
			}
			got := scanStarts(t, sim, t.TempDir(), args...)
			templates := launchTemplates(&got)
			if tt.cause == "" {
				if lists, versions := templateCalls(sim); lists+versions+len(templates)+len(got.Evidence) != 0 {
					t.Errorf("%d calls, %d launch templates, %+v", lists+versions, len(templates), got.Evidence)
				}
				return
			}
			if named := len(got.Groups.Unread) == 2 && strings.Contains(got.Groups.Unread[0].Cause, tt.cause); named == tt.whole {
				t.Errorf("unread: %+v", got.Groups.Unread)
			}
			for _, g := range templates {
				if tt.whole && (!strings.Contains(g.Cause, tt.cause) || len(g.Images) != 0) {
					t.Errorf("%+v", g)
				}
			}
			rows := 0
			for _, e := range got.Evidence {
				if e.Source != "launch-templates" {
					continue
				}
				rows++
				if !slices.ContainsFunc(e.Skipped, func(s record.EvidenceSkipped) bool { return strings.Contains(s.Cause, tt.cause) }) {
					t.Errorf("%+v does not say %q", e, tt.cause)
				}
			}
			if rows != 2 {
				t.Errorf("%d rows of evidence; want one a region", rows)
			}
		})
	}
}
