package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/report"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Say what a process would run with, and whether it would",
		Example: "  shenscan config show",
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "check [serve|producer|worker|sink] [FLAG...]", Short: "Check flags, environment, file, rules, schedules and accounts, and start nothing",
			Long: `check reads what the named process (serve by default) would read with the same
flags: the file of --config with the settings of every command, the environment,
rules and waivers, the web configuration, secrets in files. It has a NATS server of
its own judge the schedules, asks neither the cloud nor a running process, and
changes nothing. Every mistake is named, and the exit code is then 2.`,
			Example: `  shenscan config check --config /etc/shenscan/shenscan.yaml
  shenscan config check worker --config shenscan.yaml --nats-url nats://127.0.0.1:4222`,
			DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				return configOf(cmd, args, func(o *app.Options, again *settings) error {
					return checkConfig(cmd.Context(), cmd.OutOrStdout(), o, again)
				})
			},
		},
		&cobra.Command{
			Use: "show [serve|producer|worker|sink] [FLAG...]", Short: "Show every setting that a process would use, and where it comes from",
			Long: `show prints the settings that the named process (serve by default) would run with
under the same flags, in the form of a configuration file; a comment says where each
comes from: flag, environment, file or default. Secrets are masked.`,
			Example: `  shenscan config show --config /etc/shenscan/shenscan.yaml
  shenscan config show sink --nats-url nats://127.0.0.1:4222`,
			DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				return configOf(cmd, args, func(_ *app.Options, again *settings) error {
					text, err := config.Show(again.flags, again.file, mask)
					if err != nil {
						return err
					}
					if os.Getenv(eventsSecretEnv) != "" {
						text = append(text, "# the secret of events: environment "+eventsSecretEnv+"\n"...)
					}
					_, err = cmd.OutOrStdout().Write(text)
					return err
				})
			},
		},
	)
	return cmd
}

// processes are the commands that run until they are stopped.
var processes = []string{"serve", "producer", "worker", "sink"}

// configOf does something with what the command line behind check and show
// would run with.
func configOf(cmd *cobra.Command, args []string, act func(*app.Options, *settings) error) error {
	if slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "--help" }) {
		return cmd.Help()
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		args = append([]string{"serve"}, args...)
	}
	if !slices.Contains(processes, args[0]) {
		return usage(fmt.Errorf("%q runs no process: name one of %s%s", args[0], strings.Join(processes, ", "), app.Meant(args[0], processes)))
	}
	options, again, err := takeOptions(cmd.Context(), args)
	if err != nil {
		return err
	}
	return act(&options, again)
}

func checkConfig(ctx context.Context, w io.Writer, options *app.Options, again *settings) error {
	checked, err := app.Check(ctx, options)
	if err := errors.Join(again.checkAllCommands(), err); err != nil {
		return usage(err)
	}
	screen := onScreen(w)
	for _, note := range checked.Notes {
		screen.say("note: ", note)
	}
	screen.say("", fmt.Sprintf("the configuration is good: rule set %s with %s, targets %s, %s, %s configured", checked.Ruleset, report.Plural(checked.Waivers, "waiver", "waivers"),
		strings.Join(checked.Targets, ", "), report.Plural(len(options.Schedules), "schedule", "schedules"), report.Plural(len(options.Cloud.Accounts), "account", "accounts")))
	return screen.err
}

// checkAllCommands reports values in the file that a command could not use,
// whichever it is: the one file serves all of them.
func (s *settings) checkAllCommands() error {
	var errs []error
	seen := map[string]bool{}
	root := newRoot(&settings{})
	walk(root, func(c *cobra.Command) {
		_, err := config.Apply(c.Flags(), s.names, s.path, func(string) (string, bool) { return "", false })
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}
