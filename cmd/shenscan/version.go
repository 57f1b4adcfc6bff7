package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/rules/catalog"
)

func newVersionCmd() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version, the Go version and the digest of the built-in rule set", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, revision := app.Version()
			ruleset, err := catalog.Default()
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
					"version": version, "revision": revision, "goversion": runtime.Version(), "ruleset": ruleset.Digest(),
				})
			}
			if output != "text" {
				return notOneOf("output", output, "text", "json")
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "shenscan %s\n%s\nrule set %s\n", strings.TrimSpace(version+" "+revision), runtime.Version(), ruleset.Digest())
			return err
		},
	}
	cmd.Flags().StringVar(&output, "output", "text", "text or json")
	return cmd
}
