// Package lang holds the texts that people read in other languages than English:
// one catalogue, and how a text is found in it. English is what the code, the
// templates and the rule set say, and it is the key. The package knows no page
// and no report, and it never touches what programs read: JSON, the heads of CSV,
// ids, codes, metrics and logs stay as they are.
package lang

import (
	"embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// Language is a language that shenscan speaks to people.
type Language string

// The languages.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// Languages are all of them, English first.
func Languages() []Language { return []Language{English, Chinese} }

// Parse reads the name of a language.
func Parse(s string) (Language, bool) {
	l := Language(strings.ToLower(strings.TrimSpace(s)))
	if l == "zh-cn" || l == "zh-hans" || l == "zh_cn" {
		l = Chinese
	}
	return l, slices.Contains(Languages(), l)
}

// matcher finds the language that suits a reader best.
var matcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// Unknown is the error for a language that shenscan does not speak.
func Unknown(name string) error {
	return fmt.Errorf("%w %q: use en or zh", ErrUnknown, name)
}

// ErrUnknown is what Unknown wraps.
var ErrUnknown = errors.New("unknown language")

// Wished is the language that a browser asks for by its Accept-Language; not ok
// where it asks for none of ours.
func Wished(accept string) (in Language, ok bool) {
	if accept == "" || len(accept) > 512 { // nobody knows so many languages
		return English, false
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(tags) == 0 {
		return English, false
	}
	_, at, sure := matcher.Match(tags...)
	return Languages()[at], sure > language.No
}

// Tag is the language as HTML and HTTP name it.
func (l Language) Tag() string {
	if l == Chinese {
		return "zh-CN"
	}
	return "en"
}

// Name is the language in its own words.
func (l Language) Name() string {
	if l == Chinese {
		return "中文"
	}
	return "English"
}

//go:embed zh/*.tsv
var files embed.FS

// The files of the catalogue. Texts of templates and scripts with holes are found
// by what they are; sentences and the texts of rules, which code puts together,
// by how they look.
var names = []string{"templates", "sentences", "rules"}

// Entry is a text in both languages.
type Entry struct {
	File             string
	Line             int
	English, Chinese string
}

// Entries are the whole catalogue, in its order.
func Entries() ([]Entry, error) {
	var out []Entry
	for _, name := range names {
		data, err := files.ReadFile("zh/" + name + ".tsv")
		if err != nil {
			return nil, fmt.Errorf("catalogue of texts: %w", err)
		}
		number := 0
		for line := range strings.Lines(string(data)) {
			number++
			line = strings.TrimRight(line, "\r\n")
			if line == "" || line[0] == '#' {
				continue
			}
			en, zh, ok := strings.Cut(line, "\t")
			if !ok || en == "" || zh == "" || strings.Contains(zh, "\t") {
				return nil, fmt.Errorf("catalogue of texts: %s.tsv:%d is not English, a tab, Chinese", name, number)
			}
			out = append(out, Entry{name, number, en, zh})
		}
	}
	return out, nil
}

// pattern is how a sentence with holes looks.
type pattern struct {
	longest string // the longest text between holes, for a quick look
	literal int    // letters between the holes
	holes   []byte // the number of each hole, in order
	match   func() *regexp.Regexp
	chinese string
}

// catalogue is the entries, ready to be looked up.
type catalogue struct {
	units    map[string]string // Chinese by English, as it stands in templates and scripts, and all without holes
	patterns []pattern         // the most letters first
}

var chinese = sync.OnceValue(func() *catalogue {
	entries, err := Entries()
	if err != nil {
		panic(err) // it is in the binary, and a test reads it
	}
	c := &catalogue{units: map[string]string{}}
	for _, e := range entries {
		if e.File == "templates" {
			c.units[e.English] = e.Chinese
			continue
		}
		for _, variant := range variants(e.English) {
			if !hole.MatchString(variant) {
				c.units[variant] = e.Chinese
				continue
			}
			c.patterns = append(c.patterns, newPattern(variant, e.Chinese))
		}
	}
	slices.SortStableFunc(c.patterns, func(a, b pattern) int { return b.literal - a.literal })
	return c
})

var (
	// hole is a place in an English sentence: {1} holds anything, {1#} a number.
	hole = regexp.MustCompile(`\{[1-9]#?\}`)
	// place is the same in Chinese: {1} is what stood there, {1:say} that in
	// Chinese, too.
	place  = regexp.MustCompile(`\{([1-9])(:say)?\}`)
	choice = regexp.MustCompile(`\[([^\[\]]*)\]`)
)

// variants spells out the choices of an English sentence: "region[s]" is
// "region" or "regions", "[is|are]" one of both.
func variants(text string) []string {
	at := choice.FindStringSubmatchIndex(text)
	if at == nil {
		return []string{text}
	}
	options := strings.Split(text[at[2]:at[3]], "|")
	if len(options) == 1 {
		options = append(options, "")
	}
	var out []string
	for _, o := range options {
		out = append(out, variants(text[:at[0]]+o+text[at[1]:])...)
	}
	return out
}

func newPattern(english, chinese string) pattern {
	made := pattern{chinese: chinese}
	var expression strings.Builder
	expression.WriteString("(?s)^")
	last := 0
	add := func(text string) {
		expression.WriteString(regexp.QuoteMeta(text))
		made.literal += len(text)
		if len(text) > len(made.longest) {
			made.longest = text
		}
	}
	for _, at := range hole.FindAllStringIndex(english, -1) {
		add(english[last:at[0]])
		made.holes = append(made.holes, english[at[0]+1]-'0')
		if english[at[1]-2] == '#' {
			expression.WriteString(`(-?[0-9][0-9,.]*)`)
		} else {
			expression.WriteString(`(.+?)`)
		}
		last = at[1]
	}
	add(english[last:])
	expression.WriteString("$")
	made.match = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression.String()) })
	return made
}

// maxSentence bounds what is looked at; whatever is longer is no sentence of
// ours.
const maxSentence = 4 << 10

// maxDepth bounds sentences inside of sentences.
const maxDepth = 8

// maxRemembered bounds the sentences whose translation is remembered.
const maxRemembered = 1 << 14

var (
	rememberMutex sync.RWMutex
	remembered    = map[string]string{}
)

// Say is a sentence of ours in the language. One that the catalogue does not
// hold, such as a name or what a cloud answered, stays as it is.
func (l Language) Say(text string) string {
	if l != Chinese || text == "" || len(text) > maxSentence {
		return text
	}
	catalogue := chinese()
	if said, ok := catalogue.units[text]; ok {
		return said
	}
	rememberMutex.RLock()
	have, ok := remembered[text]
	rememberMutex.RUnlock()
	if ok {
		return have
	}
	out, ok := catalogue.say(text, maxDepth)
	if !ok {
		out = text
	}
	rememberMutex.Lock()
	if len(remembered) >= maxRemembered {
		clear(remembered)
	}
	remembered[strings.Clone(text)] = out
	rememberMutex.Unlock()
	return out
}

// Knows tells whether the catalogue holds the sentence in the language.
func (l Language) Knows(text string) bool {
	if l == English {
		return true
	}
	_, ok := chinese().say(text, maxDepth)
	return ok
}

// say looks a sentence up as a whole, by how it looks, and at last part by part.
// depth bounds sentences inside of sentences.
func (c *catalogue) say(text string, depth int) (string, bool) {
	if said, ok := c.units[text]; ok {
		return said, true
	}
	if depth == 0 {
		return text, false
	}
	if out, ok := c.parts(text, "; ", "；", depth-1); ok {
		return out, true
	}
	for i := range c.patterns {
		pattern := &c.patterns[i]
		if len(text) < pattern.literal || !strings.Contains(text, pattern.longest) {
			continue
		}
		found := pattern.match().FindStringSubmatch(text)
		if found == nil {
			continue
		}
		return place.ReplaceAllStringFunc(pattern.chinese, func(at string) string {
			inside := found[1+slices.Index(pattern.holes, at[1]-'0')]
			if strings.HasSuffix(at, ":say}") {
				inside, _ = c.say(inside, depth-1)
			}
			return inside
		}), true
	}
	for _, joint := range []struct{ english, chinese string }{{". ", ""}, {", ", "、"}} {
		if out, ok := c.parts(text, joint.english, joint.chinese, depth-1); ok {
			return out, true
		}
	}
	return text, false
}

// parts translates a sentence that is several, where every one of them is known.
func (c *catalogue) parts(text, joint, in string, depth int) (string, bool) {
	list := strings.Split(text, joint)
	if len(list) < 2 || len(list) > 64 {
		return text, false
	}
	var out strings.Builder
	for at := 0; at < len(list); {
		var said string
		known, end := false, len(list)+1
		for !known && end > at+1 { // the longest that is known
			end--
			part := strings.Join(list[at:end], joint)
			if joint == ". " && end < len(list) {
				part += "."
			}
			if part == text {
				continue
			}
			if said, known = c.units[part]; !known && end == at+1 {
				said, known = c.say(part, depth)
			}
		}
		if !known {
			return text, false
		}
		if at > 0 {
			out.WriteString(in)
		}
		out.WriteString(said)
		at = end
	}
	return out.String(), true
}
