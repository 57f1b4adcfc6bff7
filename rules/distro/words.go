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
	roleRange                // tells of a change from one to another: the numbers after it are meant too
	roleDeny                 // denies what follows
	roleExcept               // denies what stood before
	roleOther                // another product, which owns the numbers after it
)

var roleNames = map[string]role{
	"os": roleOS, "vague": roleVague, "numbered": roleNumbered, "weak": roleWeak, "code": roleCode, "filler": roleFiller,
	"list": roleList, "range": roleRange, "deny": roleDeny, "except": roleExcept, "other": roleOther,
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
	table := map[string]*word{}
	for row := range strings.Lines(text) {
		row = strings.TrimRight(row, "\n")
		if row == "" || row[0] == '#' || strings.HasPrefix(row, "words\t") {
			continue
		}
		fields := strings.Split(row, "\t")
		if len(fields) != 5 {
			return nil, fmt.Errorf("words: %q has %d columns, not 5", row, len(fields))
		}
		parts := strings.Fields(fields[0])
		head := table[parts[0]]
		if head == nil {
			head = &word{}
			table[parts[0]] = head
		}
		if fields[1] == "unit" || fields[1] == "apart" {
			head.unit = true
			head.apart = head.apart || fields[1] == "apart"
			continue
		}
		role, ok := roleNames[fields[1]]
		if !ok {
			return nil, fmt.Errorf("words: %q: there is no role %q", row, fields[1])
		}
		w := head
		if len(parts) > 1 {
			w = &word{}
			head.longer = append(head.longer, phrase{rest: parts[1:], word: w})
			slices.SortStableFunc(head.longer, func(a, b phrase) int { return len(b.rest) - len(a.rest) })
		}
		w.role, w.family, w.edition, w.version = role, fields[2], fields[3], fields[4]
	}
	return table, nil
}

var (
	unknownWord = &word{}
	// glued are the names that are found within longer words, and the first words
	// of names that are found at the end of one.
	glued      = [...]string{CentOS, Ubuntu, Debian, FreeBSD, OpenSUSE, "suse", Gentoo, Fedora, CoreOS, "redhat", RHEL, "windows", "sles", "scientificlinux", "aliyunlinux", "alibabacloudlinux", "oraclelinux", "rockylinux", "almalinux", Anolis, Flatcar, OpenEuler, Kylin}
	gluedFirst = [...]string{"red", "oracle", "scientific", "aliyun", "alibaba", "rocky", "alma", "win", "uos"}
	vmware     = [...]string{"winnet", "winlonghorn", "winxp", "winvista"}
)

// lookup reads the word or phrase at token i and returns the token after it.
func (sc *scan) lookup(at int) (*word, int) {
	text := sc.word(at)
	word := words[text]
	if word == nil {
		for _, p := range vmware { // winNetStandardGuest
			if strings.HasPrefix(text, p) {
				return words[p], at + 1
			}
		}
		return unknownWord, at + 1
	}
	for _, p := range word.longer {
		if sc.follow(at+1, p.rest, word.role != roleOS) {
			return p.word, at + 1 + len(p.rest)
		}
	}
	return word, at + 1
}

// within finds a name glued into a longer word at token i ("mycentos",
// "centosprod", "ourRed Hat") and returns the token after the name; ends says
// whether the name ends the word, so that numbers after it are its own.
func (sc *scan) within(pos int) (w *word, next int, ends bool) {
	text := sc.word(pos)
	if len(text) < 5 {
		return nil, 0, false
	}
	for _, word := range glued {
		at := strings.Index(text, word)
		if at < 0 || len(text) == len(word) {
			continue
		}
		if w := words[text[at:]]; w != nil && (w.role == roleOS || w.role == roleVague) {
			return w, pos + 1, true
		}
		if rest := text[at+len(word):]; word == "windows" && clientName(rest) != "" {
			return words["windows"+clientName(rest)], pos + 1, false
		}
		return words[word], pos + 1, false
	}
	for _, word := range gluedFirst {
		if !strings.HasSuffix(text, word) {
			continue
		}
		for _, p := range words[word].longer {
			if p.word.role == roleOS && sc.follow(pos+1, p.rest, true) {
				return p.word, pos + 1 + len(p.rest), true
			}
		}
		if word == "uos" && sc.isNum(pos+1) {
			return words["uos"], pos + 1, true
		}
		if word == "win" && mainYear(sc.word(pos+1)) && sc.sep(pos+1) == 0 {
			return words["windows"], pos + 1, true
		}
	}
	return nil, 0, false
}

// follow says whether the words stand at token i and after. Where the word before
// them is a name by itself, the marks of a list stand between two names: "Ubuntu,
// Kylin"; "Red,Hat" is one all the same.
func (sc *scan) follow(i int, rest []string, listed bool) bool {
	for j, r := range rest {
		if sc.word(i+j) != r || !listed && sc.t[i+j].sep == ',' && sc.s[sc.t[i+j].start-1] != '+' {
			return false
		}
	}
	return true
}
