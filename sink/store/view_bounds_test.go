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

// viewOf is a view that the test closes.
func viewOf(t *testing.T, db *store.DB, f store.Filter) *store.View {
	t.Helper()
	view, err := db.View(t.Context(), nil, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	return view
}

// A scan that was killed leaves regions that nobody read. Each is named once, as pending
// and by the newest scan that was to read it, unless an earlier scan read it or the filter leaves it
// out; what a rescan asks for is no region of the fleet.
func TestRegionsThatAKilledScanLeftAreNamed(t *testing.T) {
	scope := func(region string) ecs.Scope { return ecs.Scope{Account: "prod", Region: region} }
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"})...))
	apply(t, db, s.put(planned("s2", scanKind, 20, scope("cn-old"), scope("cn-both"), hangzhou)))
	apply(t, db, s.put(planned("s3", scanKind, 30, hangzhou, scope("cn-both"), scope("cn-new"))))
	apply(t, db, s.put(planned("r1", rescanKind, 40, scope("cn-rescan"))))
	for name, c := range map[string]struct {
		f    store.Filter
		want string
	}{
		"all":           {store.Filter{}, "cn-both 0 pending s3, cn-hangzhou 1 complete s1, cn-new 0 pending s3, cn-old 0 pending s2"},
		"one of them":   {store.Filter{Region: "cn-old"}, "cn-old 0 pending s2"},
		"by the filter": {store.Filter{Scope: scopeOf(t, "region=cn-new region=cn-hangzhou")}, "cn-hangzhou 1 complete s1, cn-new 0 pending s3"},
		"another's":     {store.Filter{Account: "test"}, ""},
	} {
		var got []string
		for _, sc := range viewOf(t, db, c.f).Summary().Scopes {
			got = append(got, fmt.Sprintf("%s %d %s %s", sc.Region, sc.Instances, sc.Completeness, sc.LastScan))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A view counts as gone what its filter lets through of those that are gone, and as there
// what was observed at the very moment at which a complete scan began: so do its rows, and its
// groups.
func TestANarrowedViewCountsWhatIsGoneAndWhatIsThere(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"}, machine{id: "i-3", os: "centos 5.8"})...))
	apply(t, db, s.put(planned("s2", scanKind, 20, hangzhou), scopePlanned("s2", scanKind, hangzhou, "1", "1.0"),
		page("s2", scanKind, hangzhou, "1.0", "1.0", 0, 20, machine{id: "i-1", os: "debian 12", tags: tags(scalingTag, "asg-1")}), laneEnded("s2", scanKind, hangzhou, "1.0", "1.0", 1)))
	for name, c := range map[string]struct {
		f           store.Filter
		there, gone int
	}{
		"all":       {store.Filter{}, 1, 2},
		"a system":  {store.Filter{OSFamily: "debian"}, 1, 1},
		"another":   {store.Filter{OSFamily: "centos"}, 0, 1},
		"by text":   {store.Filter{Query: "i-"}, 1, 2},
		"by id":     {store.Filter{Query: "i-1"}, 1, 0},
		"by time":   {store.Filter{ObservedSince: at(20)}, 1, 0},
		"by status": {store.Filter{Scope: scopeOf(t, "status=Running")}, 1, 2},
	} {
		view := viewOf(t, db, c.f)
		if sum := view.Summary(); sum.Instances != c.there || sum.Gone != c.gone || sum.Scopes[0].Instances != c.there || len(rowsOf(t, view)) != c.there {
			t.Errorf("%s: %d there and %d gone, %d in the region, %d rows; want %d and %d", name, sum.Instances, sum.Gone, sum.Scopes[0].Instances, len(rowsOf(t, view)), c.there, c.gone)
		}
		sameGroups(t, view, rowsOf(t, view))
		if groups, err := view.StartGroups(t.Context()); err != nil || len(groups.Groups) != c.there {
			t.Errorf("%s: %d groups, %v", name, len(groups.Groups), err)
		}
	}
	where, err := db.Locate([]string{"i-1", "i-2"})
	if diff := cmp.Diff(map[string]ecs.Scope{"i-1": hangzhou}, where); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// What failed for an account as a whole is told by every view that its regions may be in,
// and by no other.
func TestAFailedAccountIsToldWhereItsRegionsMayBe(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	plan := about("s1", 10, []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}, {ID: "shut", AllRegions: true}, {ID: "left", Name: "alone", Excluded: true}}, hangzhou)
	plan.Failed = []record.Failure{{Account: "shut", API: "DescribeRegions", Class: "permission", Error: "denied"}}
	apply(t, db, s.put(plan))
	apply(t, db, s.put(read("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"})...))
	for text, c := range map[string]struct {
		f        store.Filter
		want     string
		excluded int
	}{
		"all":                     {store.Filter{}, "prod/cn-hangzhou complete, shut/ failed", 1},
		"it":                      {store.Filter{Account: "shut"}, "shut/ failed", 0},
		"another":                 {store.Filter{Account: "prod"}, "prod/cn-hangzhou complete", 0},
		"the excluded":            {store.Filter{Account: "left"}, "", 1},
		"by the filter":           {store.Filter{Scope: scopeOf(t, "account=shut")}, "shut/ failed", 1},
		"another by the filter":   {store.Filter{Scope: scopeOf(t, "account=prod")}, "prod/cn-hangzhou complete", 1},
		"a region of the filter":  {store.Filter{Scope: scopeOf(t, "region=cn-hangzhou")}, "prod/cn-hangzhou complete, shut/ failed", 1},
		"a region nobody read":    {store.Filter{Scope: scopeOf(t, "region=cn-beijing")}, "shut/ failed", 1},
		"without the account":     {store.Filter{Scope: scopeOf(t, "exclude=account=shut")}, "prod/cn-hangzhou complete", 1},
		"without another account": {store.Filter{Scope: scopeOf(t, "exclude=account=prod")}, "shut/ failed", 1},
	} {
		sum := viewOf(t, db, c.f).Summary()
		var got []string
		for _, sc := range sum.Scopes {
			got = append(got, fmt.Sprintf("%s/%s %s", sc.Account, sc.Region, sc.Completeness))
		}
		if diff := cmp.Diff(c.want, strings.Join(got, ", ")); diff != "" || len(sum.Excluded) != c.excluded {
			t.Errorf("%s: %d excluded: %s", text, len(sum.Excluded), diff)
		}
	}
	// What was forgotten is told by the views of its account as well.
	if _, err := db.Forget(t.Context(), "prod", "", at(60)); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]int{"": 1, "prod": 1, "shut": 0} {
		if got := viewOf(t, db, store.Filter{Account: account}).Summary().Forgotten; len(got) != want {
			t.Errorf("%q: %+v", account, got)
		}
	}
}

// The family of a machine is known by its type where the cloud does not tell it: to the
// names that a filter is held against, to the filter, and to the record.
func TestAFamilyThatTheCloudDoesNotTellIsKnownByTheType(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	s.now = 50
	msgs := whole("s1", hangzhou, 10, machine{id: "i-1", os: "CentOS 7.9"}, machine{id: "i-2", os: "Debian 12"}, machine{id: "i-3", os: "Ubuntu 22.04"})
	hardware := msgs[2].(*event.InstancesClassified).Hardware
	hardware[0].InstanceType, hardware[0].InstanceFamily = "ecs.g6.large", ""
	hardware[2].InstanceType, hardware[2].InstanceFamily = "ecs.nobodyknows.large", "ecs.nobodyknows"
	apply(t, db, s.put(msgs...))
	if diff := cmp.Diff([]string{"ecs.c5", "ecs.g6", "ecs.nobodyknows"}, db.Known().Families); diff != "" {
		t.Error(diff)
	}
	for family, want := range map[string]string{"ecs.g6": "i-1 ecs.g6 shenlong", "ecs.c5": "i-2 ecs.c5 kvm", "ecs.nobodyknows": "i-3 ecs.nobodyknows unknown"} {
		var got []string
		for _, r := range rowsOf(t, viewOf(t, db, store.Filter{Scope: scopeOf(t, "family="+family)})) {
			got = append(got, r.InstanceID+" "+r.InstanceFamily+" "+r.Virtualization)
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s: %s", family, diff)
		}
	}
	for image, want := range map[string]int{"m-CentOS-7.9": 1, "m-none": 0} {
		if got := rowsOf(t, viewOf(t, db, store.Filter{Scope: scopeOf(t, "image="+image)})); len(got) != want {
			t.Errorf("%d instances of image %s", len(got), image)
		}
	}
}

// A view shows the stored verdicts only where its judge would say the same: by the same rule
// set, for the same targets in the same order, and with waivers on the same day. Else it
// judges each instance anew.
func TestAViewShowsStoredVerdictsOnlyOfItsOwnJudge(t *testing.T) {
	today := "2026-11-23"
	waiving := func(digest string, targets ...string) *judge {
		j := newJudge(digest, oldOnes)
		j.waive, j.until = map[string]string{"waive": "yes"}, "2026-11-23"
		if len(targets) > 0 {
			j.targets = targets
		}
		return j
	}
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "store.db"), Classifier: waiving("a"), Today: func() string { return today }})
	if err != nil {
		t.Fatal(err)
	}
	db.NoSync()
	t.Cleanup(func() { db.Close() })
	s := newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", os: "centos 5.8", tags: []ecs.Tag{{Key: "waive", Value: "yes"}}}, machine{id: "i-2", os: "debian 12"})...))
	strict := newJudge("b", map[string]rules.Level{"debian 12": rules.Unknown})
	for name, c := range map[string]struct {
		j    *judge
		day  string
		own  bool
		want string
	}{
		"its own":                {nil, today, true, "kvm=compatible,compatible shenlong-6=compatible,compatible shenlong-7=compatible,compatible"},
		"another of the same":    {waiving("a"), today, true, "kvm=compatible,compatible shenlong-6=compatible,compatible shenlong-7=compatible,compatible"},
		"other rules":            {strict, today, false, "kvm=compatible,unknown shenlong-6=compatible,unknown shenlong-7=compatible,unknown"},
		"fewer targets":          {waiving("a", "kvm"), today, false, "kvm=compatible,compatible"},
		"targets turned round":   {waiving("a", "shenlong-7", "shenlong-6", "kvm"), today, false, "shenlong-7=compatible,compatible shenlong-6=compatible,compatible kvm=compatible,compatible"},
		"the day after a waiver": {waiving("a"), "2026-11-24", false, "kvm=needs-action,compatible shenlong-6=incompatible,compatible shenlong-7=incompatible,compatible"},
	} {
		today = c.day
		var by store.Classifier
		if c.j != nil {
			by = c.j
		}
		view, err := db.View(t.Context(), by, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		rows := rowsOf(t, view)
		var got []string
		for i, v := range rows[0].Verdicts {
			got = append(got, v.Target+"="+v.Level.String()+","+rows[1].Verdicts[i].Level.String())
		}
		digest, targets, own := view.Judged()
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" || own != c.own || digest != "a" || len(targets) != 3 {
			t.Errorf("%s: of its own %t, stored by %s for %v: %s", name, own, digest, targets, diff)
		}
		sameTotals(t, view, view.Classifier().Targets(), rows)
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
