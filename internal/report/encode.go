package report

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// rowsInBlock is how many rows stand in one script element: small enough to be
// read between two frames of the browser.
const rowsInBlock = 5000

// maxText bounds a string of one instance in the HTML report, in columns.
const maxText = 300

// encoder turns a stream of records into blocks of compact rows, kept
// compressed: a hundredth of what the records would take.
type encoder struct {
	targets  []string
	book     book
	families buckets
	remedies map[[2]string]string // OS family and version -> first remedy
	worst    *worstFew
	rows     int
	line     []byte
	buf      bytes.Buffer
	z        *flate.Writer
}

func newEncoder(targets []string) (*encoder, error) {
	e := &encoder{targets: targets, families: buckets{}, remedies: map[[2]string]string{}, worst: &worstFew{limit: 50}}
	z, err := flate.NewWriter(&e.buf, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	e.z = z
	return e, nil
}

// add encodes one record.
func (e *encoder) add(rec *record.Record) error {
	e.line = e.line[:0]
	switch {
	case e.rows%rowsInBlock > 0:
		e.line = append(e.line, ",\n"...)
	case e.rows > 0:
		e.line = append(e.line, "]</script>\n"...)
		fallthrough
	default:
		e.line = append(e.line, `<script type="application/json" class="rows">[`...)
	}
	if err := e.row(rec); err != nil {
		return fmt.Errorf("encode %s: %w", Short(rec.InstanceID, 64), err)
	}
	if _, err := e.z.Write(e.line); err != nil {
		return err
	}
	e.rows++
	e.count(rec)
	return nil
}

// row appends the places of a row, as web/report.js names them.
func (e *encoder) row(rec *record.Record) error {
	b := &e.book
	e.line = append(e.line, '[')
	e.number(b.Scopes.number([2]string{Short(rec.Account, maxText), Short(rec.Region, maxText)}))
	e.number(b.Strings.number(Short(rec.Zone, maxText)))
	for _, text := range []string{rec.InstanceID, rec.InstanceName} {
		data, err := json.Marshal(Short(text, maxText))
		if err != nil {
			return err
		}
		e.line = append(append(e.line, escapeJSON(data)...), ',')
	}
	e.number(b.Types.number(typeRow{Short(rec.InstanceType, maxText), Short(rec.InstanceFamily, maxText), Short(rec.Virtualization, maxText), rec.CPU, rec.MemoryMiB}))
	e.number(b.Images.number([2]string{Short(rec.ImageID, maxText), Short(rec.ImageOwner, maxText)}))
	e.number(b.Strings.number(Short(rec.Status, maxText)))
	e.number(b.profile(rec, e.targets))
	e.number(int(rec.ObservedAt.Unix()))
	e.line = append(e.line, '[')
	for i, k := range sortedKeys(rec.Tags) {
		if i > 0 {
			e.line = append(e.line, ',')
		}
		e.number(b.Strings.number(Short(k, maxText)))
		e.line = strconv.AppendInt(e.line, int64(b.Strings.number(Short(rec.Tags[k], maxText))), 10)
	}
	e.line = append(e.line, "],"...)
	gone := int64(0)
	if rec.GoneAt != nil {
		gone = rec.GoneAt.Unix()
	}
	e.line = append(strconv.AppendInt(e.line, gone, 10), ']')
	return nil
}

func (e *encoder) number(n int) {
	e.line = append(strconv.AppendInt(e.line, int64(n), 10), ',')
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
	if err := writeValue(w, &e.book); err != nil {
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
