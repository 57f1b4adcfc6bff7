package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// writeJSON writes one object; the instances stream through it.
func writeJSON(out *bufio.Writer, report *Report, compact bool) error {
	groups, err := report.startGroups()
	if err != nil {
		return err
	}
	head := []struct {
		name  string
		value any
	}{
		{"scan", tidyScan(report.Scan)},
		{"summary", TidySummary(report.Summary)},
		{"failures", OrEmpty(report.Failures)},
		{"evidence", OrEmpty(report.Evidence)},
		{"start_groups", record.StartGroups{Groups: OrEmpty(groups.Groups), Unlisted: groups.Unlisted, Unread: OrEmpty(groups.Unread)}},
	}
	fmt.Fprint(out, "{")
	for _, part := range head {
		fmt.Fprintf(out, "%q:", part.name)
		if err := writeValue(out, part.value); err != nil {
			return err
		}
		fmt.Fprint(out, ",\n")
	}
	if report.Since != nil && report.Since.Asked {
		fmt.Fprint(out, `"since":`)
		if err := writeChangesObject(out, report.Since); err != nil {
			return err
		}
		fmt.Fprint(out, ",\n")
	}
	fmt.Fprint(out, `"instances":`)
	encode := newRecordEncoder()
	var entries bytes.Buffer // of the legend, which comes last
	if compact {
		encode = newCompactEncoder(func(v any) error {
			if entries.Len() > 0 {
				entries.WriteString(",\n")
			}
			return writeValue(&entries, v)
		})
	}
	err = WriteList(out, "\n", report.instances(), func(rec *record.Record) error {
		encoded, err := encode(rec)
		if err != nil {
			return err
		}
		_, err = out.Write(encoded)
		return err
	})
	if err != nil {
		return err
	}
	if compact {
		fmt.Fprintf(out, ",\n\"legend\":[\n%s\n]", entries.Bytes())
	}
	_, err = out.WriteString("}\n")
	return err
}

// WriteList writes a list, whose elements write themselves, with what stands between
// two of them behind the comma.
func WriteList[T any](out *bufio.Writer, between string, all iter.Seq2[T, error], write func(T) error) error {
	lead := "[" + between
	for each, err := range all {
		if err != nil {
			return err
		}
		if _, err := out.WriteString(lead); err != nil {
			return err
		}
		if err := write(each); err != nil {
			return err
		}
		lead = "," + between
	}
	if lead[0] == '[' {
		fmt.Fprint(out, lead)
	}
	_, err := out.WriteString(between + "]")
	return err
}

// WriteChanges writes what changed as one JSON object, with every change.
func WriteChanges(w io.Writer, s *Since) error {
	writer := bufio.NewWriterSize(w, 64<<10)
	if err := writeChangesObject(writer, s); err != nil {
		return fmt.Errorf("write changes: %w", err)
	}
	_, err := writer.WriteString("\n")
	return errors.Join(err, writer.Flush())
}

func writeChangesObject(out *bufio.Writer, since *Since) error {
	head, err := json.Marshal(since)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	fmt.Fprintf(out, `%s,"changes":`, escapeJSON(head[:len(head)-1]))
	err = WriteList(out, "\n", since.Changes, func(change *Change) error {
		return writeValue(out, changeRow{change, why(&change.Change)})
	})
	fmt.Fprint(out, "}")
	return err
}

// changeRow is a change as programs read it.
type changeRow struct {
	*Change
	Why string `json:"why"`
}

// writeJSONL writes one record a line, and where not everything was read to its
// end a last line that says so; where somebody asked what changed, one change a
// line.
func writeJSONL(out *bufio.Writer, report *Report, compact bool) error {
	if report.Since != nil && report.Since.Asked {
		for change, err := range report.Since.Changes {
			if err != nil {
				return err
			}
			if err := WriteJSONLine(out, changeRow{change, why(&change.Change)}); err != nil {
				return err
			}
		}
		return nil
	}
	encode := newRecordEncoder()
	if compact {
		encode = newCompactEncoder(func(v any) error { return WriteJSONLine(out, v) })
	}
	rows := 0
	for rec, err := range report.instances() {
		if err != nil {
			return err
		}
		b, err := encode(rec)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(b, '\n')); err != nil {
			return err
		}
		rows++
	}
	last := reportLine(report, rows)
	switch {
	case compact:
		last.Legend = "report"
		return WriteJSONLine(out, last)
	case !last.Complete:
		return WriteJSONLine(out, map[string]any{"report": last})
	}
	return nil
}

// WriteJSONLine writes v as one line of JSON in which control and direction
// characters are escaped, so that a line can be shown on a terminal and still
// means the same.
func WriteJSONLine(w io.Writer, v any) error {
	if err := writeValue(w, v); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// EncodeJSON is v in JSON, escaped as WriteJSONLine escapes it.
func EncodeJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return escapeJSON(data), nil
}

func writeValue(w io.Writer, v any) error {
	data, err := EncodeJSON(v)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// escapeJSON spells the characters that Clean would spell, which encoding/json
// leaves as they are, as \u escapes. In JSON they can only stand inside
// strings, so the value stays the same.
func escapeJSON(data []byte) []byte {
	at := indexUnsafe(data)
	if at < 0 {
		return data
	}
	out := append(make([]byte, 0, len(data)+32), data[:at]...)
	for from := at; from < len(data); {
		char, size := utf8.DecodeRune(data[from:])
		switch {
		case char == utf8.RuneError || !unsafeRune(char):
			out = append(out, data[from:from+size]...)
		case char > 0xffff:
			char -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(char>>10), 0xdc00+(char&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, char)
		}
		from += size
	}
	return out
}

func indexUnsafe(data []byte) int {
	for i := plain(data); i < len(data); i += plain(data[i:]) {
		r, n := utf8.DecodeRune(data[i:])
		if r != utf8.RuneError && unsafeRune(r) {
			return i
		}
		i += n
	}
	return -1
}

// Tidy returns rec with empty lists instead of null ones; rec itself and what
// it shares with others stay as they are.
func Tidy(rec *record.Record) *record.Record {
	out := *rec
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	whole := out.Verdicts != nil
	for i := range out.Verdicts {
		whole = whole && out.Verdicts[i].Remedies != nil && out.Verdicts[i].Checks != nil
	}
	if whole {
		return &out
	}
	out.Verdicts = append([]rules.Verdict{}, out.Verdicts...)
	for i := range out.Verdicts {
		v := &out.Verdicts[i]
		v.Remedies, v.Checks = OrEmpty(v.Remedies), OrEmpty(v.Checks)
	}
	return &out
}

func tidyScan(s record.Scan) record.Scan {
	s.Scopes = OrEmpty(s.Scopes)
	return s
}

// TidySummary returns s with empty lists instead of null ones.
func TidySummary(summary record.Summary) record.Summary {
	summary.Targets, summary.Groups, summary.Scopes = OrEmpty(summary.Targets), OrEmpty(summary.Groups), OrEmpty(summary.Scopes)
	if summary.Verdicts == nil {
		summary.Verdicts = map[string]map[string]int{}
	}
	if summary.Confidence == nil {
		summary.Confidence = map[string]map[string]map[string]int{}
	}
	if summary.UnknownByQuestion == nil {
		summary.UnknownByQuestion = map[string]map[string]int{}
	}
	if summary.Waived == nil {
		summary.Waived = map[string]int{}
	}
	return summary
}

// OrEmpty is the list, or an empty one where there is none: in JSON a list is never
// null.
func OrEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
