package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// Bounds of a listing.
const (
	defaultLimit = 50
	maxLimit     = 500
	maxParam     = 200 // bytes of one parameter
)

// errBadQuery marks an error of the one who asks.
var errBadQuery = errors.New("bad request")

func badQuery(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errBadQuery}, args...)...)
}

// listing is a parsed query for instances.
type listing struct {
	Filter store.Filter
	Limit  int
	Sort   string // "" is account, region, instance id
	Down   bool
	cursor *cursor
	scope  filter.Filter // every word of the one filter
}

// cursor is the place behind which a page starts, or before which it ends, and
// the order in which it is one. It is opaque to clients.
type cursor struct {
	Sort  string `json:"s,omitempty"`
	Down  bool   `json:"d,omitempty"`
	Back  bool   `json:"b,omitempty"`
	Value []byte `json:"v,omitempty"` // with the next three, a place of the store

	Account    string `json:"a"`
	Region     string `json:"r"`
	InstanceID string `json:"i"`
}

func (c cursor) String() string {
	data, err := json.Marshal(c)
	if err != nil { // cannot happen: strings and bytes only
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseCursor(value string) (*cursor, error) {
	if value == "" {
		return nil, nil
	}
	if len(value) > 2000 {
		return nil, badQuery("cursor is too long")
	}
	data, err := base64.RawURLEncoding.DecodeString(value)
	var parsed cursor
	if err == nil {
		err = json.Unmarshal(data, &parsed)
	}
	if err != nil {
		return nil, badQuery("cursor is not one that a listing returned")
	}
	return &parsed, nil
}

// noVerdict sorts a record without a verdict behind all that have one.
const noVerdict = "9"

// osValue sorts by the name that people see; two systems never share one.
func osValue(family, version string) string {
	return report.OSName(family, version) + "\x00" + family + "\x00" + version
}

// order is how the store sorts the listing.
func (l *listing) order() store.Sort {
	sort := store.Sort{By: store.SortByKey, Down: l.Down, Back: l.cursor != nil && l.cursor.Back}
	switch l.Sort {
	case "id":
		sort.By = store.SortByID
	case "name":
		sort.By = store.SortByName
	case "type":
		sort.By = store.SortByType
	case "os":
		sort.By, sort.Class = store.SortByClass, func(c *store.Class) string { return osValue(c.OSFamily, c.OSVersion) }
	case "verdict":
		sort.By, sort.Class = store.SortByClass, func(c *store.Class) string { return verdictValue(c, l.Filter.Target) }
	}
	return sort
}

// verdictValue sorts verdicts on a target worst first, or with none the worst
// of all targets.
func verdictValue(c *store.Class, target string) string {
	for i, level := range report.Levels() {
		for name, have := range c.Levels {
			if have.String() == level && (target == "" || target == name) {
				return strconv.Itoa(i)
			}
		}
	}
	return noVerdict
}

// sortKeys are what a listing can be sorted by; "" and "place" are account,
// region, instance id.
func sortKeys() []string { return []string{"", "place", "id", "name", "type", "os", "verdict"} }

// isTrue says whether a parameter says yes; what says neither was refused before.
func isTrue(value string) bool {
	yes, err := strconv.ParseBool(value)
	return err == nil && yes
}

// parseListing reads the query of a listing; everything in it is untrusted.
func parseListing(query url.Values) (*listing, error) {
	for name, values := range query {
		if slices.Contains(filter.Words(), name) {
			continue
		}
		if len(values) > 1 || len(values[0]) > maxParam && name != "cursor" {
			return nil, badQuery("parameter %s stands twice or is longer than %d bytes", report.Short(name, 40), maxParam)
		}
	}
	scope, err := scopeOf(query)
	if err != nil {
		return nil, err
	}
	list := &listing{
		scope: scope,
		Sort:  query.Get("sort"), Down: query.Get("order") == "desc",
		Filter: store.Filter{
			Target:   query.Get("target"),
			OSFamily: query.Get("os_family"), OSVersion: query.Get("os_version"), Query: strings.TrimSpace(query.Get("q")), Gone: isTrue(query.Get("gone")),
		},
	}
	// What the counts of the store can tell is asked of them: one account, one
	// region, one verdict, which alone has to do with the target.
	rest := maps.Clone(query)
	for word, into := range map[string]*string{"account": &list.Filter.Account, "region": &list.Filter.Region, "verdict": &list.Filter.Verdict} {
		if values := several(query, word); len(values) == 1 && !strings.Contains(values[0], "=") && len(query[word]) == 1 {
			*into = values[0]
			delete(rest, word)
		}
	}
	if list.Filter.Scope, err = scopeOf(rest); err != nil {
		return nil, err
	}
	if v := list.Filter.Verdict; v != "" && !slices.Contains(report.Levels(), v) {
		return nil, badQuery("verdict %q is not one of %s", report.Short(v, 40), strings.Join(report.Levels(), ", "))
	}
	if !slices.Contains(sortKeys(), list.Sort) {
		return nil, badQuery("sort %q is not one of place, id, name, type, os, verdict", report.Short(list.Sort, 40))
	}
	if list.Sort == "place" {
		list.Sort = ""
	}
	if s := query.Get("legacy"); s != "" {
		legacy, err := strconv.ParseBool(s)
		if err != nil {
			return nil, badQuery("legacy is true or false")
		}
		list.Filter.Legacy = &legacy
	}
	if list.Limit, err = limitOf(query, defaultLimit); err != nil {
		return nil, err
	}
	cursor, err := parseCursor(query.Get("cursor"))
	if err != nil {
		return nil, err
	}
	if cursor != nil && (cursor.Sort != list.Sort || cursor.Down != (list.Down && list.Sort != "")) {
		return nil, badQuery("cursor belongs to another sort order")
	}
	list.cursor = cursor
	return list, nil
}

// check holds the names of a listing against what the store knows.
func (l *listing) check(v View) error {
	known := v.Known()
	if t := l.Filter.Target; t != "" && !slices.Contains(known.Targets, t) {
		return badQuery("target %q is not one of %s", report.Short(t, 40), strings.Join(known.Targets, ", "))
	}
	if err := l.checkSystem(known.Systems); err != nil {
		return err
	}
	return l.scope.Check(known)
}

// checkSystem refuses a system that the store's history never saw, as the word os of the
// filter does: an empty list that is complete would say that there is none of a name that
// was misspelt. systems is nil where they are not known.
func (l *listing) checkSystem(systems []string) error {
	family, version := l.Filter.OSFamily, l.Filter.OSVersion
	if version == filter.NoVersion {
		version = ""
	}
	if systems == nil || slices.ContainsFunc(systems, func(system string) bool {
		seen, release, _ := strings.Cut(system, " ")
		return (family == "" || family == seen) && (version == "" || version == release)
	}) {
		return nil
	}
	asked := strings.TrimSpace(family + " " + version)
	return badQuery("os_family and os_version: %q is no operating system that this store has ever seen%s", report.Short(asked, 80), filter.Nearest(asked, systems))
}

// listed is one page of a listing, and what all of it comes to.
type listed struct {
	rows       []*record.Record
	next, prev string // cursors, "" where there is no such page
	summary    *record.Summary
	known      *filter.Known
	total      int
}

// listed reads one page of a listing.
func (s *server) listed(r *http.Request, listing *listing) (*listed, error) {
	view, err := s.o.Store.View(r.Context(), listing.Filter)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	defer s.close(view)
	out := &listed{summary: view.Summary(), known: view.Known()}
	if err := listing.check(view); err != nil {
		return out, err
	}
	if out.total = out.summary.Instances; listing.Filter.Gone {
		out.total += out.summary.Gone
	}
	if err := listing.page(r.Context(), view, out); err != nil {
		return out, fmt.Errorf("list instances: %w", err)
	}
	return out, nil
}

// page reads the rows of a page and one more, which tells whether there is
// another.
func (l *listing) page(ctx context.Context, view View, out *listed) error {
	var at *store.Place
	back := l.cursor != nil && l.cursor.Back
	if l.cursor != nil {
		at = &store.Place{Value: string(l.cursor.Value), Account: l.cursor.Account, Region: l.cursor.Region, InstanceID: l.cursor.InstanceID}
	}
	rows, err := view.Sorted(ctx, l.order(), at, l.Limit+1)
	if err != nil {
		return err
	}
	more := len(rows) > l.Limit
	rows = rows[:min(len(rows), l.Limit)]
	if back {
		slices.Reverse(rows)
	}
	for i := range rows {
		out.rows = append(out.rows, rows[i].Record)
	}
	if len(rows) == 0 {
		return nil
	}
	cursorAt := func(p store.Place, back bool) string {
		return cursor{Sort: l.Sort, Down: l.Down && l.Sort != "", Back: back, Value: []byte(p.Value), Account: p.Account, Region: p.Region, InstanceID: p.InstanceID}.String()
	}
	if more || back {
		out.next = cursorAt(rows[len(rows)-1].Place, false)
	}
	if at != nil && !back || back && more {
		out.prev = cursorAt(rows[0].Place, true)
	}
	return nil
}
