package report

import "github.com/shenscan/shenscan/internal/record"

// rowEncoder encodes instances one by one. What it returns is valid until the next
// call.
type rowEncoder interface {
	encode(rec *record.Record) ([]byte, error)
}

// recordEncoder encodes records as WriteJSONLine and writeValue would.
type recordEncoder struct {
	by *record.Encoder
	b  []byte
}

func newRecordEncoder() *recordEncoder {
	return &recordEncoder{by: &record.Encoder{Tidy: Tidy, Escape: escapeJSON}}
}

// encode returns the JSON of a record.
func (e *recordEncoder) encode(rec *record.Record) (_ []byte, err error) {
	e.b, err = e.by.Append(e.b[:0], rec)
	return e.b, err
}
