package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

// filterFlags are the words of the one filter.
type filterFlags struct{ values map[string]*[]string }

// filterHelp says what the words mean.
func filterHelp(word string) string {
	return map[string]string{
		"account":    "only these accounts, by id or configured name",
		"region":     "only these regions",
		"tag":        "only instances with this tag, KEY or KEY=VALUE; values of one key are alternatives, every key must fit",
		"family":     "only these instance families, such as ecs.g5",
		"image":      "only instances made from these images, by id",
		"status":     "only instances with this status, such as Running or Stopped",
		"up":         "only instances that run on this class of machines with a guest that was heard of, and with no other kernel than their image's: " + rules.ClassList(),
		"waived":     "only instances with a waived verdict (yes), or with one that is not (no); on a target with that verdict where --verdict is given too",
		"os":         "only these operating systems, such as centos, centos:5 (every 5.x) or windows-server:2003",
		"verdict":    "only instances with this verdict on a target of the answer, or on one: shenlong-8=incompatible",
		"confidence": "only instances with this confidence, on a target with that verdict where --verdict is given too: high, medium or low",
		"exclude":    "leave out WORD=VALUE, such as region=cn-hangzhou or tag=env=test, or an instance id",
	}[word]
}

// add adds the flags of some words, of all where none is named.
func (f *filterFlags) add(cmd *cobra.Command, words ...string) {
	f.values = map[string]*[]string{}
	if len(words) == 0 {
		words = filter.Words()
	}
	for _, word := range words {
		list := &[]string{}
		f.values[word] = list
		cmd.Flags().StringSliceVar(list, word, nil, filterHelp(word))
	}
}

// parse reads the flags, and more values that other flags named.
func (f *filterFlags) parse(settings *settings, more filter.Values) (filter.Filter, error) {
	values := filter.Values{}
	for word, list := range f.values {
		values[word] = *list
	}
	for word, list := range more {
		values[word] = slices.Concat(values[word], list)
	}
	out, err := filter.Parse(values)
	if err != nil {
		return out, usage(fmt.Errorf("--%w", err))
	}
	out.Rename(accountIDs(settings.file))
	return out, nil
}

// accountIDs are the ids of configured accounts, by name, as far as the file
// tells.
func accountIDs(file *config.File) map[string]string {
	out := map[string]string{}
	for _, a := range file.Accounts.List {
		if parts := strings.Split(a.RoleARN, ":"); len(parts) > 3 && a.Name != "" && parts[3] != "" {
			out[a.Name] = parts[3]
		}
	}
	return out
}

// checkFilter refuses names that the store does not know, and says where
// nothing passes.
func checkFilter(view *store.View, chosen *filter.Filter, s *settings, stderr io.Writer) error {
	if err := checkNames(view.Known(), chosen, s); err != nil {
		return err
	}
	if !chosen.IsZero() && view.Summary().Instances == 0 {
		fmt.Fprintln(stderr, "shenscan: no instance passes the filter now")
	}
	return nil
}

// checkNames refuses names of a filter that neither the store nor the
// configuration knows.
func checkNames(known *filter.Known, chosen *filter.Filter, s *settings) error {
	for name, id := range accountIDs(s.file) {
		known.Accounts = append(known.Accounts, name, id)
	}
	if err := chosen.Check(known); err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	return nil
}

// noteJudgement says where an answer judges anew without having been asked to. For
// targets that were named it does so where the rules are others.
func noteJudgement(view *store.View, files, targets []string, stderr io.Writer) {
	digest, stored, own := view.Judged()
	if own || len(files) > 0 || len(targets) > 0 && digest == view.Summary().Ruleset {
		return
	}
	fmt.Fprintf(stderr, "shenscan: the stored verdicts are of rule set %s for %s; this answer judges the stored facts anew by %s; name the same --rules and --target, or a waiver's day has come\n",
		digest, report.Clean(strings.Join(stored, ", ")), view.Summary().Ruleset)
}
