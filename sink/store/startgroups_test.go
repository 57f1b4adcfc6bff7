package store_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
			if v := g.Images[j].On("shenlong-6"); v != nil {
				fmt.Fprintf(&line, " %s %d %s", g.Images[j].ImageID, g.Images[j].Instances, v.Verdict)
			}
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

// templatesRead is what a scan announces of launch templates.
func templatesRead(at int64, items ...event.EvidenceItem) *event.EvidenceRead {
	return &event.EvidenceRead{Scope: hangzhou, Source: event.EvidenceTemplates, At: time.Unix(0, t0+at*second).UTC(), Items: items}
}

func template(id string, versions ...event.TemplateVersion) event.EvidenceItem {
	return event.EvidenceItem{ID: id, Asked: at(0), Template: &event.Template{Name: "of " + id, Versions: versions}}
}

func listing(unlisted int, cause string) []event.EvidenceItem {
	return []event.EvidenceItem{{ID: event.UnreadID, Asked: at(0)}, {ID: event.ListingID, Asked: at(0), Calls: 1, Unlisted: unlisted, Cause: cause}}
}

// A launch template is shown by what it starts, though nothing runs of it; by the
// worst of its versions, as long as the last list has it, and with what is not
// known of the list.
func TestLaunchTemplatesAreJudgedByWhatTheyStart(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	found := func(os string) rules.ImageFacts {
		return rules.ImageFacts{Presence: rules.ImageFound, OSName: os, OSType: "linux", Architecture: "x86_64", Owner: "self", Status: "Available"}
	}
	read := func(second int64, items ...event.EvidenceItem) event.Message { return templatesRead(second, items...) }
	msgs := whole("s1", hangzhou, 0, machine{id: "i-1", os: "CentOS 7.9"})
	items := append([]event.EvidenceItem{
		template("lt-old", event.TemplateVersion{Number: 3, Default: true, Latest: true, Image: "m-old", Facts: found("CentOS 5.8 64位")}),
		template("lt-later", event.TemplateVersion{Number: 1, Default: true, Image: "m-new", Facts: found("CentOS 7.9 64位")}, event.TemplateVersion{Number: 4, Latest: true, Image: "m-old", Facts: found("CentOS 5.8 64位")}),
		template("lt-bare", event.TemplateVersion{Number: 1, Default: true, Latest: true}),
		{ID: "lt-refused", Template: &event.Template{}, Cause: "DescribeLaunchTemplateVersions: permission", Mend: "grant it"},
	}, listing(0, "")...)
	apply(t, db, s.put(append([]event.Message{read(1, items...)}, msgs...)...))
	shown := func(f store.Filter) ([]string, *record.StartGroups) {
		got, _ := groupsOf(t, db, f)
		var out []string
		for i := range got.Groups {
			g := &got.Groups[i]
			var line strings.Builder
			line.WriteString(g.ID + " " + g.Name + ":")
			for j := range g.Images {
				fmt.Fprintf(&line, " %s is %q legacy %v,", g.Images[j].Version, g.Images[j].ImageID, g.Images[j].Legacy)
			}
			if v := g.On("shenlong-6"); v != nil {
				line.WriteString(" " + v.Verdict.String())
			}
			out = append(out, line.String()+g.Cause)
		}
		return out, got
	}
	want := []string{
		`lt-later of lt-later: default 1 is "m-new" legacy false, latest 4 is "m-old" legacy true, incompatible`,
		`lt-old of lt-old: default and latest 3 is "m-old" legacy true, incompatible`,
		`lt-bare of lt-bare: default and latest 1 is "" legacy false,`,
		`lt-refused :DescribeLaunchTemplateVersions: permission`,
	}
	lines, got := shown(store.Filter{})
	if diff := cmp.Diff(want, lines); diff != "" || len(got.Unread) != 0 {
		t.Error(diff, got.Unread)
	}
	legacy := true
	if lines, _ = shown(store.Filter{Legacy: &legacy}); len(lines) != 0 {
		t.Errorf("with a filter about instances: %q", lines)
	}
	evidence := func() record.Evidence {
		view, err := db.View(t.Context(), nil, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		defer view.Close()
		rows, err := view.Evidence(at(0))
		if err != nil || len(rows) != 1 {
			t.Fatalf("%+v, %v", rows, err)
		}
		return rows[0]
	}
	if row := evidence(); row.Source != "launch-templates" || row.About != "launch templates" || row.Asked != 4 || row.Answered != 3 || row.Missing() != 1 || row.Calls != 1 {
		t.Errorf("%+v", row)
	}

	// One that was deleted is shown no more; a list that was cut says so.
	apply(t, db, s.put(read(1000, append([]event.EvidenceItem{template("lt-old", event.TemplateVersion{Number: 3, Default: true, Latest: true, Image: "m-old", Facts: found("CentOS 5.8 64位")})}, listing(7, "8 are counted and 1 listed")...)...)))
	lines, got = shown(store.Filter{})
	if len(lines) != 1 || len(got.Unread) != 1 || got.Unread[0].Cause != "8 are counted and 1 listed" || got.Unread[0].AsOf == nil {
		t.Errorf("%q, %+v", lines, got.Unread)
	}
	if row := evidence(); row.Missing() != 8 {
		t.Errorf("%+v", row)
	}

	// A later attempt that failed takes nothing back, and is named.
	apply(t, db, s.put(read(2000, event.EvidenceItem{ID: event.UnreadID, Calls: 1, Cause: "DescribeLaunchTemplates: permission", Mend: "grant it"})))
	lines, got = shown(store.Filter{})
	if len(lines) != 1 || len(got.Unread) != 1 || got.Unread[0].Cause != "DescribeLaunchTemplates: permission" || got.Unread[0].Mend != "grant it" {
		t.Errorf("%q, %+v", lines, got.Unread)
	}
	apply(t, db, s.put(read(3000, listing(0, "")...)))
	if lines, got = shown(store.Filter{}); len(lines) != 0 || len(got.Unread) != 0 {
		t.Errorf("%q, %+v", lines, got.Unread)
	}
}

// What comes in a message is looked at before it is kept.
// A list that a clock which ran ahead dated gives way to the next one: what is new in that
// is shown, what it does not name is not, and an attempt that failed is named.
func TestLaunchTemplatesOfATimeToComeGiveWay(t *testing.T) {
	const ahead = 365 * 86400
	one := func(id string) event.EvidenceItem {
		return template(id, event.TemplateVersion{Number: 1, Default: true, Latest: true, Image: "m-1"})
	}
	list := func(second int64, ids ...string) (out []event.Message) {
		for _, id := range ids {
			out = append(out, templatesRead(second, one(id)))
		}
		return append(out, templatesRead(second, listing(0, "")...))
	}
	for name, c := range map[string]struct {
		then   []event.Message
		want   string
		unread int
	}{
		"another list": {list(2000, "lt-new", "lt-stays"), "[lt-new lt-stays]", 0},
		"a refusal":    {[]event.Message{templatesRead(2000, event.EvidenceItem{ID: event.UnreadID, Calls: 1, Cause: "denied"})}, "[lt-gone lt-stays]", 1},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 1000
			apply(t, db, s.put(whole("s1", hangzhou, 900, machine{id: "i-1"})...))
			apply(t, db, s.put(list(ahead, "lt-gone", "lt-stays")...))
			s.now = 2000
			apply(t, db, s.put(c.then...))
			got, _ := groupsOf(t, db, store.Filter{})
			ids := []string{}
			for i := range got.Groups {
				ids = append(ids, got.Groups[i].ID)
			}
			slices.Sort(ids)
			if fmt.Sprint(ids) != c.want || len(got.Unread) != c.unread {
				t.Errorf("%v, %+v", ids, got.Unread)
			}
		})
	}
}

func TestLaunchTemplatesThatAreTooLargeAreNotKept(t *testing.T) {
	db, s := fresh(t), newStream()
	long := strings.Repeat("x", 5000)
	for name, item := range map[string]event.EvidenceItem{
		"name":     {ID: "lt-1", Template: &event.Template{Name: long}},
		"versions": {ID: "lt-1", Template: &event.Template{Versions: make([]event.TemplateVersion, 3)}},
		"image":    template("lt-1", event.TemplateVersion{Number: 1, Image: long}),
		"facts":    template("lt-1", event.TemplateVersion{Number: 1, Facts: rules.ImageFacts{OSName: long}}),
		"unlisted": {ID: event.ListingID, Unlisted: -1},
	} {
		if got := apply(t, db, s.put(templatesRead(1, item))); got.Invalid != 1 {
			t.Errorf("%s: %d were refused", name, got.Invalid)
		}
	}
}
