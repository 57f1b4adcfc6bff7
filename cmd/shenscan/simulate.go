package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// simulateFlags are the flags of simulate as they are typed.
type simulateFlags struct {
	listen   string
	insecure bool
	truth    string
	contract string
	options  ecssim.Options
	latency  string
	faults   []string
	quotas   []string
	window   time.Duration
}

// newSimulateCmd is the ECS simulator alone: it serves until it is stopped.
func newSimulateCmd() *cobra.Command {
	var flags simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a simulated ECS API with a fleet made from a seed",
		Long: `Serve a simulated ECS API (with STS AssumeRole and the resource directory) over plain HTTP.

The fleet is computed from --seed and the sizes and is the same every time. Its operating
systems, images, instance types and regions are real ones. --truth writes what a scan must
find: one JSON object a line with account, region, instance_id, os and the verdict for each
target. The URL is printed to stdout; the keys that the simulator accepts go to stderr.

Faults: --fault kind=KIND[,action=A][,region=R][,account=ID][,rate=0.02][,after=N][,count=N][,delay=5s][,bytes=N][,to=URL]
may be given many times.

Contradictions: --contradict NAME makes the API behave in a way that the documents leave open
or that was recorded somewhere; every one that is known is listed below. What a scan says then
stands in docs/RELIABILITY.md. Parameters that the simulator does not implement are refused.

` + contradictionHelp() + `
While it serves, GET /_sim/stats says what it was asked, and POST
/_sim/faults, /_sim/churn, /_sim/instances/ID and others change it (loopback only).`,
		Example: `  shenscan simulate --instances 100000 --regions 20 --truth truth.jsonl
  shenscan simulate --latency lognormal:300ms,0.4 --fault kind=throttle,rate=0.05 --fault kind=html-503,rate=0.02
  shenscan simulate --regions 30 --fault kind=unactivated,region=cn-qingdao --fault kind=unauthorized-empty,region=us-west-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSimulate(cmd.Context(), &flags, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.register(cmd)
	return cmd
}

func (f *simulateFlags) register(cmd *cobra.Command) {
	set, options := cmd.Flags(), &f.options
	set.StringVar(&f.listen, "listen", "127.0.0.1:10471", "address to serve on")
	set.BoolVar(&f.insecure, "insecure-listen", false, "serve beyond loopback, in plain text")
	set.IntVar(&options.Instances, "instances", 10_000, "instances over all accounts and regions, 1 to 10000000")
	set.IntVar(&options.Regions, "regions", 18, "regions, the largest first")
	set.IntVar(&options.Accounts, "accounts", 1, "accounts; the first has the demo keys, every one a role to assume")
	set.IntVar(&options.Images, "images", 0, "distinct images, counted for every account and region (default 3 in 1000 instances)")
	set.Uint64Var(&options.Seed, "seed", 1, "seed of the fleet and of every random fault")
	addContradict(cmd, &options.Contradict)
	set.StringVar(&f.contract, "contract", "", "behave as this file says, which shenscan doctor --api-contract wrote")
	set.StringVar(&f.truth, "truth", "", "write the expected family, version and verdicts of every instance to this file (JSON lines)")
	set.StringVar(&options.RoleName, "role", "", "the only role name that AssumeRole knows (default: every name)")
	set.StringVar(&options.ExternalID, "external-id", "", "external id that AssumeRole demands")
	set.DurationVar(&options.SessionTTL, "session-ttl", 0, "life of assumed roles' keys, whatever was asked for")
	set.DurationVar(&options.TokenTTL, "token-ttl", 0, "life of a NextToken (default: for ever)")
	set.IntVar(&options.TokenRefuse, "token-refuse", 0, "refuse every n-th NextToken as expired")
	set.Float64Var(&options.DuplicateRate, "duplicates", 0, "share of pages that repeat the last instance of the page before")
	set.Float64Var(&options.WrongNames, "wrong-names", 0, "share of machines whose names are wrong, vague or older than what runs there; --truth says what the names show and what each guest is")
	set.Float64Var(&options.OfflineAgents, "offline-agents", 0, "share of machines with an agent of Cloud Assistant that does not answer")
	set.Float64Var(&options.FailedStarts, "failed-starts", 0, "share of Running machines whose last start failed: their console shows a kernel panic, and they send no heartbeats")
	set.Float64Var(&options.OddAnswers, "odd-answers", 0, "share of machines whose answer to a probe is cut short, garbled, late or a failure")
	set.BoolVar(&options.NoPlatform, "no-platform", false, "deny DescribeImageSupportInstanceTypes, which says where the platform offers an image; --truth is then without it")
	set.BoolVar(&options.Gzip, "gzip", false, "compress answers for clients that ask for it")
	set.StringVar(&f.latency, "latency", "", "time an answer takes: 50ms, uniform:20ms-80ms or lognormal:50ms,0.5 (median, sigma)")
	set.IntVar(&options.Quota.Calls, "quota", 0, "calls in one window for each account, region and action")
	set.StringArrayVar(&f.quotas, "quota-action", nil, "the same for one action: ACTION=CALLS")
	set.DurationVar(&f.window, "quota-window", time.Minute, "length of the quota's window")
	set.IntVar(&options.Quota.AccountRate, "account-rate", 0, "calls a second for each account, all regions and actions together")
	set.StringArrayVar(&f.faults, "fault", nil, "something that goes wrong, see above; may be repeated")
	needs(set, []string{"quota", "quota-action"}, "quota-window")
}

// parse turns the flags into options.
func (f *simulateFlags) parse() (ecssim.Options, error) {
	options := f.options
	if options.Instances < 1 || options.Regions < 1 || options.Accounts < 1 {
		return options, fmt.Errorf("%w: --instances, --regions and --accounts are 1 at least", ecssim.ErrOptions)
	}
	var err error
	if options.Latency, err = ecssim.ParseLatency(f.latency); err != nil {
		return options, err
	}
	options.Quota.Window = ecssim.Duration(f.window)
	for _, s := range f.quotas {
		action, calls, err := ecssim.ParseActionQuota(s)
		if err != nil {
			return options, err
		}
		if options.Quota.Actions == nil {
			options.Quota.Actions = map[string]int{}
		}
		options.Quota.Actions[action] = calls
	}
	if f.contract != "" {
		names, err := takeOn(f.contract)
		if err != nil {
			return options, usage(err)
		}
		options.Contradict = append(options.Contradict, names...)
	}
	if err := knownContradictions(options.Contradict); err != nil {
		return options, err
	}
	for _, s := range f.faults {
		fault, err := ecssim.ParseFault(s)
		if err != nil {
			return options, fmt.Errorf("%w%s", err, app.Meant(fault.Kind, ecssim.FaultKinds()))
		}
		options.Faults = append(options.Faults, fault)
	}
	return options, nil
}

// knownContradictions refuses names of no contradiction.
func knownContradictions(names []string) error {
	all := ecssim.ContradictionNames()
	for _, name := range names {
		if !slices.Contains(all, name) {
			return notOneOf("contradict", name, all...)
		}
	}
	return nil
}

// addContradict adds the flag of simulators that contradict.
func addContradict(cmd *cobra.Command, names *[]string) {
	cmd.Flags().StringSliceVar(names, "contradict", nil, "ways in which the simulated API behaves as a client may not expect; shenscan simulate --help lists them")
}

// contradictionHelp lists the contradictions, one a line.
func contradictionHelp() string {
	var text strings.Builder
	for _, c := range ecssim.Contradictions() {
		fmt.Fprintf(&text, "  %-24s %s\n", c.Name, c.Says)
	}
	return text.String()
}

// runSimulate serves until ctx ends.
func runSimulate(ctx context.Context, simulateFlags *simulateFlags, stdout, stderr io.Writer) error {
	options, err := simulateFlags.parse()
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if host, _, _ := net.SplitHostPort(simulateFlags.listen); !simulateFlags.insecure && !bus.Loopback(host) {
		return usage(fmt.Errorf("simulate: --listen %s is not a loopback address; the simulator speaks plain HTTP with well-known keys: use 127.0.0.1, or --insecure-listen", simulateFlags.listen))
	}
	srv, err := ecssim.Listen(options, simulateFlags.listen)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if err := writeTruth(srv, simulateFlags.truth); err != nil {
		return errors.Join(err, srv.Close())
	}
	_, err = fmt.Fprintln(stdout, srv.URL)
	fmt.Fprintf(stderr, "simulated ECS API on %s\n", srv.URL)
	fmt.Fprintf(stderr, "  %d instances in %d regions, seed %d\n", options.Instances, len(srv.Regions()), options.Seed)
	for i, account := range srv.Accounts() {
		if i == 0 {
			fmt.Fprintf(stderr, "  export ALIBABA_CLOUD_ACCESS_KEY_ID=%s ALIBABA_CLOUD_ACCESS_KEY_SECRET=%s\n", account.AccessKeyID, account.AccessKeySecret)
		}
		if len(srv.Accounts()) > 1 {
			fmt.Fprintf(stderr, "  account %s (%s): acs:ram::%s:role/shenscan\n", account.ID, account.Name, account.ID)
		}
	}
	fmt.Fprintf(stderr, "  shenscan scan --endpoint %s\n", srv.URL)
	if err == nil {
		<-ctx.Done()
	}
	return errors.Join(err, srv.Close())
}

// writeTruth writes the truth file, if one was asked for.
func writeTruth(srv *ecssim.Server, path string) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("simulate: truth file: %w", err)
	}
	w := bufio.NewWriterSize(file, 1<<20)
	err = srv.WriteTruth(w)
	if err = errors.Join(err, w.Flush(), file.Close()); err != nil {
		return fmt.Errorf("simulate: truth file %s: %w", path, err)
	}
	return nil
}
