package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
)

type demoFlags struct {
	processFlags
	output    outputFlags
	instances int
	regions   int
	seed      uint64
	html      string
	serve     bool
	against   []string // contradictions of the simulator
	passing   bool     // the store goes with the demo
}

func newDemoCmd(settings *settings) *cobra.Command {
	flags := &demoFlags{}
	cmd := &cobra.Command{
		Use: "demo", Short: "Scan a simulated fleet: no cloud account, no configuration", Args: noArgs,
		Long: `demo starts the bundled ECS simulator on loopback, scans its fleet through the
real SDK and an embedded NATS, prints the report and writes it as HTML too. With
--serve the web page and the metrics stay up.`,
		Example: `  shenscan demo
  shenscan demo --serve
  shenscan demo --instances 100000 --regions 30 --output jsonl --out fleet.jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd.Context(), settings, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	set := cmd.Flags()
	set.IntVar(&flags.instances, "instances", 12_000, "instances in the simulated fleet")
	set.IntVar(&flags.regions, "regions", 18, "regions in the simulated fleet")
	set.Uint64Var(&flags.seed, "seed", 1, "seed of the simulated fleet")
	addContradict(cmd, &flags.against)
	set.StringVar(&flags.html, "html", "shenscan-demo.html", "file for the HTML report; \"\" for none")
	set.BoolVar(&flags.serve, "serve", false, "keep the web page and the metrics up afterwards")
	set.StringVar(&flags.store.dir, "store", "", "folder of the store; default a temporary one")
	flags.cloud.o = ecsapi.DefaultOptions()
	set.IntVar(&flags.cloud.o.Concurrency, "concurrency", 32, "lanes and calls side by side")
	flags.rules.add(cmd)
	flags.output.add(cmd)
	flags.listen.add(cmd, defaultListen)
	flags.nats.add(cmd, true)
	flags.owners.tags = []string{"team"} // as the simulator has them
	flags.evidence.add(cmd)
	flags.addSink(cmd)
	needs(set, []string{"serve"}, "listen", "web.config.file", "insecure-listen", "operator", "allow-host")
	return cmd
}

func (f *demoFlags) run(ctx context.Context, settings *settings, stdout, stderr io.Writer) (err error) {
	format, failOn, err := f.output.check()
	if err != nil {
		return err
	}
	if err := knownContradictions(f.against); err != nil {
		return err
	}
	sim, err := ecssim.Start(ecssim.Options{Instances: f.instances, Regions: f.regions, Seed: f.seed, Contradict: f.against})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	if f.store.dir == "" {
		if f.store.dir, err = os.MkdirTemp("", "shenscan-demo-"); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		f.passing = true
		defer os.RemoveAll(f.store.dir)
	}
	f.cloud.o.Endpoint, f.cloud.o.StartRate = sim.URL, 1000 // the simulator has no quota to be gentle with
	options := f.options(settings, "shenscan-demo", app.All, bus.SyncInterval)
	options.Cloud.Base = &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}
	options.Cloud.Accounts, options.Cloud.Directory = nil, ecsapi.Directory{}
	if !f.serve {
		options.HTTP.Listen = ""
	}
	application, cleanup, err := openOnce(ctx, options)
	if err != nil {
		return err
	}
	defer cleanup()
	return f.scanAndShow(ctx, settings, application, format, failOn, stdout, stderr)
}

func (f *demoFlags) scanAndShow(ctx context.Context, settings *settings, application *app.App, format report.Format, failOn *rules.Level, stdout, stderr io.Writer) error {
	running, ended, stop := runBeside(ctx, application)
	defer stop()
	started := time.Now()
	scan, err := awaitScan(running, settings, application, nil, nil, "demo", stderr, ended)
	if err != nil {
		return err
	}
	took := time.Since(started)
	if err := application.FetchTypes(running); err != nil {
		return err
	}
	answer, err := application.Report(ctx, app.Question{Scan: scan.ID})
	if err != nil {
		return err
	}
	defer answer.Close()
	again := "shenscan demo --store " + report.Quoted(f.store.dir)
	answer.Hints = report.Hints{Store: f.store.named(), Again: again}
	if f.passing {
		answer.Hints = report.Hints{Store: "demo-store", Keep: "shenscan demo --store demo-store", Again: "shenscan demo --store demo-store"}
	} else if err := keepOrigin(f.store.dir, again); err != nil {
		return err
	}
	if err := f.output.write(format, answer.Report, stdout); err != nil {
		return err
	}
	if f.html != "" {
		html := outputFlags{out: f.html}
		if err := html.write(report.HTML, answer.Report, stdout); err != nil {
			return err
		}
		path, err := filepath.Abs(f.html)
		if err != nil {
			path = f.html
		}
		fmt.Fprintf(stderr, "\nHTML report: %s\n", path)
	}
	fmt.Fprintf(stderr, "%d simulated instances in %d regions scanned in %s\n", scan.Instances, scan.Regions, took.Round(10*time.Millisecond))
	if f.serve {
		fmt.Fprintf(stderr, "page and metrics on %s; stop with Ctrl-C\n", application.Listening())
		return <-ended
	}
	stop()
	if err := <-ended; err != nil {
		return err
	}
	if err := partialExit(scan); err != nil {
		return err
	}
	return verdictExit(answer.View, failOn)
}
