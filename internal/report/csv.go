package report

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// FormulaSafe returns s as text that no spreadsheet runs: control characters
// are spelled out, and an apostrophe goes before what would start a formula.
func FormulaSafe(text string) string {
	if text == "" {
		return text
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, " \u00a0\u3000"))
	text = Clean(text)
	if strings.ContainsRune("=+-@\t\r\n|%＝＋－＠", first) {
		return "'" + text
	}
	return text
}

// mostDigits is how many digits of a number Excel keeps.
const mostDigits = 15

// WriteCSV writes a head and rows in which no spreadsheet finds a formula. For Excel
// it begins with a byte order mark, without which Excel takes UTF-8 for the code
// page of the machine (GBK in China), and numbers that Excel would round, as the
// ids of accounts, have a tab before them, which makes them text.
func WriteCSV(w *bufio.Writer, excel bool, head []string, rows func(write func(row []string) error) error) error {
	if excel {
		fmt.Fprint(w, "\ufeff")
	}
	out := csv.NewWriter(w)
	var safe []string
	write := func(row []string) error {
		safe = safe[:0]
		for _, s := range row {
			s = FormulaSafe(s)
			if excel && len(s) > mostDigits && strings.Trim(s, "0123456789") == "" {
				s = "\t" + s
			}
			safe = append(safe, s)
		}
		return out.Write(safe)
	}
	if err := errors.Join(write(head), rows(write)); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// csvHead are the columns of every instance, before those of the targets.
var csvHead = []string{
	"account", "region", "zone", "instance_id", "instance_name", "instance_type", "instance_family", "generation",
	"virtualization", "status", "image_id", "image_owner", "vcpus", "memory_mib",
	"os_family", "os_version", "os_service_pack", "os_edition", "os_arch", "os_kernel", "os_evidence", "legacy",
}

// csvTarget are the columns of one target.
var csvTarget = []string{"verdict", "confidence", "rule", "reason", "remedies", "checks", "source"}

// csvTail are the columns after those of the targets.
var csvTail = []string{"conflicts", "tags", "observed_at", "scan_id", "ruleset", "gone_at", "account_name", "completeness"}

// writeChanges writes one row a change with two columns a target.
func writeChanges(w *bufio.Writer, since *Since, targets []string, excel bool) error {
	head := []string{"at", "account", "region", "instance_id", "instance_name", "why", "os_before", "os", "type_before", "type"}
	for _, target := range targets {
		head = append(head, Clean(target)+"_before", Clean(target)+"_after")
	}
	return WriteCSV(w, excel, append(head, "scan_id"), func(write func([]string) error) error {
		for change, err := range since.Changes {
			if err != nil {
				return err
			}
			row := []string{change.At.UTC().Format(time.RFC3339), change.Account, change.Region, change.InstanceID, change.InstanceName, why(&change.Change), change.OSBefore, change.OS, change.TypeBefore, change.Type}
			for _, target := range targets {
				row = append(row, change.Before[target], change.After[target])
			}
			if err := write(append(row, change.ScanID)); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeCSV writes one row an instance with a group of columns a target; where
// somebody asked what changed, one row a change.
func writeCSV(writer *bufio.Writer, report *Report, excel bool) error {
	if report.Since != nil && report.Since.Asked {
		return writeChanges(writer, report.Since, report.Summary.Targets, excel)
	}
	whole := map[[2]string]string{} // completeness by account and region
	for i := range report.Summary.Scopes {
		sc := &report.Summary.Scopes[i]
		whole[[2]string{sc.Account, sc.Region}] = string(sc.Completeness)
	}
	targets := report.Summary.Targets
	head := slices.Clone(csvHead)
	for _, target := range targets {
		for _, column := range csvTarget {
			head = append(head, Clean(target)+"_"+column)
		}
	}
	head = append(head, csvTail...)
	return WriteCSV(writer, excel, head, func(write func([]string) error) error {
		row := make([]string, 0, len(head))
		for rec, err := range report.instances() {
			if err != nil {
				return err
			}
			row = csvRow(row[:0], rec, targets)
			if err := write(append(row, whole[[2]string{rec.Account, rec.Region}])); err != nil {
				return err
			}
		}
		return nil
	})
}

func csvRow(row []string, rec *record.Record, targets []string) []string {
	row = append(row, rec.Account, rec.Region, rec.Zone, rec.InstanceID, rec.InstanceName, rec.InstanceType, rec.InstanceFamily,
		strconv.Itoa(rec.Generation), rec.Virtualization, rec.Status, rec.ImageID, rec.ImageOwner,
		strconv.Itoa(rec.CPU), strconv.Itoa(rec.MemoryMiB),
		rec.OS.Family, rec.OS.Version, rec.OS.ServicePack, rec.OS.Edition, rec.OS.Arch, rec.OS.Kernel, rec.OS.Evidence.String(),
		strconv.FormatBool(rec.Legacy))
	for _, target := range targets {
		verdict := VerdictOn(rec, target)
		if verdict == nil {
			row = append(row, "", "", "", "", "", "", "")
			continue
		}
		row = append(row, verdict.Level.String(), verdict.Confidence.String(), verdict.Rule, verdict.Reason, remedyList(verdict.Remedies), strings.Join(verdict.Checks, " "), verdict.Source)
	}
	gone := ""
	if rec.GoneAt != nil {
		gone = rec.GoneAt.UTC().Format(time.RFC3339)
	}
	return append(row, conflictList(rec.Conflicts), tagList(rec.Tags), rec.ObservedAt.UTC().Format(time.RFC3339), rec.ScanID, rec.Ruleset, gone, rec.AccountName)
}

// VerdictOn is the record's verdict on a target, nil when it has none.
func VerdictOn(rec *record.Record, target string) *rules.Verdict {
	for i := range rec.Verdicts {
		if rec.Verdicts[i].Target == target {
			return &rec.Verdicts[i]
		}
	}
	return nil
}

func remedyList(remedies []rules.Remedy) string {
	lines := make([]string, len(remedies))
	for i := range remedies {
		lines[i] = RemedyLine(&remedies[i])
	}
	return strings.Join(lines, "; ")
}

func conflictList(conflicts []rules.Conflict) string {
	lines := make([]string, len(conflicts))
	for i, c := range conflicts {
		lines[i] = fmt.Sprintf("%s: %s, but %s says %s", c.Field, c.Chosen, c.Evidence, c.Other)
	}
	return strings.Join(lines, "; ")
}

func tagList(tags map[string]string) string {
	lines := make([]string, 0, len(tags))
	for _, key := range sortedKeys(tags) {
		lines = append(lines, key+"="+tags[key])
	}
	return strings.Join(lines, "; ")
}
