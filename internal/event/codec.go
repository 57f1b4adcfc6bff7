package event

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// A flat message begins with a byte that says which it is and one with the
// version of the encoding. A changed meaning gets a new version. From the first
// release on, every older one stays readable and keeps its golden messages.
const (
	flatVersion = 7

	flatListed     = 'L'
	flatClassified = 'C'
	flatEvidence   = 'E'
)

// MaxPayload is the largest message that shenscan publishes or accepts, in
// bytes. A page of 1,000 instances takes about 125 KB, and its result little more.
const MaxPayload = 900 << 10

// Encode returns the wire form of m. The slice is the caller's.
func Encode(m Message) ([]byte, error) { return Append(nil, m) }

// Append appends the wire form of message to b, so that a caller may use the same
// bytes for one message after the other: pages take no memory of their own
// then. On an error it returns b as it was.
func Append(b []byte, message Message) ([]byte, error) {
	begin := len(b)
	out := b
	switch sent := message.(type) {
	case *InstancesListed:
		out = appendListed(out, sent)
	case *InstancesClassified:
		out = appendClassified(out, sent)
	case *EvidenceRead:
		out = appendEvidence(out, sent)
	default:
		kind := sent.about().Type
		if controlTypes[kind] == nil {
			return b, fmt.Errorf("encode: %T is not a message", sent)
		}
		body, err := json.Marshal(sent)
		if err != nil {
			return b, fmt.Errorf("encode %s: %w", kind, err)
		}
		out = append(append(append(out, `{"type":"`...), kind...), `","v":1,"data":`...)
		out = append(append(out, body...), '}')
	}
	if n := len(out) - begin; n > MaxPayload {
		return b, fmt.Errorf("encode %T: %d bytes are more than the %d a message may have", message, n, MaxPayload)
	}
	return out, nil
}

// Decode reads a message that Encode wrote. It returns ErrMalformed or
// ErrNewer, wrapped, for anything else. Strings of the message are parts of b,
// which nobody may write to from then on.
func Decode(b []byte) (Message, error) {
	if len(b) > MaxPayload {
		return nil, fmt.Errorf("%w: %d bytes are more than the %d a message may have", ErrMalformed, len(b), MaxPayload)
	}
	if len(b) >= 2 && (b[0] == flatListed || b[0] == flatClassified || b[0] == flatEvidence) {
		switch {
		case b[1] > flatVersion:
			return nil, fmt.Errorf("%w: flat encoding %d, this binary knows %d", ErrNewer, b[1], flatVersion)
		case b[1] < flatVersion:
			return nil, fmt.Errorf("%w: flat encoding %d, which no release ever wrote", ErrMalformed, b[1])
		}
		reading := &reader{s: textOf(b[2:]), spelt: spelts.Get().(*spelt)}
		defer reading.spelt.release()
		var message Message
		switch b[0] {
		case flatListed:
			message = readListed(reading)
		case flatClassified:
			message = readClassified(reading)
		default:
			message = readEvidence(reading)
		}
		if err := reading.end(); err != nil {
			return nil, err
		}
		return message, nil
	}
	return decodeJSON(b)
}

// controlTypes make an empty message of each type that is sent as JSON, by its
// name on the wire.
var controlTypes = named(
	func() Message { return new(ScanRequested) },
	func() Message { return new(ScopeJob) },
	func() Message { return new(LaneJob) },
	func() Message { return new(ScanPlanned) },
	func() Message { return new(ScopePlanned) },
	func() Message { return new(LaneEnded) },
	func() Message { return new(ScopeCheck) },
	func() Message { return new(ScopeChecked) },
	func() Message { return new(ScopeFailed) },
	func() Message { return new(PageFailed) },
	func() Message { return new(ScanAborted) },
)

func named(types ...func() Message) map[string]func() Message {
	out := make(map[string]func() Message, len(types))
	for _, empty := range types {
		out[empty().about().Type] = empty
	}
	return out
}

func decodeJSON(b []byte) (Message, error) {
	var envelope struct {
		Type string          `json:"type"`
		V    int             `json:"v"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(b, &envelope); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if envelope.V > 1 {
		return nil, fmt.Errorf("%w: %s version %d, this binary knows 1", ErrNewer, envelope.Type, envelope.V)
	}
	newMessage, ok := controlTypes[envelope.Type]
	if !ok || envelope.V < 1 {
		return nil, fmt.Errorf("%w: no message type %q version %d", ErrMalformed, envelope.Type, envelope.V)
	}
	message := newMessage()
	if err := json.Unmarshal(envelope.Data, message); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, envelope.Type, err)
	}
	return message, nil
}

func (w *writer) walk(x *Walk) {
	w.str(x.ScanID)
	w.str(string(x.Kind))
	w.str(x.Scope.Account)
	w.str(x.Scope.Region)
	w.str(x.Lane)
	w.str(x.Walk)
}

func (r *reader) walk() Walk {
	return Walk{
		ScanID: r.str(), Kind: Kind(r.str()),
		Scope: ecs.Scope{Account: r.str(), Region: r.str()},
		Lane:  r.str(), Walk: r.str(),
	}
}

func (r *reader) tri() rules.Tri { return rules.Tri(r.enum(byte(rules.Yes))) }

// hardware writes the fields of rules.Facts that tell of the machine, software
// all others; a test holds the two against the type by reflection. In a fleet
// both repeat far more than their combinations, so a page writes each once.
func (w *writer) hardware(h *rules.Hardware) {
	w.word(h.InstanceType)
	w.word(h.InstanceFamily)
	w.byte(byte(h.IoOptimized))
	w.byte(byte(h.OSNVMe))
	w.byte(byte(h.Running))
}

func (r *reader) hardware() rules.Hardware {
	return rules.Hardware{InstanceType: r.word(), InstanceFamily: r.word(), IoOptimized: r.tri(), OSNVMe: r.tri(), Running: r.tri()}
}

// AppendFacts appends the flat encoding of f, the one that messages carry, to
// b.
func AppendFacts(b []byte, f *rules.Facts) []byte {
	h := f.Hardware()
	return AppendHardware(AppendSoftware(b, f), &h)
}

// AppendSoftware appends what AppendFacts writes of everything but the machine.
func AppendSoftware(b []byte, f *rules.Facts) []byte {
	w := &writer{b: b}
	w.facts(f)
	return w.b
}

// AppendHardware appends what AppendFacts writes of the machine.
func AppendHardware(b []byte, h *rules.Hardware) []byte {
	w := &writer{b: b}
	w.hardware(h)
	return w.b
}

// DecodeSoftware reads what AppendSoftware wrote; all of b must be used up.
func DecodeSoftware(b []byte) (rules.Facts, error) {
	var facts rules.Facts
	r := &reader{s: string(b)}
	r.facts(&facts)
	return facts, r.end()
}

// DecodeHardware reads what AppendHardware wrote; all of b must be used up.
func DecodeHardware(b []byte) (rules.Hardware, error) {
	r := &reader{s: string(b)}
	h := r.hardware()
	return h, r.end()
}

// DecodeFacts reads what AppendFacts wrote; all of b must be used up.
func DecodeFacts(b []byte) (rules.Facts, error) {
	var facts rules.Facts
	r := &reader{s: string(b)}
	r.facts(&facts)
	facts.Put(r.hardware())
	return facts, r.end()
}

// Token makes a subject token of s: letters, digits, '-' and '_' stay, every
// other byte becomes "=XX" in hex, and "" becomes "_". Different strings have
// different tokens.
func Token(text string) string {
	if text == "" {
		return "_"
	}
	clean := text != "_"
	for i := 0; i < len(text) && clean; i++ {
		clean = tokenByte(text[i])
	}
	if clean {
		return text
	}
	var builder strings.Builder
	for i := range len(text) {
		if tokenByte(text[i]) && text != "_" {
			builder.WriteByte(text[i])
		} else {
			fmt.Fprintf(&builder, "=%02X", text[i])
		}
	}
	return builder.String()
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
