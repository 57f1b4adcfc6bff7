package distro

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed words.tsv
var wordsFile string

// role says what a word does in a name.
type role uint8

const (
	roleUnknown  role = iota // a word that is not in the table
	roleOS                   // the name of an operating system
	roleVague                // the name of a kind of them
	roleNumbered             // a name where a number follows
	roleWeak                 // a name where there is no other
	roleCode                 // the code name of a release
	roleFiller               // may stand between a name and its version
	roleList                 // joins several
	roleDeny                 // denies what follows
	roleExcept               // denies what stood before
	roleOther                // another product, which owns the numbers after it
)

var roleNames = map[string]role{
	"os": roleOS, "vague": roleVague, "numbered": roleNumbered, "weak": roleWeak, "code": roleCode, "filler": roleFiller,
	"list": roleList, "deny": roleDeny, "except": roleExcept, "other": roleOther,
}

// word is what the table says of a word or of several in a row.
type word struct {
	role            role
	family, edition string
	version         string
	unit, apart     bool // a measure right after a number, or also with a space between
	longer          []phrase
}

// phrase is a name that goes on after its first word.
type phrase struct {
	rest []string
	word *word
}

var words = mustWords(wordsFile)

func mustWords(text string) map[string]*word {
	m, err := parseWords(text)
	if err != nil {
		panic(err) // the embedded table; a test parses it
	}
	return m
}

func parseWords(text string) (map[string]*word, error) {
	m := map[string]*word{}
	for row := range strings.Lines(text) {
		row = strings.TrimRight(row, "\n")
		if row == "" || row[0] == '#' || strings.HasPrefix(row, "words\t") {
			continue
		}
		f := strings.Split(row, "\t")
		if len(f) != 5 {
			return nil, fmt.Errorf("words: %q has %d columns, not 5", row, len(f))
		}
		parts := strings.Fields(f[0])
		head := m[parts[0]]
		if head == nil {
			head = &word{}
			m[parts[0]] = head
		}
		if f[1] == "unit" || f[1] == "apart" {
			head.unit = true
			head.apart = head.apart || f[1] == "apart"
			continue
		}
		r, ok := roleNames[f[1]]
		if !ok {
			return nil, fmt.Errorf("words: %q: there is no role %q", row, f[1])
		}
		w := head
		if len(parts) > 1 {
			w = &word{}
			head.longer = append(head.longer, phrase{rest: parts[1:], word: w})
			slices.SortStableFunc(head.longer, func(a, b phrase) int { return len(b.rest) - len(a.rest) })
		}
		w.role, w.family, w.edition, w.version = r, f[2], f[3], f[4]
	}
	return m, nil
}

var (
	unknownWord = &word{}
	glued       = [...]string{CentOS, Ubuntu, Debian, FreeBSD, OpenSUSE, Gentoo, "redhat", RHEL, "windows"}
	vmware      = [...]string{"winnet", "winlonghorn", "winxp", "winvista"}
)

// lookup reads the word or phrase at token i and returns the token after it.
func (sc *scan) lookup(i int) (*word, int) {
	text := sc.word(i)
	w := words[text]
	if w == nil {
		for _, p := range vmware { // winNetStandardGuest
			if strings.HasPrefix(text, p) {
				return words[p], i + 1
			}
		}
		return unknownWord, i + 1
	}
next:
	for _, p := range w.longer {
		for j, r := range p.rest {
			if sc.word(i+1+j) != r || sc.t[i+1+j].sep == ',' {
				continue next
			}
		}
		return p.word, i + 1 + len(p.rest)
	}
	return w, i + 1
}

// within finds a name glued into a longer word ("mycentos", "centosprod") and
// says whether the name ends the word.
func within(text string) (w *word, ends bool) {
	for _, g := range glued {
		if len(text) <= len(g) {
			continue
		}
		if strings.HasSuffix(text, g) {
			return words[g], true
		}
		if strings.HasPrefix(text, g) {
			return words[g], false
		}
	}
	return nil, false
}
