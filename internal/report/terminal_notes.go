package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
)

// since says what changed.
func (t *terminal) since() {
	earlier := t.r.Since
	if earlier == nil {
		return
	}
	t.Section(earlier.Title(), "")
	t.lines(earlier.Words(), Plain)
	for _, text := range earlier.Progress {
		t.lines(text, Plain)
	}
	tab := TextTable{Indent: 2, Shrink: []int{2, 1}}
	for _, c := range earlier.First(termChanges) {
		tab.Rows = append(tab.Rows, []Cell{{Text: c.InstanceID}, {Text: c.InstanceName}, {Text: c.Region, Style: Dim}, {Text: Moment(c.At), Style: Dim}})
		tab.Below = append(tab.Below, Below{Row: len(tab.Rows) - 1, Text: t.Say(osText(c.OS)) + ": " + t.Say(changeLine(&c.Change))})
	}
	t.Table(&tab)
	t.More(earlier.Listed()-len(tab.Rows), "more: shenscan report "+earlier.Flag()+" --output csv")
}

func sortedKeys(ms ...map[string]string) []string {
	var keys []string
	for _, m := range ms {
		for k := range m {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// failures names each thing that could not be read, and the mend.
func (t *terminal) failures() {
	all := t.r.Failures
	if len(all) == 0 {
		return
	}
	t.Section(fmt.Sprintf("Not read (%s)", Number(len(all))), "")
	for i := range all[:min(len(all), termFailures)] {
		failure := &all[i]
		where, head := Short(sayScope(t.Language, failure.Account, failure.Region), t.width-2), t.Say(FailureHead(failure))
		if 2+Width(where)+2+Width(head) <= t.width {
			fmt.Fprintf(t, "  %s  %s\n", t.Paint(where, Red), head)
		} else {
			fmt.Fprintf(t, "  %s\n%s", t.Paint(where, Red), Hung("    ", head, t.width))
		}
		for _, line := range Wrap(Short(failure.Error, 600), t.width-6) {
			fmt.Fprintf(t, "    %s\n", t.Paint(line, Dim))
		}
		for j, line := range Wrap(t.Say(Short(failure.Mend, 600)), t.width-10) {
			lead := t.Say("mend: ")
			if j > 0 {
				lead = strings.Repeat(" ", Width(lead))
			}
			fmt.Fprintf(t, "    %s%s\n", lead, line)
		}
	}
	t.More(len(all)-min(len(all), termFailures), "more failures: shenscan report --output json")
}

// ScopeName names an account and region for people.
func ScopeName(account, region string) string {
	switch {
	case account == ecs.BaseCredentials:
		return "the account of the credentials"
	case account == "":
		account = "all accounts"
	case region == "":
		return account + " / all regions"
	}
	return account + " / " + region
}

// FailureHead is the failure without its cause: the call, the class, the code.
func FailureHead(failure *record.Failure) string {
	head := Clean(failure.API)
	switch class := Clean(ecs.ClassWords(failure.Class)); {
	case head == "":
		head = class
	case class != "":
		head += ": " + class
	}
	if failure.Code != "" {
		head += " (" + Clean(failure.Code) + ")"
	}
	return head
}
