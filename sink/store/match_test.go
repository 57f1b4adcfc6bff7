package store_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/sink/store"
)

// A filter goes by the family that the cloud names, and by the type's only where it names
// none; and a machine counts for its image only where its guest was heard of. One whose family
// and type are of two classes is of that family, and counts for neither class.
func TestAFilterGoesByTheMachineThatTheCloudNames(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	db, s := open(t, filepath.Join(t.TempDir(), "store.db"), rs.NewClassifier(nil)), newStream()
	s.now = 50
	apply(t, db, s.put(guestsPage(whole("s1", hangzhou, 10,
		machine{id: "i-named", os: "CentOS 7.4"}, machine{id: "i-silent", os: "CentOS 7.5"}, machine{id: "i-unnamed", os: "CentOS 7.6"}, machine{id: "i-stopped", os: "CentOS 7.7"}, machine{id: "i-two", os: "CentOS 7.8"}),
		func(os string, f *rules.Facts, h *rules.Hardware) {
			switch os {
			case "CentOS 7.4":
				h.InstanceType, h.InstanceFamily = "ecs.g6.large", "ecs.c6"
			case "CentOS 7.5":
				f.Guest.Up = rules.Unobserved
			case "CentOS 7.6":
				h.InstanceFamily = ""
			case "CentOS 7.7":
				h.Running = rules.No
			case "CentOS 7.8":
				h.InstanceFamily = "ecs.r6" // of type ecs.c5.large
			}
		})...))
	for text, want := range map[string]string{
		"family=ecs.c6":             "i-named",
		"family=ecs.c5":             "i-silent i-stopped i-unnamed",
		"family=ecs.r6":             "i-two",
		"exclude=family=ecs.c6":     "i-silent i-stopped i-two i-unnamed",
		"up=kvm":                    "i-unnamed",
		"exclude=up=kvm":            "i-named i-silent i-stopped i-two",
		"up=kvm family=ecs.c5":      "i-unnamed",
		"up=shenlong-6":             "i-named",
		"image=m-CentOS-7.5":        "i-silent",
		"image=m-CentOS-7.5 up=kvm": "",
	} {
		for judged, c := range map[string]store.Classifier{"as it is stored": nil, "anew": rs.NewClassifier(rules.DefaultTargets()[:2])} {
			view, err := db.View(t.Context(), c, store.Filter{Scope: scopeOf(t, text)})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rowsOf(t, view) {
				got = append(got, r.InstanceID)
			}
			slices.Sort(got)
			if is := strings.Join(got, " "); is != want || view.Summary().Instances != len(got) {
				t.Errorf("%s, judged %s: %q and %d in the totals, want %q", text, judged, is, view.Summary().Instances, want)
			}
			if err := view.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Only the filter that asks for nothing is everything: a report that is narrowed by a single
// word, and does not say so, is taken for one of the fleet.
func TestOnlyAFilterOfNoWordIsEverything(t *testing.T) {
	legacy := false
	if f := (store.Filter{Gone: true}); !f.Everything() {
		t.Error("what is asked of every instance is not everything")
	}
	for name, f := range map[string]store.Filter{
		"account": {Account: "prod"}, "region": {Region: "cn-hangzhou"}, "target": {Target: "kvm"}, "verdict": {Verdict: "unknown"}, "family": {OSFamily: "debian"},
		"version": {OSVersion: "12"}, "legacy": {Legacy: &legacy}, "text": {Query: "web"}, "time": {ObservedSince: time.Unix(1, 0)},
		"an account's words": {Scope: scopeOf(t, "account=prod")}, "words": {Scope: scopeOf(t, "tag=env=prod")},
	} {
		if f.Everything() {
			t.Errorf("%s alone is everything", name)
		}
	}
}

// A name in letters that are none of ASCII is found in either case, too.
func TestANameInOtherLettersIsFoundInAnyCase(t *testing.T) {
	db, s := fresh(t), newStream()
	apply(t, db, s.put(whole("s1", hangzhou, 10, machine{id: "i-1", name: "ПРОД", os: "debian 12"}, machine{id: "i-2", name: "生产", os: "debian 12"})...))
	for query, want := range map[string]string{"прод": "i-1", "Род": "i-1", "产": "i-2", "продж": ""} {
		var found []string
		for _, r := range all(t, db, store.Filter{Query: query}) {
			found = append(found, r.InstanceID)
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%q finds %q, want %q", query, got, want)
		}
	}
}
