package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/sink/store"
)

// processFlags are what serve and the roles share.
type processFlags struct {
	store    storeFlags
	nats     natsFlags
	cloud    cloudFlags
	rules    ruleFlags
	listen   listenFlags
	trace    traceFlags
	events   eventsFlags
	evidence evidenceFlags
	owners   ownerFlags
	o        app.Options // of flags that stand for an option and nothing else
}

// addKept adds what the store remembers of the past.
func (f *processFlags) addKept(cmd *cobra.Command) {
	f.o.KeepGone, f.o.KeepHistory, f.o.KeepScans = store.DefaultGoneRetention, store.DefaultHistoryPerInstance, store.DefaultKeepScans
	// The defaults are no numbers of their own: 0 would mean them.
	number := func(to *int) *checkedValue {
		return &checkedValue{strconv.Itoa(*to), "int", func(text string) (string, error) {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return "", errors.New("give a number of at least 1; without the flag it is the default")
			}
			*to = n
			return strconv.Itoa(n), nil
		}}
	}
	cmd.Flags().Var(&checkedValue{f.o.KeepGone.String(), "duration", func(text string) (string, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return "", errors.New("give a time such as 720h; without the flag it is the default")
		}
		f.o.KeepGone = d
		return d.String(), nil
	}}, "keep-gone", "how long an instance that is gone is remembered, with its history")
	cmd.Flags().Var(number(&f.o.KeepHistory), "keep-history", "changes remembered of each instance")
	cmd.Flags().Var(number(&f.o.KeepScans), "keep-scans", "ended scans remembered, and as many rescans")
}

func (f *processFlags) addSink(cmd *cobra.Command) {
	host, _ := os.Hostname()
	cmd.Flags().IntVar(&f.o.StoreMaxMiB, "store-max-mib", 0, "MiB that the store's file may grow to; results wait in the stream while it is full. 0 is as much as the disk takes")
	f.addKept(cmd)
	f.owners.add(cmd, "tags that name an instance's owner, the first that it has counts; progress is then counted by owner too")
	cmd.Flags().StringVar(&f.o.SinkName, "sink-name", host, "name of this sink; several sinks keep a store each")
	cmd.Flags().DurationVar(&f.o.ScanIdle, "scan-idle", 15*time.Minute, "a scan without progress for so long ends aborted and is run again once")
}

func (f *processFlags) addDebug(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.o.Debug.Listen, "debug-listen", "", "loopback `address` of profiles (/debug/pprof/) and of the level of the log (/log-level); none without it")
}

func (f *processFlags) options(settings *settings, name string, roles app.Role, def bus.Sync) app.Options {
	opts := f.o
	opts.Roles, opts.NATS, opts.Store = roles, f.nats.options(settings, name, def), f.store.dir
	opts.Cloud, opts.Accounts, opts.Concurrency = f.cloud.options(settings), f.cloud.accounts, f.cloud.o.Concurrency
	opts.OwnerTags, opts.OwnerAccount, opts.Targets, opts.Rules = f.owners.tags, f.owners.fallback == "account", f.rules.targets, f.rules.rules
	opts.HTTP, opts.Evidence, opts.Trace = f.listen.o, f.evidence.options(), f.trace.options(settings, name)
	opts.Language, opts.Debug.Level, opts.Log = languageOf(settings.flags), settings.level, settings.log
	opts.Now = time.Now
	if opts.ScanIdle > 0 { // what waits for longer is taken for lost
		opts.Cloud.ThrottleWait, opts.Cloud.MaxThrottled = min(opts.Cloud.ThrottleWait, opts.ScanIdle/2), min(opts.Cloud.MaxThrottled, opts.ScanIdle*2/3)
	}
	opts.Distributed = opts.NATS.URL != ""
	if name != "shenscan-serve" {
		opts.NATS.Inbox = "" // that of its role
	} else if opts.NATS.URL == "" && opts.NATS.Listen == "" {
		opts.NATS.Listen, opts.NATS.Access = "127.0.0.1:0", bus.AccessKey
	}
	return opts
}

func newServeCmd(settings *settings) *cobra.Command {
	flags, narrow, probing := &processFlags{}, &filterFlags{}, &probeFlags{}
	asked := []string{"tag", "family", "os", "verdict", "confidence", "exclude"} // who is asked by --probe
	cmd := &cobra.Command{
		Use: "serve", Short: "Run scheduler, producer, workers, sink and web page in one process, until stopped", Args: noArgs,
		Long: `serve scans on the schedules of the configuration file, answers scan and rescan
requests, keeps the store and serves the web page, the API and the metrics.

The embedded NATS listens on a free port of this machine. Who may read nats.json
and nats.nk beside the store finds it with their key: shenscan rescan and dead do
so by themselves. --nats-listen names the port, and lets everybody on this machine
ask.

--probe asks, after each scan, the machines themselves, each at most once a week:
those that --tag, --family, --os, --verdict, --confidence and --exclude let
through. Without it these flags mean nothing and are refused. Of several services
on one --nats-url one asks at a time, and another goes on when it is gone.`,
		Example: `  shenscan serve --config shenscan.yaml
  shenscan serve --nats-listen 127.0.0.1:4222
  nats req shenscan.scan '{}'                      # in another terminal`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := flags.options(settings, "shenscan-serve", app.All, bus.SyncAlways)
			var err error
			if options.Events, err = flags.events.options(options); err != nil {
				return err
			}
			if options.ProbeFilter, err = narrow.parse(settings, nil); err != nil {
				return err
			}
			if err := probing.check(&options, false); err != nil {
				return err
			}
			if options.ProbeScans = options.Probe; !options.Probe && !options.ProbeFilter.IsZero() {
				return usage(errors.New("serve scans everything; a filter says which machines --probe asks, and --probe is not given"))
			}
			options.Schedules = settings.file.Schedules
			options.KeepTypes = true
			return runApp(cmd, settings, options)
		},
	}
	flags.store.add(cmd)
	flags.nats.add(cmd, true)
	flags.cloud.add(cmd)
	flags.evidence.add(cmd)
	flags.rules.add(cmd)
	flags.listen.add(cmd, defaultListen)
	flags.addDebug(cmd)
	flags.events.add(cmd)
	flags.trace.add(cmd)
	flags.addSink(cmd)
	probing.addOn(cmd)
	narrow.add(cmd, asked...)
	needs(cmd.Flags(), []string{"probe"}, asked...)
	return cmd
}

// runApp runs until the command is interrupted.
func runApp(cmd *cobra.Command, settings *settings, options app.Options) error {
	if settings.taken != nil {
		settings.taken(options)
		return nil
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	options.Hangup, options.Reread = hangup, settings.rereader(cmd.Flags())
	application, err := app.New(cmd.Context(), options)
	if err != nil {
		return err
	}
	defer application.Close()
	settings.log.Info("running", "roles", options.Roles.String(), "listen", application.Listening())
	fmt.Fprintf(cmd.ErrOrStderr(), "shenscan %s is running%s; stop it with Ctrl-C\n", options.Roles, where(application, options))
	return application.Run(cmd.Context())
}

func where(application *app.App, options app.Options) string {
	var parts []string
	if at := application.Listening(); at != "" {
		parts = append(parts, ": page and metrics on "+at)
	}
	if url := application.NATSURL(); url != "" && options.NATS.URL == "" {
		parts = append(parts, "NATS on "+url)
	}
	return strings.Join(parts, ", ")
}

// asksElsewhere says who asks machines beside a process of one role.
func asksElsewhere(role string) string {
	return "asking machines needs the cloud and a store, and a " + role + " has one of them at most; run `shenscan serve --probe` with the same --nats-url beside it, and a --store of its own"
}

func newRoleCmd(settings *settings, name string, role app.Role, short string) *cobra.Command {
	flags, asks := &processFlags{}, false
	cmd := &cobra.Command{
		Use: name, Short: short, Args: noArgs,
		Example: fmt.Sprintf("  shenscan %s --nats-url nats://127.0.0.1:4222", name),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.nats.o.URL == "" {
				return usage(fmt.Errorf("%s is one role of several and needs --nats-url; `shenscan serve` runs all of them in one process", name))
			}
			options := flags.options(settings, "shenscan-"+name, role, bus.SyncAlways)
			var err error
			if options.Events, err = flags.events.options(options); err != nil {
				return err
			}
			if role == app.Producer {
				options.Schedules = settings.file.Schedules
			}
			if asks {
				if config.Typed(cmd.Flags(), "probe") {
					return usage(fmt.Errorf("--probe: %s", asksElsewhere(name)))
				}
				settings.log.Warn("machines are not asked by this process", "because", asksElsewhere(name))
			}
			return runApp(cmd, settings, options)
		},
	}
	flags.nats.add(cmd, false)
	def := ""
	if role == app.Sink {
		flags.store.add(cmd)
		flags.addSink(cmd)
		flags.rules.add(cmd)
		def = defaultListen
	} else {
		flags.cloud.add(cmd)
		if role == app.Worker {
			flags.evidence.addJudged(cmd)
			flags.rules.add(cmd)
		} else {
			flags.evidence.addTemplates(cmd)
		}
	}
	flags.listen.add(cmd, def)
	flags.addDebug(cmd)
	if role == app.Producer {
		flags.events.add(cmd)
	}
	flags.trace.add(cmd)
	// A role asks nobody: that needs the cloud and a store. Who says that it is to
	// ask is told who does.
	cmd.Flags().BoolVar(&asks, "probe", false, "not for a role of its own: shenscan serve asks")
	_ = cmd.Flags().MarkHidden("probe")
	return cmd
}
