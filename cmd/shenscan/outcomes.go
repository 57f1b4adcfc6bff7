package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

// maxMovesShown is how many moves a text names; JSON has ten times as many.
const maxMovesShown = 100

// writeOutcomes writes what became of instances that moved.
func writeOutcomes(format report.Format, db *store.DB, out io.Writer) error {
	switch format {
	case report.JSON:
		o, err := db.Outcomes(10 * maxMovesShown)
		if err != nil {
			return err
		}
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(o)
	case report.Table:
		o, err := db.Outcomes(maxMovesShown)
		if err != nil {
			return err
		}
		return tellOutcomes(o, out)
	}
	return usage(fmt.Errorf("--outcomes is written as table or json, and the output is %s", format))
}

func tellOutcomes(o *record.MoveOutcomes, out io.Writer) error {
	if len(o.Scores) == 0 {
		_, err := fmt.Fprintln(out, "No instance was seen on another class of machines than before.")
		return err
	}
	if o.Wrong > 0 {
		fmt.Fprintf(out, "%s DID NOT COME UP ALTHOUGH JUDGED COMPATIBLE. Look at the rule below before anything else moves.\n\n", report.Plural(o.Wrong, "INSTANCE", "INSTANCES"))
	}
	var rows [][]string
	for _, s := range o.Scores {
		rows = append(rows, []string{s.Target, s.Verdict, string(s.Result), strconv.Itoa(s.Instances)})
	}
	if err := writeTable(out, []string{"MOVED TO", "JUDGED BEFORE", "RESULT", "INSTANCES"}, rows); err != nil || len(o.Moves) == 0 {
		return err
	}
	fmt.Fprintln(out)
	rows = nil
	for i := range o.Moves {
		m := &o.Moves[i]
		rows = append(rows, []string{
			report.Clean(m.InstanceID), report.Clean(m.Account), report.Clean(m.Region), report.Clean(m.From), report.Clean(m.To), m.MovedAt.Format(time.DateTime) + "Z",
			m.Verdict + " (" + m.Confidence + ")", m.Rule, string(m.Result), m.Why,
		})
	}
	if err := writeTable(out, []string{"INSTANCE", "ACCOUNT", "REGION", "FROM", "TO", "SEEN THERE", "JUDGED BEFORE", "RULE", "RESULT", "WHY"}, rows); err != nil {
		return err
	}
	if o.More > 0 {
		_, err := fmt.Fprintf(out, "\nAnd %s more; --output json names more of them.\n", report.Number(o.More))
		return err
	}
	return nil
}
