package store_test

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// Ten thousand groups are listed, with all of their instances; of more it is said how many
// instances are left out.
func TestInstancesOfGroupsThatAreNotListedAreCounted(t *testing.T) {
	const most = 10_000
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10,
		machine{id: "i-1", os: "centos 5.8", tags: tags(scalingTag, "asg-1")}, machine{id: "i-2", os: "centos 5.8", tags: tags(scalingTag, "asg-2")},
		machine{id: "i-3", os: "centos 5.8", tags: tags(scalingTag, "asg-1")}, machine{id: "i-4", os: "centos 5.8", tags: tags(scalingTag, "asg-2")},
		machine{id: "i-5", os: "centos 5.8", tags: tags(scalingTag, "asg-2")})...))
	view, err := db.View(t.Context(), nil, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	for others, want := range map[int]struct{ listed, instances, unlisted int }{
		most - 3: {most - 1, 5, 0}, most - 2: {most, 5, 0}, most - 1: {most, 2, 3}, most: {most, 0, 5},
	} {
		got, err := view.StartGroupsBeside(t.Context(), others)
		if err != nil {
			t.Fatal(err)
		}
		instances := 0
		for i := range got.Groups {
			instances += got.Groups[i].Instances
		}
		if len(got.Groups) != want.listed || instances != want.instances || got.Unlisted != want.unlisted {
			t.Errorf("beside %d: %d groups of %d instances are listed, %d instances are not; want %+v", others, len(got.Groups), instances, got.Unlisted, want)
		}
	}
}

// Of one group fifty images are listed, the one of the newest instance first, then the
// worst; how many more there are is said.
func TestTheImagesOfAGroupThatMatterMostAreListed(t *testing.T) {
	for _, n := range []int{49, 50, 51, 53} {
		db, s := fresh(t), newStream()
		s.now = 50
		var fleet []machine
		times := map[string]string{}
		for i := range n {
			m := machine{id: fmt.Sprintf("i-%02d", i), os: fmt.Sprintf("suse %02d", i), tags: tags(scalingTag, "asg-1")}
			switch i {
			case n - 1:
				m.os = "windows-server 2003" // the worst of one time
			case n - 2:
				m.os = "debian 7"
			case n - 3:
				times[m.id] = "2026-01-02T03:04Z"
			}
			fleet = append(fleet, m)
		}
		apply(t, db, s.put(created(whole("s1", hangzhou, 10, fleet...), times)...))
		got, _ := groupsOf(t, db, store.Filter{})
		if len(got.Groups) != 1 {
			t.Fatalf("%d groups", len(got.Groups))
		}
		group := &got.Groups[0]
		if len(group.Images) != min(n, 50) || group.MoreImages != max(0, n-50) || group.Instances != n {
			t.Errorf("of %d images %d are listed and %d more, of %d instances", n, len(group.Images), group.MoreImages, group.Instances)
		}
		for i, want := range []string{fmt.Sprintf("m-suse-%02d", n-3), "m-windows-server-2003", "m-debian-7", "m-suse-00", "m-suse-01"} {
			if is := group.Images[i].ImageID; is != want {
				t.Errorf("of %d images number %d is %s, want %s", n, i, is, want)
			}
		}
	}
}

// The newest instance of an image says when it was started last, in whatever order the
// instances are read.
func TestTheNewestInstanceOfAnImageCounts(t *testing.T) {
	const before, last = "2019-01-02T03:04Z", "2026-01-02T03:04Z"
	for _, times := range []map[string]string{{"i-1": before, "i-2": last}, {"i-1": last, "i-2": before}} {
		db, s := fresh(t), newStream()
		s.now = 50
		apply(t, db, s.put(created(whole("s1", hangzhou, 10,
			machine{id: "i-1", os: "debian 12", tags: tags(scalingTag, "asg-1")}, machine{id: "i-2", os: "debian 12", tags: tags(scalingTag, "asg-1")}), times)...))
		got, _ := groupsOf(t, db, store.Filter{})
		if len(got.Groups) != 1 || len(got.Groups[0].Images) != 1 || got.Groups[0].Images[0].Newest != last || got.Groups[0].Images[0].Instances != 2 {
			t.Errorf("of %v: %+v", times, got.Groups)
		}
	}
}

// Who asks for one region sees its launch templates, wherever it stands among the others.
func TestLaunchTemplatesOfOneRegionAreShown(t *testing.T) {
	db, s := fresh(t), newStream()
	for i, scope := range []ecs.Scope{beijing, hangzhou, {Account: "prod", Region: "cn-shenzhen"}} {
		read := templatesRead(1, append(listing(0, ""), template("lt-"+scope.Region, event.TemplateVersion{Number: 1, Default: true, Latest: true, Image: "m-1", Facts: rules.ImageFacts{OSName: "centos 5.8"}}))...)
		read.Scope = scope
		apply(t, db, s.put(append([]event.Message{read}, whole(fmt.Sprint("s", i), scope, 0, machine{id: "i-" + scope.Region, os: "debian 12"})...)...))
	}
	for _, region := range []string{"cn-beijing", "cn-hangzhou", "cn-shenzhen"} {
		got, _ := groupsOf(t, db, store.Filter{Region: region})
		if len(got.Groups) != 1 || got.Groups[0].Kind != record.LaunchTemplate || got.Groups[0].ID != "lt-"+region || got.Groups[0].Region != region {
			t.Errorf("of %s: %+v", region, got.Groups)
		}
	}
}
