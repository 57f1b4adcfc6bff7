package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/sink/store"
)

// reportFlags say what is reported of a store.
type reportFlags struct {
	store  storeFlags
	rules  ruleFlags
	output outputFlags
	narrow filterFlags
	since  string
	of     string // a scan
	scans  bool
	moves  bool
}

func newReportCmd(settings *settings) *cobra.Command {
	var flags reportFlags
	cmd := &cobra.Command{
		Use: "report", Short: "Report what the store holds", Args: noArgs,
		Long: `report shows what the store holds, without asking the cloud. With --rules or
--target the stored facts are judged anew.

It says what changed since the scan before, or since what --since names: which
instance, from which verdict to which on which target, when, and why (another
operating system, another type, other facts, other rules; appeared, gone, back).
--of-scan tells what one scan itself found, whatever came after it. With either,
csv and jsonl hold the changes instead of the instances.

The filter narrows everything alike: totals, instances, exit code.

Where a running shenscan holds the store, it is asked for a copy of its last
commit, and the answer is made from that.`,
		Example: `  shenscan report
  shenscan report --output csv --out fleet.csv
  shenscan report --scans                      # the scans that the store knows
  shenscan report --outcomes                   # did the moves work
  shenscan report --since 24h                  # or a day, or a scan: s-20261123T010203-0abc123
  shenscan report --since 7d --output csv --out changes.csv
  shenscan report --of-scan s-20261123T010203-0abc123   # what that scan counted as new, gone, changed`,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd, settings) },
	}
	flags.store.addReader(cmd)
	flags.rules.add(cmd)
	flags.output.add(cmd)
	flags.narrow.add(cmd)
	cmd.Flags().StringVar(&flags.since, "since", "", "what changed after this scan ended, after this time (2026-11-23, 2026-11-23T08:00:00Z), or in so long (24h, 7d)")
	cmd.Flags().StringVar(&flags.of, "of-scan", "", "what this scan found to be new, gone or changed, and nothing that came after it")
	cmd.Flags().BoolVar(&flags.moves, "outcomes", false, "what became of instances that moved to another class of machines, beside what was said of it before (table or json)")
	cmd.Flags().BoolVar(&flags.scans, "scans", false, "list the scans instead")
	idle(cmd.Flags(), "scans", "which is a table of its own and judges nothing", "output", "rules", "target", "outcomes")
	return cmd
}

func (f *reportFlags) run(cmd *cobra.Command, settings *settings) error {
	format, failOn, err := f.output.check()
	if err != nil {
		return err
	}
	scope, err := f.narrow.parse(settings, nil)
	if err != nil {
		return err
	}
	if f.scans || f.moves {
		if err := listAlone(cmd, f.scans); err != nil {
			return err
		}
	}
	if f.since != "" && f.of != "" {
		return usage(errors.New("--since tells what changed after a scan, --of-scan what that scan itself found: leave one of them out"))
	}
	db, err := app.OpenStore(cmd.Context(), f.store.place(), f.rules.rules, f.rules.targets)
	if err != nil {
		return err
	}
	defer db.Close()
	if f.scans {
		return listScans(cmd.OutOrStdout(), db.DB)
	}
	if f.moves {
		return writeOutcomes(cmd, format, db.DB, &scope, settings)
	}
	answer, err := app.StoreReport(cmd.Context(), db.DB, app.Question{Since: f.since, Of: f.of, Filter: store.Filter{Scope: scope}})
	if errors.Is(err, app.ErrSince) {
		return usage(fmt.Errorf("--%w", err))
	}
	if errors.Is(err, app.ErrOfScan) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := checkFilter(answer.View, &scope, settings, cmd.ErrOrStderr()); err != nil {
		return err
	}
	noteJudgement(answer.View, f.rules.rules, f.rules.targets, cmd.ErrOrStderr())
	answer.Hints = hints(cmd.Flags(), &f.store)
	if err := f.output.write(format, answer.Report, cmd.OutOrStdout()); err != nil {
		return err
	}
	if err := unreadExit(&answer.Summary); err != nil {
		return err
	}
	return verdictExit(answer.View, failOn)
}

func listScans(out io.Writer, db *store.DB) error {
	scans, err := db.Scans(200)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, sc := range scans {
		ended := "-"
		if sc.EndedAt != nil {
			ended = sc.EndedAt.Format("2006-01-02 15:04:05Z")
		}
		rows = append(rows, []string{
			sc.ID, sc.Kind, string(sc.State), sc.StartedAt.Format("2006-01-02 15:04:05Z"), ended, fmt.Sprintf("%d/%d", sc.Done, sc.Regions),
			strconv.Itoa(sc.Instances), strconv.Itoa(sc.New), strconv.Itoa(sc.Gone), strconv.Itoa(sc.Changed),
		})
	}
	return writeTable(out, []string{"SCAN", "KIND", "STATE", "STARTED", "ENDED", "REGIONS", "INSTANCES", "NEW", "GONE", "CHANGED"}, rows)
}

// named is the folder where it is not the default one, "" where it is.
func (f *storeFlags) named() string {
	if f.dir == defaultStore() {
		return ""
	}
	return f.dir
}

// listAlone refuses what --scans and --outcomes would ignore though a caller may
// rely on it, and says of a filter, which may stand in a file for other commands,
// that it does not narrow the list of scans.
func listAlone(cmd *cobra.Command, scans bool) error {
	for _, name := range []string{"since", "of-scan", "fail-on", "out", "compact", "excel"} {
		if cmd.Flags().Changed(name) {
			return usage(fmt.Errorf("--%s is of no effect on --scans and --outcomes, which are lists of their own: leave one of them out", name))
		}
	}
	if filter := given(cmd.Flags(), append([]string{"waived", "status", "image", "up"}, narrowing...)...); scans && filter != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "shenscan: %s does not narrow --scans: all of the store is listed\n", filter)
	}
	return nil
}
