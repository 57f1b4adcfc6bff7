package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/config"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/waves"
	"github.com/shenscan/shenscan/sink/store"
)

type planFlags struct {
	store        storeFlags
	rules        []string
	output       outputFlags
	cloud        cloudFlags
	target       string
	owners       ownerFlags
	split        string
	progress     bool
	settle       bool
	since        string
	narrow       filterFlags
	keepOS       bool
	availability bool
	disks        bool
	offered      []string
	offeredCalls int
	chargeType   string
}

func newPlanCmd(settings *settings) *cobra.Command {
	flags := &planFlags{}
	cmd := &cobra.Command{
		Use: "plan", Short: "Turn verdicts into work: waves, steps, replacement types", Args: noArgs,
		Long: `plan sorts the stored fleet into waves: ready now, ready after checks, driver or
registry repair, minor upgrade of the OS, another OS, stay on a 5th-generation
family, and unknown with the question to settle. For every instance it names the
replacement type with the same vCPU, memory and CPU architecture, the fallback,
the checklist and the steps. It changes nothing in the cloud.

--split-by-owner DIR writes a folder to hand out: an index, and for each owner
a page, a CSV file and an Excel workbook with a sheet a wave. Every instance is
in the files of exactly one owner. Owners are named by the tags of --owner-tag,
the first one that an instance has (acs:rm:rgId is its resource group); without
it, by the tags by which the last scan counted owners, and where it counted none,
accounts are the owners.

plan_windows in the configuration file says when instances are moved: a list of
windows with a name, the days from and until, and the words of the filter (tag,
account, region, family, os, verdict, confidence, exclude); the first one that
fits an instance stands in its window column.

--progress shows how far the migration is: how many instances still need work
before the target, what was mended, came and went since a week or since --since,
and which owners, accounts and regions are behind. It is counted at the end of
every scan; owners are counted where the scans were run with --owner-tag, or
owner_tag stands in the configuration file. What other rules moved is told apart:
it mended nothing.

--settle lists the questions that would settle the verdicts that are unknown on
the target, those that settle the most for a call first, with what each needs and
the command that asks it: the platform about an image, the machines themselves.
Every answer that a question can have is tried by the rules on every instance;
it settles those whose verdict is then known whatever the answer is.

With --availability it asks the cloud once for every account and region which
types the zones sell now (DescribeAvailableResource), recommends the next best
type where the first choice is sold out, and names the zones that sell it. What
could not be asked is named, and the plan is made all the same.

With --disks it asks the cloud for the disks of the instances that would move to
where not every disk is taken, or this is not known (DescribeDisks: 500 disks a call,
or one call an instance where that is less), and names with each instance the disks
that must be converted first, or that stay behind. Where an answer is missing or is
contradicted, the advice to look at the disks stays.

With --offered it asks for each instance of the named waves whether the cloud offers
the change to the recommended type now (DescribeResourcesModification, one call an
instance and two where it is not offered, --offered-calls at most). What the cloud
says counts before the vendor's matrix of type changes: the plan names both where
they differ, and an instance whose change is not offered as it is is not ready.`,
		Example: `  shenscan plan --target shenlong-6
  shenscan plan --target ecs.g8i --owner-tag team --output html --out plan.html
  shenscan plan --owner-tag team,owner --owner-fallback account --split-by-owner pack
  shenscan plan --settle --target shenlong-8
  shenscan plan --progress --target shenlong-6 --since 14d
  shenscan plan --target ecs.g8i --disks --region cn-hangzhou
  shenscan plan --target ecs.g8i --disks --offered ready,after-checks --tag team=shop
  shenscan plan --target shenlong-7 --availability --charge-type PrePaid --output csv --out plan.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd.Context(), settings, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags.store.addReader(cmd)
	set := cmd.Flags()
	set.StringSliceVar(&flags.rules, "rules", nil, "YAML files with rules, overrides and waivers of your own")
	targetFlag(set, &flags.target, "shenlong-6", "where to: "+rules.ClassList()+", an instance family (ecs.g8i) or type")
	flags.owners.add(cmd, "tags that name an instance's owner, the first that it has counts; the plan is then grouped by owner")
	set.BoolVar(&flags.progress, "progress", false, "show the burn-down instead: how many instances still need work, what moved, and who is behind")
	set.BoolVar(&flags.settle, "settle", false, "list the cheapest questions that would settle what is unknown on the target, with the command that asks each")
	set.StringVar(&flags.since, "since", "", "with --progress: compare with this scan, with a time (2026-11-23) or with so long before the last scan (24h, 7d); default 7d")
	set.StringVar(&flags.split, "split-by-owner", "", "write a new folder with an index and, for each owner, a page, a CSV file and an Excel workbook")
	flags.narrow.add(cmd)
	set.BoolVar(&flags.keepOS, "keep-os", false, "prefer a 5th-generation family over another operating system where both are offered")
	set.BoolVar(&flags.availability, "availability", false, "ask the cloud which types each zone sells now, and recommend what is sold there; needs credentials")
	set.BoolVar(&flags.disks, "disks", false, "ask the cloud for the disks of the instances that would move to where not every disk is taken, and name those to convert (DescribeDisks); needs credentials")
	set.StringSliceVar(&flags.offered, "offered", nil, "ask the cloud of each instance of these waves whether it offers the change to the recommended type: "+waveNames()+"; needs credentials")
	set.IntVar(&flags.offeredCalls, "offered-calls", 1000, "how many calls --offered may make")
	set.StringVar(&flags.chargeType, "charge-type", "PostPaid", "how the new type will be paid for, for --availability: PostPaid or PrePaid")
	flags.cloud.addEndpoints(cmd)
	flags.output.set = set
	flags.output.addFormat(plan.Formats())
	set.StringVar(&flags.output.out, "out", "", "write the plan to this file instead of stdout")
	flags.output.addExcel(set)
	needs(set, []string{"progress"}, "since")
	needs(set, []string{"offered"}, "offered-calls")
	needs(set, []string{"availability"}, "charge-type")
	needs(set, []string{"availability", "disks", "offered"}, "endpoint", "sts-endpoint", "home-region", "vpc", "fake-ip")
	idle(set, "progress", "which is counted when scans end, of the whole fleet, and by the rules and the owner tags of the scans",
		append([]string{"rules", "split-by-owner", "keep-os", "availability", "disks", "offered", "owner-tag", "owner-fallback"}, filter.Words()...)...)
	idle(set, "settle", "which lists questions and plans nothing", "since", "split-by-owner", "keep-os", "availability", "disks", "offered", "owner-tag", "owner-fallback")
	idle(set, "split-by-owner", "which writes files of its own", "out", "output", "excel")
	return cmd
}

// check returns the format of what is written, and refuses flags that say two things.
func (f *planFlags) check() (report.Format, error) {
	format, _, err := f.output.check()
	if err != nil {
		return "", err
	}
	if !slices.Contains(plan.Formats(), format) {
		return "", usage(fmt.Errorf("--output %s: a plan is written as one of %v", format, plan.Formats()))
	}
	if f.progress && f.settle {
		return "", usage(errors.New("--progress and --settle are two answers: ask for one of them"))
	}
	if f.split == "" && config.Typed(f.output.set, "split-by-owner") {
		return "", usage(errors.New("--split-by-owner: name the folder"))
	}
	return format, nil
}

func (f *planFlags) run(ctx context.Context, settings *settings, stdout, stderr io.Writer) error {
	format, err := f.check()
	if err != nil {
		return err
	}
	if f.progress {
		return f.burnDown(ctx, format, stdout)
	}
	if f.settle {
		return f.questions(ctx, settings, format, stdout, stderr)
	}
	asked, err := f.askedWaves()
	if err != nil {
		return err
	}
	if f.chargeType != "PostPaid" && f.chargeType != "PrePaid" {
		return notOneOf("charge-type", f.chargeType, "PostPaid", "PrePaid")
	}
	scope, err := f.narrow.parse(settings, nil)
	if err != nil {
		return err
	}
	windows, err := planWindows(settings)
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
	ruleset, err := app.Ruleset(f.rules)
	if err != nil {
		return err
	}
	to, err := ruleset.ParseTarget(f.target)
	if err != nil {
		return usage(fmt.Errorf("--target: %w%s", err, app.Meant(f.target, rules.Classes())))
	}
	types, err := app.LoadTypes(db.Dir)
	if err != nil {
		return err
	}
	if len(types) == 0 {
		fmt.Fprintln(stderr, "shenscan: the store holds no catalogue of instance types, so no replacement types are named; a scan of a real account or simulator leaves one")
	}
	to, judge := learnt(ruleset, to, types)
	view, err := db.View(ctx, judge, store.Filter{Scope: scope})
	if err != nil {
		return err
	}
	defer view.Close()
	if err := checkFilter(view, &scope, settings, stderr); err != nil {
		return err
	}
	noteJudgement(view, f.rules, []string{f.target}, stderr)
	options, err := app.PlanOptions(ctx, view, ruleset, to, f.owners.tags, f.owners.fallback == "account", time.Now())
	if err != nil {
		return err
	}
	options.Types, options.Windows, options.KeepOS = types, windows, f.keepOS
	if f.availability || f.disks || len(asked) > 0 {
		if err := f.ask(ctx, settings, &options, view, asked, stderr); err != nil {
			return err
		}
	}
	whole, err := plan.Build(view.Instances(ctx), options)
	if err != nil {
		return err
	}
	whole.Command = f.command()
	if f.split != "" {
		if err := f.pack(whole, options.OwnerTags, stderr); err != nil {
			return err
		}
		return unreadExit(view.Summary())
	}
	if err := f.output.writeWith(stdout, func(w io.Writer, o report.Options) error { return plan.Write(w, format, whole, o) }); err != nil {
		return err
	}
	return unreadExit(view.Summary())
}

// learnt is a target with what the catalogue of types says of it, and what judges for it
// then; nil where the catalogue says nothing new, and what is stored serves.
func learnt(ruleset *rules.Ruleset, to rules.Target, types []ecs.InstanceType) (rules.Target, store.Classifier) {
	to, news := ruleset.Learn(to, ecs.TypeFacts(types))
	if !news {
		return to, nil
	}
	judged := []rules.Target{to}
	if kvm := rules.DefaultTargets()[rules.ClassKVM]; to.ID != kvm.ID {
		judged = append(judged, kvm)
	}
	return to, ruleset.NewClassifier(judged)
}

// burnDown shows the progress.
func (f *planFlags) burnDown(ctx context.Context, format report.Format, stdout io.Writer) error {
	if !slices.Contains(plan.ProgressFormats(), format) {
		return usage(fmt.Errorf("--output %s: progress is written as one of %v", format, plan.ProgressFormats()))
	}
	db, err := app.OpenStore(ctx, f.store.place(), nil, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	progress, err := app.StoreProgress(db.DB, f.target, f.since, time.Now().UTC())
	switch {
	case errors.Is(err, plan.ErrNotJudged):
		return usage(fmt.Errorf("%w%s", err, app.Meant(f.target, db.Known().Targets)))
	case errors.Is(err, app.ErrSince):
		return usage(fmt.Errorf("--%w", err))
	case errors.Is(err, plan.ErrNoSuchPoint):
		return usage(fmt.Errorf("--since: %w; name a time (2026-11-23) or how long ago (24h, 7d), or a scan of `shenscan report --scans`", err))
	case errors.Is(err, plan.ErrNoProgress):
		return fmt.Errorf("%w: run `shenscan scan`", err)
	case err != nil:
		return err
	}
	if err := f.output.writeWith(stdout, func(w io.Writer, o report.Options) error { return plan.WriteProgress(w, format, progress, o) }); err != nil {
		return err
	}
	return unreadExit(db.Summary())
}

// questions lists what would settle the verdicts that are unknown.
func (f *planFlags) questions(ctx context.Context, settings *settings, format report.Format, stdout, stderr io.Writer) error {
	if !slices.Contains(plan.SettleFormats(), format) {
		return usage(fmt.Errorf("--output %s: questions are written as one of %v", format, plan.SettleFormats()))
	}
	scope, err := f.narrow.parse(settings, nil)
	if err != nil {
		return err
	}
	db, err := app.OpenStore(ctx, f.store.place(), f.rules, []string{f.target})
	if err != nil {
		return err
	}
	defer db.Close()
	classifier, err := app.Classifier(f.rules, []string{f.target})
	if err != nil {
		return err
	}
	view, err := db.View(ctx, nil, store.Filter{Scope: scope})
	if err != nil {
		return err
	}
	defer view.Close()
	if err := checkFilter(view, &scope, settings, stderr); err != nil {
		return err
	}
	found, err := app.Questions(ctx, view, classifier)
	if err != nil {
		return err
	}
	if err := f.output.writeWith(stdout, func(w io.Writer, o report.Options) error { return plan.WriteSettle(w, format, found, o) }); err != nil {
		return err
	}
	return unreadExit(view.Summary())
}

// command is the command line that makes the same plan.
func (f *planFlags) command() string {
	words := []string{"shenscan plan"}
	if dir := f.store.named(); dir != "" {
		words = append(words, "--store "+report.Quoted(dir))
	}
	words = append(words, "--target "+report.Quoted(f.target))
	if more := given(f.output.set, append([]string{"server", "rules", "owner-tag", "owner-fallback", "charge-type", "offered-calls"}, narrowing...)...); more != "" {
		words = append(words, more)
	}
	if f.keepOS {
		words = append(words, "--keep-os")
	}
	if f.availability {
		words = append(words, "--availability")
	}
	if f.disks {
		words = append(words, "--disks")
	}
	if len(f.offered) > 0 {
		words = append(words, "--offered "+report.Quoted(strings.Join(f.offered, ",")))
	}
	return strings.Join(words, " ")
}

// pack writes a folder with the files of each owner.
func (f *planFlags) pack(whole *plan.Plan, owners []string, stderr io.Writer) error {
	parts, err := plan.WritePack(f.split, whole, languageOf(f.output.set))
	switch {
	case errors.Is(err, plan.ErrNotEmpty), errors.Is(err, plan.ErrNoFolder):
		return usage(fmt.Errorf("--split-by-owner: %w", err))
	case errors.Is(err, plan.ErrTooManyOwners):
		return usage(fmt.Errorf("--split-by-owner: %w; --owner-tag %v names machines rather than owners", err, owners))
	case err != nil:
		return err
	}
	fmt.Fprintf(stderr, "%s of %s in %s\n", report.Plural(whole.Instances, "instance", "instances"), report.Plural(len(parts), "owner", "owners"), filepath.Join(f.split, "index.html"))
	return nil
}

// planWindows are the windows of the configuration file.
func planWindows(settings *settings) ([]plan.Window, error) {
	out := make([]plan.Window, 0, len(settings.file.PlanWindows))
	for i, planWindow := range settings.file.PlanWindows {
		chosen, err := filter.Parse(filter.Values{
			"account": planWindow.Account, "region": planWindow.Region, "tag": planWindow.Tag, "family": planWindow.Family, "os": planWindow.OS, "verdict": planWindow.Verdict, "confidence": planWindow.Confidence, "exclude": planWindow.Exclude,
		})
		if err != nil {
			return nil, usage(fmt.Errorf("plan_windows, window %d: %w", i+1, err))
		}
		for _, day := range []string{planWindow.From, planWindow.Until} {
			if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
				return nil, usage(fmt.Errorf("plan_windows, window %d: %q is no day such as 2026-12-24", i+1, day))
			}
		}
		if planWindow.Name == "" || planWindow.From != "" && planWindow.Until != "" && planWindow.Until < planWindow.From {
			return nil, usage(fmt.Errorf("plan_windows, window %d: it needs a name, and must not end before it begins", i+1))
		}
		chosen.Rename(accountIDs(settings.file))
		out = append(out, plan.Window{Name: planWindow.Name, From: planWindow.From, Until: planWindow.Until, Fits: func(rec *record.Record) bool {
			return chosen.Scope(rec.Account, rec.Region) && chosen.Judged(&rec.Classification, filter.Machine{Family: rec.InstanceFamily, Image: rec.ImageID}) &&
				chosen.Row(rec.InstanceID, rec.Status, func(key string) (string, bool) { v, ok := rec.Tags[key]; return v, ok })
		}})
	}
	return out, nil
}

// ask asks the cloud what the flags want to know of the planned instances, those of
// some waves whether their change is offered. Only a mistake in flags or files is an
// error: a cloud that refuses is part of the plan.
func (f *planFlags) ask(ctx context.Context, s *settings, options *plan.Options, view *store.View, which []waves.ID, stderr io.Writer) error {
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return usage(err)
	}
	defer client.Close()
	if f.availability {
		if options.Stock, err = plan.AskStock(ctx, client, *options, plannedScopes(options.Summary), f.chargeType); err != nil {
			return err
		}
		tellUnasked(stderr, "availability not checked", options.Stock.Failures)
	}
	if f.disks {
		if options.Disks, err = plan.AskDisks(ctx, client, *options, view.Instances(ctx)); err != nil {
			return err
		}
		tellUnasked(stderr, "disks not asked for", options.Disks.Failures)
		tellUnasked(stderr, "disks that may not be all", options.Disks.Doubts)
	}
	if len(which) > 0 {
		if options.Offered, err = plan.AskOffered(ctx, client, *options, view.Instances(ctx), which, f.offeredCalls); err != nil {
			return err
		}
		tellUnasked(stderr, "whether changes are offered is not known", options.Offered.Failures)
	}
	return nil
}

// waveNames lists the waves that --offered takes.
func waveNames() string {
	var names []string
	for _, id := range plan.AskedWaves() {
		names = append(names, string(id))
	}
	return strings.Join(names, ", ")
}

// askedWaves are those of --offered.
func (f *planFlags) askedWaves() (out []waves.ID, err error) {
	for _, name := range f.offered {
		id := waves.ID(name)
		if !slices.Contains(plan.AskedWaves(), id) {
			return nil, usage(fmt.Errorf("--offered %q: want some of %s", report.Short(name, 40), waveNames()))
		}
		out = append(out, id)
	}
	if f.offeredCalls < 1 {
		return nil, usage(fmt.Errorf("--offered-calls %d: allow one call at least", f.offeredCalls))
	}
	return out, nil
}

// tellUnasked names the first regions that could not be asked.
func tellUnasked(stderr io.Writer, what string, failures []record.Failure) {
	for i, failure := range failures {
		if i == 3 {
			fmt.Fprintf(stderr, "shenscan: and %d more regions, listed in the plan\n", len(failures)-i)
			break
		}
		fmt.Fprintf(stderr, "shenscan: %s: %s\n", what, oneLine(failure))
	}
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
