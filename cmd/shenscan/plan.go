package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/store"
)

type planFlags struct {
	store         storeFlags
	rules         []string
	output        outputFlags
	cloud         cloudFlags
	target, owner string
	narrow        filterFlags
	keepOS        bool
	availability  bool
	chargeType    string
}

func newPlanCmd(s *settings) *cobra.Command {
	f := &planFlags{}
	cmd := &cobra.Command{
		Use: "plan", Short: "Turn verdicts into work: waves, steps, replacement types", Args: noArgs,
		Long: `plan sorts the stored fleet into waves: ready now, ready after checks, driver or
registry repair, minor upgrade of the OS, another OS, stay on a 5th-generation
family, and unknown with the question to settle. For every instance it names the
replacement type with the same vCPU, memory and CPU architecture, the fallback,
the checklist and the steps. It changes nothing in the cloud.

With --availability it asks the cloud once for every account and region which
types the zones sell now (DescribeAvailableResource), recommends the next best
type where the first choice is sold out, and names the zones that sell it. What
could not be asked is named, and the plan is made all the same.`,
		Example: `  shenscan plan --target shenlong-6
  shenscan plan --target ecs.g8i --owner-tag team --output html --out plan.html
  shenscan plan --target shenlong-7 --availability --charge-type PrePaid --output csv --out plan.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.store.addReader(cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.rules, "rules", nil, "YAML files with rules, overrides and waivers of your own")
	fl.StringVar(&f.target, "target", "shenlong-6", "where to: "+rules.ClassList()+", an instance family (ecs.g8i) or type")
	fl.StringVar(&f.owner, "owner-tag", "", "tag that names an instance's owner; the plan is then grouped by it")
	f.narrow.add(cmd)
	fl.BoolVar(&f.keepOS, "keep-os", false, "prefer a 5th-generation family over another operating system where both are offered")
	fl.BoolVar(&f.availability, "availability", false, "ask the cloud which types each zone sells now, and recommend what is sold there; needs credentials")
	fl.StringVar(&f.chargeType, "charge-type", "PostPaid", "how the new type will be paid for, for --availability: PostPaid or PrePaid")
	f.cloud.addEndpoints(cmd)
	fl.StringVar(&f.output.format, "output", "table", "table, json, csv, html or markdown")
	fl.StringVar(&f.output.out, "out", "", "write the plan to this file instead of stdout")
	return cmd
}

func (f *planFlags) run(ctx context.Context, s *settings, stdout, stderr io.Writer) error {
	format, _, err := f.output.check()
	if err != nil {
		return err
	}
	if !slices.Contains(plan.Formats(), format) {
		return usage(fmt.Errorf("--output %s: a plan is written as one of %v", format, plan.Formats()))
	}
	if f.chargeType != "PostPaid" && f.chargeType != "PrePaid" {
		return usage(fmt.Errorf("--charge-type %q is not PostPaid or PrePaid", report.Short(f.chargeType, 40)))
	}
	scope, err := f.narrow.parse(s, nil)
	if err != nil {
		return err
	}
	targets := []string{f.target}
	if f.target != "kvm" {
		targets = append(targets, "kvm") // whether an instance can stay on the 5th generation
	}
	db, err := app.OpenStore(ctx, f.store.place(), f.rules, targets)
	if err != nil {
		return err
	}
	defer db.Close()
	rs, err := app.Ruleset(f.rules)
	if err != nil {
		return err
	}
	to, err := rs.ParseTarget(f.target)
	if err != nil {
		return usage(fmt.Errorf("--target: %w", err))
	}
	types, err := app.LoadTypes(db.Dir)
	if err != nil {
		return err
	}
	if len(types) == 0 {
		fmt.Fprintln(stderr, "shenscan: the store holds no catalogue of instance types, so no replacement types are named; a scan of a real account or simulator leaves one")
	}
	view, err := db.View(ctx, nil, store.Filter{Scope: scope})
	if err != nil {
		return err
	}
	defer view.Close()
	if err := checkFilter(view, &scope, s, stderr); err != nil {
		return err
	}
	o := plan.Options{
		Target: to, Families: rs.Families(), Rules: rs, Types: types, OwnerTag: f.owner, KeepOS: f.keepOS,
		Checks: rs.Definition().Checks, Now: time.Now().UTC(), Summary: view.Summary(),
	}
	if f.availability {
		if o.Stock, err = f.ask(ctx, s, o, stderr); err != nil {
			return err
		}
	}
	p, err := plan.Build(view.Instances(ctx), o)
	if err != nil {
		return err
	}
	if err := f.output.writeWith(stdout, func(w io.Writer, o report.Options) error { return plan.Write(w, format, p, o) }); err != nil {
		return err
	}
	return unreadExit(view.Summary())
}

// ask asks the cloud what the zones of the planned scopes sell. Only a mistake
// in flags or files is an error: a cloud that refuses is part of the plan.
func (f *planFlags) ask(ctx context.Context, s *settings, o plan.Options, stderr io.Writer) (*plan.Stock, error) {
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return nil, usage(err)
	}
	defer client.Close()
	stock, err := plan.AskStock(ctx, client, o, plannedScopes(o.Summary), f.chargeType)
	if err != nil {
		return nil, err
	}
	for i, x := range stock.Failures {
		if i == 3 {
			fmt.Fprintf(stderr, "shenscan: and %d more regions, listed in the plan\n", len(stock.Failures)-i)
			break
		}
		fmt.Fprintf(stderr, "shenscan: availability not checked: %s\n", oneLine(x))
	}
	return stock, nil
}

// plannedScopes are those with instances that the plan is about.
func plannedScopes(sum *record.Summary) []ecs.Scope {
	var out []ecs.Scope
	for i := range sum.Scopes {
		sc := &sum.Scopes[i]
		if sc.Instances > 0 {
			out = append(out, ecs.Scope{Account: sc.Account, Region: sc.Region})
		}
	}
	return out
}
