package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

func newStoreCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "store", Short: "Back up, check or compact the store, or settle what is truly gone",
		Long: `The store is one file, store.db in the folder that --store names. Where a running
shenscan holds it, backup and check work on a copy of its last commit, which that
process sends; compact and forget need the store itself, so stop the process first.`,
		Example: `  shenscan store check
  shenscan store backup store-copy.db`,
	}
	cmd.AddCommand(newStoreBackupCmd(), newStoreCheckCmd(), newStoreCompactCmd(), newStoreForgetCmd())
	return cmd
}

func newStoreBackupCmd() *cobra.Command {
	dir := &storeFlags{}
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a copy of the store, and check both", Args: oneArg("file to write"),
		Example: "  shenscan store backup shenscan-backup.db",
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := app.OpenStore(cmd.Context(), dir.place(), nil, nil)
			if err != nil {
				return err
			}
			if err = db.BackupFile(cmd.Context(), args[0]); err == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d instances\n", args[0], db.Summary().Instances)
			}
			return errors.Join(err, db.Close())
		},
	}
	dir.addReader(cmd)
	return cmd
}

func newStoreCheckCmd() *cobra.Command {
	dir := &storeFlags{}
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "Read everything in the store, or in a copy of one, and say whether it is sound",
		Example: `  shenscan store check --store /var/lib/shenscan
  shenscan store check shenscan-backup.db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			at := dir.place()
			switch {
			case len(args) > 1:
				return usage(fmt.Errorf("store check takes one file, got %q", args))
			case len(args) == 1 && (config.Typed(cmd.Flags(), "store") || config.Typed(cmd.Flags(), "server")):
				return usage(errors.New("name a file, or --store or --server, and not both"))
			case len(args) == 1:
				at = app.Place{File: args[0]}
			}
			said, err := app.CheckStore(cmd.Context(), at)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
		},
	}
	dir.addReader(cmd)
	return cmd
}

func newStoreCompactCmd() *cobra.Command {
	dir := &storeFlags{}
	cmd := &cobra.Command{
		Use: "compact", Short: "Rewrite the store without free space, and check both before the old one is replaced", Args: noArgs,
		Example: "  shenscan store compact --store /var/lib/shenscan",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.ChangeStore(cmd.Context(), dir.dir, func(db *store.DB) error {
				before := db.Size()
				after, err := db.CompactInPlace(cmd.Context())
				if err == nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d bytes, was %d\n", app.StoreFile(dir.dir), after, before)
				}
				return err
			})
		},
	}
	dir.add(cmd)
	return cmd
}

func newStoreForgetCmd() *cobra.Command {
	dir := &storeFlags{}
	var account, region string
	cmd := &cobra.Command{
		Use: "forget", Short: "Remove an account or region that is truly gone from the store", Args: noArgs,
		Long: `An account or region that was scanned and is not named any more, by the
configuration, the resource directory or DescribeRegions, stays in the store as
it was, and every scan is partial until somebody settles it: with forget, where
it is truly gone, or with accounts.exclude in the configuration.

What was forgotten stands in every later report, until a scan finds it again.`,
		Example: "  shenscan store forget --account 1234567890123456 --region ap-southeast-2",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if account == "" {
				return usage(errors.New("name the --account, by its id, and the --region unless all of them are gone"))
			}
			return app.ChangeStore(cmd.Context(), dir.dir, func(db *store.DB) error {
				removed, err := db.Forget(cmd.Context(), account, region, time.Now())
				if errors.Is(err, store.ErrNotFound) {
					return usage(errors.Join(err, errors.New("the store knows "+knownScopes(db))))
				}
				if err != nil {
					return err
				}
				for _, x := range removed {
					fmt.Fprintf(cmd.ErrOrStderr(), "forgot %s with %s\n", report.ScopeName(x.Account, x.Region), report.Plural(x.Instances, "instance", "instances"))
				}
				return nil
			})
		},
	}
	dir.add(cmd)
	cmd.Flags().StringVar(&account, "account", "", "account to forget, by its id")
	cmd.Flags().StringVar(&region, "region", "", "region of it to forget; without it, all of them")
	return cmd
}

// knownScopes names some of the accounts and regions of a store.
func knownScopes(db *store.DB) string {
	const some = 20
	var names []string
	scopes := db.Summary().Scopes
	for i := range scopes[:min(len(scopes), some)] {
		names = append(names, report.ScopeName(scopes[i].Account, scopes[i].Region))
	}
	if len(scopes) > some {
		names = append(names, fmt.Sprintf("%d more", len(scopes)-some))
	}
	if len(names) == 0 {
		return "no account"
	}
	return strings.Join(names, ", ")
}

func newRulesPreviewCmd() *cobra.Command {
	var dir storeFlags
	var limit int
	cmd := &cobra.Command{
		Use: "preview FILE...", Short: "Show which verdicts of the stored fleet a changed rule set would move, before it is used",
		Example: "  shenscan rules preview my-rules.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("name the overlay files to try"))
			}
			db, err := app.OpenStore(cmd.Context(), dir.place(), nil, nil)
			if err != nil {
				return err
			}
			defer db.Close()
			classifier, err := app.Classifier(args, nil)
			if err != nil {
				return err
			}
			preview, err := db.Preview(cmd.Context(), classifier, limit)
			if err != nil {
				return err
			}
			return showPreview(cmd.OutOrStdout(), preview)
		},
	}
	dir.addReader(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "list at most so many instances")
	return cmd
}

func showPreview(out io.Writer, preview *store.Preview) error {
	fmt.Fprintf(out, "%d of %d instances would get another verdict\n", preview.Changed, preview.Instances)
	screen := onScreen(out)
	moves := report.TextTable{Indent: 2}
	for _, k := range slices.SortedFunc(maps.Keys(preview.Moves), func(a, b store.ChangeKey) int {
		return strings.Compare(a.Target+a.From+a.To, b.Target+b.From+b.To)
	}) {
		moves.Rows = append(moves.Rows, []report.Cell{{Text: k.Target}, {Text: k.From}, {Text: "-> " + k.To}, {Text: report.Number(preview.Moves[k]), Right: true}})
	}
	screen.show(&moves)
	examples := report.TextTable{}
	for i := range preview.Examples {
		record, after := preview.Examples[i].Before, preview.Examples[i].After
		var moved []string
		for n := range after.Verdicts {
			if n < len(record.Verdicts) && record.Verdicts[n].Level != after.Verdicts[n].Level {
				moved = append(moved, fmt.Sprintf("%s: %s -> %s (%s)", after.Verdicts[n].Target, record.Verdicts[n].Level, after.Verdicts[n].Level, after.Verdicts[n].Rule))
			}
		}
		examples.Rows = append(examples.Rows, cells(after.Account+"/"+after.Region, after.InstanceID, report.OSName(after.OS.Family, after.OS.Version), strings.Join(moved, " ")))
	}
	screen.show(&examples)
	return screen.err
}
