package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/ecs/ecsfile"
	"github.com/shenscan/shenscan/internal/report"
)

// fromFlags say that files stand in for the cloud.
type fromFlags struct {
	files []string
	cmd   *cobra.Command
}

func (f *fromFlags) add(cmd *cobra.Command) {
	f.cmd = cmd
	cmd.Flags().StringSliceVar(&f.files, "from", nil, "files of saved API answers to scan in place of the cloud; more may follow as arguments")
}

// arguments takes further files: a shell spells *.json out as several words.
func (f *fromFlags) arguments(cmd *cobra.Command, args []string) error {
	if len(f.files) == 0 {
		return noArgs(cmd, args)
	}
	f.files = append(f.files, args...)
	return nil
}

// again is the command that scans the files again, "" where there are none.
func (f *fromFlags) again(store string) string {
	if len(f.files) == 0 {
		return ""
	}
	command := "shenscan scan"
	if store != "" {
		command += " --store " + report.Quoted(store)
	}
	if account := given(f.cmd.Flags(), "account"); account != "" {
		command += " " + account
	}
	command += " --from"
	for i, file := range f.files {
		if most := 4; i == most {
			return command + " …"
		}
		command += " " + report.Quoted(file)
	}
	return command
}

// offline is the account that saved answers stand for where none is named.
const offline = "offline"

// open reads the files into options in place of the cloud; nil where there are none.
func (f *fromFlags) open(ctx context.Context, options *app.Options, stderr io.Writer) (*ecsfile.Source, error) {
	if len(f.files) == 0 {
		return nil, nil
	}
	for _, name := range []string{"nats-url", "endpoint"} {
		if config.Typed(f.cmd.Flags(), name) {
			return nil, usage(fmt.Errorf("--from reads files in place of the cloud; it goes not together with --%s", name))
		}
	}
	account := offline
	if len(options.Accounts) > 1 {
		return nil, usage(fmt.Errorf("the files of --from stand for one account, and --account names %d", len(options.Accounts)))
	}
	if len(options.Accounts) == 1 {
		account = options.Accounts[0]
	}
	if account == "" || len(account) > 64 || account != report.Clean(account) || strings.ContainsAny(account, "/ ") {
		return nil, usage(fmt.Errorf("--account %q is no name of an account", report.Clean(account)))
	}
	source, err := ecsfile.Open(ctx, account, f.files, ecsfile.DefaultLimits())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, usage(fmt.Errorf("--from: %w", err))
	}
	// No other process has the files.
	options.API, options.Accounts, options.NATS.URL = source, []string{account}, ""
	if !f.cmd.Flags().Changed("store") {
		// What was saved elsewhere is kept apart from the fleet of one's own.
		options.Store = filepath.Join(defaultStore(), offline)
	}
	instances, images, types := source.Counts()
	fmt.Fprintf(stderr, "read %s, %s and %s from %s as account %s\n", report.Plural(instances, "instance", "instances"), report.Plural(images, "image", "images"),
		report.Plural(types, "instance type", "instance types"), report.Plural(source.Files, "file", "files"), account)
	if n := source.MissingImages(); n > 0 {
		fmt.Fprintf(stderr, "%s not in the files: what is known of them is their id and what their instances say; add answers of DescribeImages\n", report.Plural(n, "image is", "images are"))
	}
	if n := len(source.Skipped) + source.SkippedMore; n > 0 {
		fmt.Fprintf(stderr, "%s of other actions left out: %s", report.Plural(n, "answer", "answers"), report.Clean(strings.Join(source.Skipped, "; ")))
		if source.SkippedMore > 0 {
			fmt.Fprintf(stderr, " and %d more", source.SkippedMore)
		}
		fmt.Fprintln(stderr)
	}
	return source, nil
}
