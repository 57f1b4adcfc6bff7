package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
)

func newRulesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List, explain and check the rules that verdicts rest on",
		Long: `The rule set is data: a YAML document in the binary, with your own files laid over
it by --rules. An overlay adds rules, overrides the verdict of a rule, or waives
verdicts for some instances until a date.`,
		Example: `  shenscan rules list
  shenscan rules show debian.6-early
  shenscan rules explain "CentOS  5.8 64位"
  shenscan rules validate my-rules.yaml
  shenscan rules schema > shenscan-rules.schema.json`,
	}
	cmd.AddCommand(newRulesListCmd(), newRulesShowCmd(), newRulesExplainCmd(), newRulesValidateCmd(), newRulesTestCmd(), newRulesPreviewCmd(), newRulesDiffCmd(), newRulesSchemaCmd())
	return cmd
}

// loadRules is the rule set of the binary with the files laid over it. Its
// errors name file and line.
func loadRules(paths []string) (*rules.Ruleset, error) {
	ruleset, err := app.Ruleset(paths)
	return ruleset, inFiles(err, paths)
}

// inFiles writes the mistakes of a rule set as FILE:LINE: TEXT.
func inFiles(err error, paths []string) error {
	list, ok := errors.AsType[catalog.Error](err)
	if !ok {
		return err
	}
	var out []error
	for _, m := range list {
		out = append(out, errors.New(inFile(m, paths)))
	}
	return usage(errors.Join(out...))
}

func inFile(mistake catalog.Mistake, paths []string) string {
	where := "the built-in rules"
	if mistake.Document > 0 && mistake.Document <= len(paths) {
		where = paths[mistake.Document-1]
	}
	if mistake.Line > 0 {
		where += fmt.Sprintf(":%d", mistake.Line)
	}
	return report.Clean(where + ": " + mistake.Text)
}

func rulesFlag(cmd *cobra.Command, paths *[]string) {
	cmd.Flags().StringSliceVar(paths, "rules", nil, "YAML files with rules, overrides and waivers of your own")
}

func newRulesListCmd() *cobra.Command {
	var paths []string
	var output string
	cmd := &cobra.Command{
		Use: "list", Short: "List every rule, in the order in which they are tried", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ruleset, err := loadRules(paths)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if output == "json" || output == "jsonl" {
				return listJSON(out, ruleset, output)
			}
			if output == "yaml" {
				if len(paths) > 0 {
					return usage(errors.New("--output yaml prints the built-in rule set; leave --rules out"))
				}
				_, err := out.Write(catalog.Document())
				return err
			}
			if output != "table" {
				return notOneOf("output", output, "table", "json", "jsonl", "yaml")
			}
			def := ruleset.Definition()
			var rows [][]string
			for i := range def.Rules {
				rule := &def.Rules[i]
				line := []string{rule.ID, rule.Stage, mark(rule.Legacy)}
				for _, class := range rules.Classes() {
					line = append(line, rule.Verdicts[class])
				}
				rows = append(rows, append(line, def.RuleAsOf(rule), rule.Title))
			}
			header := []string{"ID", "STAGE", "LEGACY"}
			for _, class := range rules.Classes() {
				header = append(header, strings.ToUpper(class))
			}
			if err := writeTable(out, append(header, "AS OF", "TITLE"), rows); err != nil {
				return err
			}
			fmt.Fprintf(out, "\n%d rules, %d overrides, %d waivers; digest %s\n", len(def.Rules), len(def.Overrides), len(def.Waivers), ruleset.Digest())
			screen := onScreen(out)
			screen.say("", age(ruleset, time.Now()))
			return screen.err
		},
	}
	rulesFlag(cmd, &paths)
	cmd.Flags().StringVar(&output, "output", "table", "table, json, jsonl, or yaml for the built-in rule set as a file")
	return cmd
}

// age says how old the knowledge of a rule set is.
func age(ruleset *rules.Ruleset, now time.Time) string {
	def := ruleset.Definition()
	oldest, n := def.AsOf, 0
	for i := range def.Rules {
		switch day := def.RuleAsOf(&def.Rules[i]); {
		case day < oldest:
			oldest, n = day, 1
		case day == oldest:
			n++
		}
	}
	days := func(day string) string {
		t, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return "of an unknown day"
		}
		return fmt.Sprintf("of %s (%d days old)", day, max(0, int(now.Sub(t).Hours()/24)))
	}
	families := ruleset.Families().Names()
	first := ""
	for _, name := range families {
		if day := ruleset.Families().Lookup("", name).AsOf; day != "" && (first == "" || day < first) {
			first = day
		}
	}
	return fmt.Sprintf("knowledge %s; the oldest source, of %d rules, is %s; %d families, the oldest page %s; type changes %s",
		days(def.AsOf), n, days(oldest), len(families), days(first), days(ruleset.Families().Matrix().AsOf))
}

func newRulesDiffCmd() *cobra.Command {
	return &cobra.Command{
		Use: "diff OLD NEW", Short: "Show what a new rule set changes: texts, boundaries, families",
		Long: `OLD and NEW are rule files, or "built-in" for the rule set of this binary. A file
that holds a whole rule set, such as the one that another version prints with
"shenscan rules list --output yaml", stands for itself; any other is laid over the
built-in one. shenscan rules preview shows which verdicts of the stored fleet a
rule file would move.`,
		Example: "  shenscan rules diff built-in my-rules.yaml\n  shenscan rules diff rules-of-last-year.yaml built-in",
		Args:    arguments(2, 2, "two rule files, or built-in for one of them"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var sets [2]*rules.Ruleset
			for i, name := range args {
				var err error
				if sets[i], err = wholeRules(name); err != nil {
					return err
				}
			}
			list, err := catalog.Diff(sets[0], sets[1])
			if err != nil {
				return fmt.Errorf("rules diff: %w", err)
			}
			out := cmd.OutOrStdout()
			for _, c := range list {
				fmt.Fprintln(out, report.Clean(c.String()))
			}
			_, err = fmt.Fprintf(out, "%s between digest %s and %s\n", report.Plural(len(list), "difference", "differences"), sets[0].Digest(), sets[1].Digest())
			return err
		},
	}
}

// wholeRules is the rule set that a name of rules diff stands for.
func wholeRules(name string) (*rules.Ruleset, error) {
	if name == "built-in" {
		return loadRules(nil)
	}
	data, err := app.ReadOverlays([]string{name})
	if err != nil {
		return nil, err
	}
	ruleset, err := catalog.Whole(data[0])
	return ruleset, inFiles(err, []string{name})
}

func mark(b bool) string {
	if b {
		return "legacy"
	}
	return ""
}

func listJSON(out io.Writer, ruleset *rules.Ruleset, format string) error {
	type row struct {
		ID       string            `json:"id"`
		Title    string            `json:"title"`
		Stage    string            `json:"stage"`
		Legacy   bool              `json:"legacy"`
		Verdicts map[string]string `json:"verdicts"`
		Reason   string            `json:"reason"`
		Source   string            `json:"source"`
		AsOf     string            `json:"as_of"`
	}
	def := ruleset.Definition()
	list := make([]row, 0, len(def.Rules))
	for i := range def.Rules {
		u := &def.Rules[i]
		list = append(list, row{u.ID, u.Title, u.Stage, u.Legacy, u.Verdicts, u.Reason, def.Sources[u.Source], def.RuleAsOf(u)})
	}
	enc := jsonEncoder(out)
	if format == "json" {
		enc.SetIndent("", "  ")
		return enc.Encode(list)
	}
	for i := range list {
		if err := enc.Encode(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

func newRulesShowCmd() *cobra.Command {
	var paths []string
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one rule: what it matches, why, its source, remedies and checks",
		Example: "  shenscan rules show windows.2008",
		Args:    oneArg("the id of a rule; see shenscan rules list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ruleset, err := loadRules(paths)
			if err != nil {
				return err
			}
			page, err := catalog.Page(ruleset, args[0])
			if err != nil {
				return usage(fmt.Errorf("%w%s", err, app.Meant(args[0], ruleIDs())))
			}
			_, err = io.WriteString(cmd.OutOrStdout(), page)
			return err
		},
	}
	rulesFlag(cmd, &paths)
	return cmd
}

// arguments asks for so many arguments.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage(fmt.Errorf("give %s", what))
		}
		return nil
	}
}

// oneArg asks for exactly one argument.
func oneArg(what string) cobra.PositionalArgs { return arguments(1, 1, what) }

func newRulesExplainCmd() *cobra.Command {
	var dir storeFlags
	var paths, targets []string
	var output string
	cmd := &cobra.Command{
		Use: "explain STRING", Short: "Show how a verdict comes about: strings, identity, every rule considered, which won and why",
		Long: `Takes what classify takes (an OS name, an image id, or a JSON object of facts), or
the id of an instance in the store.`,
		Example: `  shenscan rules explain "CentOS  5.8 64位"
  shenscan rules explain i-bp67acfmxazb4p0001
  shenscan rules explain '{"os_name":"CentOS 7.9","image_id":"centos5u8_64_20G_aliaegis_20131231.vhd"}' --target ecs.g8i`,
		Args: oneArg("one string or JSON object"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ruleset, err := loadRules(paths)
			if err != nil {
				return err
			}
			list, err := app.Targets(ruleset, targets)
			if err != nil {
				return err
			}
			explanation, err := explain(cmd.Context(), dir.place(), ruleset, list, args[0])
			if err != nil {
				return err
			}
			switch output {
			case "json":
				enc := jsonEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(explanation)
			case "text":
				return writeExplanation(cmd.OutOrStdout(), explanation, dir.named(), languageOf(cmd.Flags()))
			}
			return notOneOf("output", output, "text", "json")
		},
	}
	rulesFlag(cmd, &paths)
	dir.addReader(cmd)
	cmd.Flags().StringSliceVar(&targets, "target", nil, rules.ClassList()+", an instance family or type; default all classes")
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	return cmd
}

// explain explains the stored instance where arg is the id of one, else what arg
// itself says.
func explain(ctx context.Context, at app.Place, ruleset *rules.Ruleset, targets []rules.Target, arg string) (*record.Explained, error) {
	if !producer.IsInstanceID(arg) {
		facts, err := factsOf(arg)
		if err != nil {
			return nil, usage(err)
		}
		return &record.Explained{Explanation: *ruleset.Explain(&facts, targets), GuestEvidence: []record.GuestEvidence{}, Siblings: []record.Siblings{}}, nil
	}
	db, err := app.OpenStore(ctx, at, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s looks like an instance: %w", arg, err)
	}
	explained, err := app.StoredExplanation(ctx, db.DB, ruleset, targets, "", "", arg, time.Now())
	return explained, errors.Join(err, db.Close())
}

// heardText says what a source answered of a guest, with its age. Text of a
// console log is the machine's own: it is escaped and cut.
func heardText(evidence *record.GuestEvidence, in lang.Language) string {
	parts := []string{"none"}
	switch {
	case evidence.Heard == nil && evidence.Source == event.EvidenceProbe && evidence.Asked != nil:
		parts[0] = "no answer since it was asked " + evidence.Asked.Format(time.RFC3339)
	case evidence.Heard != nil && evidence.AgeSeconds == nil:
		parts[0] = evidence.Heard.Format(time.RFC3339) + ", a time to come"
	case evidence.Heard != nil:
		parts[0] = evidence.Heard.Format(time.RFC3339) + ", " + report.Span(time.Duration(*evidence.AgeSeconds)*time.Second) + " ago"
	}
	if evidence.End != "" {
		parts = append(parts, "ends in "+report.Clean(evidence.End))
	}
	if evidence.Kernel != "" {
		parts = append(parts, "kernel "+report.Short(evidence.Kernel, 120))
	}
	if evidence.Root != "" {
		parts = append(parts, "root "+report.Short(evidence.Root, 120))
	}
	if evidence.Cause != "" {
		parts = append(parts, in.Say(report.Short(evidence.Cause, 200)))
	}
	if evidence.Unused != "" {
		parts = append(parts, in.Say(evidence.Unused))
	}
	if evidence.Excerpt != "" {
		parts = append(parts, strconv.Quote(report.Short(evidence.Excerpt, 200)))
	}
	return strings.Join(parts, "; ")
}

// writeExplanation writes it for people; store is the folder of the store that it is
// of, "" for the default one.
func writeExplanation(out io.Writer, explanation *record.Explained, store string, in lang.Language) error {
	screen := onScreen(out)
	if screen.width == 0 {
		screen.width = mostColumns
	}
	seen := &report.TextTable{In: in, Head: cells("SEEN IN", "EVIDENCE", "TEXT", "SAYS")}
	for _, s := range explanation.Seen {
		seen.Rows = append(seen.Rows, cells(s.Field, s.Evidence.String(), report.Short(s.Text, 60), in.Say(s.Says)))
	}
	screen.show(seen)
	if len(explanation.Seen) == 0 {
		fmt.Fprintln(out, in.Say("nothing names an operating system"))
	}
	fmt.Fprintln(out)
	screen.show(factsTable(explanation, in))
	fmt.Fprintln(out)
	screen.show(evidenceTable(explanation.Evidence, in))
	for i := range explanation.Siblings {
		siblings := &explanation.Siblings[i]
		fmt.Fprintf(out, "%s\n", in.Say(fmt.Sprintf("on %s %s now: %s", siblings.Class, report.Plural(siblings.Now, "such instance is", "such instances are"), listCommand(siblings, store))))
		if siblings.Note != "" {
			screen.say("  ", in.Say(siblings.Note))
		}
	}
	screen.say("", in.Say("* names the operating system; a source decides where a verdict would be another without it, - is not in hand"))
	for _, targetExplanation := range explanation.Targets {
		fmt.Fprintf(out, "\n%s\n", in.Say(fmt.Sprintf("%s: %s, confidence %s, by %s", targetExplanation.Target, targetExplanation.Verdict, targetExplanation.Confidence, targetExplanation.Winner)))
		screen.say("", in.Say(targetExplanation.Why))
		considered := report.TextTable{Indent: 2}
		for _, c := range targetExplanation.Considered {
			won := " "
			if c.Won {
				won = "*"
			}
			considered.Rows = append(considered.Rows, cells(won+" "+c.Rule, c.Stage, in.Say(c.Outcome)))
		}
		screen.show(&considered)
	}
	fmt.Fprintln(out)
	screen.say("", in.Say("rule set "+explanation.Digest))
	return screen.err
}

// factsTable says what an instance was taken for.
func factsTable(explanation *record.Explained, in lang.Language) *report.TextTable {
	facts := &report.TextTable{}
	fact := func(name, text string) {
		facts.Rows = append(facts.Rows, cells(in.Say(name), text))
	}
	os := explanation.Classification.OS
	fact("identity", strings.Join(strings.Fields(os.Family+" "+os.Version+" "+prefixed("SP", os.ServicePack)+" "+os.Edition+" "+os.Arch+" "+os.Kernel), " "))
	fact("evidence", os.Evidence.String())
	fact("on the legacy list", in.Say(strconv.FormatBool(explanation.Classification.Legacy)))
	if m := explanation.Machine; m.Family != "" {
		fact("machine", in.Say(fmt.Sprintf("%s, generation %d (0: not known), %s %s", m.Family, m.Generation, m.Virtualization, m.Arch)))
	}
	for _, c := range explanation.Classification.Conflicts {
		fact("conflict", in.Say(fmt.Sprintf("%s: %s is chosen, %s says %s (%s)", c.Field, c.Chosen, c.Evidence, c.Other, report.Short(c.Text, 60))))
	}
	for i := range explanation.GuestEvidence {
		fact(explanation.GuestEvidence[i].Source, heardText(&explanation.GuestEvidence[i], in))
	}
	return facts
}

// evidenceTable says which sources of evidence decide a verdict.
func evidenceTable(list []rules.Held, in lang.Language) *report.TextTable {
	evidence := &report.TextTable{In: in, Head: cells("SOURCE", "DECIDES", "SAYS")}
	for i := range list {
		held := &list[i]
		name, decides := held.Source, strings.Join(held.Decides, " ")
		switch {
		case held.Identity:
			name += " *"
		case !held.Held:
			decides = "-"
		}
		evidence.Rows = append(evidence.Rows, cells(name, decides, report.Short(in.Say(held.Says), 200)))
	}
	return evidence
}

func prefixed(p, text string) string {
	if text == "" {
		return ""
	}
	return p + text
}

func newRulesValidateCmd() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check rule files: form, meaning, overlaps, rules that can never fire",
		Long: `Checks files as they would be used: laid over the built-in rules in the order
given. Mistakes are listed as FILE:LINE: TEXT and end with exit code 2; rules that
overlap or can never fire are listed as warnings.`,
		Example: "  shenscan rules validate my-rules.yaml",
		Args:    arguments(1, math.MaxInt, "the rule files to check"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ruleset, err := loadRules(args)
			if err != nil {
				return err
			}
			overlays, err := app.ReadOverlays(args)
			if err != nil {
				return err
			}
			warnings := catalog.Warnings(ruleset, overlays...)
			sort.SliceStable(warnings, func(i, j int) bool { return warnings[i].Line < warnings[j].Line })
			for _, m := range warnings {
				fmt.Fprintln(cmd.OutOrStdout(), "warning:", inFile(m, args))
			}
			for _, note := range app.WaiverNotes(ruleset, time.Now()) {
				fmt.Fprintln(cmd.OutOrStdout(), "warning:", report.Clean(note))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: valid; %d rules in force, digest %s\n", strings.Join(args, ", "), len(ruleset.Definition().Rules), ruleset.Digest())
			return nil
		},
	}
}

func newRulesTestCmd() *cobra.Command {
	return &cobra.Command{
		Use: "test [FILE...]", Short: "Run the fixtures of every rule, those of the files included",
		Long: `Every rule names observations on which it must fire and neighbours on which it
must not. This runs them all, with the files laid over the built-in rules; a
built-in fixture that an overlay breaks is shown too, because it tells what the
overlay changes. Exit code 1 when one fails.`,
		Example: "  shenscan rules test my-rules.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			ruleset, err := loadRules(args)
			if err != nil {
				return err
			}
			n, failed := ruleset.Test()
			for _, f := range failed {
				fmt.Fprintln(cmd.OutOrStdout(), "FAIL", report.Clean(f.String()))
			}
			if len(failed) > 0 {
				return fmt.Errorf("rules test: %d of %d fixtures fail", len(failed), n)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d fixtures hold\n", n)
			return nil
		},
	}
}

func newRulesSchemaCmd() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of rule files, for editors", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(catalog.Schema())
			return err
		},
	}
}

// listCommand is the command that lists siblings, as a shell reads it.
func listCommand(siblings *record.Siblings, store string) string {
	words := []string{"shenscan report --output jsonl"}
	if store != "" {
		words = append(words, "--store", report.Quoted(store))
	}
	for _, word := range filter.Words() {
		if value := siblings.Filter[word]; value != "" {
			words = append(words, "--"+word, report.Quoted(value))
		}
	}
	return strings.Join(words, " ")
}
