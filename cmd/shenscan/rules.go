package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
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
	cmd.AddCommand(newRulesListCmd(), newRulesShowCmd(), newRulesExplainCmd(), newRulesValidateCmd(), newRulesTestCmd(), newRulesPreviewCmd(), newRulesSchemaCmd())
	return cmd
}

// readRules reads rule files.
func readRules(paths []string) ([][]byte, error) {
	var out [][]byte
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, usage(fmt.Errorf("rules: %w", err))
		}
		out = append(out, b)
	}
	return out, nil
}

// loadRules is the rule set of the binary with the files laid over it. Its
// errors name file and line.
func loadRules(paths []string) (*rules.Ruleset, error) {
	overlays, err := readRules(paths)
	if err != nil {
		return nil, err
	}
	r, err := catalog.Load(overlays...)
	if err != nil {
		return nil, usage(inFiles(err, paths))
	}
	return r, nil
}

// inFiles writes the mistakes of a rule set as FILE:LINE: TEXT.
func inFiles(err error, paths []string) error {
	var list catalog.Error
	if !errors.As(err, &list) {
		return err
	}
	var out []error
	for _, m := range list {
		out = append(out, errors.New(inFile(m, paths)))
	}
	return errors.Join(out...)
}

func inFile(m catalog.Mistake, paths []string) string {
	where := "the built-in rules"
	if m.Document > 0 && m.Document <= len(paths) {
		where = paths[m.Document-1]
	}
	if m.Line > 0 {
		where += fmt.Sprintf(":%d", m.Line)
	}
	return report.Clean(where + ": " + m.Text)
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
			r, err := loadRules(paths)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if output == "json" || output == "jsonl" {
				return listJSON(out, r, output)
			}
			if output != "table" {
				return usage(fmt.Errorf("--output %q is none of table, json, jsonl", output))
			}
			def := r.Definition()
			var rows [][]string
			for i := range def.Rules {
				u := &def.Rules[i]
				line := []string{u.ID, u.Stage, mark(u.Legacy)}
				for _, class := range rules.Classes() {
					line = append(line, u.Verdicts[class])
				}
				rows = append(rows, append(line, u.Title))
			}
			header := []string{"ID", "STAGE", "LEGACY"}
			for _, class := range rules.Classes() {
				header = append(header, strings.ToUpper(class))
			}
			if err := writeTable(out, append(header, "TITLE"), rows); err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "\n%d rules, %d overrides, %d waivers; digest %s\n", len(def.Rules), len(def.Overrides), len(def.Waivers), r.Digest())
			return err
		},
	}
	rulesFlag(cmd, &paths)
	cmd.Flags().StringVar(&output, "output", "table", "table, json or jsonl")
	return cmd
}

func mark(b bool) string {
	if b {
		return "legacy"
	}
	return ""
}

func listJSON(out io.Writer, r *rules.Ruleset, format string) error {
	type row struct {
		ID       string            `json:"id"`
		Title    string            `json:"title"`
		Stage    string            `json:"stage"`
		Legacy   bool              `json:"legacy"`
		Verdicts map[string]string `json:"verdicts"`
		Reason   string            `json:"reason"`
		Source   string            `json:"source"`
	}
	def := r.Definition()
	list := make([]row, 0, len(def.Rules))
	for i := range def.Rules {
		u := &def.Rules[i]
		list = append(list, row{u.ID, u.Title, u.Stage, u.Legacy, u.Verdicts, u.Reason, def.Sources[u.Source]})
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
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
			r, err := loadRules(paths)
			if err != nil {
				return err
			}
			page, err := catalog.Page(r, args[0])
			if err != nil {
				return usage(err)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), page)
			return err
		},
	}
	rulesFlag(cmd, &paths)
	return cmd
}

// oneArg asks for exactly one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(fmt.Errorf("give %s", what))
		}
		return nil
	}
}

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
			r, err := loadRules(paths)
			if err != nil {
				return err
			}
			list, err := parseTargets(r, targets)
			if err != nil {
				return err
			}
			facts, err := factsToExplain(cmd.Context(), dir.dir, args[0])
			if err != nil {
				return err
			}
			e := r.Explain(&facts, list)
			switch output {
			case "json":
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				return enc.Encode(e)
			case "text":
				return writeExplanation(cmd.OutOrStdout(), e)
			}
			return usage(fmt.Errorf("--output %q is none of text, json", output))
		},
	}
	rulesFlag(cmd, &paths)
	dir.add(cmd)
	cmd.Flags().StringSliceVar(&targets, "target", nil, rules.ClassList()+", an instance family or type; default all classes")
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	return cmd
}

// factsToExplain are the stored facts where arg is the id of a stored
// instance, else what arg itself says.
func factsToExplain(ctx context.Context, dir, arg string) (rules.Facts, error) {
	if !producer.IsInstanceID(arg) {
		return factsOf(arg), nil
	}
	db, err := app.OpenStore(ctx, dir, nil, nil)
	if err != nil {
		return rules.Facts{}, fmt.Errorf("%s looks like an instance: %w", arg, err)
	}
	f, err := db.Facts(arg)
	if err := errors.Join(err, db.Close()); err != nil {
		return rules.Facts{}, err
	}
	return *f, nil
}

func writeExplanation(out io.Writer, e *rules.Explanation) error {
	seen := &report.TextTable{Head: []report.Cell{{Text: "SEEN IN"}, {Text: "EVIDENCE"}, {Text: "TEXT"}, {Text: "SAYS"}}}
	for _, s := range e.Seen {
		seen.Rows = append(seen.Rows, []report.Cell{{Text: s.Field}, {Text: s.Evidence.String()}, {Text: report.Short(s.Text, 60)}, {Text: s.Says}})
	}
	if err := seen.Write(out, 160, false); err != nil {
		return err
	}
	if len(e.Seen) == 0 {
		fmt.Fprintln(out, "nothing names an operating system")
	}
	os := e.Classification.OS
	facts := report.TextTable{}
	fact := func(name, text string) { facts.Rows = append(facts.Rows, []report.Cell{{Text: name}, {Text: text}}) }
	fact("identity", strings.Join(strings.Fields(os.Family+" "+os.Version+" "+prefixed("SP", os.ServicePack)+" "+os.Edition+" "+os.Arch+" "+os.Kernel), " "))
	fact("evidence", os.Evidence.String())
	fact("on the legacy list", strconv.FormatBool(e.Classification.Legacy))
	if m := e.Machine; m.Family != "" {
		fact("machine", fmt.Sprintf("%s, generation %d (0: not known), %s %s", m.Family, m.Generation, m.Virtualization, m.Arch))
	}
	for _, c := range e.Classification.Conflicts {
		fact("conflict", fmt.Sprintf("%s: %s is chosen, %s says %s (%s)", c.Field, c.Chosen, c.Evidence, c.Other, report.Short(c.Text, 60)))
	}
	fmt.Fprintln(out)
	if err := facts.Write(out, 0, false); err != nil {
		return err
	}
	for _, t := range e.Targets {
		fmt.Fprintf(out, "\n%s: %s, confidence %s, by %s\n%s\n", t.Target, t.Verdict, t.Confidence, t.Winner, report.Clean(t.Why))
		considered := report.TextTable{Indent: 2}
		for _, c := range t.Considered {
			won := " "
			if c.Won {
				won = "*"
			}
			considered.Rows = append(considered.Rows, []report.Cell{{Text: won + " " + c.Rule}, {Text: c.Stage}, {Text: c.Outcome}})
		}
		if err := considered.Write(out, 0, false); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "\nrule set %s\n", e.Digest)
	return err
}

func prefixed(p, s string) string {
	if s == "" {
		return ""
	}
	return p + s
}

func newRulesValidateCmd() *cobra.Command {
	return &cobra.Command{
		Use: "validate FILE...", Short: "Check rule files: form, meaning, overlaps, rules that can never fire",
		Long: `Checks files as they would be used: laid over the built-in rules in the order
given. Mistakes are listed as FILE:LINE: TEXT and end with exit code 2; rules that
overlap or can never fire are listed as warnings.`,
		Example: "  shenscan rules validate my-rules.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("give the rule files to check"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := loadRules(args)
			if err != nil {
				return err
			}
			overlays, err := readRules(args)
			if err != nil {
				return err
			}
			warnings := catalog.Warnings(r, overlays...)
			sort.SliceStable(warnings, func(i, j int) bool { return warnings[i].Line < warnings[j].Line })
			for _, m := range warnings {
				fmt.Fprintln(cmd.OutOrStdout(), "warning:", inFile(m, args))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: valid; %d rules in force, digest %s\n", strings.Join(args, ", "), len(r.Definition().Rules), r.Digest())
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
			r, err := loadRules(args)
			if err != nil {
				return err
			}
			n, failed := r.Test()
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
