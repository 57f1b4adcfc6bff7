package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/record"
)

// since says what changed.
func (t *terminal) since() error {
	earlier := t.r.Since
	if earlier == nil {
		return nil
	}
	t.section(earlier.Title(), "")
	t.lines(earlier.Words(), Plain)
	for _, text := range earlier.Progress {
		t.lines(text, Plain)
	}
	tab := TextTable{Indent: 2, Shrink: []int{2, 1}}
	for _, c := range earlier.First(termChanges) {
		tab.Rows = append(tab.Rows, []Cell{{Text: c.InstanceID}, {Text: c.InstanceName}, {Text: c.Region, Style: Dim}, {Text: Moment(c.At), Style: Dim}})
		tab.Below = append(tab.Below, Below{Row: len(tab.Rows) - 1, Text: t.say(OSText(c.OS)) + ": " + t.say(ChangeLine(&c.Change))})
	}
	if err := tab.Write(t.w, t.width, t.o.Color); err != nil {
		return err
	}
	t.more(earlier.Listed()-len(tab.Rows), "more: shenscan report "+earlier.Flag()+" --output csv")
	return nil
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
	t.section(fmt.Sprintf("Not read (%s)", Number(len(all))), "")
	for i := range all[:min(len(all), termFailures)] {
		failure := &all[i]
		where, head := Short(sayScope(t.o.Language, failure.Account, failure.Region), t.width-2), t.say(FailureHead(failure))
		if 2+Width(where)+2+Width(head) <= t.width {
			fmt.Fprintf(t.w, "  %s  %s\n", t.paint(where, Red), head)
		} else {
			fmt.Fprintf(t.w, "  %s\n%s", t.paint(where, Red), Hung("    ", head, t.width))
		}
		for _, line := range Wrap(Short(failure.Error, 600), t.width-6) {
			fmt.Fprintf(t.w, "    %s\n", t.paint(line, Dim))
		}
		for j, line := range Wrap(t.say(Short(failure.Mend, 600)), t.width-10) {
			lead := t.say("mend: ")
			if j > 0 {
				lead = strings.Repeat(" ", Width(lead))
			}
			fmt.Fprintf(t.w, "    %s%s\n", lead, line)
		}
	}
	t.more(len(all)-min(len(all), termFailures), "more failures: shenscan report --output json")
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
