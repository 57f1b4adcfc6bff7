// Command shenscan says which ECS instances will not boot on another instance
// family, why, how sure that is, and what to do.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/internal/trace"
)

// Exit codes, as the contract with scripts states them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitFailOn  = 3
	exitPartial = 4
)

func main() {
	// A crash ends the process by SIGABRT. Go's own exit code of a crash, 2, is
	// that of wrong usage here, after which nothing is to be started again.
	debug.SetTraceback("crash")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the context; with the handler gone the second one
	// ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// inHand are the commands that finish what is in hand when they are stopped.
// Nothing is lost where another ends before it is done.
var inHand = append([]string{"scan", "demo", "simulate"}, processes...)

// endsWithin is how long a command that has nothing in hand may take to end.
const endsWithin = time.Second

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	s := &settings{args: args}
	root := newRoot(s)
	root.SetArgs(args)
	name := "the command"
	if cmd, _, err := root.Find(args); err == nil && cmd != root {
		name = strings.TrimPrefix(cmd.CommandPath(), root.Name()+" ")
	}
	finishes := slices.Contains(inHand, name)
	stopping := context.AfterFunc(ctx, func() {
		if finishes {
			fmt.Fprintf(os.Stderr, "\nshenscan: %s is stopping; what is in hand is finished first, and a second signal ends it at once\n", name)
			return
		}
		time.AfterFunc(endsWithin, func() { // it may wait for input, or for who reads its output
			fmt.Fprintf(os.Stderr, "\nshenscan: %s was interrupted before it was done\n", name)
			os.Exit(exitFailed)
		})
	})
	defer stopping()
	err := root.ExecuteContext(ctx)
	if stopped := s.profiles.stop(); stopped != nil {
		err = errors.Join(err, stopped)
	}
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		if slices.Contains(append(processes, "simulate"), name) {
			return exitDone // stopped before it had begun
		}
		fmt.Fprintln(os.Stderr) // behind the ^C of a terminal
		err = fmt.Errorf("%s was interrupted before it was done", name)
	}
	if msg := err.Error(); msg != "" {
		screen := onScreen(os.Stderr)
		for line := range strings.Lines(mask(strings.TrimSpace(msg))) {
			screen.say("", "shenscan: "+strings.TrimSuffix(line, "\n"))
		}
	}
	return exitCode(err)
}

// exitCode is that of a command that failed with an error.
func exitCode(err error) int {
	if coded, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return coded.ExitCode()
	}
	if errors.Is(err, ecssim.ErrOptions) {
		return exitUsage
	}
	return exitFailed
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is the process's exit code.
func (e *exitError) ExitCode() int { return e.code }

func usage(err error) error { return &exitError{exitUsage, err} }

// settings are what every command shares.
type settings struct {
	file      *config.File
	logFormat string
	logLevel  string
	lang      string
	noProgess bool
	profiles  profiles
	memoryMiB int64
	log       *slog.Logger
	level     *slog.LevelVar // of log, which the debug listener may set
	args      []string       // of the command line
	// taken, where it is set, takes what a process would run with instead of
	// running it.
	taken func(app.Options)
	flags *pflag.FlagSet // of the command
	path  string         // of the file, "" for none
	names []string       // that may stand in the file
}

func newRoot(settings *settings) *cobra.Command {
	root := &cobra.Command{
		Use:   "shenscan",
		Short: "Which ECS instances will not boot on another instance family, why, and what to do",
		Long: `shenscan scans Alibaba Cloud ECS fleets and says, for every instance and target
generation, whether its operating system boots there, why, how sure that is, and
what to do before moving it.

Settings come from flags, else from SHENSCAN_* in the environment, else from the
file that --config names. Exit codes: 0 done; 1 failed; 2 wrong usage or
configuration; 3 done, and a verdict at --fail-on or worse; 4 partial: the report
is of what was read, and the failures are listed.`,
		Example: `  shenscan demo                              # a simulated fleet, no cloud account needed
  shenscan scan --region cn-hangzhou         # one region of the account whose keys are in the environment
  shenscan scan --fail-on incompatible       # all regions; exit code 3 when something will not boot
  shenscan classify "CentOS  5.8 64位"       # no cloud at all`,
		SilenceErrors: true, SilenceUsage: true,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Version, _ = app.Version()
	root.SetVersionTemplate("shenscan {{.Version}}\n")
	pf := root.PersistentFlags()
	pf.String("config", "", "YAML file with settings; every flag may stand in it, spelt with _")
	pf.StringVar(&settings.logFormat, "log-format", "text", "log lines as text or json, on stderr")
	pf.StringVar(&settings.logLevel, "log-level", "warn", "least level of log lines: debug, info, warn or error")
	pf.StringVar(&settings.lang, "lang", "en", "language of what people read: en or zh (Simplified Chinese). JSON, the heads of CSV, Markdown, ids, codes, errors and logs stay as they are; pages follow the browser first")
	pf.BoolVar(&settings.noProgess, "no-progress", false, "no progress on stderr, also on a terminal")
	pf.Int64Var(&settings.memoryMiB, "memory-mib", 336, "MiB of memory that this process tries to keep to, the mapped store apart; where a third more than it needs is above that, it takes so much. 0 is no limit but the container's. GOMEMLIMIT in the environment wins")
	pf.StringVar(&settings.profiles.cpu, "cpuprofile", "", "write a CPU profile to this file")
	pf.StringVar(&settings.profiles.mem, "memprofile", "", "write a heap profile to this file at the end")
	_ = pf.MarkHidden("cpuprofile")
	_ = pf.MarkHidden("memprofile")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return settings.prepare(root, cmd) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w%s; see %s --help", err, nearFlag(cmd, err), cmd.CommandPath()))
	})
	root.AddCommand(
		newDemoCmd(settings), newScanCmd(settings), newServeCmd(settings),
		newRoleCmd(settings, "producer", app.Producer, "Run a producer: read the cloud, answer scan and rescan requests; any number of them"),
		newRoleCmd(settings, "worker", app.Worker, "Run a worker: add image metadata and classify; any number of them"),
		newRoleCmd(settings, "sink", app.Sink, "Run a sink: keep a store, serve the page, the API and the metrics; any number, a store each"),
		newRescanCmd(settings), newCheckCmd(settings), newReportCmd(settings), newPlanCmd(settings), newStoreCmd(), newDoctorCmd(settings), newDeadCmd(settings), newConfigCmd(),
		newClassifyCmd(), newRulesCmd(), newSimulateCmd(), newReadyCmd(), newVersionCmd(),
	)
	walk(root, func(command *cobra.Command) {
		if command.HasSubCommands() && command.RunE == nil { // cobra shows its help for any word
			command.Args = unknownCommand
			command.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	})
	completions(root)
	helpOnScreen(root)
	return root
}

// unknownCommand refuses a word that is no command, and names the one that was
// meant where one is near.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return usage(fmt.Errorf("unknown command %q for %s%s; see %s --help", args[0], cmd.CommandPath(), app.Meant(args[0], names), cmd.CommandPath()))
}

// nearFlag names the flag that was meant, where one is near.
func nearFlag(cmd *cobra.Command, err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok || len(unknown.GetSpecifiedName()) < 2 {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return app.Meant(unknown.GetSpecifiedName(), names)
}

// prepare reads file and environment into the flags and sets the log up.
func (s *settings) prepare(root, cmd *cobra.Command) error {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil // completion and help have no settings
	}
	if path == "" {
		path = os.Getenv(config.EnvPrefix + "CONFIG")
	}
	known := map[string]bool{}
	walk(root, func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) { known[config.Key(f.Name)] = true })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { known[config.Key(f.Name)] = true })
	})
	names := slices.Sorted(maps.Keys(known))
	variables := []string{strings.TrimPrefix(eventsSecretEnv, config.EnvPrefix)}
	for _, name := range names {
		variables = append(variables, strings.ToUpper(name))
	}
	s.flags, s.path, s.names = cmd.Flags(), path, names
	s.file, err = config.Apply(cmd.Flags(), names, path, os.LookupEnv)
	if err := errors.Join(err, config.CheckEnv(os.Environ(), variables)); err != nil {
		return usage(err)
	}
	if err := checkMeant(cmd); err != nil {
		return err
	}
	if _, ok := lang.Parse(s.lang); !ok {
		return usage(fmt.Errorf("--lang: %w%s", lang.Unknown(report.Short(s.lang, 40)), filter.Nearest(s.lang, []string{"en", "zh"})))
	}
	if err := s.openLog(); err != nil {
		return err
	}
	if s.taken != nil {
		return nil
	}
	noteUnlisted(cmd)
	app.LimitMemory(cmd.Context(), s.memoryMiB<<20)
	return s.profiles.start()
}

func walk(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}

func (s *settings) openLog() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return notOneOf("log-level", s.logLevel, "debug", "info", "warn", "error")
	}
	s.level = &slog.LevelVar{}
	s.level.Set(level)
	handlerOptions := &slog.HandlerOptions{Level: s.level}
	switch s.logFormat {
	case "text":
		s.log = slog.New(trace.LogHandler(slog.NewTextHandler(maskWriter{os.Stderr}, handlerOptions)))
	case "json":
		s.log = slog.New(trace.LogHandler(slog.NewJSONHandler(maskWriter{os.Stderr}, handlerOptions)))
	default:
		return notOneOf("log-format", s.logFormat, "text", "json")
	}
	return nil
}
