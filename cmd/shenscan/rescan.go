package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

type rescanFlags struct {
	nats           natsFlags
	store          storeFlags
	accounts       []string
	regions        []string
	reason, output string
	all, noWait    bool
	wait           time.Duration
}

func newRescanCmd(settings *settings) *cobra.Command {
	flags := &rescanFlags{}
	cmd := &cobra.Command{
		Use:   "rescan INSTANCE_ID...",
		Short: "Ask a running shenscan to look at instances again, and wait for the verdicts",
		Long: `rescan asks a running shenscan over NATS to look at the named instances now,
ahead of a running scan, and waits for their verdicts: the one that --nats-url
names, else the one that holds --store. The request is stored
before it is answered: it survives whatever dies afterwards.`,
		Example: `  shenscan rescan i-bp67acfmxazb4p0001
  shenscan rescan --region cn-hangzhou i-bp67acfmxazb4p0001 i-bp67acfmxazb4p0002 --output jsonl
  shenscan rescan --all --no-wait`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.all == (len(args) > 0) {
				return usage(errors.New("name instance ids, or --all, and not both"))
			}
			if len(args) > 0 && (len(flags.accounts) > 1 || len(flags.regions) > 1) {
				return usage(errors.New("named instances are in one --account and one --region; several are for --all"))
			}
			if flags.output != "table" && flags.output != "json" && flags.output != "jsonl" {
				return notOneOf("output", flags.output, "table", "json", "jsonl")
			}
			return flags.run(cmd.Context(), settings, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.nats.addClient(cmd, false)
	flags.store.add(cmd)
	set := cmd.Flags()
	set.StringSliceVar(&flags.accounts, "account", nil, "only in this account, with --all in these")
	set.StringSliceVar(&flags.regions, "region", nil, "only in this region, with --all in these")
	set.StringVar(&flags.reason, "reason", "", "why, for the record")
	set.BoolVar(&flags.all, "all", false, "scan everything again")
	set.BoolVar(&flags.noWait, "no-wait", false, "return once the request is stored")
	set.DurationVar(&flags.wait, "wait", 2*time.Minute, "how long to wait for the verdicts")
	set.StringVar(&flags.output, "output", "table", "table, json or jsonl")
	idle(set, "no-wait", "which waits for no verdict", "wait", "output")
	return cmd
}

// only is the one value of a list, "" where it has none.
func only(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (f *rescanFlags) run(ctx context.Context, s *settings, ids []string, out, errOut io.Writer) error {
	conn, err := f.nats.dial(ctx, s, "shenscan-rescan", f.store.dir)
	if err != nil {
		return err
	}
	defer conn.Close()
	scanID, accepted, err := f.ask(ctx, conn, ids, errOut)
	if err != nil {
		return err
	}
	if scanID == "" {
		return usage(errors.New("no instance was accepted"))
	}
	if f.noWait {
		_, err := fmt.Fprintf(out, "%s\n", scanID)
		return err
	}
	scan, err := f.await(ctx, conn, scanID)
	if err != nil {
		return err
	}
	if f.all {
		tellFailures(scan, nil, errOut)
		if _, err := fmt.Fprintf(out, "%s %s: %d instances in %d scopes\n", scan.ID, scan.State, scan.Instances, len(scan.Scopes)); err != nil {
			return err
		}
		return ended(scan)
	}
	asked, err := f.show(ctx, conn, scan, accepted, out)
	if err != nil {
		return err
	}
	return f.verdict(scan, ids, asked, errOut)
}

// verdict tells of the instances for which there is no verdict. Exit code 0
// says that every one of them was found and read.
func (f *rescanFlags) verdict(scan *record.Scan, ids []string, asked []record.AskedInstance, errOut io.Writer) error {
	notFound, notRead := 0, 0
	for i := range asked {
		askedInstance := &asked[i]
		where := "any account and region that shenscan may ask"
		if askedInstance.Region != "" {
			where = askedInstance.Account + "/" + askedInstance.Region
		}
		switch askedInstance.Outcome {
		case record.Found:
		case record.NotFound:
			notFound++
			fmt.Fprintf(errOut, "shenscan: %s: not found in %s, where asking is allowed: it was released, or the id is wrong\n", askedInstance.InstanceID, where)
		default:
			notRead++
			fmt.Fprintf(errOut, "shenscan: %s: not read: %s\n", askedInstance.InstanceID, askedInstance.Cause)
		}
	}
	tellFailures(scan, asked, errOut)
	refused := len(ids) - len(asked)
	if notFound+notRead+refused > 0 {
		return &exitError{exitPartial, fmt.Errorf("%d of %d instances have no new verdict: %d were not found, %d were not read, %d were refused", notFound+notRead+refused, len(ids), notFound, notRead, refused)}
	}
	return ended(scan)
}

// tellFailures prints what the scan failed of, apart from what was said of an
// instance already.
func tellFailures(scan *record.Scan, asked []record.AskedInstance, errOut io.Writer) {
	for _, f := range failuresOf(scan) {
		if !slices.ContainsFunc(asked, func(x record.AskedInstance) bool { return x.Cause == f.Error }) {
			fmt.Fprintf(errOut, "shenscan: %s\n", oneLine(f))
		}
	}
}

// ended is the exit code of a scan or rescan that is not whole.
func ended(scan *record.Scan) error {
	if scan.State != record.ScanComplete {
		return &exitError{exitPartial, fmt.Errorf("%s ended %s", scan.ID, scan.State)}
	}
	return nil
}

func (f *rescanFlags) ask(ctx context.Context, conn *bus.Bus, ids []string, errOut io.Writer) (scanID string, accepted []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if f.all {
		req := record.ScanRequest{Accounts: f.accounts, Regions: f.regions, Reason: f.reason}
		var reply record.ScanReply
		err := conn.Call(ctx, event.SubjectScan, req, &reply)
		return reply.ScanID, nil, refused(err)
	}
	var reply record.RescanReply
	req := record.RescanRequest{Account: only(f.accounts), Region: only(f.regions), InstanceIDs: ids, Reason: f.reason}
	if err := conn.Call(ctx, event.SubjectRescan, req, &reply); err != nil {
		return "", nil, refused(err)
	}
	bad := map[string]bool{}
	for _, r := range reply.Rejected {
		bad[r.InstanceID] = true
		fmt.Fprintf(errOut, "shenscan: %s: %s\n", r.InstanceID, r.Error)
	}
	return reply.ScanID, slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return bad[id] }), nil
}

// codeLater is the code of a service that is about to answer no more: another
// one, or the same one soon, answers.
const codeLater = "503"

// refused tells a request that has to be changed from one that failed.
func refused(err error) error {
	if se, ok := errors.AsType[*bus.ServiceError](err); ok && se.Code == "400" {
		return usage(se)
	}
	return err
}

// await asks until the scan has ended.
func (f *rescanFlags) await(ctx context.Context, conn *bus.Bus, scanID string) (*record.Scan, error) {
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(wait*3/2, time.Second) {
		var scan record.Scan
		err := conn.Call(ctx, event.SubjectQueryScan, map[string]string{"scan_id": scanID}, &scan)
		if err == nil && scan.State != record.ScanRunning {
			return &scan, nil
		}
		// A sink that starts, or has not caught up, does not answer yet, or does not
		// know of the scan yet; one that falls behind says that it answers no more.
		if se, ok := errors.AsType[*bus.ServiceError](err); err != nil && !errors.Is(err, bus.ErrNobody) && (!ok || se.Code != "404" && se.Code != codeLater) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s has not ended after %s; it goes on, ask again with `shenscan report` later", scanID, f.wait)
		case <-time.After(wait):
		}
	}
}

// show prints the new verdicts and returns what the rescan came to for each
// instance.
func (f *rescanFlags) show(ctx context.Context, conn *bus.Bus, scan *record.Scan, ids []string, out io.Writer) (asked []record.AskedInstance, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var records []*record.Record
	for rest, n := ids, 50; len(rest) > 0; {
		chunk := rest[:min(n, len(rest))]
		var answer app.InstanceAnswer
		err := conn.Call(ctx, event.SubjectQueryInstance, app.InstanceQuery{ScanID: scan.ID, InstanceIDs: chunk}, &answer)
		if se, ok := errors.AsType[*bus.ServiceError](err); ok && se.Code == bus.CodeTooLarge && len(chunk) > 1 {
			n = len(chunk) / 2
			continue
		} else if errors.Is(err, bus.ErrNobody) || ok && se.Code == codeLater {
			select {
			case <-ctx.Done():
				return nil, err
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		rest = rest[len(chunk):]
		records = append(records, answer.Instances...)
		asked = append(asked, answer.Asked...)
	}
	return asked, f.print(records, asked, out)
}

func (f *rescanFlags) print(records []*record.Record, asked []record.AskedInstance, out io.Writer) error {
	enc := json.NewEncoder(out)
	switch f.output {
	case "json":
		return enc.Encode(map[string]any{"instances": records, "asked": asked})
	case "jsonl":
		for _, r := range records {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		for i := range asked {
			if asked[i].Outcome != record.Found {
				if err := enc.Encode(&asked[i]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	tab := report.TextTable{}
	for i, entry := range records {
		if i == 0 {
			tab.Head = cells("ACCOUNT", "REGION", "INSTANCE", "TYPE", "OS")
			for _, v := range entry.Verdicts {
				tab.Head = append(tab.Head, report.Cell{Text: strings.ToUpper(v.Target)})
			}
		}
		row := cells(entry.Account, entry.Region, entry.InstanceID, entry.InstanceType, report.OSName(entry.OS.Family, entry.OS.Version))
		for _, v := range entry.Verdicts {
			row = append(row, report.Cell{Text: v.Level.String()})
		}
		tab.Rows = append(tab.Rows, row)
	}
	screen := onScreen(out)
	screen.show(&tab)
	return screen.err
}
