package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/files"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/trace"
	"github.com/shenscan/shenscan/producer/cloudevents"
	"github.com/shenscan/shenscan/rules"
)

// storeFlags say where the store is.
type storeFlags struct{ dir, server string }

func (f *storeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.dir, "store", defaultStore(), "folder of the store")
}

// addReader adds what a command needs that only reads a store, also one that a
// running process holds.
func (f *storeFlags) addReader(cmd *cobra.Command) {
	f.add(cmd)
	cmd.Flags().StringVar(&f.server, "server", "", "page of a running shenscan whose store is read instead, such as http://127.0.0.1:10470; where a process on this machine holds --store, it is asked by itself")
}

func (f *storeFlags) place() app.Place { return app.Place{Dir: f.dir, Server: f.server} }

// defaultStore is a folder of the user's own, or one below the working folder
// where the system names none.
func defaultStore() string {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "shenscan")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "shenscan")
	}
	return "shenscan-store"
}

// natsFlags say which broker to use.
type natsFlags struct {
	o        bus.Options
	embedded bool
	sync     string
}

// add adds those of a process that has streams.
func (f *natsFlags) add(cmd *cobra.Command, embedded bool) {
	f.addClient(cmd, embedded)
	set := cmd.Flags()
	set.IntVar(&f.o.Replicas, "nats-replicas", 1, "replicas of every stream: 1, or 3 or 5 on a cluster")
	set.DurationVar(&f.o.Limits.ResultsAge, "results-age", f.o.Limits.ResultsAge, "how long results are kept for sinks that catch up")
	if embedded {
		set.StringVar(&f.o.Listen, "nats-listen", "", "`address` of this machine on which the embedded NATS listens, such as 127.0.0.1:4222, for every client on it; serve listens on a free port for who may read the files beside the store")
		set.StringVar(&f.sync, "nats-sync", "", "when the embedded NATS syncs to disk: always (nothing acknowledged is lost at a power cut) or interval (two minutes may be); default always for serve, interval for scan and demo")
		idle(set, "nats-url", "with which no NATS is embedded", "nats-listen", "nats-sync")
		needs(set, []string{"nats-url"}, "nats-replicas")
		natsNeedsURL(set)
	}
}

// natsNeedsURL is for commands that connect to a server only where one is named.
func natsNeedsURL(set *pflag.FlagSet) {
	needs(set, []string{"nats-url"}, "nats-creds", "nats-nkey", "nats-ca", "nats-cert", "nats-key")
}

// addClient adds those of a command that connects to a server.
func (f *natsFlags) addClient(cmd *cobra.Command, embedded bool) {
	f.o, f.embedded = bus.DefaultOptions(), embedded
	set := cmd.Flags()
	url := "NATS server or cluster"
	if embedded {
		url += "; without it one is embedded, which opens no socket"
	}
	set.StringVar(&f.o.URL, "nats-url", "", url)
	set.StringVar(&f.o.Creds, "nats-creds", "", "NATS credentials file")
	set.StringVar(&f.o.NKey, "nats-nkey", "", "file with a NATS nkey seed")
	set.StringVar(&f.o.CA, "nats-ca", "", "PEM file with the certificate authority of the NATS server")
	set.StringVar(&f.o.Cert, "nats-cert", "", "PEM file with this client's certificate for the NATS server")
	set.StringVar(&f.o.Key, "nats-key", "", "PEM file with the key of --nats-cert")
	needs(set, []string{"nats-key"}, "nats-cert")
	needs(set, []string{"nats-cert"}, "nats-key")
}

func (f *natsFlags) options(s *settings, name string, def bus.Sync) bus.Options {
	opts := f.o
	opts.Name, opts.Log = name, s.log
	if f.embedded {
		opts.Access = bus.AccessOperator
	} else {
		opts.Inbox = bus.InboxOperator // who asks; roles have their own
	}
	opts.Sync = cmp.Or(bus.Sync(f.sync), def)
	return opts
}

// dial connects to the server that was named, or to that of a shenscan which
// runs beside the store.
func (f *natsFlags) dial(ctx context.Context, s *settings, name, store string) (*bus.Bus, error) {
	options := f.options(s, name, bus.SyncAlways)
	if options.URL == "" {
		options.URL = os.Getenv("NATS_URL")
	}
	found := false
	if options.URL == "" {
		var err error
		if found, err = app.FindNATS(store, &options); err != nil {
			return nil, err
		}
		if !found {
			options.URL = "nats://127.0.0.1:4222"
		}
	}
	conn, err := bus.Dial(ctx, options)
	if err != nil && found {
		return nil, fmt.Errorf("the shenscan beside the store in %s does not answer any more: %w", store, err)
	}
	if err != nil && options.URL == "nats://127.0.0.1:4222" {
		return nil, fmt.Errorf("no shenscan runs beside the store in %s: name its folder with --store, or a server with --nats-url: %w", store, err)
	}
	return conn, err
}

// traceFlags say where spans go.
type traceFlags struct {
	endpoint string
	ratio    float64
	set      *pflag.FlagSet
}

func (f *traceFlags) add(cmd *cobra.Command) {
	f.set = cmd.Flags()
	f.set.StringVar(&f.endpoint, "otlp-endpoint", "", "OpenTelemetry collector that spans are sent to, protobuf over HTTP, such as http://127.0.0.1:4318; the OTEL_EXPORTER_OTLP_* variables say the same; without any, nothing is traced")
	f.set.Float64Var(&f.ratio, "trace-ratio", 1, "share of the scans and requests that are traced, from 0 to 1, where whoever asked has not decided")
	needs(f.set, []string{"otlp-endpoint", "$OTEL_EXPORTER_OTLP_ENDPOINT", "$OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}, "trace-ratio")
}

func (f *traceFlags) options(s *settings, name string) trace.Options {
	version, _ := app.Version()
	o := trace.Options{Endpoint: f.endpoint, Ratio: -1, Service: name, Version: version, Log: s.log}
	if f.set != nil && f.set.Changed("trace-ratio") { // else OTEL_TRACES_SAMPLER may say
		o.Ratio = max(f.ratio, 0)
	}
	return o
}

// cloudFlags say how the cloud is asked.
type cloudFlags struct {
	o        ecsapi.Options
	accounts []string
}

func (f *cloudFlags) add(cmd *cobra.Command) {
	f.addEndpoints(cmd)
	set := cmd.Flags()
	set.BoolVar(&f.o.Gzip, "gzip", false, "ask ECS for compressed answers: a ninth of the bytes for twice the CPU")
	set.IntVar(&f.o.Concurrency, "concurrency", 32, "lanes and calls side by side")
	set.Float64Var(&f.o.MaxRate, "rate", 0, "ceiling of ECS calls a second and account; 0 leaves it to the adaptive limit")
	set.Float64Var(&f.o.StartRate, "start-rate", f.o.StartRate, "ECS calls a second that an account, region and action begin with; the limit then adapts")
	set.DurationVar(&f.o.ThrottleWait, "throttle-wait", f.o.ThrottleWait, "longest wait that a throttled call takes where the API asks for it, and never more than half of --scan-idle; what is asked to wait for longer ends partial and says until when")
	set.StringSliceVar(&f.accounts, "account", nil, "accounts to scan, by id or name, of those that are configured or in the resource directory")
}

// addEndpoints adds what a command needs that asks the cloud only a little.
func (f *cloudFlags) addEndpoints(cmd *cobra.Command) {
	f.o = ecsapi.DefaultOptions()
	set := cmd.Flags()
	set.StringVar(&f.o.Endpoint, "endpoint", "", "one ECS endpoint for all regions; plain http only to loopback")
	set.StringVar(&f.o.STSEndpoint, "sts-endpoint", "", "STS endpoint; default sts.aliyuncs.com, or --endpoint")
	set.StringVar(&f.o.HomeRegion, "home-region", "cn-hangzhou", "region asked for what is not regional")
	set.BoolVar(&f.o.VPC, "vpc", false, "use the VPC endpoints of ECS and STS, which need no Internet; --home-region is then a region that this network reaches")
	set.BoolVar(&f.o.FakeIP, "fake-ip", false, "let endpoints be dialled at 198.18.0.0/15, where the DNS of some proxies puts every name")
}

func (f *cloudFlags) options(settings *settings) ecsapi.Options {
	opts := f.o
	opts.Logger = settings.log
	version, _ := app.Version()
	opts.UserAgent = "shenscan/" + version
	for _, a := range settings.file.Accounts.List {
		opts.Accounts = append(opts.Accounts, ecsapi.Account(a))
	}
	opts.Exclude = settings.file.Accounts.Exclude
	opts.Directory.RoleName, opts.Directory.ExternalID = settings.file.Directory.RoleName, settings.file.Directory.ExternalID
	return opts
}

// evidenceFlags say what is asked beyond the listing.
type evidenceFlags struct {
	platform  bool
	templates bool
	beats     float64
	consoles  float64
}

// add adds those of a process that reads and judges.
func (f *evidenceFlags) add(cmd *cobra.Command) {
	f.addTemplates(cmd)
	f.addJudged(cmd)
}

// addTemplates adds those of a producer.
func (f *evidenceFlags) addTemplates(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.templates, "launch-templates", true, "read which images the launch templates of each account and region start (DescribeLaunchTemplates, DescribeLaunchTemplateVersions): a call a scan and region, one more for each template whose default or latest version is new, and one a week for their images; at most 200 templates a region. Where it is not permitted, it is left out and the report says so")
}

// addJudged adds those of a worker.
func (f *evidenceFlags) addJudged(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.platform, "platform-evidence", true, "ask the platform on which instance types it offers each image (DescribeImageSupportInstanceTypes): once for each image of an account and region, kept for 30 days; where it is not permitted, it is left out and the report says so")
	cmd.Flags().Float64Var(&f.beats, "heartbeat-share", 5, "calls that ask for heartbeats of Cloud Assistant (DescribeCloudAssistantStatus), in percent of those that list the fleet, and a hundred more a scan and worker; asked are Running instances whose verdict hangs on whether their guest is up, 100 a call, and an answer serves for 30 days or until the next start. 0 asks nobody")
	cmd.Flags().Float64Var(&f.consoles, "console-share", 0, "calls that read console logs (GetInstanceConsoleOutput, one instance a call), in percent of those that list the fleet, and ten more a scan and worker; read are those of Running Linux instances whose verdict hangs on whether their guest is up and of which no heartbeat tells. 0 reads none: a log may hold secrets, and it needs deploy/ram-policy-console.json")
}

func (f *evidenceFlags) options() app.EvidenceOptions {
	return app.EvidenceOptions{Platform: f.platform, Templates: f.templates, HeartbeatShare: f.beats / 100, ConsoleShare: f.consoles / 100}
}

// ruleFlags say what is judged and by which rules.
type ruleFlags struct{ targets, rules []string }

func (f *ruleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.targets, "target", nil, rules.ClassList()+", an instance family (ecs.g8i) or type; default all classes")
	cmd.Flags().StringSliceVar(&f.rules, "rules", nil, "YAML files with rules, overrides and waivers of your own")
}

// ownerFlags say whose an instance is.
type ownerFlags struct {
	tags     []string
	fallback string // none or account
}

func (f *ownerFlags) add(cmd *cobra.Command, usage string) {
	f.fallback = "none"
	cmd.Flags().StringSliceVar(&f.tags, "owner-tag", f.tags, usage)
	cmd.Flags().Var(&checkedValue{f.fallback, "string", func(text string) (string, error) {
		if text != "none" && text != "account" {
			return "", fmt.Errorf("%q is neither none nor account%s", report.Short(text, 40), app.Meant(text, []string{"none", "account"}))
		}
		f.fallback = text
		return text, nil
	}}, "owner-fallback", "whose an instance without an owner tag is: none, or account")
}

// scopeFlags narrow what is scanned.
type scopeFlags struct{ regions []string }

func (f *scopeFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.regions, "region", nil, "regions to scan; default all that DescribeRegions names")
}

// eventsFlags say whether the cloud may send events. The secret itself is no
// flag: those of a running process are for everybody to read.
type eventsFlags struct{ secretFile string }

// eventsSecretEnv holds the secret where no file does.
const eventsSecretEnv = config.EnvPrefix + "EVENTS_SECRET"

func (f *eventsFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.secretFile, "events-secret-file", "", "file with the secret, or two, that Alibaba Cloud EventBridge sends with its events; /events on --listen then takes them. "+eventsSecretEnv+" in the environment holds the secret itself")
	needs(cmd.Flags(), []string{"listen"}, "events-secret-file")
}

func (f *eventsFlags) options(process app.Options) (eventsOptions app.EventsOptions, err error) {
	if process.Roles&app.Producer == 0 {
		return eventsOptions, nil
	}
	secret := os.Getenv(eventsSecretEnv)
	switch {
	case f.secretFile != "":
		if eventsOptions.Secrets, err = cloudevents.ReadSecrets(f.secretFile); err != nil {
			return eventsOptions, usage(fmt.Errorf("--events-secret-file: %w", err))
		}
		if who := files.Exposed(f.secretFile); who != "" {
			process.Log.Warn("the file with the events' secret may be read by others: chmod 0600 closes it", "file", f.secretFile, "open_to", who)
		}
	case secret != "":
		if eventsOptions.Secrets, err = cloudevents.ParseSecrets(secret); err != nil {
			return eventsOptions, usage(fmt.Errorf("%s: %w", eventsSecretEnv, err))
		}
	default:
		return eventsOptions, nil
	}
	if process.HTTP.Listen == "" {
		return eventsOptions, usage(errors.New("events are taken on the address of the page: name one with --listen, or take the events' secret away"))
	}
	return eventsOptions, nil
}

// listenFlags say where the web page, API and metrics are.
type listenFlags struct{ o app.HTTPOptions }

func (f *listenFlags) add(cmd *cobra.Command, def string) {
	set := cmd.Flags()
	set.StringVar(&f.o.Listen, "listen", def, "address of the web page, API and metrics; \"\" for none")
	set.StringVar(&f.o.WebConfig, "web.config.file", "", "TLS and basic auth, in the format of the Prometheus exporter-toolkit")
	set.BoolVar(&f.o.Insecure, "insecure-listen", false, "allow --listen beyond loopback without authentication; whoever reaches it may read")
	set.StringSliceVar(&f.o.Operators, "operator", nil, "users of --web.config.file (or names in client certificates) who may start rescans, reload and copy the store; the others read. Without users, whoever comes from this machine may")
	set.StringSliceVar(&f.o.Hosts, "allow-host", nil, "names under which a proxy on this machine passes on the page, where --listen is on loopback without users")
	needs(set, []string{"listen"}, "web.config.file", "insecure-listen", "operator", "allow-host")
}

const defaultListen = "127.0.0.1:10470"

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no arguments, got %q; see %s --help", cmd.CommandPath(), args, cmd.CommandPath()))
	}
	return nil
}

// checkedValue is a flag whose values are checked when they are given.
type checkedValue struct {
	text, kind string
	take       func(text string) (written string, err error) // takes a value, and says how it is written
}

// String implements pflag.Value.
func (v *checkedValue) String() string { return v.text }

// Type implements pflag.Value.
func (v *checkedValue) Type() string { return v.kind }

// Set implements pflag.Value.
func (v *checkedValue) Set(text string) error {
	written, err := v.take(text)
	if err == nil {
		v.text = written
	}
	return err
}

// targetFlag adds --target to a command that looks at one. It is refused when it is
// given twice: one of the two would be looked at, and the answer read as that of both.
func targetFlag(set *pflag.FlagSet, target *string, value, usage string) {
	*target = value
	given := false
	set.Var(&checkedValue{value, "string", func(text string) (string, error) {
		if given {
			return "", fmt.Errorf("%q was given before, and one at a time is looked at: run the command once for each", *target)
		}
		*target, given = text, true
		return text, nil
	}}, "target", usage)
}
