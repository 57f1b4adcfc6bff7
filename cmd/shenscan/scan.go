package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer/prober"
	"github.com/shenscan/shenscan/sink/store"
)

type scanFlags struct {
	processFlags
	scope  scopeFlags
	output outputFlags
	narrow filterFlags
	from   fromFlags
	probe  probeFlags
}

func newScanCmd(settings *settings) *cobra.Command {
	flags := &scanFlags{}
	cmd := &cobra.Command{
		Use: "scan", Short: "Scan the fleet once in this process and print the report", Args: flags.from.arguments,
		Long: `scan enumerates every account and region (or those that are named), classifies
every instance and prints the report. Results are kept in the store, so that
"shenscan report --since" can say what changed.

--account and --region narrow what is read, and with --tag, --family, --os,
--verdict, --confidence and --exclude what is reported and what the exit code is
about.

Credentials come from the usual places of Alibaba Cloud tools: the environment
(ALIBABA_CLOUD_ACCESS_KEY_ID …), OIDC, the CLI's profile, the credentials file,
the instance's RAM role. Roles of other accounts stand under accounts: in the
configuration file.

--probe asks the machines themselves, once the scan has ended: those that the
filter lets through, through Cloud Assistant, each at most once a week. What they
answer decides over every name. --probe --dry-run says what would be asked of
whom.

--from scans files instead of the cloud: saved answers of DescribeInstances,
DescribeImages and DescribeInstanceTypes as the aliyun CLI prints them, single
items of them, or JSON Lines of either. They stand for one account (--account,
default "offline"), and their results are kept apart from those of the cloud,
in the folder offline of the default store, unless --store is given. A listing
that the files hold only a part of ends partial and says what is missing.`,
		Example: `  shenscan scan
  shenscan scan --region cn-hangzhou --region cn-beijing --target ecs.g8i
  shenscan scan --output html --out report.html
  shenscan scan --probe --dry-run --verdict unknown
  shenscan scan --from instances.json --from images.json
  shenscan scan --endpoint http://127.0.0.1:10471     # a simulator: shenscan simulate`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd.Context(), settings, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.store.add(cmd)
	flags.nats.add(cmd, true)
	flags.cloud.add(cmd)
	flags.evidence.add(cmd)
	flags.rules.add(cmd)
	flags.scope.add(cmd)
	flags.from.add(cmd)
	flags.output.add(cmd)
	flags.narrow.add(cmd, "tag", "family", "os", "verdict", "confidence", "exclude")
	flags.probe.add(cmd)
	flags.listen.add(cmd, "")
	flags.trace.add(cmd)
	flags.addSink(cmd)
	set := cmd.Flags()
	idle(set, "from", "which reads files in place of the cloud", "sts-endpoint", "home-region", "vpc", "fake-ip", "gzip", "rate", "start-rate", "throttle-wait", "heartbeat-share", "console-share")
	idle(set, "dry-run", "which prints no report", "output", "out", "fail-on", "compact", "excel")
	return cmd
}

func (f *scanFlags) run(ctx context.Context, settings *settings, stdout, stderr io.Writer) error {
	format, failOn, err := f.output.check()
	if err != nil {
		return err
	}
	if _, err := f.narrow.parse(settings, nil); err != nil {
		return err
	}
	options := f.options(settings, "shenscan-scan", app.All, bus.SyncInterval)
	saved, err := f.from.open(ctx, &options, stderr)
	if err != nil {
		return err
	}
	if err := f.probe.check(&options, saved != nil); err != nil {
		return err
	}
	f.store.dir = options.Store
	application, cleanup, err := openOnce(ctx, options)
	if err != nil {
		return err
	}
	defer cleanup()
	keepTypes := saved == nil || saved.HasTypes()
	var asked asked
	scan, err := scanOnce(ctx, settings, application, options.Accounts, f.scope.regions, keepTypes, stderr, func(ctx context.Context, scan *record.Scan) error {
		return f.ask(ctx, settings, application, scan, &asked)
	})
	if err != nil {
		return err
	}
	if asked.plan != nil {
		if err := writeProbePlan(stdout, asked.plan); err != nil {
			return err
		}
		return partialExit(scan)
	}
	scope, err := f.narrow.parse(settings, f.scanned(scan))
	if err != nil {
		return err
	}
	answer, err := application.Report(ctx, app.Question{Scan: scan.ID, Filter: store.Filter{Scope: scope}})
	if err != nil {
		return err
	}
	defer answer.Close()
	if asked.outcome != nil {
		answer.Evidence = append(answer.Evidence, app.ProbeEvidence(asked.outcome, time.Now())...)
	}
	if err := checkFilter(answer.View, &scope, settings, stderr); err != nil {
		return err
	}
	if err := keepOrigin(options.Store, f.from.again(f.store.named())); err != nil {
		return err
	}
	answer.Hints = hints(f.from.cmd.Flags(), &f.store)
	if err := f.output.write(format, answer.Report, stdout); err != nil {
		return err
	}
	if err := partialExit(scan); err != nil {
		return err
	}
	return verdictExit(answer.View, failOn)
}

// asked is what asking machines came to, or would.
type asked struct {
	plan    *prober.Plan
	outcome *prober.Outcome
}

// ask has the machines asked that the filter lets through, where that is wanted.
// A machine that cannot be asked is no reason not to report what is known.
func (f *scanFlags) ask(ctx context.Context, settings *settings, application *app.App, scan *record.Scan, out *asked) error {
	if !f.probe.on {
		return nil
	}
	scope, err := f.narrow.parse(settings, f.scanned(scan))
	if err != nil {
		return err
	}
	if err := checkNames(application.Known(), &scope, settings); err != nil {
		return err // before a machine is asked that other names let through
	}
	if f.probe.dryRun {
		out.plan, err = application.ProbePlan(ctx, store.Filter{Scope: scope})
		return err
	}
	out.outcome, err = application.Probe(ctx, store.Filter{Scope: scope})
	return err
}

// scanned are the accounts and regions that the scan was narrowed to, as the
// scan has them: an account may have been given by its name.
func (f *scanFlags) scanned(scan *record.Scan) filter.Values {
	out := filter.Values{"region": f.scope.regions}
	if len(f.cloud.accounts) > 0 {
		for i := range scan.Scopes {
			if account := scan.Scopes[i].Account; !slices.Contains(out["account"], account) {
				out["account"] = append(out["account"], account)
			}
		}
	}
	return out
}

// openOnce opens an App for a single scan. Its embedded NATS lives in a folder
// of its own that goes with it: a scan that was killed leaves no work behind
// for the next one.
func openOnce(ctx context.Context, options app.Options) (*app.App, func(), error) {
	if options.NATS.URL != "" {
		application, err := app.New(ctx, options)
		if err != nil {
			return nil, nil, err
		}
		return application, application.Close, nil
	}
	// What is deleted below is told from what is in use by its path.
	var err error
	if options.Store, err = filepath.Abs(options.Store); err != nil {
		return nil, nil, fmt.Errorf("store: %w", err)
	}
	if err := os.MkdirAll(options.Store, 0o700); err != nil {
		return nil, nil, fmt.Errorf("store: %w; name a writable folder with --store", err)
	}
	dir, err := os.MkdirTemp(options.Store, "scan-nats-")
	if err != nil {
		return nil, nil, fmt.Errorf("store: %w; name a writable folder with --store", err)
	}
	options.NATS.Dir, options.NATS.Passing = dir, true
	options.DropApplied = options.NATS.Listen == ""
	application, err := app.New(ctx, options)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	// What killed scans left behind; the store's lock says that none of them
	// lives.
	if old, err := filepath.Glob(filepath.Join(options.Store, "scan-nats-*")); err == nil {
		for _, d := range old {
			if d != dir {
				_ = os.RemoveAll(d)
			}
		}
	}
	return application, func() { application.Close(); _ = os.RemoveAll(dir) }, nil
}

// scanOnce runs the App for one scan and returns it as the store has it.
// keepTypes has it read the catalogue of instance types, too, and then is done
// while the App still runs.
func scanOnce(
	ctx context.Context, settings *settings, application *app.App, accounts, regions []string, keepTypes bool, stderr io.Writer, then func(context.Context, *record.Scan) error,
) (*record.Scan, error) {
	running, ended, stop := runBeside(ctx, application)
	defer stop()
	var types errgroup.Group
	if keepTypes {
		types.Go(func() error { return application.FetchTypes(running) })
	}
	scan, err := awaitScan(running, settings, application, accounts, regions, "scan command", stderr, ended)
	if err != nil {
		stop()
		_ = types.Wait() // of no use without a scan
		return nil, err
	}
	asking, give := context.WithCancel(running)
	over := make(chan error, 1)
	go func() { over <- then(asking, scan) }()
	select {
	case err = <-over:
	case err = <-ended: // the App stopped first: nothing will come of it
		give()
		if late := <-over; late != nil {
			settings.log.Debug("what came after the scan was interrupted", "err", late)
		}
		if err == nil {
			err = fmt.Errorf("scan %s is done, what came after it was interrupted", scan.ID)
		}
		ended <- err
	}
	give()
	if err != nil {
		stop()
		_ = types.Wait()
		if late := <-ended; late != nil {
			settings.log.Debug("the process did not stop cleanly", "err", late)
		}
		return nil, err
	}
	if err := types.Wait(); err != nil {
		settings.log.Warn("instance types were not read; plans name no replacement types", "err", err)
	}
	stop()
	return scan, <-ended
}

// runBeside runs the App until it ends or stop is called, which waits for its end:
// what is closed after that is not in use any more.
func runBeside(ctx context.Context, application *app.App) (running context.Context, ended chan error, stop func()) {
	running, cancel := context.WithCancel(ctx)
	ended = make(chan error, 1)
	var run sync.WaitGroup
	run.Go(func() { ended <- application.Run(running) })
	return running, ended, func() {
		cancel()
		run.Wait()
	}
}

// awaitScan asks a running App for a scan and waits for its end. ended hears
// of the App's own end, which is then the error.
func awaitScan(ctx context.Context, settings *settings, application *app.App, accounts, regions []string, reason string, stderr io.Writer, ended chan error) (*record.Scan, error) {
	id, err := application.RequestScan(ctx, accounts, regions, reason)
	if err != nil {
		return nil, err
	}
	bar := newProgress(settings, stderr, application.Expected())
	defer bar.clear()
	tick := time.NewTicker(bar.every())
	defer tick.Stop()
	for {
		scan, err := application.Scan(id)
		if err == nil && scan.State != record.ScanRunning {
			return scan, nil
		}
		bar.show(scan)
		select {
		case err := <-ended:
			if err == nil {
				err = fmt.Errorf("scan %s was interrupted; what was read is in the store", id)
			}
			return nil, err
		case <-application.ScanMoved():
		case <-tick.C:
		}
	}
}
