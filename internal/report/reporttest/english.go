package reporttest

import (
	"encoding/json"
	"html"
	"regexp"
	"slices"
	"strings"
)

var (
	notText = regexp.MustCompile(`(?s)<(?:script|style|code|svg)[ >].*?</(?:script|style|code|svg)>|<!doctype html>|<title>.*?</title>`)
	heard   = regexp.MustCompile(`\s(?:aria-label|title|placeholder|alt)="([^"]*)"`)
	tags    = regexp.MustCompile(`(?s)<[^>]*>`)
	words   = regexp.MustCompile(`[A-Za-z][A-Za-z_'-]+`)
	// What is cut, escaped or an address is no word.
	address = regexp.MustCompile(`https://\S+|[A-Za-z_-]+…|\\(?:[nrt]|[xuU][0-9a-f]+)`)
)

// staying are words that no language translates: names, formats, commands.
var staying = strings.Fields(`
shenscan json csv excel html prometheus english sink worker producer utc ecs nvme virtio kvm shenlong vcpu mib gib id api url os
essd autopl cpu amd intel arm uefi bios javascript linux windows dns ntp ram
sle sles el sp rhel lts anck server alibaba cloud standard sfc scannow test starting stopping pending repair nothing os_name
`)

// Texts are what a page shows or has read out, without what is no text.
func Texts(page string) []string {
	page = notText.ReplaceAllString(page, " ")
	var out []string
	for _, m := range heard.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	out = append(out, tags.Split(page, -1)...)
	for i := range out {
		out[i] = strings.TrimSpace(html.UnescapeString(out[i]))
	}
	return out
}

// English are the texts of a page, or of lines without tags, that hold words in
// Latin letters which neither data holds nor every language has.
func English(page string, data ...string) []string {
	known := map[string]bool{}
	for _, d := range data {
		for _, w := range words.FindAllString(d, -1) {
			known[strings.ToLower(w)] = true
		}
	}
	var out []string
	for _, s := range Texts(page) {
		for line := range strings.Lines(address.ReplaceAllString(s, " ")) {
			for _, w := range words.FindAllString(line, -1) {
				if w = strings.ToLower(w); !known[w] && !slices.Contains(staying, w) {
					out = append(out, w+" in "+strings.Join(strings.Fields(line), " "))
					break
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Words are the words that a fleet brings along: names, ids, what the cloud
// answered, and the texts of the rule set that it was made with.
func (f *Fleet) Words() []string {
	out := []string{f.Scan.ID}
	for i := range f.Summary.Scopes {
		for _, x := range f.Summary.Scopes[i].Failures {
			out = append(out, x.API, x.Error, x.RequestID, x.Code, x.Mend)
		}
	}
	for _, entry := range f.Records {
		tags, err := json.Marshal(entry.Tags)
		if err != nil { // cannot happen: texts alone
			continue
		}
		out = append(out, entry.Account, entry.Region, entry.Zone, entry.InstanceID, entry.InstanceName, entry.InstanceType, entry.InstanceFamily, entry.Virtualization, entry.ImageID, entry.ImageOwner,
			entry.Status, string(tags), entry.OS.Family, entry.OS.Edition)
		for i := range entry.Verdicts {
			verdict := &entry.Verdicts[i]
			out = append(out, verdict.Rule, verdict.Target, verdict.Reason, verdict.Source, strings.Join(verdict.Checks, " "))
			for j := range verdict.Remedies {
				m := &verdict.Remedies[j]
				out = append(out, m.ID, m.Text, m.Benefit, m.Drawback, strings.Join(m.Steps, " "), strings.Join(m.Families, " "))
			}
		}
	}
	return out
}
