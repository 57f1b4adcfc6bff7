package event

import (
	"slices"
	"strconv"
	"strings"
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
