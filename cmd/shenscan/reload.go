package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/app"
)

// reloaded are the flags that a running process takes anew.
var reloaded = map[string]bool{"rules": true, "target": true, "account": true, "owner-tag": true, "owner-fallback": true, "log-level": true}

// rereader reads the same command line again, with the environment and the file
// as it is then. flags are those that the process started with.
func (s *settings) rereader(flags *pflag.FlagSet) app.Reread {
	return func(ctx context.Context) (next app.Settings, restart []string, err error) {
		options, is, err := takeOptions(ctx, s.args)
		if err != nil {
			return next, nil, err
		}
		flags.VisitAll(func(f *pflag.Flag) {
			if other := is.flags.Lookup(f.Name); !reloaded[f.Name] && other != nil && other.Value.String() != f.Value.String() {
				restart = append(restart, "--"+f.Name)
			}
		})
		return options.Settings(), restart, nil
	}
}

// takeOptions says what a command line would run with, and runs nothing.
func takeOptions(ctx context.Context, args []string) (options app.Options, given *settings, err error) {
	given = &settings{args: args}
	given.taken = func(is app.Options) { options = is }
	root := newRoot(given)
	root.SetArgs(args)
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	if err := root.ExecuteContext(ctx); err != nil {
		return options, nil, err
	}
	if options.Roles == 0 {
		return options, nil, errors.New("the command line runs no process")
	}
	return options, given, nil
}
