package httpapi

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// instancesView is one page of the listing.
type instancesView struct {
	view
	Q                 url.Values
	Selects           []selectView
	Columns           []column
	Rows              []*record.Record
	Filtered          bool
	Total             string // how many match, "" where only reading them all would tell
	First, Next, JSON string
}

type selectView struct {
	Name, Label, Value string
	Options            []string
}

type column struct{ Label, Class, Href, Order string }

func (s *server) instances(w http.ResponseWriter, r *http.Request) {
	v := instancesView{view: s.view("Instances", "Instances"), Q: r.URL.Query()}
	v.Selects = v.selects()
	status := http.StatusOK
	l, err := parseListing(v.Q, v.Summary.Targets, s.o.Store.Known)
	if err != nil {
		status, v.Error = s.fault(r, err)
		v.Columns = v.columns(&listing{})
		s.page(w, status, "instances", v)
		return
	}
	rows, next, err := l.page(r.Context(), s.o.Store)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v.Rows, v.Columns = rows, v.columns(l)
	if n, known := l.total(v.Summary); known {
		v.Total = report.Number(n)
	}
	v.JSON = "/api/v1/instances?" + v.Q.Encode()
	if l.cursor != nil {
		v.First = v.with("cursor", "")
	}
	if next != "" {
		v.Next = v.with("cursor", next)
	}
	for name, values := range v.Q {
		v.Filtered = v.Filtered || name != "sort" && name != "order" && values[0] != ""
	}
	s.page(w, status, "instances", v)
}

// with is the address of the listing with one parameter changed.
func (v *instancesView) with(pairs ...string) string {
	q := url.Values{}
	for name, values := range v.Q {
		if len(values) > 0 && values[0] != "" {
			q.Set(name, values[0])
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return "/instances?" + q.Encode()
}

// selects offers the values that occur.
func (v *instancesView) selects() []selectView {
	values := func(get func(*record.Group) string) []string {
		seen := map[string]bool{}
		for i := range v.Summary.Groups {
			if value := get(&v.Summary.Groups[i]); value != "" {
				seen[value] = true
			}
		}
		out := make([]string, 0, len(seen))
		for value := range seen {
			out = append(out, value)
		}
		slices.Sort(out)
		return out
	}
	return []selectView{
		{"target", "Target", v.Q.Get("target"), v.Summary.Targets},
		{"verdict", "Verdict", v.Q.Get("verdict"), report.Levels()},
		{"os_family", "Operating system", v.Q.Get("os_family"), values(func(g *record.Group) string { return g.OSFamily })},
		{"account", "Account", v.Q.Get("account"), values(func(g *record.Group) string { return g.Account })},
		{"region", "Region", v.Q.Get("region"), values(func(g *record.Group) string { return g.Region })},
	}
}

// columns are the heads of the table; each sorts by itself.
func (v *instancesView) columns(l *listing) []column {
	var out []column
	for _, c := range []struct{ label, class, sort string }{
		{"instance", "", "id"}, {"name", "opt", "name"}, {"account / region", "opt", ""}, {"type", "opt", "type"}, {"operating system", "opt", "os"},
	} {
		out = append(out, v.column(l, c.label, c.class, c.sort, "", c.sort == l.Sort))
	}
	for _, target := range v.Summary.Targets {
		out = append(out, v.column(l, report.Short(target, 40), "", "verdict", target, l.Sort == "verdict" && l.Filter.Target == target))
	}
	return out
}

func (v *instancesView) column(l *listing, label, class, sort, target string, current bool) column {
	c := column{Label: label, Class: class}
	order := ""
	if current {
		c.Order = "ascending"
		if l.Down {
			c.Order = "descending"
		} else if sort != "" { // the order of keys has one direction
			order = "desc"
		}
	}
	pairs := []string{"cursor", "", "sort", sort, "order", order}
	if target != "" {
		pairs = append(pairs, "target", target)
	}
	c.Href = v.with(pairs...)
	return c
}
