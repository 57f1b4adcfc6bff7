package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

// completeTimeout bounds how long a shell waits for values of a store.
const completeTimeout = 2 * time.Second

// completions have shells complete the values of flags and arguments: words of
// closed lists, rules, and what the store holds.
func completions(root *cobra.Command) {
	walk(root, func(command *cobra.Command) {
		command.Flags().VisitAll(func(flag *pflag.Flag) { completeFlag(command, flag) })
		command.PersistentFlags().VisitAll(func(flag *pflag.Flag) { completeFlag(command, flag) })
		switch command.CommandPath() {
		case "shenscan rules show":
			command.ValidArgsFunction = func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
				return matching(ruleIDs(), args, typed), cobra.ShellCompDirectiveNoFileComp
			}
		case "shenscan rescan", "shenscan check", "shenscan classify":
			command.ValidArgsFunction = cobra.NoFileCompletions
		}
	})
}

func completeFlag(command *cobra.Command, flag *pflag.Flag) {
	values := valuesOf(command, flag.Name)
	if values == nil {
		return
	}
	_, several := flag.Value.(pflag.SliceValue)
	// The error says that the flag has a completion already.
	_ = command.RegisterFlagCompletionFunc(flag.Name, func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		before := ""
		if at := strings.LastIndexByte(typed, ','); several && at >= 0 {
			before, typed = typed[:at+1], typed[at+1:]
		}
		out := matching(values(cmd), strings.Split(before, ","), typed)
		for i := range out {
			out[i] = before + out[i]
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
}

// matching leaves what begins as typed and is not there yet.
func matching(values, have []string, typed string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool {
		return !strings.HasPrefix(v, typed) || slices.Contains(have, v)
	})
}

// valuesOf are the values that the flag of a command may have; nil where the
// shell completes file names, or nothing.
func valuesOf(command *cobra.Command, flag string) func(*cobra.Command) []string {
	words := func(list ...string) func(*cobra.Command) []string {
		return func(*cobra.Command) []string { return list }
	}
	if list := closedWords[flag]; list != nil {
		return words(list...)
	}
	if pick := storedWords[flag]; pick != nil {
		return func(cmd *cobra.Command) []string { return pick(stored(cmd)) }
	}
	switch {
	case flag == "since":
		return scanIDs
	case flag == "output" && command.Name() == "plan":
		return words(report.Names(plan.Formats())...)
	case flag == "output":
		return words(report.Names(report.Formats())...)
	}
	return nil
}

// closedWords are the flags that take some words alone, whatever the store holds.
var closedWords = map[string][]string{
	"confidence":     {"high", "medium", "low"},
	"owner-fallback": {"none", "account"},
	"charge-type":    {"PostPaid", "PrePaid"},
	"lang":           {"en", "zh"},
	"log-level":      {"debug", "info", "warn", "error"},
	"log-format":     {"text", "json"},
	"nats-sync":      {"always", "interval"},
	"verdict":        report.Levels(),
	"fail-on":        report.Levels(),
}

// storedWords are the flags that take what the store knows.
var storedWords = map[string]func(*filter.Known) []string{
	"region":    func(k *filter.Known) []string { return k.Regions },
	"account":   func(k *filter.Known) []string { return k.Accounts },
	"tag":       func(k *filter.Known) []string { return k.Tags },
	"owner-tag": func(k *filter.Known) []string { return k.Tags },
	"family":    func(k *filter.Known) []string { return k.Families },
	"target": func(k *filter.Known) []string {
		return slices.Compact(slices.Sorted(slices.Values(slices.Concat(rules.Classes(), k.Targets))))
	},
}

// noteUnlisted says which families that --target names are in no table: they are
// judged by how they are named, and one that is misspelt is as good as another.
func noteUnlisted(cmd *cobra.Command) {
	flag := cmd.Flags().Lookup("target")
	if flag == nil || !flag.Changed {
		return
	}
	names := []string{flag.Value.String()}
	if several, ok := flag.Value.(pflag.SliceValue); ok {
		names = slices.Clone(several.GetSlice()) // the flag's own, which must stay
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(rules.Classes(), name) })
	if len(names) == 0 {
		return
	}
	ruleset, err := catalog.Default()
	if err != nil {
		return // the command says so
	}
	for _, name := range names {
		if t, err := ruleset.ParseTarget(name); err == nil && t.Unlisted {
			fmt.Fprintf(cmd.ErrOrStderr(), "shenscan: --target %s: the family is in no table and is judged by its name alone%s\n", report.Short(name, 40), app.Meant(t.Family, ruleset.Families().Names()))
		}
	}
}

// inStore asks the store that the command line names, or that of the
// environment, if it can be had at once.
func inStore(cmd *cobra.Command, ask func(context.Context, *app.Held)) {
	named := func(name, otherwise string) string {
		if flag := cmd.Flags().Lookup(name); flag != nil && flag.Changed {
			return cmp.Or(flag.Value.String(), otherwise)
		}
		return cmp.Or(os.Getenv(config.EnvPrefix+strings.ToUpper(name)), otherwise)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
	defer cancel()
	db, err := app.OpenStore(ctx, app.Place{Dir: named("store", defaultStore()), Server: named("server", "")}, nil, nil)
	if err != nil {
		return // a shell that completes nothing says so
	}
	defer db.Close()
	ask(ctx, db)
}

func stored(cmd *cobra.Command) *filter.Known {
	out := &filter.Known{}
	inStore(cmd, func(_ context.Context, db *app.Held) { out = db.Known() })
	return out
}

// shownIDs is how many scans a shell is offered.
const shownIDs = 50

func scanIDs(cmd *cobra.Command) (out []string) {
	inStore(cmd, func(_ context.Context, db *app.Held) {
		scans, err := db.Scans(shownIDs)
		if err != nil {
			return
		}
		for i := range scans {
			if scans[i].Kind == "scan" && scans[i].EndedAt != nil {
				out = append(out, scans[i].ID)
			}
		}
	})
	return append(out, "24h", "7d", "30d")
}

func ruleIDs() []string {
	ruleset, err := catalog.Load()
	if err != nil {
		return nil
	}
	var out []string
	for _, r := range ruleset.Definition().Rules {
		out = append(out, r.ID)
	}
	return out
}
