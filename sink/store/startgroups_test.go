package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
)

const (
	poolTag, clusterTag, scalingTag = "ack.alibabacloud.com/nodepool-id", "ack.aliyun.com", "acs:autoscaling:scalingGroupId"
)

func tags(pairs ...string) []ecs.Tag {
	var out []ecs.Tag
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, ecs.Tag{Key: pairs[i], Value: pairs[i+1]})
	}
	return out
}

// created gives the rows of pages times of creation, by instance.
func created(msgs []event.Message, at map[string]string) []event.Message {
	for _, m := range msgs {
		page, ok := m.(*event.InstancesClassified)
		if !ok {
			continue
		}
		var rows []event.Row
		for row := range page.Rows.All() {
			if text, known := at[row.ID]; known {
				row.CreationTime = text
			}
			rows = append(rows, row)
		}
		page.Rows = event.RowsOf(rows)
	}
	return msgs
}

// groupsOf are the groups in short.
func groupsOf(t *testing.T, db *store.DB, f store.Filter) (*record.StartGroups, []string) {
	t.Helper()
	view, err := db.View(t.Context(), nil, f)
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	got, err := view.StartGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range got.Groups {
		g := &got.Groups[i]
		var line strings.Builder
		fmt.Fprintf(&line, "%s %s in %s: %d;", g.Kind, g.ID, g.Region, g.Instances)
		for j := range g.Images {
			fmt.Fprintf(&line, " %s %d %s", g.Images[j].ImageID, g.Images[j].Instances, g.Images[j].On("shenlong-6").Verdict)
		}
		out = append(out, line.String())
	}
	return got, out
}

// What starts new machines is found by the tags that the cloud gives, with the
// image of the newest instance first: a group that was mended starts the new one.
func TestGroupsThatStartMachinesAreFoundByTheirTags(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	beijing := ecs.Scope{Account: "prod", Region: "cn-beijing"}
	apply(t, db, s.put(created(whole("s1", hangzhou, 0,
		machine{id: "i-1", os: "CentOS 5.8", tags: tags(scalingTag, "asg-old", "env", "prod")},
		machine{id: "i-2", os: "CentOS 7.9", tags: tags(scalingTag, "asg-old")},
		machine{id: "i-3", os: "CentOS 5.8", tags: tags("env", "prod", clusterTag, "c1", poolTag, "np1", scalingTag, "asg-pool")},
		machine{id: "i-4", os: "CentOS 5.8", tags: tags(clusterTag, "c1", poolTag, "np1", scalingTag, "asg-pool")},
		machine{id: "i-5", os: "CentOS 7.9", tags: tags(clusterTag, "c2", scalingTag, "")},
		machine{id: "i-6", os: "CentOS 5.8", tags: tags("acs:autoscaling:scalinggroupid", "asg-other-case", "env", "test")},
		machine{id: "i-7", os: "CentOS 5.8"},
		machine{id: "i-8", os: "CentOS 5.8", tags: tags(scalingTag, "asg-strange")},
	), map[string]string{"i-1": "2019-01-02T03:04Z", "i-2": "2026-01-02T03:04Z", "i-8": "when nobody looked"})...))
	s.now = 10
	apply(t, db, s.put(whole("s2", beijing, 10, machine{id: "i-9", os: "CentOS 5.8", tags: tags(scalingTag, "asg-old")})...))
	got, lines := groupsOf(t, db, store.Filter{})
	want := []string{
		"node-pool np1 in cn-hangzhou: 2; m-CentOS-5.8 2 incompatible",
		"scaling-group asg-old in cn-beijing: 1; m-CentOS-5.8 1 incompatible",
		"scaling-group asg-strange in cn-hangzhou: 1; m-CentOS-5.8 1 incompatible",
		"scaling-group asg-old in cn-hangzhou: 2; m-CentOS-7.9 1 compatible m-CentOS-5.8 1 incompatible",
		"cluster c2 in cn-hangzhou: 1; m-CentOS-7.9 1 compatible",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	for i := range got.Groups {
		for _, image := range got.Groups[i].Images {
			if wants := map[string]string{"asg-strange": ""}; got.Groups[i].ID == "asg-strange" && image.Newest != wants["asg-strange"] {
				t.Errorf("newest of what the API did not say: %q", image.Newest)
			}
		}
	}
	if newest := got.Groups[3].Images[0].Newest; newest != "2026-01-02T03:04Z" {
		t.Errorf("newest is %q", newest)
	}
	if _, lines = groupsOf(t, db, store.Filter{Region: "cn-beijing"}); len(lines) != 1 {
		t.Errorf("of one region: %q", lines)
	}
	// What is gone is of no group any more.
	s.now = 20
	apply(t, db, s.put(whole("s3", hangzhou, 20, machine{id: "i-7", os: "CentOS 5.8"})...))
	apply(t, db, nobodyIsThere(t, db, s.now))
	if _, lines = groupsOf(t, db, store.Filter{Region: "cn-hangzhou"}); len(lines) != 0 {
		t.Errorf("after they were released: %q", lines)
	}
}

// An image is judged by itself: what one machine of it answered is of that
// machine, and the next one that the group starts does not have it.
func TestTheImageOfAGroupIsNotJudgedByItsMachines(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	msgs := guestsPage(whole("s1", hangzhou, 0, machine{id: "i-1", os: "CentOS 5.8", tags: tags(scalingTag, "asg-1")}), func(_ string, f *rules.Facts, h *rules.Hardware) {
		f.Guest = rules.GuestFacts{Release: "CentOS Linux release 7.9.2009 (Core)", Kernel: "3.10.0-1160.el7.x86_64", Architecture: "x86_64", Virtio: rules.Yes, NVMe: rules.Yes, Up: rules.Yes}
		h.InstanceType, h.InstanceFamily = "ecs.g6.large", "ecs.g6"
	})
	apply(t, db, s.put(msgs...))
	if _, lines := groupsOf(t, db, store.Filter{}); len(lines) != 1 || lines[0] != "scaling-group asg-1 in cn-hangzhou: 1; m-CentOS-5.8 1 incompatible" {
		t.Errorf("%q", lines)
	}
	recs := all(t, db, store.Filter{})
	if level := recs[0].Verdicts[1].Level; recs[0].Verdicts[1].Target != "shenlong-6" || level == rules.Incompatible {
		t.Errorf("the machine itself is %s on %s", level, recs[0].Verdicts[1].Target)
	}
}
