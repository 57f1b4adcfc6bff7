// Package filter is the one filter of shenscan: the same words narrow a scan, a
// report, a plan and a listing of the API, and mean the same everywhere. It
// parses and matches; it reads nothing, and what is known comes from its caller.
package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
)

// Words are the names of the filter's flags and query parameters.
func Words() []string {
	return []string{"account", "region", "tag", "family", "image", "status", "up", "os", "verdict", "confidence", "waived", "exclude"}
}

// Values are a filter as it is written: values by word, each of which may hold
// several, separated by commas.
type Values map[string][]string

// Error is a value that means nothing, or nothing here: a mistake of the one
// who asks.
type Error struct {
	Word, Value, Why string
}

// Error names word, value and what is wrong with it.
func (e *Error) Error() string { return fmt.Sprintf("%s %q %s", e.Word, clip(e.Value), e.Why) }

func clip(s string) string { return s[:min(len(s), 60)] }

// Bounds of a filter: it comes from outside.
const (
	maxValues = 200 // in all
	maxValue  = 300 // bytes
	// maxKnownTag bounds the tag keys, in bytes, of which it is known whether the
	// store has seen them.
	maxKnownTag = 128
)

// NoVersion stands for the release of an operating system of which no release
// is known: "centos:unknown".
const NoVersion = "unknown"

// condition is one value of a word.
type condition struct {
	word       string
	name       string // account, region, family, system, tag key, target of a verdict, instance id
	value      string // version, tag value
	any        bool   // tag: whatever its value
	yes        bool   // waived
	level      rules.Level
	confidence rules.Confidence
	text       string // as it was written
}

// Filter narrows instances. The zero value lets every one through. Values of
// one word are alternatives, except tags: those of one key are alternatives, and
// every key must fit. Words narrow each other. Verdict, confidence and waived
// must fit on one and the same target.
type Filter struct {
	terms map[string][]condition // by word; what is left out under "exclude"
}

// Machine is what a filter looks at beside the classification.
type Machine struct {
	Family, Image string
	// Up is the class of machines on which it runs with a guest that was heard of,
	// "" where it was not.
	Up string
}

// Parse reads a filter. Closed words (verdict, confidence, status, waived) are checked here, the others by Check.
func Parse(values Values) (Filter, error) {
	chosen := Filter{terms: map[string][]condition{}}
	terms := 0
	for _, word := range Words() {
		for _, list := range values[word] {
			for value := range strings.SplitSeq(list, ",") {
				value = strings.TrimSpace(value)
				if value == "" {
					continue
				}
				if terms++; terms > maxValues || len(value) > maxValue {
					return chosen, &Error{word, value, fmt.Sprintf("is too much: a filter has at most %d values of %d bytes", maxValues, maxValue)}
				}
				condition, err := parse(word, value)
				if err != nil {
					return chosen, err
				}
				chosen.terms[word] = append(chosen.terms[word], condition)
			}
		}
	}
	return chosen, nil
}

func parse(word, value string) (condition, error) {
	term := condition{word: word, name: value, text: value}
	switch word {
	case "tag":
		key, want, ok := strings.Cut(value, "=")
		if key == "" {
			return term, &Error{word, value, "names no tag: write KEY or KEY=VALUE"}
		}
		term.name, term.value, term.any = key, want, !ok
	case "os":
		term.name, term.value = system(value)
	case "verdict":
		target, verdict, ok := strings.Cut(value, "=")
		if !ok {
			target, verdict = "", value
		}
		level, err := rules.ParseLevel(verdict)
		if err != nil {
			return term, &Error{word, value, "is not one of " + strings.Join(levels(), ", ") + meant(verdict, levels()) + "; TARGET=VERDICT means the verdict on one target"}
		}
		term.name, term.level = target, level
	case "confidence":
		level, err := rules.ParseConfidence(value)
		if err != nil {
			return term, &Error{word, value, "is not one of high, medium, low" + meant(value, []string{"high", "medium", "low"})}
		}
		term.confidence = level
	case "status":
		if !slices.ContainsFunc(Statuses(), func(known string) bool { return strings.EqualFold(known, value) }) {
			return term, &Error{word, value, "is not one of " + strings.Join(Statuses(), ", ") + meant(value, Statuses())}
		}
	case "up":
		if !slices.Contains(rules.Classes(), value) {
			return term, &Error{word, value, "is not one of " + rules.ClassList() + meant(value, rules.Classes())}
		}
	case "waived":
		if value != "yes" && value != "no" {
			return term, &Error{word, value, "is neither yes nor no"}
		}
		term.yes = value == "yes"
	case "exclude":
		return parseExcluded(value)
	}
	return term, nil
}

// system reads an operating system as records name it ("centos", "centos 5",
// "centos:5.8") or as people do ("Windows Server 2008 R2", "Red Hat 6").
func system(value string) (family, version string) {
	family, version, _ = strings.Cut(strings.Replace(value, ":", " ", 1), " ")
	family, version = strings.ToLower(family), strings.ToLower(strings.ReplaceAll(version, " ", ""))
	if slices.Contains(distro.Families(), family) || !strings.Contains(value, " ") {
		return family, version // one word is a name of ours, or a mistake that is told
	}
	if g := distro.Identify(value); g.Family != "" && g.Family != "other-linux" {
		return g.Family, g.Version
	}
	return family, version
}

// parseExcluded reads WORD=VALUE, or the id of an instance.
func parseExcluded(value string) (condition, error) {
	word, what, ok := strings.Cut(value, "=")
	if !ok {
		if !strings.HasPrefix(value, "i-") && !strings.HasPrefix(value, "eci-") {
			return condition{}, &Error{"exclude", value, "is no instance id and no WORD=VALUE, such as region=cn-hangzhou or tag=env=test"}
		}
		return condition{word: "instance", name: value, text: value}, nil
	}
	if word == "instance" {
		return condition{word: word, name: what, text: value}, nil
	}
	words := slices.DeleteFunc(Words(), func(w string) bool { return w == "exclude" })
	if !slices.Contains(words, word) || what == "" {
		return condition{}, &Error{"exclude", value, "begins with none of " + strings.Join(words, ", ") + ", instance" + meant(word, words)}
	}
	term, err := parse(word, what)
	if err != nil {
		return term, fmt.Errorf("exclude: %w", err)
	}
	return term, nil
}

// Statuses are those that the cloud knows of an instance.
func Statuses() []string { return []string{"Running", "Stopped", "Starting", "Stopping", "Pending"} }

func levels() []string {
	var out []string
	for _, l := range rules.Levels() {
		out = append(out, l.String())
	}
	return out
}

// IsZero says whether the filter lets everything through.
func (f *Filter) IsZero() bool { return len(f.terms) == 0 }

// looksAt says whether one of the words narrows the filter, or leaves something out.
func (f *Filter) looksAt(words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return len(f.terms[word]) > 0 }) ||
		slices.ContainsFunc(f.terms["exclude"], func(c condition) bool { return slices.Contains(words, c.word) })
}

// ByScope says whether accounts and regions alone decide.
func (f *Filter) ByScope() bool {
	return !f.ByRow() && !f.ByMachine() && !f.looksAt("os", "verdict", "confidence", "waived")
}

// ByRow says whether it takes an instance's id, status or tags to decide.
func (f *Filter) ByRow() bool { return f.looksAt("tag", "status", "instance") }

// ByMachine says whether it takes an instance's family, image or guest to decide.
func (f *Filter) ByMachine() bool { return f.looksAt("family", "image", "up") }

// BySoftware says whether it takes an instance's image or guest to decide.
func (f *Filter) BySoftware() bool { return f.looksAt("image", "up") }

// ByUp says whether it takes what is known of an instance's guest to decide.
func (f *Filter) ByUp() bool { return f.looksAt("up") }

// lets says whether the values of a word let something through, and excludes whether
// it is left out.
func (f *Filter) lets(word string, fits func(condition) bool) bool {
	return len(f.terms[word]) == 0 || slices.ContainsFunc(f.terms[word], fits)
}

func (f *Filter) excludes(fits func(condition) bool) bool {
	return slices.ContainsFunc(f.terms["exclude"], fits)
}

// Accounts are the accounts that are named.
func (f *Filter) Accounts() []string { return names(f.terms["account"]) }

// Regions are the regions that are named.
func (f *Filter) Regions() []string { return names(f.terms["region"]) }

func names(list []condition) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.name)
	}
	return out
}

// Rename replaces the names of accounts by their ids.
func (f *Filter) Rename(ids map[string]string) {
	for _, list := range [][]condition{f.terms["account"], f.terms["exclude"]} {
		for i := range list {
			if id, ok := ids[list[i].name]; ok && list[i].word == "account" {
				list[i].name = id
			}
		}
	}
}

// Scope says whether instances of an account and region can pass.
func (f *Filter) Scope(account, region string) bool {
	fits := func(c condition) bool {
		return c.word == "account" && c.name == account || c.word == "region" && c.name == region
	}
	return f.lets("account", fits) && f.lets("region", fits) && !f.excludes(fits)
}

// Judged says whether instances on such a machine with this classification can
// pass.
func (f *Filter) Judged(classification *rules.Classification, m Machine) bool {
	return f.Machine(m) && f.Classed(classification)
}

// Machine says whether instances on such a machine can pass.
func (f *Filter) Machine(m Machine) bool {
	fits := func(c condition) bool {
		return c.word == "family" && c.name == m.Family || c.word == "image" && c.name == m.Image || c.word == "up" && c.name == m.Up
	}
	return f.lets("family", fits) && f.lets("image", fits) && f.lets("up", fits) && !f.excludes(fits)
}

// Classed says whether instances with this classification can pass. It looks at
// the operating system and at each verdict's level, confidence and waiver.
func (f *Filter) Classed(classification *rules.Classification) bool {
	fits := func(term condition) bool {
		switch term.word {
		case "os":
			return term.system(classification.OS.Family, classification.OS.Version)
		case "verdict", "confidence", "waived":
			return slices.ContainsFunc(classification.Verdicts, func(v rules.Verdict) bool { return term.verdict(&v) })
		}
		return false
	}
	// Level, confidence and waiver are looked for on one and the same target.
	onOne := func(v rules.Verdict) bool {
		fits := func(c condition) bool { return c.verdict(&v) }
		return f.lets("verdict", fits) && f.lets("confidence", fits) && f.lets("waived", fits)
	}
	byVerdict := len(f.terms["verdict"])+len(f.terms["confidence"])+len(f.terms["waived"]) > 0
	return f.lets("os", fits) && (!byVerdict || slices.ContainsFunc(classification.Verdicts, onOne)) && !f.excludes(fits)
}

// system says whether an operating system is the one that is named: "5" is
// every 5.x.
func (c *condition) system(family, version string) bool {
	return c.name == family && (c.value == "" || c.value == version || strings.HasPrefix(version, c.value+".") || c.value == NoVersion && version == "")
}

func (c *condition) verdict(judged *rules.Verdict) bool {
	switch c.word {
	case "confidence":
		return judged.Confidence == c.confidence
	case "waived":
		return c.yes == (judged.Waiver != nil)
	}
	return judged.Level == c.level && (c.name == "" || c.name == judged.Target)
}

// Row says whether an instance passes by its id, status and tags.
func (f *Filter) Row(id, status string, tag func(key string) (string, bool)) bool {
	fits := func(term condition) bool {
		switch term.word {
		case "instance":
			return term.name == id
		case "status":
			return strings.EqualFold(term.name, status)
		}
		value, ok := tag(term.name)
		return term.word == "tag" && ok && (term.any || value == term.value)
	}
	if !f.lets("status", fits) || f.excludes(fits) {
		return false
	}
	for _, c := range f.terms["tag"] {
		if !slices.ContainsFunc(f.terms["tag"], func(o condition) bool { return o.name == c.name && fits(o) }) {
			return false
		}
	}
	return true
}

// Known is what a filter's names are held against.
type Known struct {
	Accounts, Regions []string // ids and names of accounts
	Targets           []string
	// What the history of the store has seen; nil is not known, and then nothing
	// is refused.
	Families, Systems, Tags []string // systems as "family" and "family version"
}

// Check returns the first name that is not known, with the nearest one that is.
func (f *Filter) Check(known *Known) error {
	for _, word := range []string{"account", "region", "family", "os", "tag", "verdict", "exclude"} {
		for i := range f.terms[word] {
			if err := f.terms[word][i].check(known); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *condition) check(k *Known) error {
	name, known, where := c.name, []string(nil), ""
	switch c.word {
	case "account":
		known, where = k.Accounts, "is no account that is known here"
	case "region":
		known, where = k.Regions, "is no region that is known here"
	case "family":
		known, where = k.Families, "is no instance family that this store has ever seen"
	case "tag":
		if len(name) > maxKnownTag {
			return nil
		}
		known, where = k.Tags, "is no tag that this store has ever seen"
	case "verdict":
		if name == "" {
			return nil
		}
		known, where = k.Targets, "names no target of this answer"
	case "os":
		known, where = k.Systems, "is no operating system that this store has ever seen"
		if slices.ContainsFunc(known, func(s string) bool {
			family, version, _ := strings.Cut(s, " ")
			return c.system(family, version)
		}) {
			return nil
		}
		name = strings.TrimSpace(name + " " + c.value)
	default:
		return nil
	}
	if known == nil || slices.Contains(known, name) {
		return nil
	}
	return &Error{c.word, c.text, where + Nearest(name, known)}
}

// Key is the same for two filters that were written alike, and for no two that
// let different instances through.
func (f *Filter) Key() string {
	var text strings.Builder
	for _, word := range Words() {
		for _, c := range f.terms[word] {
			fmt.Fprintf(&text, "%s=%q/%q ", word, c.text, c.name)
		}
	}
	return text.String()
}
