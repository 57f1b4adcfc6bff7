package store_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/sink/store"
)

// A search finds what stands anywhere in an id or a name, letters in either case, and
// nothing else: no sign that only looks like another letter's other case.
func TestASearchFindsPartsOfIDsAndNamesInAnyCase(t *testing.T) {
	names := []string{"Web-AZaz@[`{", "web", "wob", "É-Umlaut", "aab", ""}
	db, s := fresh(t), newStream()
	var fleet []machine
	for i, name := range names {
		if name == "" {
			name = " "
		}
		fleet = append(fleet, machine{id: "i-" + string(rune('a'+i)), name: name, os: "debian 12"})
	}
	apply(t, db, s.put(whole("s1", hangzhou, 10, fleet...)...))
	for query, want := range map[string][]string{
		"":              {"i-a", "i-b", "i-c", "i-d", "i-e", "i-f"},
		"WEB":           {"i-a", "i-b"},
		"web-azAZ":      {"i-a"},
		"az@[`{":        {"i-a"},
		"az@{`{":        nil,
		"az`[`{":        nil,
		"az@[`[":        nil,
		"az@[@{":        nil,
		"web-azaz@[`{":  {"i-a"},
		"web-azaz@[`{x": nil,
		"eb":            {"i-a", "i-b"},
		"ab":            {"i-e"},
		"aab":           {"i-e"},
		"aaab":          nil,
		"é-UM":          {"i-d"},
		"umlaut":        {"i-d"},
		"i-b":           {"i-b"},
		"I-B":           {"i-b"},
		"i-bb":          nil,
		"i-":            {"i-a", "i-b", "i-c", "i-d", "i-e", "i-f"},
	} {
		var got []string
		for _, r := range all(t, db, store.Filter{Query: query}) {
			got = append(got, r.InstanceID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
}

// A filter of systems and verdicts lets through what the words say, each alone and all
// together, in the listing and in the totals.
func TestAFilterLetsThroughWhatItSays(t *testing.T) {
	yes, no := true, false
	db, s := fresh(t), newStream()
	s.now = 50
	apply(t, db, s.put(whole("s1", hangzhou, 10,
		machine{id: "old", os: "centos 5.8"}, machine{id: "new", os: "centos 7.9"}, machine{id: "some", os: "centos"}, machine{id: "deb", os: "debian 7"}, machine{id: "none"})...))
	for name, c := range map[string]struct {
		f    store.Filter
		want string
	}{
		"everything":                   {store.Filter{}, "deb new none old some"},
		"a family":                     {store.Filter{OSFamily: "centos"}, "new old some"},
		"a version":                    {store.Filter{OSVersion: "7.9"}, "new"},
		"a version of another family":  {store.Filter{OSFamily: "debian", OSVersion: "7.9"}, ""},
		"no version":                   {store.Filter{OSVersion: filter.NoVersion}, "none some"},
		"no version of a family":       {store.Filter{OSFamily: "centos", OSVersion: filter.NoVersion}, "some"},
		"legacy":                       {store.Filter{Legacy: &yes}, "deb old"},
		"not legacy":                   {store.Filter{Legacy: &no}, "new none some"},
		"a target":                     {store.Filter{Target: "shenlong-7"}, "deb new none old some"},
		"a target that is none":        {store.Filter{Target: "shenlong-9"}, ""},
		"a verdict on any target":      {store.Filter{Verdict: "needs-action"}, "deb old"},
		"a verdict on a target":        {store.Filter{Verdict: "needs-action", Target: "shenlong-7"}, "deb"},
		"on another one":               {store.Filter{Verdict: "needs-action", Target: "kvm"}, "deb old"},
		"on a target that is none":     {store.Filter{Verdict: "compatible", Target: "shenlong-9"}, ""},
		"a verdict that is none":       {store.Filter{Verdict: "perhaps"}, ""},
		"a text":                       {store.Filter{Query: "OLD"}, "old"},
		"a text of another family":     {store.Filter{Query: "old", OSFamily: "debian"}, ""},
		"what was seen since":          {store.Filter{ObservedSince: at(11)}, "deb new none old some"},
		"what was seen later":          {store.Filter{ObservedSince: at(11).Add(1)}, ""},
		"a region":                     {store.Filter{Region: "cn-hangzhou", Account: "prod"}, "deb new none old some"},
		"another region":               {store.Filter{Region: "cn-beijing"}, ""},
		"another account":              {store.Filter{Account: "test"}, ""},
		"words and a filter of others": {store.Filter{OSFamily: "centos", Scope: scopeOf(t, "os=centos:5,debian")}, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			view, err := db.View(t.Context(), nil, c.f)
			if err != nil {
				t.Fatal(err)
			}
			defer view.Close()
			var got []string
			for _, r := range rowsOf(t, view) {
				got = append(got, r.InstanceID)
			}
			slices.Sort(got)
			if is := strings.Join(got, " "); is != c.want || view.Summary().Instances != len(got) {
				t.Errorf("%q, and %d in the totals; want %q", is, view.Summary().Instances, c.want)
			}
			listed := 0
			for range db.Instances(t.Context(), c.f) {
				listed++
			}
			if listed != len(got) {
				t.Errorf("%d are listed outside a view", listed)
			}
		})
	}
}
