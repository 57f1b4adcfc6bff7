package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/sink/store"
)

func newPlanCmd(s *settings) *cobra.Command {
	var (
		dir           storeFlags
		rules         ruleFlags
		output        outputFlags
		target, owner string
		account       string
		region        string
		keepOS        bool
	)
	cmd := &cobra.Command{
		Use: "plan", Short: "Turn verdicts into work: waves, steps, replacement types", Args: noArgs,
		Long: `plan sorts the stored fleet into waves: ready now, ready after checks, driver or
registry repair, minor upgrade of the OS, another OS, stay on a 5th-generation
family, and unknown with the question to settle. For every instance it names the
replacement type with the same vCPU, memory and CPU architecture, the fallback,
the checklist and the steps. It changes nothing in the cloud.`,
		Example: `  shenscan plan --target shenlong-6
  shenscan plan --target ecs.g8i --owner-tag team --output html --out plan.html
  shenscan plan --target shenlong-7 --output csv --out plan.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, _, err := output.check()
			if err != nil {
				return err
			}
			db, err := app.OpenStore(cmd.Context(), dir.dir, rules.rules, []string{target})
			if err != nil {
				return err
			}
			defer db.Close()
			rs, err := app.Ruleset(rules.rules)
			if err != nil {
				return err
			}
			to, err := rs.ParseTarget(target)
			if err != nil {
				return usage(fmt.Errorf("--target: %w", err))
			}
			types, err := app.LoadTypes(dir.dir)
			if err != nil {
				return err
			}
			if len(types) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "shenscan: the store holds no catalogue of instance types, so no replacement types are named; a scan of a real account or simulator leaves one")
			}
			p, err := plan.Build(db.Instances(cmd.Context(), store.Filter{Account: account, Region: region}), plan.Options{
				Target: to, Families: rs.Families(), Types: types, OwnerTag: owner, KeepOS: keepOS,
				Checks: rs.Definition().Checks, Now: time.Now().UTC(), Summary: db.Summary(),
			})
			if err != nil {
				return err
			}
			return output.writeWith(cmd.OutOrStdout(), func(w io.Writer, o report.Options) error { return plan.Write(w, format, p, o) })
		},
	}
	dir.add(cmd)
	cmd.Flags().StringSliceVar(&rules.rules, "rules", nil, "YAML files with rules, overrides and waivers of your own")
	fl := cmd.Flags()
	fl.StringVar(&target, "target", "shenlong-6", "where to: kvm, shenlong-6, shenlong-7, an instance family (ecs.g8i) or type")
	fl.StringVar(&owner, "owner-tag", "", "tag that names an instance's owner; the plan is then grouped by it")
	fl.StringVar(&account, "account", "", "only this account")
	fl.StringVar(&region, "region", "", "only this region")
	fl.BoolVar(&keepOS, "keep-os", false, "prefer a 5th-generation family over another operating system where both are offered")
	fl.StringVar(&output.format, "output", "table", "table, json, csv, html or markdown")
	fl.StringVar(&output.out, "out", "", "write the plan to this file instead of stdout")
	return cmd
}
