package event

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// maxConsoleText bounds each text of a console log.
const maxConsoleText = 200

// Sound says whether c can be kept: what comes in a message is looked at before.
func (c *Console) Sound() bool {
	if c == nil {
		return true
	}
	for _, s := range []string{c.Kernel, c.Root, c.End, c.Excerpt} {
		if len(s) > maxConsoleText || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

// maxTemplateText bounds each text of what a launch template starts.
const maxTemplateText = 4096

// Sound says whether t can be kept, as Console.Sound does.
func (t *Template) Sound() bool {
	if t == nil {
		return true
	}
	if len(t.Name) > maxTemplateText || len(t.Versions) > 2 {
		return false
	}
	for i := range t.Versions {
		version := &t.Versions[i]
		facts := rules.Facts{ImageID: version.Image, Image: version.Facts}
		for _, text := range facts.Texts() {
			if len(*text) > maxTemplateText {
				return false
			}
		}
	}
	return true
}

// Usable are the Types of an answer that can be used, "" without one.
func (e EvidenceItem) Usable() string {
	if e.Cause != "" {
		return ""
	}
	return e.Types
}

// counts reads the types that can be used; what is no count is left out.
func (e EvidenceItem) counts() map[string]int {
	out := map[string]int{}
	for pair := range strings.FieldsSeq(e.Usable()) {
		family, n, _ := strings.Cut(pair, "=")
		if count, err := strconv.Atoi(n); err == nil && count > 0 {
			out[family] = count
		}
	}
	return out
}

// Families says on which instance families the platform offers the image, and
// on which it offers the yardstick and not the image. A family of which it
// offers some types is neither. Without a yardstick nothing is refused: what is
// not offered may not be sold in the region at all.
func (e EvidenceItem) Families(yardstick EvidenceItem) (offered, refused []string) {
	if e.Usable() == "" {
		return nil, nil
	}
	has, all := e.counts(), yardstick.counts()
	for family, n := range has {
		if n >= all[family] {
			offered = append(offered, family)
		}
	}
	for family := range all {
		if has[family] == 0 {
			refused = append(refused, family)
		}
	}
	slices.Sort(offered)
	slices.Sort(refused)
	return offered, refused
}

// appendEvidence is the flat encoding: the items of a page have their causes in
// common.
func appendEvidence(b []byte, evidence *EvidenceRead) []byte {
	out := newWriter(append(b, flatEvidence, flatVersion))
	defer out.speller.release()
	out.str(evidence.Scope.Account)
	out.str(evidence.Scope.Region)
	out.str(evidence.Source)
	out.time(evidence.At)
	writeList(out, evidence.Items, (*writer).item)
	return out.b
}

// AppendEvidence appends the flat encoding of an item, as messages carry it, and
// of when something became of it.
func AppendEvidence(b []byte, item *EvidenceItem, dates ...time.Time) []byte {
	w := &writer{b: b}
	for _, date := range dates {
		w.time(date)
	}
	w.item(item)
	return w.b
}

// DecodeEvidence reads what AppendEvidence wrote; all of b must be used up.
func DecodeEvidence(b []byte, dates ...*time.Time) (EvidenceItem, error) {
	r := &reader{s: string(b)}
	for _, date := range dates {
		*date = r.time()
	}
	item := r.item()
	return item, r.end()
}

func (w *writer) item(item *EvidenceItem) {
	w.str(item.ID)
	w.bool(item.Kept)
	w.time(item.Asked)
	w.int(int64(item.Calls))
	w.word(item.Types)
	w.word(item.Image)
	w.time(item.Heard)
	w.word(item.Fleet)
	w.word(item.Scan)
	w.bool(item.Console != nil)
	if console := item.Console; console != nil {
		w.word(console.Kernel)
		w.word(console.Root)
		w.word(console.End)
		w.str(console.Excerpt)
	}
	w.bool(item.Template != nil)
	if template := item.Template; template != nil {
		w.str(template.Name)
		writeList(w, template.Versions, (*writer).version)
	}
	w.int(int64(item.Unlisted))
	w.usual(item.Cause)
	w.usual(item.Mend)
}

func readEvidence(in *reader) *EvidenceRead {
	return &EvidenceRead{Scope: ecs.Scope{Account: in.str(), Region: in.str()}, Source: in.str(), At: in.time(), Items: readList(in, 13, (*reader).item)}
}

func (r *reader) item() EvidenceItem {
	item := EvidenceItem{
		ID: r.str(), Kept: r.enum(1) == 1, Asked: r.time(), Calls: int(r.int32()),
		Types: r.word(), Image: r.word(), Heard: r.time(), Fleet: r.word(), Scan: r.word(),
	}
	if r.enum(1) == 1 {
		item.Console = &Console{Kernel: r.word(), Root: r.word(), End: r.word(), Excerpt: r.str()}
	}
	if r.enum(1) == 1 {
		item.Template = &Template{Name: r.str(), Versions: readList(r, 6, (*reader).version)}
	}
	item.Unlisted = int(r.int32())
	item.Cause, item.Mend = r.usual(), r.usual()
	return item
}

func (w *writer) version(version *TemplateVersion) {
	w.int(version.Number)
	w.bool(version.Default)
	w.bool(version.Latest)
	w.facts(&rules.Facts{ImageID: version.Image, Image: version.Facts})
}

func (r *reader) version() TemplateVersion {
	version := TemplateVersion{Number: r.int(), Default: r.enum(1) == 1, Latest: r.enum(1) == 1}
	var known rules.Facts
	r.facts(&known)
	version.Image, version.Facts = known.ImageID, known.Image
	return version
}

// The first and the last second that a time of a message may be in, which is what
// its text can say: the years 1 to 9999.
const firstSecond, lastSecond = -62135596800, 253402300799

// time writes a time, in one byte where it is the zero one, as most are.
func (w *writer) time(t time.Time) {
	w.bool(!t.IsZero())
	if !t.IsZero() {
		w.int(t.Unix())
		w.uint(uint64(t.Nanosecond()))
	}
}

func (r *reader) time() time.Time {
	if r.enum(1) == 0 {
		return time.Time{}
	}
	seconds, rest := r.int(), r.uint()
	if seconds < firstSecond || seconds > lastSecond || rest >= uint64(time.Second) {
		r.fail("time out of range")
		return time.Time{}
	}
	return time.Unix(seconds, int64(rest)).UTC()
}
