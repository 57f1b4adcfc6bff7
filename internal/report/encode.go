package report

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"slices"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// rowsInBlock is how many rows stand in one script element: small enough to be
// read between two frames of the browser.
const rowsInBlock = 5000

// maxText bounds a string of one instance in the HTML report, in columns.
const maxText = 300

// maxRows bounds the instances in the HTML table; beyond it the worst are kept.
// A browser holds so many without effort.
const maxRows = 250_000

// encoder turns a stream of records into blocks of compact rows, kept
// compressed: a hundredth of what the records would take. Blocks hold rows of
// one severity, so that the worst can be taken first.
type encoder struct {
	targets  []string
	limit    int // rows that copyTo writes at most, to a block
	book     book
	families buckets
	remedies remedyCounts
	worst    *worstFew
	spools   [4]spool // by severity
	total    int      // records seen
	z        *flate.Writer
}

// spool holds the rows of one severity.
type spool struct {
	open   []byte // rows of the block at hand
	n      int    // of them
	blocks []block
	rows   int
}

type block struct {
	deflated []byte
	rows     int
}

func newEncoder(targets []string, limit int) (*encoder, error) {
	if limit <= 0 {
		limit = maxRows
	}
	e := &encoder{targets: targets, limit: limit, families: buckets{}, remedies: remedyCounts{}, worst: &worstFew{limit: 50}}
	writer, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	e.z = writer
	return e, nil
}

// add encodes one record, unless enough worse ones are there.
func (e *encoder) add(rec *record.Record) error {
	e.total++
	e.count(rec)
	at := len(e.spools) - 1
	if v := WorstVerdict(rec); v != nil {
		at = severity(v.Level)
	}
	worse := 0
	for i := range at + 1 {
		worse += e.spools[i].rows
	}
	if worse >= e.limit {
		return nil
	}
	row, err := e.row(rec)
	if err != nil {
		return fmt.Errorf("encode %s: %w", Short(rec.InstanceID, 64), err)
	}
	spool := &e.spools[at]
	lead := ",\n"
	if spool.n == 0 {
		lead = `<script type="application/json" class="rows">[`
	}
	spool.open = append(append(spool.open, lead...), row...)
	spool.n++
	spool.rows++
	if spool.n == min(rowsInBlock, e.limit) {
		return e.shut(spool)
	}
	return nil
}

// shut compresses the block at hand.
func (e *encoder) shut(spool *spool) error {
	if spool.n == 0 {
		return nil
	}
	spool.open = append(spool.open, "]</script>\n"...)
	var buf bytes.Buffer
	e.z.Reset(&buf)
	if _, err := e.z.Write(spool.open); err != nil {
		return err
	}
	if err := e.z.Close(); err != nil {
		return err
	}
	spool.blocks = append(spool.blocks, block{bytes.Clone(buf.Bytes()), spool.n})
	spool.open, spool.n = spool.open[:0], 0
	return nil
}

// blocks are the worst blocks, no more rows than the limit but for the last.
func (e *encoder) blocks() (out []block, rows int, err error) {
	for i := range e.spools {
		spool := &e.spools[i]
		if err := e.shut(spool); err != nil {
			return nil, 0, err
		}
		for _, block := range spool.blocks {
			if rows >= e.limit {
				return out, rows, nil
			}
			out, rows = append(out, block), rows+block.rows
		}
	}
	return out, rows, nil
}

// row has its places named in web/report.js.
func (e *encoder) row(rec *record.Record) ([]byte, error) {
	book := &e.book
	row := []any{
		book.Scopes.Number([2]string{Short(rec.Account, maxText), Short(rec.Region, maxText)}),
		book.Strings.Number(Short(rec.Zone, maxText)),
		Short(rec.InstanceID, maxText), Short(rec.InstanceName, maxText),
		book.Types.Number(typeRow{Short(rec.InstanceType, maxText), Short(rec.InstanceFamily, maxText), Short(rec.Virtualization, maxText), rec.CPU, rec.MemoryMiB}),
		book.Images.Number([2]string{Short(rec.ImageID, maxText), Short(rec.ImageOwner, maxText)}),
		book.Strings.Number(Short(rec.Status, maxText)), book.profile(rec, e.targets), rec.ObservedAt.Unix(),
	}
	tags := make([]any, 0, 2*len(rec.Tags))
	for _, key := range sortedKeys(rec.Tags) {
		tags = append(tags, e.shared(key), e.shared(rec.Tags[key]))
	}
	gone := int64(0)
	if rec.GoneAt != nil {
		gone = rec.GoneAt.Unix()
	}
	return EncodeJSON(append(row, tags, gone))
}

// maxShared bounds the texts that tags share: values may be as many as there
// are instances.
const maxShared = 50_000

// shared is the number of a text, or the text itself where the book is full.
func (e *encoder) shared(text string) any {
	text = Short(text, maxText)
	if _, ok := e.book.Strings.at[text]; !ok && len(e.book.Strings.list) >= maxShared {
		return text
	}
	return e.book.Strings.Number(text)
}

// count keeps what the head of the page shows and the summary does not hold.
func (e *encoder) count(rec *record.Record) {
	bucket := e.families.get(Bucket{Family: rec.InstanceFamily})
	bucket.Instances++
	for i := range rec.Verdicts {
		bucket.Verdicts.add(rec.Verdicts[i].Target, rec.Verdicts[i].Level.String(), 1)
	}
	e.remedies.add(&rec.Classification, 1)
	e.worst.add(rec)
}

// copyTo writes the blocks and then what they share.
func (e *encoder) copyTo(w io.Writer, blocks []block) error {
	for _, b := range blocks {
		z := flate.NewReader(bytes.NewReader(b.deflated))
		if _, err := io.Copy(w, z); err != nil {
			return err
		}
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
func severity(l rules.Level) int { return slices.Index(Levels(), l.String()) }

func (w *worstFew) add(rec *record.Record) {
	verdict := WorstVerdict(rec)
	if verdict == nil {
		return
	}
	if s := severity(verdict.Level); len(w.by[s]) < w.limit {
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
