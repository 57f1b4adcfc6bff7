package httpapi

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
)

// instancesView is one page of the listing.
type instancesView struct {
	view
	Q                       url.Values
	Fields                  []field
	Hidden                  []chip // parameters that no field shows
	Chips                   []chip // what the listing is narrowed to
	Columns                 []column
	Rows                    []*record.Record
	Failures                []record.Failure
	Total                   string
	First, Prev, Next, JSON string
	CSV                     string
}

// field is a control of the filter.
type field struct {
	Name, Label, Value, Hint string
	Options                  []option // of a select; of what is typed, suggestions
	Typed                    bool
}

type option struct{ Value, Label string }

// chip is a parameter in force.
type chip struct{ Name, Label, Value, Remove string }

type column struct{ Label, Class, Href, Order string }

// worstFirst is the order of the page where none is asked for.
const worstFirst = "verdict"

func (s *server) instances(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	asked := maps.Clone(query)
	asked.Del("refresh")
	if asked.Get("sort") == "" {
		asked.Set("sort", worstFirst)
	}
	list, err := parseListing(asked)
	var page *listed
	if err == nil {
		page, err = s.listed(r, list)
	}
	view := instancesView{Q: query}
	status := http.StatusOK
	if err != nil {
		if page == nil { // not even the filter could be read
			list = &listing{}
			page, _ = s.listed(r, &listing{Limit: 1})
		}
		if page == nil {
			s.fail(w, r, err)
			return
		}
		page.rows, page.next, page.prev = nil, "", ""
	}
	view.view = s.viewOf(r, languageOf(r).Say("Instances"), "Instances", page.summary)
	if err != nil {
		if status, view.Error = s.fault(r, err); status >= 500 {
			s.failWith(w, r, status, view.Error)
			return
		}
	}
	view.Chips = view.chips()
	if words := view.words(); words != "" {
		view.Title = report.Short(view.lang.Say("Instances")+": "+words, 120)
	}
	for i := range view.Chips {
		if c := &view.Chips[i]; closed(c.Name) {
			c.Value = view.lang.Say(c.Value)
		}
	}
	view.Fields, view.Hidden = view.fields(page), hidden(query, "os_family", "os_version", "exclude", "order", "limit")
	view.Rows, view.Columns, view.Total = page.rows, view.columns(list, page.known.Targets), report.Number(page.total)
	for i := range page.summary.Scopes {
		view.Failures = append(view.Failures, page.summary.Scopes[i].Failures...)
	}
	view.Failures = view.Failures[:min(len(view.Failures), maxFailures)]
	view.JSON = "/api/v1/instances?" + asked.Encode()
	if s.o.Answers != nil {
		view.CSV = view.csv()
	}
	if list.cursor != nil {
		view.First = view.with("cursor", "")
	}
	if page.next != "" {
		view.Next = view.with("cursor", page.next)
	}
	if page.prev != "" {
		view.Prev = view.with("cursor", page.prev)
	}
	s.page(w, r, status, "instances", &view)
}

// address is a path with the parameters of a query that say something, some of which
// are changed; "" takes one out.
func address(path string, query url.Values, pairs ...string) string {
	values := url.Values{}
	for name, list := range query {
		for _, value := range list {
			if value != "" {
				values.Add(name, value)
			}
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			values.Del(pairs[i])
		} else {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return strings.TrimSuffix(path+"?"+values.Encode(), "?")
}

// with is the address of the listing with some parameters changed.
func (v *instancesView) with(pairs ...string) string { return address("/instances", v.Q, pairs...) }

// csv is the address of the same instances as CSV, "" where only the listing
// can tell them.
func (v *instancesView) csv() string {
	query := url.Values{}
	for name, values := range v.Q {
		switch {
		case len(values) == 0 || values[0] == "" || name == "sort" || name == "order" || name == "cursor" || name == "limit":
		case slices.Contains(filter.Words(), name):
			query[name] = values
		case name == "target": // with verdict
		default:
			return ""
		}
	}
	if target, verdict := v.Q.Get("target"), v.Q.Get("verdict"); target != "" && verdict != "" && !strings.Contains(verdict, "=") {
		query.Set("verdict", target+"="+verdict)
	}
	return address("/api/v1/instances.csv", query)
}

// plainNames are the names of parameters for people.
func plainNames() [][2]string {
	return [][2]string{
		{"q", "Search"},
		{"verdict", "Verdict"},
		{"target", "Target"},
		{"confidence", "Confidence"},
		{"waived", "Waived"},
		{"os", "Operating system"},
		{"os_family", "Operating system"},
		{"os_version", "Version"},
		{"legacy", "Legacy"},
		{"account", "Account"},
		{"region", "Region"},
		{"tag", "Tag"},
		{"family", "Family"},
		{"image", "Image"},
		{"status", "Status"},
		{"up", "Heard of on"},
		{"exclude", "Without"},
		{"gone", "Gone too"},
	}
}

// chips are what the listing is narrowed to, each with the way out.
func (v *instancesView) chips() []chip {
	var out []chip
	for _, name := range plainNames() {
		value := strings.Join(v.Q[name[0]], ", ")
		if value == "" || name[0] == "target" && v.Q.Get("verdict") == "" {
			continue
		}
		pairs := []string{name[0], "", "cursor", ""}
		if name[0] == "os_family" {
			pairs = append(pairs, "os_version", "")
			value = report.OSName(value, strings.Replace(v.Q.Get("os_version"), filter.NoVersion, "", 1))
			if v.Q.Get("os_version") == "" {
				value = strings.TrimSuffix(value, " (version not known)")
			}
		}
		if name[0] == "os_version" && v.Q.Get("os_family") != "" {
			continue
		}
		out = append(out, chip{name[0], name[1], report.Short(value, 80), v.with(pairs...)})
	}
	return out
}

// closed tells whether the values of a parameter are words of shenscan.
func closed(name string) bool {
	return slices.Contains([]string{"verdict", "confidence", "waived", "legacy", "gone"}, name)
}

// words name the filter in a title.
func (v *instancesView) words() string {
	var out []string
	for _, chip := range v.Chips {
		switch chip.Name {
		case "verdict":
			if target := v.Q.Get("target"); target != "" {
				chip.Value += " on " + target
			}
		case "target":
			continue
		case "confidence":
			chip.Value += " confidence"
		case "legacy":
			chip.Value = map[string]string{"true": "legacy", "false": "not legacy"}[chip.Value]
		case "waived":
			chip.Value = map[string]string{"yes": "waived", "no": "not waived"}[chip.Value]
		case "gone":
			chip.Value = "gone too"
		case "exclude":
			chip.Value = "without " + chip.Value
		}
		if closed(chip.Name) || chip.Name == "exclude" {
			chip.Value = v.lang.Say(chip.Value)
		}
		out = append(out, chip.Value)
	}
	return strings.Join(out, ", ")
}

// hidden keeps the parameters that no field shows.
func hidden(query url.Values, names ...string) []chip {
	var out []chip
	for _, name := range names {
		for _, value := range query[name] {
			if value != "" {
				out = append(out, chip{Name: name, Value: value})
			}
		}
	}
	return out
}

// fields offer what occurs.
func (v *instancesView) fields(listed *listed) []field {
	var systems []option
	for _, s := range listed.known.Systems {
		family, version, _ := strings.Cut(s, " ")
		name := report.OSName(family, version)
		if version == "" {
			name = strings.TrimSuffix(name, " (version not known)")
		}
		systems = append(systems, option{name, ""})
	}
	fields := []field{
		{Name: "target", Label: "Target", Options: plain(listed.known.Targets)},
		{Name: "verdict", Label: "Verdict", Options: plain(report.Levels())},
		{Name: "confidence", Label: "Confidence", Options: plain([]string{"high", "medium", "low"})},
		{Name: "waived", Label: "Waived", Options: []option{{"yes", "waived"}, {"no", "not waived"}}},
		{Name: "os", Label: "Operating system", Options: systems, Typed: true, Hint: "CentOS 5, Debian"},
		{Name: "tag", Label: "Owner or other tag", Typed: true, Hint: "owner=payments"},
		{Name: "family", Label: "Family", Options: plain(listed.known.Families), Typed: true, Hint: "ecs.g5"},
		{Name: "image", Label: "Image", Typed: true, Hint: "m-bp1…"},
		{Name: "status", Label: "Status", Options: plain(filter.Statuses())},
		{Name: "up", Label: "Heard of on", Options: plain(rules.Classes())},
		{Name: "account", Label: "Account", Options: plain(listed.known.Accounts)},
		{Name: "region", Label: "Region", Options: v.regions(listed)},
		{Name: "sort", Label: "Order", Options: []option{{"", "worst first"}, {"place", "account and region"}, {"id", "id"}, {"name", "name"}, {"type", "type"}, {"os", "operating system"}}},
	}
	return inForce(fields, v.Q)
}

// plain are options that are called as they are.
func plain(values []string) []option {
	var out []option
	for _, value := range values {
		if value != "" {
			out = append(out, option{value, report.Short(value, 60)})
		}
	}
	return out
}

// inForce gives the fields that have no value yet that of the query.
func inForce(fields []field, query url.Values) []field {
	for i := range fields {
		f := &fields[i]
		f.Value = cmp.Or(f.Value, strings.Join(query[f.Name], ","))
		if f.Name == "sort" && f.Value == worstFirst {
			f.Value = ""
		}
		if !f.Typed && f.Value != "" && !slices.ContainsFunc(f.Options, func(o option) bool { return o.Value == f.Value }) {
			f.Options = append(f.Options, option{f.Value, report.Short(f.Value, 60)}) // several values, or one that is not known
		}
	}
	return fields
}

// regions are those that are known, with what was not read of them.
func (v *instancesView) regions(listed *listed) []option {
	lacks := map[string]string{}
	for i := range listed.summary.Scopes {
		if sc := &listed.summary.Scopes[i]; sc.Completeness != record.ScopeComplete {
			lacks[sc.Region] = map[record.Completeness]string{record.ScopeFailed: "failed", record.ScopePartial: "partial"}[sc.Completeness]
			if lacks[sc.Region] == "" {
				lacks[sc.Region] = "not read yet"
			}
		}
	}
	var out []option
	for _, region := range listed.known.Regions {
		if region == "" {
			continue
		}
		label := report.Short(region, 60)
		if lack := lacks[region]; lack != "" {
			label += " (" + lack + ")"
		}
		out = append(out, option{region, label})
	}
	return out
}

// columns are the heads of the table; each sorts by itself.
func (v *instancesView) columns(listing *listing, targets []string) []column {
	var out []column
	for _, c := range []struct{ label, class, sort string }{
		{"instance", "", "id"}, {"name", "opt", "name"}, {"account / region", "opt", "place"}, {"type", "opt", "type"}, {"operating system", "opt", "os"},
	} {
		out = append(out, v.column(listing, c.label, c.class, c.sort, "", c.sort == listing.Sort || c.sort == "place" && listing.Sort == ""))
	}
	for _, target := range targets {
		out = append(out, v.column(listing, report.Short(target, 40), "vd", worstFirst, target, listing.Sort == worstFirst && listing.Filter.Target == target))
	}
	return out
}

func (v *instancesView) column(listing *listing, label, class, sort, target string, current bool) column {
	made := column{Label: label, Class: class}
	order := ""
	if current {
		made.Order = "ascending"
		if listing.Down {
			made.Order = "descending"
		} else if sort != "place" { // the order of keys has one direction
			order = "desc"
		}
	}
	pairs := []string{"cursor", "", "sort", sort, "order", order}
	if target != "" {
		pairs = append(pairs, "target", target)
	}
	made.Href = v.with(pairs...)
	return made
}
