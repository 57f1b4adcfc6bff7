package ecsapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// templateRow is a row of DescribeLaunchTemplates.
func templateRow(id string, initial, latest int) string {
	return fmt.Sprintf(`{"LaunchTemplateId":%q,"LaunchTemplateName":"of %s","DefaultVersionNumber":%d,"LatestVersionNumber":"%d"}`, id, id, initial, latest)
}

func templateList(total int, rows ...string) string {
	return fmt.Sprintf(`{"RequestId":"04F0F334","TotalCount":%d,"PageNumber":1,"PageSize":50,"LaunchTemplateSets":{"LaunchTemplateSet":[%s]}}`, total, strings.Join(rows, ","))
}

func templatesOf(t *testing.T, pages ...string) (*ecs.LaunchTemplates, *fake, error) {
	t.Helper()
	f := newFake(t, map[string]http.HandlerFunc{actTemplates: func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscan(r.URL.Query().Get("PageNumber"), &n); err != nil || n > len(pages) {
			answer(w, 200, templateList(0))
			return
		}
		answer(w, 200, pages[n-1])
	}})
	got, err := newTestClient(t, f, nil).LaunchTemplates(t.Context(), testScope)
	return got, f, err
}

// A list is read to its end, to the bound, or to where it stops; what it counts
// beyond that is kept, so that nobody takes a part for the whole.
func TestLaunchTemplatesAreListedToTheEndOrSaidToBeCut(t *testing.T) {
	page := func(from, n, total int) string {
		var rows []string
		for i := range n {
			rows = append(rows, templateRow(fmt.Sprintf("lt-%03d", from+i), 1, 2))
		}
		return templateList(total, rows...)
	}
	for name, tt := range map[string]struct {
		pages                 []string
		listed, counted, call int
	}{
		"none":                         {[]string{templateList(0)}, 0, 0, 1},
		"one page":                     {[]string{page(0, 3, 3)}, 3, 3, 1},
		"pages":                        {[]string{page(0, 50, 70), page(50, 20, 70)}, 70, 70, 2},
		"a full last page":             {[]string{page(0, 50, 50)}, 50, 50, 2},
		"cut":                          {[]string{page(0, 2, 9)}, 2, 9, 2},
		"the same page again":          {[]string{page(0, 50, 200), page(0, 50, 200), page(0, 50, 200)}, 50, 200, 2},
		"more than are read":           {[]string{page(0, 50, 900), page(50, 50, 900), page(100, 50, 900), page(150, 50, 900)}, ecs.MaxTemplates, 900, 4},
		"pages larger than asked for":  {[]string{page(0, 300, 300)}, ecs.MaxTemplates, 300, 1},
		"a count that is smaller":      {[]string{page(0, 3, 1)}, 3, 3, 1},
		"no count, and a list":         {[]string{`{"LaunchTemplateSets":{"LaunchTemplateSet":[` + templateRow("lt-1", 3, 3) + `]}}`}, 1, 1, 1},
		"HasMore, and they come":       {[]string{`{"HasMore":"true",` + page(0, 3, 0)[1:], page(3, 2, 0)}, 5, 5, 2},
		"a count, and no list of zero": {[]string{`{"TotalCount":0}`}, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			got, f, err := templatesOf(t, tt.pages...)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.List) != tt.listed || got.Counted != tt.counted || got.Calls != tt.call || f.count(actTemplates) != tt.call {
				t.Errorf("%d listed of %d in %d calls; want %d of %d in %d", len(got.List), got.Counted, got.Calls, tt.listed, tt.counted, tt.call)
			}
		})
	}
}

func TestLaunchTemplatesThatAreNoneAreNotBelieved(t *testing.T) {
	for name, tt := range map[string]struct {
		body  string
		class ecs.Class
	}{
		"nothing in it":                    {`{"RequestId":"1"}`, ecs.Contradicted},
		"an id that is none":               {templateList(1, templateRow("<b>lt</b>", 1, 1)), ecs.Contradicted},
		"no id":                            {templateList(1, templateRow("", 1, 1)), ecs.Contradicted},
		"no default version":               {templateList(1, templateRow("lt-1", 0, 1)), ecs.Contradicted},
		"latest before it":                 {templateList(1, templateRow("lt-1", 3, 2)), ecs.Contradicted},
		"a version below zero":             {templateList(1, templateRow("lt-1", -3, -2)), ecs.Contradicted},
		"two default versions":             {templateList(2, templateRow("lt-1", 1, 2), templateRow("lt-1", 2, 2)), ecs.Contradicted},
		"a further page that is not there": {`{"HasMore":true,` + templateList(1, templateRow("lt-1", 1, 1))[1:], ecs.Contradicted},
		"a token":                          {`{"NextToken":"x",` + templateList(1, templateRow("lt-1", 1, 1))[1:], ecs.Contradicted},
		"a refusal as 200":                 {`{"Code":"Forbidden.RAM","Message":"no","LaunchTemplateSets":{"LaunchTemplateSet":[]},"TotalCount":0}`, ecs.Permission},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := templatesOf(t, tt.body)
			if ecs.ClassOf(err) != tt.class || err == nil {
				t.Errorf("%+v, %v; want a failure of class %s", got, err, tt.class)
			}
			if tt.class == ecs.Permission && !strings.Contains(err.Error(), "ecs:DescribeLaunchTemplates") {
				t.Errorf("%v does not name the permission", err)
			}
		})
	}
}

func TestVersionsOfATemplateAreThoseAskedFor(t *testing.T) {
	row := func(template, number, data string) string {
		return fmt.Sprintf(`{"LaunchTemplateId":%q,"VersionNumber":%s,"DefaultVersion":true,"LaunchTemplateData":%s}`, template, number, data)
	}
	list := func(rows ...string) string {
		return `{"RequestId":"1","TotalCount":9,"LaunchTemplateVersionSets":{"LaunchTemplateVersionSet":[` + strings.Join(rows, ",") + `]}}`
	}
	documented := string(responses(t, "DescribeLaunchTemplateVersions.")["DescribeLaunchTemplateVersions.doc.zh.01.json"])
	for name, tt := range map[string]struct {
		body string
		want string // a part of the error; "" for none
	}{
		"both":                     {list(row("lt-1", `"5"`, `{"ImageId":"m-5"}`), row("lt-1", "3", `{"ImageId":"m-3","Tags":{}}`)), ""},
		"others beside":            {list(row("lt-1", "5", `{"ImageId":"m-5"}`), row("lt-1", "4", `{"ImageId":"m-4"}`), row("lt-1", "3", `{"ImageId":"m-3"}`)), ""},
		"one twice, alike":         {list(row("lt-1", "5", `{"ImageId":"m-5"}`), row("lt-1", "5", `{"ImageId":"m-5"}`), row("lt-1", "3", `{"ImageId":"m-3"}`)), ""},
		"one twice, with two":      {list(row("lt-1", "5", `{"ImageId":"m-5"}`), row("lt-1", "5", `{"ImageId":"m-6"}`), row("lt-1", "3", `{"ImageId":"m-3"}`)), "twice"},
		"of another template":      {list(row("lt-2", "5", `{"ImageId":"m-5"}`), row("lt-2", "3", `{"ImageId":"m-3"}`)), `launch template "lt-2"`},
		"one is missing":           {list(row("lt-1", "5", `{"ImageId":"m-5"}`)), "lacks version 3"},
		"one without what it does": {list(row("lt-1", "5", `{"ImageId":"m-5"}`), row("lt-1", "3", `null`)), "lacks version 3"},
		"an image that is none":    {list(row("lt-1", "5", `{"ImageId":"m 5,m-6"}`), row("lt-1", "3", `{"ImageId":"m-3"}`)), "which is no image"},
		"an empty list":            {list(), "lacks version 3"},
		"the documents' example":   {documented, "launch template"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actVersions: offeredBy(tt.body, 200)})
			got, err := newTestClient(t, f, nil).TemplateVersions(t.Context(), testScope, "lt-1", []int64{3, 5})
			if tt.want != "" {
				if ecs.ClassOf(err) != ecs.Contradicted || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, %v; want a contradiction that says %q", got, err, tt.want)
				}
				return
			}
			if diff := cmp.Diff([]ecs.TemplateVersion{{Number: 3, Image: "m-3"}, {Number: 5, Image: "m-5"}}, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
			q := f.request().URL.Query()
			for key, want := range map[string]string{"LaunchTemplateId": "lt-1", "LaunchTemplateVersion.1": "3", "LaunchTemplateVersion.2": "5", "RegionId": testScope.Region} {
				if q.Get(key) != want {
					t.Errorf("%s=%q, want %q", key, q.Get(key), want)
				}
			}
		})
	}
	f := newFake(t, nil)
	for _, id := range []string{"", "lt 1", "lt-1&x=y"} {
		if _, err := newTestClient(t, f, nil).TemplateVersions(t.Context(), testScope, id, []int64{1}); ecs.ClassOf(err) != ecs.BadRequest {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// Whatever comes is a list within its bounds, or an error.
func FuzzLaunchTemplates(f *testing.F) {
	f.Add([]byte(templateList(2, templateRow("lt-1", 1, 2), templateRow("lt-2", 3, 3))))
	f.Add([]byte(`{"TotalCount":-9,"LaunchTemplateSets":{"LaunchTemplateSet":{"LaunchTemplateId":"lt-1","DefaultVersionNumber":"1","LatestVersionNumber":1}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out := &ecs.LaunchTemplates{}
		var got wireTemplates
		if err := unmarshal(body, &got); err != nil {
			return
		}
		if _, err := got.addTo(out, map[string]ecs.LaunchTemplate{}, testScope); err != nil {
			return
		}
		if len(out.List) > ecs.MaxTemplates || out.Counted < len(out.List) {
			t.Errorf("%d listed of %d", len(out.List), out.Counted)
		}
		for _, x := range out.List {
			if !sendableImage(x.ID) || x.Default < 1 || x.Latest < x.Default || len(x.Name) > maxTemplateName+3 {
				t.Errorf("%+v", x)
			}
		}
	})
}

// Through the real SDK the simulator's launch templates are read as they are, and
// doctor proves both permissions.
func TestLaunchTemplatesOfTheSimulator(t *testing.T) {
	sim, c := simulate(t, ecssim.Options{Instances: 4000, Regions: 2, Seed: 11}, nil)
	scope := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	list, err := c.LaunchTemplates(t.Context(), scope)
	if err != nil || len(list.List) == 0 || list.Counted != len(list.List) {
		t.Fatalf("%+v, %v", list, err)
	}
	later := 0
	for _, x := range list.List {
		numbers := []int64{x.Default}
		if x.Latest != x.Default {
			numbers = append(numbers, x.Latest)
			later++
		}
		versions, err := c.TemplateVersions(t.Context(), scope, x.ID, numbers)
		if err != nil || len(versions) != len(numbers) {
			t.Errorf("%+v: %+v, %v", x, versions, err)
		}
	}
	if later == 0 {
		t.Error("no launch template has a later version")
	}
	for _, permission := range c.Check(t.Context(), scope) {
		if !permission.Granted {
			t.Errorf("%+v", permission)
		}
	}
	for action, fault := range map[string]string{"ecs:DescribeLaunchTemplates": actTemplates, "ecs:DescribeLaunchTemplateVersions": actVersions, "ecs:DescribeDisks": actDisks} {
		denied, c := simulate(t, ecssim.Options{Instances: 4000, Regions: 2, Seed: 11, Faults: []ecssim.Fault{{Kind: ecssim.FaultForbidden, Action: fault}}}, nil)
		var missing []string
		for _, permission := range c.Check(t.Context(), ecs.Scope{Account: scope.Account, Region: denied.Regions()[0]}) {
			if permission.Missing() && permission.Optional {
				missing = append(missing, permission.Action)
			}
		}
		if diff := cmp.Diff([]string{action}, missing); diff != "" {
			t.Error(diff)
		}
	}
}
