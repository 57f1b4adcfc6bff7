package lang

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unit is a text of a template as it is translated: what stands between two tags
// or branches, with {1}, {2} for the values in it.
type Unit struct {
	English string
	Line    int
}

// Template is the source of a template in the language. What it shows of its
// values is not touched: that is for the functions that it calls.
func (l Language) Template(source string) string {
	if l != Chinese {
		return source
	}
	out, _ := walk(source, chinese().units)
	return out
}

// Units are the texts of a template's source.
func Units(source string) []Unit {
	_, units := walk(source, nil)
	return units
}

// action is one of a template: a comment, or what ends with the first }} outside of
// quotes.
const action = `\{\{(?:- )?/\*[\s\S]*?\*/[\s\S]*?\}\}|\{\{(?:"[^"]*"|[^"])*?\}\}`

var (
	actions     = regexp.MustCompile(action)
	actionAhead = regexp.MustCompile(`^(?:` + action + `)`)
	// tagAhead is a tag, which ends with the first > outside of quotes and actions.
	tagAhead = regexp.MustCompile(`^<(?:` + action + `|"(?:` + action + `|[^"])*"|[^">])*>`)
	// notText are the elements whose content no language changes.
	notText = regexp.MustCompile(`^<(code|script|style)[ >]`)
	// spoken are the attributes whose values people read or hear.
	spoken = regexp.MustCompile(`(\s(?:aria-label|title|placeholder|alt)=")((?:` + action + `|[^"])*)(")`)
	// control is what begins an action that shows nothing by itself.
	control = regexp.MustCompile(`^\{\{-?\s*(?:if|else|end|range|with|define|template|block|break|continue|/\*|\$\w+\s*:?=)`)
)

// walker reads the source of a template.
type walker struct {
	source  string
	chinese map[string]string // of texts in English
	out     strings.Builder
	text    strings.Builder // of the unit that is being read: text and values
	units   []Unit
}

func walk(source string, chinese map[string]string) (string, []Unit) {
	walking := &walker{source: source, chinese: chinese}
	for at := 0; at < len(source); {
		rest := source[at:]
		switch found, tag := actionAhead.FindString(rest), tagAhead.FindString(rest); {
		case control.MatchString(found):
			walking.flush(at)
			walking.out.WriteString(found)
			at += len(found)
		case found != "":
			walking.text.WriteString(found)
			at += len(found)
		case tag != "":
			walking.flush(at)
			walking.tag(tag, at)
			at += len(tag)
			if element := notText.FindStringSubmatch(tag); element != nil {
				inside := source[at : at+max(0, strings.Index(source[at:], "</"+element[1]+">"))]
				walking.out.WriteString(inside)
				at += len(inside)
			}
		default:
			end := 1 + strings.IndexAny(rest[1:], "<{")
			if end == 0 {
				end = len(rest)
			}
			walking.text.WriteString(rest[:end])
			at += end
		}
	}
	walking.flush(len(source))
	return walking.out.String(), walking.units
}

// tag writes a tag with its spoken attributes translated.
func (w *walker) tag(tag string, at int) {
	w.out.WriteString(spoken.ReplaceAllStringFunc(tag, func(attribute string) string {
		parts := spoken.FindStringSubmatch(attribute)
		return parts[1] + w.unit(parts[2], at) + parts[3]
	}))
}

// flush ends the unit that was read until at.
func (w *walker) flush(at int) {
	if w.text.Len() > 0 {
		w.out.WriteString(w.unit(w.text.String(), at))
		w.text.Reset()
	}
}

// unit translates a text with its values; what surrounds it stays.
func (w *walker) unit(text string, at int) string {
	trimmed := strings.TrimSpace(text)
	words := strings.TrimSpace(actions.ReplaceAllString(trimmed, ""))
	if words == "" {
		return text // values alone
	}
	lead, tail, _ := strings.Cut(text, trimmed)
	var values []string
	key := actions.ReplaceAllStringFunc(trimmed, func(value string) string {
		values = append(values, value)
		return fmt.Sprintf("{%d}", len(values))
	})
	english := strings.Join(strings.Fields(key), " ")
	if strings.ContainsFunc(words, unicode.IsLetter) {
		w.units = append(w.units, Unit{english, 1 + strings.Count(w.source[:at], "\n")})
	}
	said, ok := w.chinese[english]
	if !ok {
		return text
	}
	said = place.ReplaceAllStringFunc(said, func(p string) string {
		if n := int(p[1] - '1'); n < len(values) {
			return values[n]
		}
		return p
	})
	// Full-width marks have their room in them.
	if first, _ := utf8.DecodeRuneInString(said); strings.ContainsRune(full, first) {
		lead = strings.TrimLeft(lead, " ")
	}
	if last, _ := utf8.DecodeLastRuneInString(said); strings.ContainsRune(full, last) {
		tail = strings.TrimRight(tail, " ")
	}
	return lead + said + tail
}

const full = "，。；：？！、（）“”"

// inScript finds the texts of a script.
var inScript = regexp.MustCompile(`\bt\('((?:[^'\\]|\\.)*)'`)

// ScriptUnits are the texts of a script, which it hands to a function t.
func ScriptUnits(source string) []Unit {
	var out []Unit
	for _, at := range inScript.FindAllStringSubmatchIndex(source, -1) {
		out = append(out, Unit{source[at[2]:at[3]], 1 + strings.Count(source[:at[0]], "\n")})
	}
	return out
}

// shownByScripts are the words of records that scripts show.
var shownByScripts = []string{
	"compatible", "needs-action", "incompatible", "unknown", "high", "medium", "low",
	"guest", "image", "instance", "name", "kernel", "zone", "type", "status", "account / region", "operating system", "evidence", "conflict",
}

// Script is what the script of a page needs to speak the language: its texts in
// JSON, "" for a script that needs none.
func (l Language) Script(source string) string {
	if l != Chinese {
		return ""
	}
	texts := slices.Clip(shownByScripts)
	for _, unit := range ScriptUnits(source) {
		texts = append(texts, unit.English)
	}
	out := map[string]string{}
	for _, english := range texts {
		if said, ok := chinese().units[english]; ok {
			out[english] = said
		}
	}
	data, err := json.Marshal(out)
	if err != nil { // cannot happen: texts alone
		return ""
	}
	return string(data)
}
