package lang

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
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
	catalogue := chinese()
	out, _ := walk(source, func(english string) (string, bool) {
		i, ok := catalogue.units[english]
		if !ok {
			return "", false
		}
		return catalogue.entries[i].Chinese, true
	})
	return out
}

// Units are the texts of a template's source.
func Units(source string) []Unit {
	_, units := walk(source, func(string) (string, bool) { return "", false })
	return units
}

// spoken are the attributes whose values people read or hear.
var spoken = regexp.MustCompile(`(\s(?:aria-label|title|placeholder|alt)=")([^"]*)(")`)

// control is what begins an action that shows nothing by itself.
var control = regexp.MustCompile(`^\{\{-?\s*(?:if|else|end|range|with|define|template|block|break|continue|/\*|\$\w+\s*:?=)`)

// walker reads the source of a template.
type walker struct {
	source    string
	translate func(string) (string, bool)
	out       strings.Builder
	text      strings.Builder // of the unit that is being read: text and values
	units     []Unit
}

func walk(source string, translate func(string) (string, bool)) (string, []Unit) {
	walking := &walker{source: source, translate: translate}
	for at := 0; at < len(source); {
		rest := source[at:]
		switch {
		case strings.HasPrefix(rest, "{{"):
			end := at + actionEnd(rest)
			if control.MatchString(rest) {
				walking.flush(at)
				walking.out.WriteString(source[at:end])
			} else {
				walking.text.WriteString(source[at:end])
			}
			at = end
		case rest[0] == '<':
			walking.flush(at)
			end := at + tagEnd(rest)
			walking.tag(source[at:end], at)
			at = end
			for _, name := range []string{"code", "script", "style"} { // not text
				if open := source[:end]; strings.HasPrefix(rest, "<"+name) && strings.ContainsRune(" >", rune(rest[len(name)+1])) {
					if n := strings.Index(source[end:], "</"+name+">"); n >= 0 {
						walking.out.WriteString(source[len(open) : len(open)+n])
						at = end + n
					}
				}
			}
		default:
			walking.text.WriteByte(rest[0])
			at++
		}
	}
	walking.flush(len(source))
	return walking.out.String(), walking.units
}

// actionEnd is the length of the action that s begins with.
func actionEnd(text string) int {
	if strings.HasPrefix(text, "{{/*") || strings.HasPrefix(text, "{{- /*") {
		if n := strings.Index(text, "*/"); n >= 0 {
			if m := strings.Index(text[n:], "}}"); m >= 0 {
				return n + m + 2
			}
		}
		return len(text)
	}
	quoted := false
	for i := 2; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], "}}"):
			return i + 2
		}
	}
	return len(text)
}

// tagEnd is the length of the tag that s begins with.
func tagEnd(text string) int {
	quoted := false
	for at := 1; at < len(text); at++ {
		switch {
		case strings.HasPrefix(text[at:], "{{"):
			at += actionEnd(text[at:]) - 1
		case text[at] == '"':
			quoted = !quoted
		case text[at] == '>' && !quoted:
			return at + 1
		}
	}
	return len(text)
}

// tag writes a tag with its spoken attributes translated.
func (w *walker) tag(tag string, at int) {
	// Values in actions may hold quotes: they are set aside while attributes are
	// looked for.
	var actions []string
	var bare strings.Builder
	for i := 0; i < len(tag); {
		if strings.HasPrefix(tag[i:], "{{") {
			n := actionEnd(tag[i:])
			bare.WriteString("\x00" + string(rune('A'+len(actions))))
			actions = append(actions, tag[i:i+n])
			i += n
			continue
		}
		bare.WriteByte(tag[i])
		i++
	}
	back := func(text string) string {
		for i, action := range actions {
			text = strings.ReplaceAll(text, "\x00"+string(rune('A'+i)), action)
		}
		return text
	}
	w.out.WriteString(back(spoken.ReplaceAllStringFunc(bare.String(), func(s string) string {
		m := spoken.FindStringSubmatch(s)
		return m[1] + w.unit(back(m[2]), at) + m[3]
	})))
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
	if trimmed == "" {
		return text
	}
	lead, tail := text[:strings.Index(text, trimmed)], text[strings.Index(text, trimmed)+len(trimmed):]
	var key, words strings.Builder
	var values []string
	for i := 0; i < len(trimmed); {
		if strings.HasPrefix(trimmed[i:], "{{") {
			n := actionEnd(trimmed[i:])
			values = append(values, trimmed[i:i+n])
			key.WriteString("{" + string(rune('0'+len(values))) + "}")
			i += n
			continue
		}
		key.WriteByte(trimmed[i])
		words.WriteByte(trimmed[i])
		i++
	}
	english := strings.Join(strings.Fields(key.String()), " ")
	if !strings.ContainsFunc(words.String(), func(r rune) bool { return !unicode.IsSpace(r) }) {
		return text // values alone
	}
	if strings.ContainsFunc(words.String(), unicode.IsLetter) {
		line := 1 + strings.Count(w.source[:at], "\n")
		w.units = append(w.units, Unit{english, line})
	}
	said, ok := w.translate(english)
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
	if strings.ContainsRune(full, firstRune(said)) {
		lead = strings.TrimLeft(lead, " ")
	}
	if strings.ContainsRune(full, lastRune(said)) {
		tail = strings.TrimRight(tail, " ")
	}
	return lead + said + tail
}

const full = "，。；：？！、（）“”"

func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return 0
}

func lastRune(s string) (last rune) {
	for _, r := range s {
		last = r
	}
	return last
}

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
	catalogue := chinese()
	out := map[string]string{}
	add := func(english string) {
		if i, ok := catalogue.units[english]; ok {
			out[english] = catalogue.entries[i].Chinese
		}
	}
	for _, u := range ScriptUnits(source) {
		add(u.English)
	}
	for _, word := range shownByScripts {
		add(word)
	}
	data, err := json.Marshal(out)
	if err != nil { // cannot happen: texts alone
		return ""
	}
	return string(data)
}
