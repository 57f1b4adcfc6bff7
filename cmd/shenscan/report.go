package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

func newReportCmd(s *settings) *cobra.Command {
	var (
		dir    storeFlags
		rules  ruleFlags
		output outputFlags
		since  string
		scans  bool
	)
	cmd := &cobra.Command{
		Use: "report", Short: "Report what the store holds", Args: noArgs,
		Long: `report shows what the store holds, without asking the cloud. With --rules or
--target the stored facts are judged anew.

A running shenscan holds the store; its page and API (--listen) show the same.`,
		Example: `  shenscan report
  shenscan report --output csv --out fleet.csv
  shenscan report --scans                      # the scans that the store knows
  shenscan report --since s-20261123T010203-0abc123`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, failOn, err := output.check()
			if err != nil {
				return err
			}
			db, err := app.OpenStore(cmd.Context(), dir.dir, rules.rules, rules.targets)
			if err != nil {
				return err
			}
			defer db.Close()
			if scans {
				return listScans(cmd.OutOrStdout(), db)
			}
			r, err := app.StoreReport(cmd.Context(), db, "", since)
			if err != nil {
				return err
			}
			if err := output.write(format, r, cmd.OutOrStdout()); err != nil {
				return err
			}
			return verdictExit(&r.Summary, failOn)
		},
	}
	dir.add(cmd)
	rules.add(cmd)
	output.add(cmd)
	cmd.Flags().StringVar(&since, "since", "", "also what changed after this scan ended")
	cmd.Flags().BoolVar(&scans, "scans", false, "list the scans instead")
	return cmd
}

func listScans(out io.Writer, db *store.DB) error {
	scans, err := db.Scans(200)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCAN\tKIND\tSTATE\tSTARTED\tENDED\tREGIONS\tINSTANCES\tNEW\tGONE\tCHANGED")
	for _, sc := range scans {
		ended := "-"
		if sc.EndedAt != nil {
			ended = sc.EndedAt.Format("2006-01-02 15:04:05Z")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d/%d\t%d\t%d\t%d\t%d\n", sc.ID, sc.Kind, state(&sc), sc.StartedAt.Format("2006-01-02 15:04:05Z"), ended,
			sc.Done, sc.Regions, sc.Instances, sc.New, sc.Gone, sc.Changed)
	}
	return w.Flush()
}

func state(s *record.Scan) string { return string(s.State) }
