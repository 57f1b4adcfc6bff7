package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
)

type checkFlags struct {
	processFlags
	scope   scopeFlags
	target  string
	output  string
	wait    time.Duration
	disks   bool
	offered bool
}

func newCheckCmd(settings *settings) *cobra.Command {
	flags := &checkFlags{}
	cmd := &cobra.Command{
		Use: "check INSTANCE_ID --target TARGET", Short: "Look at one instance now and say whether it may move: exit 0 only for compatible", Args: oneArg("the id of one instance"),
		Long: `check asks the cloud about one instance and its image now, judges it for one
target and prints the verdict with its reasons, remedies and the checks that are
still open. It needs no store and no running shenscan, and disturbs none.

The exit code is for pipelines that move machines: 0 only where the verdict is
compatible; 3 where it is another one, also where a waiver sets it aside; 4 where
the instance was not found or not read within --wait, which says nothing about it,
and where its image, or what the platform says of that, was not to be had, so that
a compatible verdict rests on less than it could.

With --disks it also asks for the disks of the instance, where the target does not
take those of every category, and with --offered whether the cloud offers the change
to the type of the target that suits it. That is one call for the disks, one or two
for the change, and the catalogue of types; of an instance that is on the target
already nothing is asked. An answer that speaks against the move is exit 3 though
the verdict is compatible ("against" in JSON), and one that was not to be had is 4
("not_found_out").

Without --account and --region every account and region is asked.`,
		Example: `  shenscan check i-bp67acfmxazb4p0001 --target ecs.g8i
  shenscan check i-bp67acfmxazb4p0001 --target ecs.g8i --disks --offered
  shenscan check i-bp67acfmxazb4p0001 --target shenlong-8 --region cn-hangzhou --output json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd.Context(), settings, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.cloud.add(cmd)
	flags.evidence.add(cmd)
	flags.scope.add(cmd)
	set := cmd.Flags()
	targetFlag(set, &flags.target, "", "where to: "+rules.ClassList()+", an instance family (ecs.g8i) or type; needed")
	rulesFlag(cmd, &flags.rules.rules)
	set.StringVar(&flags.output, "output", "table", "table or json")
	set.BoolVar(&flags.disks, "disks", false, "ask for the disks of the instance and name those that the target does not take (DescribeDisks)")
	set.BoolVar(&flags.offered, "offered", false, "ask whether the cloud offers the change of its type (DescribeResourcesModification)")
	set.DurationVar(&flags.wait, "wait", 5*time.Minute, "how long to wait for the cloud's answers")
	return cmd
}

func (f *checkFlags) run(ctx context.Context, settings *settings, id string, stdout, stderr io.Writer) (err error) {
	switch {
	case !producer.IsInstanceID(id):
		return usage(fmt.Errorf("%q is not the id of an instance", report.Short(id, 64)))
	case f.target == "":
		return usage(errors.New("name where the instance is to move with --target"))
	case f.wait <= 0:
		return usage(fmt.Errorf("--wait %s: give a time such as 2m", f.wait))
	case f.output != "table" && f.output != "json":
		return notOneOf("output", f.output, "table", "json")
	}
	f.rules.targets = []string{f.target}
	if f.store.dir, err = os.MkdirTemp("", "shenscan-check-"); err != nil {
		return fmt.Errorf("check: %w; name a writable folder with TMPDIR", err)
	}
	defer os.RemoveAll(f.store.dir)
	f.nats.o = bus.DefaultOptions()
	f.nats.o.SoftStop = 100 * time.Millisecond // nothing in hand outlives the answer
	application, cleanup, err := openOnce(ctx, f.options(settings, "shenscan-check", app.All, bus.SyncInterval))
	if err != nil {
		return err
	}
	defer cleanup()
	seen, err := f.look(ctx, application, id)
	if err != nil {
		return err
	}
	rec := seen.rec
	if rec == nil {
		return &exitError{exitPartial, errors.New(report.Clean(strings.TrimRight(fmt.Sprintf("%s was %s: %s", id, notSeen(seen.asked.Outcome), seen.asked.Cause), ": ")))}
	}
	verdict := &rec.Verdicts[0]
	move, err := f.askMove(ctx, settings, seen)
	if err != nil {
		return err
	}
	if f.output == "json" {
		err = report.WriteJSONLine(stdout, move)
	} else if err = f.write(stdout, rec, verdict, move.settles); err == nil {
		err = move.write(stdout)
	}
	if err != nil {
		return err
	}
	if verdict.Level == rules.Compatible && verdict.Waiver == nil {
		return move.exit(f.target)
	}
	what := verdict.Level.String()
	if verdict.Waiver != nil {
		what = fmt.Sprintf("%s, which waiver %s sets aside until %s", verdict.Waiver.Was, verdict.Waiver.ID, verdict.Waiver.Until)
	}
	return &exitError{exitFailOn, fmt.Errorf("%s is not to move to %s: the verdict is %s", id, f.target, report.Clean(what))}
}

// awaitReady waits until the process is ready, or ctx ends.
func awaitReady(ctx context.Context, application *app.App) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready, _ := application.Ready(); ready {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func notSeen(o record.Outcome) string {
	if o == record.NotRead {
		return "not read"
	}
	return "not found in the accounts and regions that were asked"
}

// sight is what looking at the instance came to.
type sight struct {
	asked *record.AskedInstance
	rec   *record.Record // nil where it was not seen
	open  []string       // what was asked about it in vain
}

// look asks the cloud for the instance and waits for what it came to.
func (f *checkFlags) look(ctx context.Context, application *app.App, id string) (*sight, error) {
	running, stop := context.WithTimeout(ctx, f.wait)
	defer stop()
	ended := make(chan error, 1)
	alive, over := context.WithCancel(running)
	go func() {
		defer over()
		ended <- application.Run(running)
	}()
	awaitReady(alive, application) // a rescan before that would ask for a store that answers, and warn of none
	scan, err := application.RequestRescan(running, f.cloud.accounts, f.scope.regions, []string{id}, "check command")
	late := error(&exitError{exitPartial, fmt.Errorf("check %s: nothing was heard of it within %s; --wait gives it longer", id, f.wait)})
	if err != nil && running.Err() != nil && ctx.Err() == nil {
		err = late
	}
	for err == nil {
		var state *record.Scan
		if state, err = application.Scan(scan); err == nil && state.State != record.ScanRunning {
			break
		}
		err = nil // not there yet
		select {
		case <-running.Done():
			err = cmp.Or(ctx.Err(), late)
		case err = <-ended:
			if err == nil {
				err = cmp.Or(ctx.Err(), fmt.Errorf("check %s was interrupted", id))
			}
			return nil, err
		case <-application.ScanMoved():
		}
	}
	seen := &sight{}
	if err == nil {
		seen.asked, seen.rec, err = application.Outcome(scan, id)
	}
	if err == nil && seen.rec != nil {
		seen.open, err = unanswered(ctx, application, scan, seen.rec)
	}
	stop()
	last := <-ended
	if code, ok := errors.AsType[*exitError](err); ok {
		return seen, code // what ended with it says nothing more
	}
	return seen, errors.Join(err, last)
}

// unanswered is what was asked about the instance and its image and was not to be had,
// so that the verdict rests on less than it could.
func unanswered(ctx context.Context, application *app.App, scan string, rec *record.Record) (open []string, err error) {
	state, err := application.Scan(scan)
	if err != nil {
		return nil, err
	}
	for _, failure := range failuresOf(state) {
		if failure.Account == rec.Account && failure.Region == rec.Region {
			open = append(open, oneLine(failure))
		}
	}
	answer, err := application.Report(ctx, app.Question{Scan: scan})
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	for i := range answer.Evidence {
		source := &answer.Evidence[i]
		if source.Source != event.EvidencePlatform || source.Account != rec.Account || source.Region != rec.Region || source.Missing() == 0 {
			continue
		}
		for _, skipped := range source.Skipped {
			open = append(open, strings.TrimSuffix("whether the platform offers its image on the target: "+skipped.Cause+"; "+skipped.Mend, "; ")+"; --platform-evidence=false does without")
		}
	}
	return open, nil
}

func (f *checkFlags) write(out io.Writer, rec *record.Record, verdict *rules.Verdict, settled func(check string) bool) error {
	ruleset, err := app.Ruleset(f.rules.rules)
	if err != nil {
		return err
	}
	screen, texts := onScreen(out), ruleset.Definition().Checks
	line := func(lead, format string, args ...any) { screen.say(lead, fmt.Sprintf(format, args...)) }
	line(rec.InstanceID+"  ", "%s/%s %s %s", rec.Account, rec.Region, rec.InstanceType, report.OSName(rec.OS.Family, rec.OS.Version))
	line("", "%s: %s, confidence %s, by %s", verdict.Target, verdict.Level, verdict.Confidence, verdict.Rule)
	line("  ", "%s", verdict.Reason)
	if verdict.Waiver != nil {
		line("waived: ", "%s until %s; the verdict is %s", verdict.Waiver.ID, verdict.Waiver.Until, verdict.Waiver.Was)
	}
	for i := range verdict.Findings {
		if f := &verdict.Findings[i]; f.Rule == verdict.Rule && f.Reason == verdict.Reason {
			continue // that is the verdict
		}
		line("also: ", "%s (%s): %s", verdict.Findings[i].Level, verdict.Findings[i].Rule, verdict.Findings[i].Reason)
	}
	for i := range verdict.Remedies {
		line("remedy: ", "%s: %s", report.RemedyLine(&verdict.Remedies[i]), verdict.Remedies[i].Text)
	}
	for _, check := range verdict.Checks {
		if !settled(check) {
			line("open: ", "%s (%s)", texts[check], check)
		}
	}
	return screen.err
}
