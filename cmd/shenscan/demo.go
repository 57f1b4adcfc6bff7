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

func newDemoCmd(s *settings) *cobra.Command {
	f := &demoFlags{}
	cmd := &cobra.Command{
		Use: "demo", Short: "Scan a simulated fleet: no cloud account, no configuration", Args: noArgs,
		Long: `demo starts the bundled ECS simulator on loopback, scans its fleet through the
real SDK and an embedded NATS, prints the report and writes it as HTML too. With
--serve the web page and the metrics stay up.`,
		Example: `  shenscan demo
  shenscan demo --serve
  shenscan demo --instances 100000 --regions 30 --output jsonl --out fleet.jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fl := cmd.Flags()
	fl.IntVar(&f.instances, "instances", 12_000, "instances in the simulated fleet")
	fl.IntVar(&f.regions, "regions", 18, "regions in the simulated fleet")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of the simulated fleet")
	addContradict(cmd, &f.against)
	fl.StringVar(&f.html, "html", "shenscan-demo.html", "file for the HTML report; \"\" for none")
	fl.BoolVar(&f.serve, "serve", false, "keep the web page and the metrics up afterwards")
	fl.StringVar(&f.store.dir, "store", "", "folder of the store; default a temporary one")
	fl.IntVar(&f.cloud.concurrency, "concurrency", 32, "lanes and calls side by side")
	f.rules.add(cmd)
	f.output.add(cmd)
	f.listen.add(cmd, defaultListen)
	f.nats.add(cmd, true)
	f.owners.tags = []string{"team"} // as the simulator has them
	f.evidence.add(cmd)
	f.addSink(cmd)
	return cmd
}

func (f *demoFlags) run(ctx context.Context, s *settings, stdout, stderr io.Writer) (err error) {
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
	f.cloud.endpoint, f.cloud.startRate = sim.URL, 1000 // the simulator has no quota to be gentle with
	o := f.options(s, "shenscan-demo", app.All, bus.SyncInterval)
	o.Cloud.Base = &ecsapi.Keys{AccessKeyID: ecsapi.NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: ecsapi.NewSecret(ecssim.DemoAccessKeySecret)}
	o.Cloud.Accounts, o.Cloud.Directory = nil, ecsapi.Directory{}
	if !f.serve {
		o.HTTP.Listen = ""
	}
	a, cleanup, err := openOnce(ctx, o)
	if err != nil {
		return err
	}
	defer cleanup()
	return f.scanAndShow(ctx, s, a, format, failOn, stdout, stderr)
}

func (f *demoFlags) scanAndShow(ctx context.Context, s *settings, a *app.App, format report.Format, failOn *rules.Level, stdout, stderr io.Writer) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	started := time.Now()
	scan, err := awaitScan(running, s, a, nil, nil, "demo", stderr, ended)
	if err != nil {
		return err
	}
	took := time.Since(started)
	if err := a.FetchTypes(running); err != nil {
		return err
	}
	r, err := a.Report(ctx, app.Question{Scan: scan.ID})
	if err != nil {
		return err
	}
	defer r.Close()
	again := "shenscan demo --store " + report.Quoted(f.store.dir)
	r.Hints = report.Hints{Store: f.store.named(), Again: again}
	if f.passing {
		r.Hints = report.Hints{Store: "demo-store", Keep: "shenscan demo --store demo-store", Again: "shenscan demo --store demo-store"}
	} else if err := keepOrigin(f.store.dir, again); err != nil {
		return err
	}
	if err := f.output.write(format, r.Report, stdout); err != nil {
		return err
	}
	if f.html != "" {
		html := outputFlags{out: f.html}
		if err := html.write(report.HTML, r.Report, stdout); err != nil {
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
		fmt.Fprintf(stderr, "page and metrics on %s; stop with Ctrl-C\n", a.Listening())
		return <-ended
	}
	stop()
	if err := <-ended; err != nil {
		return err
	}
	if err := partialExit(scan); err != nil {
		return err
	}
	return verdictExit(r.View, failOn)
}
