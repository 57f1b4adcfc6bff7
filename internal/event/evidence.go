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
	writer := newWriter(append(b, flatEvidence, flatVersion))
	defer writer.speller.release()
	writer.str(evidence.Scope.Account)
	writer.str(evidence.Scope.Region)
	writer.str(evidence.Source)
	writer.time(evidence.At)
	writer.uint(uint64(len(evidence.Items)))
	for i := range evidence.Items {
		item := &evidence.Items[i]
		writer.str(item.ID)
		writer.bool(item.Kept)
		writer.time(item.Asked)
		writer.int(int64(item.Calls))
		writer.word(item.Types)
		writer.word(item.Image)
		writer.time(item.Heard)
		writer.word(item.Fleet)
		writer.word(item.Scan)
		writer.bool(item.Console != nil)
		if console := item.Console; console != nil {
			writer.word(console.Kernel)
			writer.word(console.Root)
			writer.word(console.End)
			writer.str(console.Excerpt)
		}
		writer.bool(item.Template != nil)
		if template := item.Template; template != nil {
			writer.str(template.Name)
			writer.uint(uint64(len(template.Versions)))
			for j := range template.Versions {
				version := &template.Versions[j]
				writer.int(version.Number)
				writer.bool(version.Default)
				writer.bool(version.Latest)
				writer.facts(&rules.Facts{ImageID: version.Image, Image: version.Facts})
			}
		}
		writer.int(int64(item.Unlisted))
		writer.word(item.Cause)
		writer.word(item.Mend)
	}
	return writer.b
}

func readEvidence(reader *reader) *EvidenceRead {
	evidence := &EvidenceRead{Scope: ecs.Scope{Account: reader.str(), Region: reader.str()}, Source: reader.str(), At: reader.time()}
	evidence.Items = make([]EvidenceItem, reader.count(17))
	for i := range evidence.Items {
		item := &evidence.Items[i]
		item.ID, item.Kept, item.Asked, item.Calls = reader.str(), reader.enum(1) == 1, reader.time(), int(reader.int32())
		item.Types, item.Image, item.Heard = reader.word(), reader.word(), reader.time()
		item.Fleet, item.Scan = reader.word(), reader.word()
		if reader.enum(1) == 1 {
			item.Console = &Console{Kernel: reader.word(), Root: reader.word(), End: reader.word(), Excerpt: reader.str()}
		}
		if reader.enum(1) == 1 {
			item.Template = readTemplate(reader)
		}
		item.Unlisted = int(reader.int32())
		item.Cause, item.Mend = reader.word(), reader.word()
	}
	return evidence
}

func readTemplate(reader *reader) *Template {
	template := &Template{Name: reader.str(), Versions: make([]TemplateVersion, reader.count(6))}
	for i := range template.Versions {
		version := &template.Versions[i]
		version.Number, version.Default, version.Latest = reader.int(), reader.enum(1) == 1, reader.enum(1) == 1
		var known rules.Facts
		reader.facts(&known)
		version.Image, version.Facts = known.ImageID, known.Image
	}
	return template
}

// The first and the last second that a time of a message may be in, which is what
// its text can say: the years 1 to 9999.
const firstSecond, lastSecond = -62135596800, 253402300799

func (w *writer) time(t time.Time) {
	w.int(t.Unix())
	w.uint(uint64(t.Nanosecond()))
}

func (r *reader) time() time.Time {
	seconds, rest := r.int(), r.uint()
	if seconds < firstSecond || seconds > lastSecond || rest >= uint64(time.Second) {
		r.fail("time out of range")
		return time.Time{}
	}
	return time.Unix(seconds, int64(rest)).UTC()
}
