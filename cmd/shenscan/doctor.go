package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/sink/store"
)

// finding is one thing that doctor looked at.
type finding struct {
	Check string `json:"check"`
	Where string `json:"where"`
	// Places are all where it was found, if it was more than one.
	Places []string `json:"places,omitempty"`
	OK     bool     `json:"ok"`
	Text   string   `json:"text"`
	Mend   string   `json:"mend,omitempty"`
}

// good is the finding of what is as it should be.
func (f finding) good(text string) finding {
	f.OK, f.Text = true, text
	return f
}

// bad is the finding of what is not, and how it is mended.
func (f finding) bad(text, mend string) finding {
	f.Text, f.Mend = text, mend
	return f
}

type doctorFlags struct {
	processFlags
	scope        scopeFlags
	output       string
	contract     bool
	contractFile string
}

func newDoctorCmd(settings *settings) *cobra.Command {
	flags := &doctorFlags{}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check credentials, permissions, NATS, store and clock; say what is wrong and how to mend it", Args: noArgs,
		Long: `doctor tries everything that a scan needs and changes nothing: it resolves the
credentials, asks every region for each permission in the smallest way there is
(a dry run for DescribeInstances, whose refusal may look like an empty region),
compares the clock with the cloud's, opens the rule files, the store and NATS.

Accounts are looked at side by side, and what has one cause is one line. It exits with
1 when something is wrong or nothing could be checked, and with 2 for a --region that no
account has.

With --api-contract it asks nothing of that, but how the API of one account behaves where its
documents leave it open: in the first region with more than a hundred instances, or the one
of --region. What is otherwise than shenscan assumes is said, with what it does about it.`,
		Example: `  shenscan doctor
  shenscan doctor --config shenscan.yaml --region cn-hangzhou --output json
  shenscan doctor --api-contract --region cn-hangzhou`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.output != "table" && flags.output != "json" {
				return notOneOf("output", flags.output, "table", "json")
			}
			if flags.contract {
				return flags.apiContract(cmd.Context(), settings, cmd.OutOrStdout())
			}
			return flags.run(cmd.Context(), settings, cmd.OutOrStdout())
		},
	}
	flags.store.add(cmd)
	flags.nats.addClient(cmd, false)
	cmd.Flags().IntVar(&flags.nats.o.Replicas, "nats-replicas", 1, "replicas of every stream: 1, or 3 or 5 on a cluster")
	needs(cmd.Flags(), []string{"nats-url"}, "nats-replicas")
	natsNeedsURL(cmd.Flags())
	flags.cloud.add(cmd)
	flags.rules.add(cmd)
	flags.scope.add(cmd)
	cmd.Flags().StringVar(&flags.output, "output", "table", "table or json")
	cmd.Flags().BoolVar(&flags.contract, "api-contract", false, "ask one account, with about twenty calls that read, how its API behaves where documents leave it open; prints a table to paste")
	cmd.Flags().StringVar(&flags.contractFile, "contract-file", "shenscan-contract.json", "file that --api-contract writes, without ids and names; shenscan simulate --contract takes it on")
	needs(cmd.Flags(), []string{"api-contract"}, "contract-file")
	idle(cmd.Flags(), "api-contract", "which asks the cloud alone", "nats-url", "store", "rules", "target")
	return cmd
}

func (f *doctorFlags) run(ctx context.Context, settings *settings, out io.Writer) error {
	out = maskWriter{out}
	var found []finding
	found = append(found, f.rulesOK(), f.storeOK(ctx), f.natsOK(ctx, settings))
	cloud, err := f.cloudOK(ctx, settings)
	if err != nil {
		return err
	}
	if ctx.Err() != nil { // what was asked for then failed of that
		return ctx.Err()
	}
	found = append(found, cloud...)
	bad := 0
	for _, x := range found {
		if !x.OK {
			bad++
		}
	}
	if f.output == "json" {
		if err := json.NewEncoder(out).Encode(map[string]any{"ok": bad == 0, "findings": found}); err != nil {
			return err
		}
	} else if err := showFindings(out, found); err != nil {
		return err
	}
	if bad > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d of %d checks failed", bad, len(found))}
	}
	return nil
}

func showFindings(out io.Writer, found []finding) error {
	screen := onScreen(out)
	for _, finding := range found {
		mark := "ok  "
		if !finding.OK {
			mark = "FAIL"
		}
		where := ""
		if finding.Where != "" && finding.Where != ecs.BaseCredentials { // those that the check is about
			where = " " + finding.Where
		}
		screen.say(mark+"  ", fmt.Sprintf("%s%s: %s", finding.Check, where, finding.Text))
		if finding.Mend != "" {
			screen.say("      ", finding.Mend)
		}
	}
	return screen.err
}

func (f *doctorFlags) rulesOK() finding {
	found := finding{Check: "rules", Where: strings.Join(f.rules.rules, ", ")}
	classifier, err := app.Classifier(f.rules.rules, f.rules.targets)
	if err != nil {
		return found.bad(err.Error(), "see shenscan rules validate")
	}
	return found.good(fmt.Sprintf("rule set %s, targets %s", classifier.Digest(), strings.Join(classifier.Targets(), ", ")))
}

func (f *doctorFlags) storeOK(ctx context.Context) finding {
	found := finding{Check: "store", Where: f.store.dir}
	if _, err := os.Stat(app.StoreFile(f.store.dir)); os.IsNotExist(err) {
		probe, err := os.MkdirTemp(existing(f.store.dir), ".shenscan-probe-")
		if err != nil {
			return found.bad(err.Error(), "name a writable folder with --store")
		}
		_ = os.Remove(probe)
		return found.good("not there yet; the first scan makes it")
	}
	sum, err := app.CheckStore(ctx, f.store.place())
	switch {
	case err == nil:
		return found.good(sum)
	case errors.Is(err, store.ErrLocked):
		return found.bad(err.Error(), "if another shenscan runs on it, that is fine")
	case errors.Is(err, store.ErrFormat), errors.Is(err, store.ErrNewer):
		return found.bad(err.Error(), "") // the text says it
	}
	return found.bad(err.Error(), "if it is damaged, restore a backup, or delete it and scan again")
}

// existing is dir or the nearest folder above it that exists.
func existing(dir string) string {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	return dir
}

func (f *doctorFlags) natsOK(ctx context.Context, settings *settings) finding {
	found := finding{Check: "nats"}
	if f.nats.o.URL == "" {
		return found.good("embedded; name a server with --nats-url to check that one")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := bus.Dial(ctx, f.nats.options(settings, "shenscan-doctor", bus.SyncAlways))
	if err != nil {
		return found.bad(err.Error(), "")
	}
	defer conn.Close()
	work, err := conn.State(ctx, bus.StreamWork)
	if err != nil {
		return found.bad(err.Error(), "JetStream must be enabled, and a producer, worker, sink or serve must have run once to create the streams")
	}
	if f.nats.o.Replicas == 1 {
		found.Mend = "with one replica the server should run with sync_interval: always, or a power cut may cost up to two minutes of acknowledged work"
	}
	return found.good(fmt.Sprintf("connected; %d messages of work waiting", work.Messages))
}

// accountsAtOnce and regionsAtOnce bound what doctor asks side by side.
const (
	accountsAtOnce = 4
	regionsAtOnce  = 8
)

// cloudOK looks at every account. Its error is one of usage: a region that no
// account has.
func (f *doctorFlags) cloudOK(ctx context.Context, s *settings) ([]finding, error) {
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return []finding{{Check: "cloud", Text: err.Error()}}, nil
	}
	defer client.Close()
	accounts, err := producer.NewRoster(client, client, f.cloud.accounts, time.Now).Accounts(ctx)
	var found []finding
	if err != nil {
		found = append(found, finding{Check: "accounts", Text: causeOf(err), Mend: mendOf(err)})
	}
	var names []string
	var look []string
	for _, account := range accounts {
		switch {
		case account.Err != nil:
			found = append(found, finding{Check: "credentials", Where: account.String(), Text: causeOf(account.Err), Mend: mendOf(account.Err)})
		case account.Excluded:
			names = append(names, account.String()+", excluded")
		default:
			names = append(names, account.String())
			look = append(look, account.ID)
		}
	}
	if len(names) > 0 {
		found = slices.Insert(found, 0, finding{Check: "credentials", OK: true, Text: report.Plural(len(names), "account", "accounts") + ": " + strings.Join(names, ", ")})
	}
	if len(look) == 0 && err == nil && !slices.ContainsFunc(found, func(x finding) bool { return !x.OK }) {
		found = append(found, finding{Check: "accounts", Text: "no account was checked", Mend: "look at --account and at accounts.exclude"})
	}
	seen := make([]accountSeen, len(look))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(accountsAtOnce)
	for i, account := range look {
		group.Go(func() error {
			seen[i] = f.look(ctx, client, account)
			return nil
		})
	}
	_ = group.Wait()
	if err := f.knownRegions(seen); err != nil {
		return nil, err
	}
	var causes []finding
	for i := range seen {
		found = append(found, seen[i].summary())
		causes = append(causes, seen[i].problems...)
	}
	return append(append(found, together(causes)...), clockOK(client)), nil
}

// accountSeen is what doctor saw of an account.
type accountSeen struct {
	account  string
	regions  []string // that DescribeRegions names
	checked  int
	problems []finding // one for each region and permission
	err      error     // of DescribeRegions
}

// look asks an account for its regions and each of them for every permission.
func (f *doctorFlags) look(ctx context.Context, client *ecsapi.Client, account string) accountSeen {
	seen := accountSeen{account: account}
	regions, err := client.Regions(ctx, account)
	if err != nil {
		seen.err = err
		return seen
	}
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(regionsAtOnce)
	for _, region := range regions {
		seen.regions = append(seen.regions, region.ID)
		if len(f.scope.regions) > 0 && !slices.Contains(f.scope.regions, region.ID) {
			continue
		}
		seen.checked++
		group.Go(func() error {
			perms := client.Check(ctx, ecs.Scope{Account: account, Region: region.ID})
			mu.Lock()
			defer mu.Unlock()
			seen.problems = append(seen.problems, permissionFindings(account+"/"+region.ID, perms)...)
			return nil
		})
	}
	_ = group.Wait()
	slices.SortFunc(seen.problems, func(a, b finding) int { return strings.Compare(a.Check+" "+a.Where, b.Check+" "+b.Where) })
	return seen
}

// summary is the line of the account. Nothing checked is no success.
func (a *accountSeen) summary() finding {
	found := finding{Check: "permissions", Where: a.account}
	switch {
	case a.err != nil:
		found.Check = "regions"
		return found.bad(causeOf(a.err), mendOf(a.err))
	case len(a.regions) == 0:
		return found.bad("no region was checked: DescribeRegions names none", "grant ecs:DescribeRegions with the policy in deploy/ram-policy.json; every account has regions")
	case a.checked == 0:
		return found.bad("no region was checked: the account has none of those that --region names", "leave --region out, or name one of "+strings.Join(a.regions, ", "))
	}
	problems := 0
	for i := range a.problems {
		if !a.problems[i].OK {
			problems++
		}
	}
	found.OK = problems == 0
	found.Text = fmt.Sprintf("%s checked, %s", report.Plural(a.checked, "region", "regions"), report.Plural(problems, "problem", "problems"))
	return found
}

// knownRegions refuses a --region that no account has.
func (f *doctorFlags) knownRegions(seen []accountSeen) error {
	var known []string
	for i := range seen {
		known = append(known, seen[i].regions...)
	}
	if len(known) == 0 {
		return nil // nothing is known of any region; the findings say why
	}
	for _, r := range f.scope.regions {
		if !slices.Contains(known, r) {
			return usage(fmt.Errorf("--region %q is no region of any account%s", r, filter.Nearest(r, known)))
		}
	}
	return nil
}

// together makes one finding of those that have the same cause, and names where
// it was found.
func together(found []finding) []finding {
	var out []finding
	at := map[[3]string]int{}
	for _, each := range found {
		key := [3]string{each.Check, each.Text, each.Mend}
		index, ok := at[key]
		if !ok {
			index = len(out)
			at[key] = index
			out = append(out, each)
		}
		out[index].Places = append(out[index].Places, each.Where)
	}
	for i := range out {
		if n := len(out[i].Places); n > 1 {
			out[i].Where = fmt.Sprintf("in %d places (%s)", n, strings.Join(out[i].Places, ", "))
		} else {
			out[i].Places = nil
		}
	}
	return out
}

// maxSkew is how far the clock may be off before the cloud refuses signed
// requests; it allows a quarter of an hour.
const maxSkew = 5 * time.Minute

// clockOK compares the clock with the time that the cloud's answers carry.
func clockOK(client *ecsapi.Client) finding {
	found := finding{Check: "clock"}
	skew, known := client.ClockSkew()
	switch {
	case !known:
		return found.good("the cloud's answers carry no time to compare with")
	case skew.Abs() > maxSkew:
		return found.bad(fmt.Sprintf("%s off the cloud's", skew.Round(time.Second)), "synchronise it (NTP); the cloud refuses requests that are signed at another time")
	}
	return found.good(fmt.Sprintf("within %s of the cloud's", max(skew.Abs().Round(time.Second), time.Second)))
}

// permissionFindings keeps what is missing; what is granted needs no line.
func permissionFindings(where string, perms []ecsapi.Permission) []finding {
	var found []finding
	for _, permission := range perms {
		if permission.Granted {
			continue
		}
		result := finding{Check: permission.Action, Where: where, Text: "could not be checked", Mend: mendOf(permission.Err)}
		if permission.Untried != "" {
			result.Text = "not tried: " + permission.Untried
		}
		if permission.Missing() {
			result.Text = "not granted"
			result.Mend = "grant it with the policy in deploy/ram-policy.json"
		}
		if permission.Err != nil {
			result.Text += ": " + causeOf(permission.Err)
		}
		if permission.Optional {
			without := "a scan does without launch templates, and names them as not read"
			switch permission.Action {
			case "ecs:DescribeDisks":
				without = "only plan --disks and check --disks ask for disks; they name them as not known"
			case "ecs:DescribeResourcesModification":
				without = "only plan --offered and check --offered ask which changes are offered; they name them as not known"
			}
			result.OK, result.Text = true, result.Text+"; "+without
		}
		found = append(found, result)
	}
	return found
}

// causeOf is an error without where it happened and which request it was, so
// that the same cause reads the same everywhere.
func causeOf(err error) string {
	failure, ok := asECS(err)
	if !ok {
		return err.Error()
	}
	text := failure.Class.String()
	if failure.Code != "" {
		text += " (" + failure.Code + ")"
	}
	if failure.Err != nil {
		text += ": " + failure.Err.Error()
	}
	return text
}

func mendOf(err error) string {
	if e, ok := asECS(err); ok {
		return e.Mend
	}
	return ""
}
