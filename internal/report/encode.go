package report

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// rowsInBlock is how many rows stand in one script element: small enough to be
// read between two frames of the browser.
const rowsInBlock = 5000

// maxText bounds a string of one instance in the HTML report, in columns.
const maxText = 300

// maxKnown bounds the table that finds profiles by identity.
const maxKnown = 1 << 16

// book holds what rows share, each once, numbered as it came up.
type book struct {
	Scopes   [][2]string `json:"scopes"`
	Types    [][5]any    `json:"types"` // id, family, virtualization, vCPUs, MiB
	Images   [][2]string `json:"images"`
	Strings  []string    `json:"strings"`
	Tags     []tagSet    `json:"tags"`
	Profiles []profile   `json:"profiles"`
}

type tagSet map[string]string

// profile is what a set of facts leads to, shared by many instances.
type profile struct {
	Name      string           `json:"name"`
	OS        rules.OS         `json:"os"`
	Legacy    bool             `json:"legacy"`
	Conflicts []rules.Conflict `json:"conflicts,omitempty"`
	Verdicts  []rules.Verdict  `json:"verdicts"`
}

// encoder turns a stream of records into blocks of compact rows, kept
// compressed: a hundredth of what the records would take.
type encoder struct {
	targets  []string
	book     book
	index    map[any]int
	known    map[knownKey]int
	families buckets
	remedies map[[2]string]string // OS family and version -> first remedy
	worst    *worstFew
	rows     int
	buf      bytes.Buffer
	z        *flate.Writer
}

// knownKey recognises a shared classification without looking into it.
type knownKey struct {
	verdicts *rules.Verdict
	os       rules.OS
}

func newEncoder(targets []string) (*encoder, error) {
	e := &encoder{
		targets: targets, index: map[any]int{}, known: map[knownKey]int{}, families: buckets{},
		remedies: map[[2]string]string{}, worst: &worstFew{limit: 50},
	}
	z, err := flate.NewWriter(&e.buf, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	e.z = z
	return e, nil
}

// add encodes one record.
func (e *encoder) add(rec *record.Record) error {
	open := ",\n"
	if e.rows%rowsInBlock == 0 {
		if open = "<script type=\"application/json\" class=\"rows\">["; e.rows > 0 {
			open = "]</script>\n" + open
		}
	}
	row, err := json.Marshal(e.row(rec))
	if err != nil {
		return fmt.Errorf("encode %s: %w", Short(rec.InstanceID, 64), err)
	}
	if _, err := io.WriteString(e.z, open); err != nil {
		return err
	}
	if _, err := e.z.Write(escapeJSON(row)); err != nil {
		return err
	}
	e.rows++
	e.count(rec)
	return nil
}

// row is the places in a row that web/report.js names.
func (e *encoder) row(rec *record.Record) []any {
	gone := int64(0)
	if rec.GoneAt != nil {
		gone = rec.GoneAt.Unix()
	}
	b := &e.book
	scope := intern(e, &b.Scopes, "s", [2]string{Short(rec.Account, maxText), Short(rec.Region, maxText)})
	typ := intern(e, &b.Types, "t", [5]any{Short(rec.InstanceType, maxText), Short(rec.InstanceFamily, maxText), rec.Virtualization, rec.CPU, rec.MemoryMiB})
	image := intern(e, &b.Images, "i", [2]string{Short(rec.ImageID, maxText), Short(rec.ImageOwner, maxText)})
	zone := intern(e, &b.Strings, "z", Short(rec.Zone, maxText))
	status := intern(e, &b.Strings, "z", Short(rec.Status, maxText))
	return []any{
		scope, zone, Short(rec.InstanceID, maxText), Short(rec.InstanceName, maxText), typ, image, status,
		e.profile(rec), rec.ObservedAt.Unix(), e.tags(rec.Tags), gone,
	}
}

// internKey keeps values of different lists apart.
type internKey[T comparable] struct {
	list  string
	value T
}

// intern returns the place of v in list, adding it when it is new.
func intern[T comparable](e *encoder, list *[]T, kind string, v T) int {
	key := internKey[T]{kind, v}
	at, ok := e.index[key]
	if !ok {
		at = len(*list)
		*list = append(*list, v)
		e.index[key] = at
	}
	return at
}

func (e *encoder) tags(tags map[string]string) int {
	var key strings.Builder
	key.WriteByte('g')
	clean := tagSet{}
	for _, k := range sortedKeys(tags) {
		name, value := Short(k, maxText), Short(tags[k], maxText)
		clean[name] = value
		fmt.Fprintf(&key, "%q=%q,", name, value)
	}
	at, ok := e.index[key.String()]
	if !ok {
		at = len(e.book.Tags)
		e.book.Tags = append(e.book.Tags, clean)
		e.index[key.String()] = at
	}
	return at
}

// profile finds the record's classification by identity, and by content when
// it is not shared.
func (e *encoder) profile(rec *record.Record) int {
	var id knownKey
	if len(rec.Verdicts) > 0 {
		id = knownKey{&rec.Verdicts[0], rec.OS}
		if at, ok := e.known[id]; ok {
			return at
		}
	}
	p := profile{Name: OSName(rec.OS.Family, rec.OS.Version), OS: rec.OS, Legacy: rec.Legacy, Conflicts: rec.Conflicts}
	for _, target := range e.targets {
		v := rules.Verdict{Target: target, Reason: "no verdict is held for this target"}
		if have := VerdictOn(rec, target); have != nil {
			v = *have
		}
		v.Remedies, v.Checks, v.Findings = orEmpty(v.Remedies), orEmpty(v.Checks), nil
		p.Verdicts = append(p.Verdicts, v)
	}
	content, err := json.Marshal(p)
	if err != nil { // cannot happen: a profile is plain data
		content = []byte(p.Name)
	}
	key := "p" + string(content)
	at, ok := e.index[key]
	if !ok {
		at = len(e.book.Profiles)
		e.book.Profiles = append(e.book.Profiles, p)
		e.index[key] = at
	}
	if id.verdicts != nil {
		if len(e.known) >= maxKnown {
			clear(e.known)
		}
		e.known[id] = at
	}
	return at
}

// count keeps what the head of the page shows and the summary does not hold.
func (e *encoder) count(rec *record.Record) {
	b := e.families.get(Bucket{Family: rec.InstanceFamily})
	b.Instances++
	for i := range rec.Verdicts {
		b.Verdicts.add(rec.Verdicts[i].Target, rec.Verdicts[i].Level.String(), 1)
	}
	os := [2]string{rec.OS.Family, rec.OS.Version}
	if e.remedies[os] == "" {
		if text := firstRemedy(rec); text != "" {
			e.remedies[os] = text
		}
	}
	e.worst.add(rec)
}

// copyTo writes every block and then what they share.
func (e *encoder) copyTo(w io.Writer) error {
	if e.rows > 0 {
		if _, err := io.WriteString(e.z, "]</script>\n"); err != nil {
			return err
		}
	}
	if err := e.z.Close(); err != nil {
		return err
	}
	z := flate.NewReader(&e.buf)
	if _, err := io.Copy(w, z); err != nil {
		return err
	}
	if _, err := io.WriteString(w, `<script type="application/json" id="dict">`); err != nil {
		return err
	}
	b := &e.book
	b.Scopes, b.Types, b.Images = orEmpty(b.Scopes), orEmpty(b.Types), orEmpty(b.Images)
	b.Strings, b.Tags, b.Profiles = orEmpty(b.Strings), orEmpty(b.Tags), orEmpty(b.Profiles)
	if err := writeValue(w, b); err != nil {
		return err
	}
	_, err := io.WriteString(w, "</script>\n")
	return err
}

// worstFew keeps the first few records of each severity, worst first.
type worstFew struct {
	limit int
	by    [4][]*record.Record
}

// severity orders the levels, worst first.
func severity(l rules.Level) int {
	switch l {
	case rules.Incompatible:
		return 0
	case rules.Unknown:
		return 1
	case rules.NeedsAction:
		return 2
	default:
		return 3
	}
}

func (w *worstFew) add(rec *record.Record) {
	v := WorstVerdict(rec)
	if v == nil {
		return
	}
	if s := severity(v.Level); len(w.by[s]) < w.limit {
		w.by[s] = append(w.by[s], rec)
	}
}

func (w *worstFew) list() []*record.Record {
	var out []*record.Record
	for _, list := range w.by {
		out = append(out, list[:min(len(list), w.limit-len(out))]...)
	}
	return out
}
