package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// maxMovesShown is how many moves a text names; JSON has ten times as many.
const maxMovesShown = 100

// writeOutcomes writes what became of the instances that moved and that the filter
// lets through.
func writeOutcomes(cmd *cobra.Command, format report.Format, db *store.DB, scope *filter.Filter, settings *settings) error {
	if format != report.JSON && format != report.Table {
		return usage(fmt.Errorf("--outcomes is written as table or json, and the output is %s", format))
	}
	if scope.ByUp() {
		return usage(errors.New("--up does not narrow outcomes, which are told by what became of each move"))
	}
	view, err := db.View(cmd.Context(), nil, store.Filter{Scope: *scope})
	if err != nil {
		return err
	}
	defer func() { _ = view.Close() }() // it was only read
	if err := checkFilter(view, scope, settings, cmd.ErrOrStderr()); err != nil {
		return err
	}
	limit := maxMovesShown
	if format == report.JSON {
		limit *= 10
	}
	moveOutcomes, err := view.Outcomes(cmd.Context(), limit)
	if err != nil {
		return err
	}
	if format == report.Table {
		return tellOutcomes(moveOutcomes, cmd.OutOrStdout())
	}
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	return enc.Encode(moveOutcomes)
}

func tellOutcomes(moveOutcomes *record.MoveOutcomes, out io.Writer) error {
	if len(moveOutcomes.Scores) == 0 {
		_, err := fmt.Fprintln(out, "No instance was seen on another class of machines than before.")
		return err
	}
	if moveOutcomes.Wrong > 0 {
		fmt.Fprintf(out, "%s DID NOT COME UP ALTHOUGH JUDGED COMPATIBLE. Look at the rule below before anything else moves.\n\n", report.Plural(moveOutcomes.Wrong, "INSTANCE", "INSTANCES"))
	}
	var rows [][]string
	for _, s := range moveOutcomes.Scores {
		rows = append(rows, []string{s.Target, s.Verdict, string(s.Result), strconv.Itoa(s.Instances)})
	}
	if err := writeTable(out, []string{"MOVED TO", "JUDGED BEFORE", "RESULT", "INSTANCES"}, rows); err != nil || len(moveOutcomes.Moves) == 0 {
		return err
	}
	fmt.Fprintln(out)
	rows = nil
	for i := range moveOutcomes.Moves {
		move := &moveOutcomes.Moves[i]
		rows = append(rows, []string{
			report.Clean(move.InstanceID), report.Clean(move.Account), report.Clean(move.Region), report.Clean(move.From), report.Clean(move.To), move.MovedAt.Format(time.DateTime) + "Z",
			move.Verdict + " (" + move.Confidence + ")", move.Rule, string(move.Result), move.Why,
		})
	}
	if err := writeTable(out, []string{"INSTANCE", "ACCOUNT", "REGION", "FROM", "TO", "SEEN THERE", "JUDGED BEFORE", "RULE", "RESULT", "WHY"}, rows); err != nil {
		return err
	}
	if moveOutcomes.More > 0 {
		_, err := fmt.Fprintf(out, "\nAnd %s more; --output json names more of them.\n", report.Number(moveOutcomes.More))
		return err
	}
	return nil
}
