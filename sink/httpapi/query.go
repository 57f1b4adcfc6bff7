package httpapi

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
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
	Filter Filter
	Limit  int
	Sort   string // "" is account, region, instance id
	Down   bool
	cursor *cursor
}

// cursor is the place behind which a page starts: the sort value and the key
// of its last row. It is opaque to clients.
type cursor struct {
	Sort  string `json:"s,omitempty"`
	Value string `json:"v,omitempty"`
	Key   Key    `json:"k"`
}

func (c cursor) String() string {
	data, err := json.Marshal(c)
	if err != nil { // cannot happen: strings only
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func parseCursor(s string) (*cursor, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > 2000 {
		return nil, badQuery("cursor is too long")
	}
	data, err := base64.RawURLEncoding.DecodeString(s)
	var c cursor
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return nil, badQuery("cursor is not one that a listing returned")
	}
	return &c, nil
}

// noVerdict sorts a record without a verdict behind all that have one.
const noVerdict = "9"

// osValue sorts by the name that people see; two systems never share one.
func osValue(family, version string) string {
	return report.OSName(family, version) + "\x00" + family + "\x00" + version
}

// sortKeys are the columns that a listing can be sorted by, and the value of a
// record in each. Verdicts sort worst first.
func sortValue(by, target string, rec *record.Record) string {
	switch by {
	case "name":
		return rec.InstanceName
	case "id":
		return rec.InstanceID
	case "type":
		return rec.InstanceType
	case "os":
		return osValue(rec.OS.Family, rec.OS.Version)
	case "verdict":
		v := report.WorstVerdict(rec)
		if target != "" {
			v = report.VerdictOn(rec, target)
		}
		if v != nil {
			return strconv.Itoa(slices.Index(report.Levels(), v.Level.String()))
		}
		return noVerdict
	}
	return ""
}

func sortKeys() []string { return []string{"", "id", "name", "type", "os", "verdict"} }

// parseListing reads the query of a listing; everything in it is untrusted.
func parseListing(q url.Values, targets []string) (*listing, error) {
	for name, values := range q {
		if len(values) > 1 || len(values[0]) > maxParam && name != "cursor" {
			return nil, badQuery("parameter %s stands twice or is longer than %d bytes", report.Short(name, 40), maxParam)
		}
	}
	l := &listing{
		Limit: defaultLimit, Sort: q.Get("sort"), Down: q.Get("order") == "desc",
		Filter: Filter{
			Account: q.Get("account"), Region: q.Get("region"), Target: q.Get("target"), Verdict: q.Get("verdict"),
			OSFamily: q.Get("os_family"), OSVersion: q.Get("os_version"), Q: strings.TrimSpace(q.Get("q")), Gone: q.Get("gone") == "true",
		},
	}
	if t := l.Filter.Target; t != "" && !slices.Contains(targets, t) {
		return nil, badQuery("target %q is not one of %s", report.Short(t, 40), strings.Join(targets, ", "))
	}
	if v := l.Filter.Verdict; v != "" && !slices.Contains(report.Levels(), v) {
		return nil, badQuery("verdict %q is not one of %s", report.Short(v, 40), strings.Join(report.Levels(), ", "))
	}
	if !slices.Contains(sortKeys(), l.Sort) {
		return nil, badQuery("sort %q is not one of id, name, type, os, verdict", report.Short(l.Sort, 40))
	}
	if s := q.Get("legacy"); s != "" {
		legacy, err := strconv.ParseBool(s)
		if err != nil {
			return nil, badQuery("legacy is true or false")
		}
		l.Filter.Legacy = &legacy
	}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLimit {
			return nil, badQuery("limit is a number from 1 to %d", maxLimit)
		}
		l.Limit = n
	}
	c, err := parseCursor(q.Get("cursor"))
	if err != nil {
		return nil, err
	}
	if c != nil && c.Sort != l.Sort {
		return nil, badQuery("cursor belongs to another sort order")
	}
	l.cursor = c
	return l, nil
}

// row is a record with what it is sorted by.
type row struct {
	rec   *record.Record
	value string
}

func keyOf(rec *record.Record) Key { return Key{rec.Account, rec.Region, rec.InstanceID} }

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID))
}

// compare orders rows; keys break ties upwards in either direction, so that
// the order is total.
func (l *listing) compare(av string, ak Key, bv string, bk Key) int {
	by := cmp.Compare(av, bv)
	if l.Down {
		by = -by
	}
	return cmp.Or(by, compareKeys(ak, bk))
}

// page reads one page and the cursor of the next, "" when there is none.
func (l *listing) page(ctx context.Context, st Store, sum *record.Summary) ([]*record.Record, string, error) {
	var best []row
	var err error
	if parts := l.partitions(sum); parts != nil {
		best, err = l.parts(ctx, st, parts)
	} else {
		best, err = l.whole(ctx, st)
	}
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(best) > l.Limit {
		best = best[:l.Limit]
		last := best[l.Limit-1]
		next = cursor{Sort: l.Sort, Value: last.value, Key: keyOf(last.rec)}.String()
	}
	out := make([]*record.Record, len(best))
	for i := range best {
		out[i] = best[i].rec
	}
	return out, next, nil
}

// whole reads a page of one listing. In the order of keys the store is read
// from the cursor on; in any other order all that match are read and only the
// best kept.
func (l *listing) whole(ctx context.Context, st Store) ([]row, error) {
	f := l.Filter
	if l.Sort == "" {
		if l.cursor != nil {
			f.After = l.cursor.Key
		}
		f.Limit = l.Limit + 1
	}
	var best []row
	for rec, err := range st.Instances(ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("list instances: %w", err)
		}
		r := row{rec, sortValue(l.Sort, f.Target, rec)}
		if l.cursor != nil && l.compare(r.value, keyOf(rec), l.cursor.Value, l.cursor.Key) <= 0 {
			continue
		}
		best = l.keep(best, r)
		if l.Sort == "" && len(best) > l.Limit {
			break
		}
	}
	return best, nil
}

// keep inserts r in order and drops what no page can show.
func (l *listing) keep(best []row, r row) []row {
	less := func(a, b row) int { return l.compare(a.value, keyOf(a.rec), b.value, keyOf(b.rec)) }
	if len(best) > l.Limit && less(r, best[len(best)-1]) >= 0 {
		return best
	}
	at, _ := slices.BinarySearchFunc(best, r, less)
	best = slices.Insert(best, at, r)
	if len(best) > l.Limit+1 {
		best = best[:l.Limit+1]
	}
	return best
}
