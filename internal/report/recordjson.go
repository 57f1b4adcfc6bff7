package report

import "github.com/shenscan/shenscan/internal/record"

// rowEncoder encodes instances one by one. What it returns is valid until the next
// call.
type rowEncoder func(*record.Record) ([]byte, error)

// newRecordEncoder encodes records as WriteJSONLine and writeValue would.
func newRecordEncoder() rowEncoder {
	by := &record.Encoder{Tidy: Tidy, Escape: escapeJSON}
	var encoded []byte
	return func(rec *record.Record) (_ []byte, err error) {
		encoded, err = by.Append(encoded[:0], rec)
		return encoded, err
	}
}
