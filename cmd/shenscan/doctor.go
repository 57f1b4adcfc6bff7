package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
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
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/producer"
)

// finding is one thing that doctor looked at.
type finding struct {
	Check string `json:"check"`
	Where string `json:"where"`
	OK    bool   `json:"ok"`
	Text  string `json:"text"`
	Mend  string `json:"mend,omitempty"`
}

type doctorFlags struct {
	processFlags
	scope  scopeFlags
	output string
}

func newDoctorCmd(s *settings) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check credentials, permissions, NATS, store and clock; say what is wrong and how to mend it", Args: noArgs,
		Long: `doctor tries everything that a scan needs and changes nothing: it resolves the
credentials, asks every region for each permission in the smallest way there is
(a dry run for DescribeInstances, whose refusal may look like an empty region),
compares the clock with the cloud's, opens the rule files, the store and NATS.

It exits with 1 when something is wrong.`,
		Example: `  shenscan doctor
  shenscan doctor --config shenscan.yaml --region cn-hangzhou --output json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.output != "table" && f.output != "json" {
				return usage(fmt.Errorf("--output %q is not table or json", f.output))
			}
			return f.run(cmd.Context(), s, cmd.OutOrStdout())
		},
	}
	f.store.add(cmd)
	f.nats.add(cmd, false)
	f.cloud.add(cmd)
	f.rules.add(cmd)
	f.scope.add(cmd)
	cmd.Flags().StringVar(&f.output, "output", "table", "table or json")
	return cmd
}

func (f *doctorFlags) run(ctx context.Context, s *settings, out io.Writer) error {
	var found []finding
	found = append(found, f.rulesOK(), f.storeOK(ctx), f.natsOK(ctx, s))
	found = append(found, f.cloudOK(ctx, s)...)
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
	for _, x := range found {
		mark := "ok  "
		if !x.OK {
			mark = "FAIL"
		}
		where := ""
		if x.Where != "" {
			where = " " + x.Where
		}
		if _, err := fmt.Fprintf(out, "%s  %s%s: %s\n", mark, x.Check, report.Clean(where), report.Clean(x.Text)); err != nil {
			return err
		}
		if x.Mend != "" {
			if _, err := fmt.Fprintf(out, "      %s\n", report.Clean(x.Mend)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *doctorFlags) rulesOK() finding {
	x := finding{Check: "rules", Where: strings.Join(f.rules.rules, ", ")}
	c, err := app.Classifier(f.rules.rules, f.rules.targets)
	if err != nil {
		x.Text, x.Mend = err.Error(), "see shenscan rules validate"
		return x
	}
	x.OK, x.Text = true, fmt.Sprintf("rule set %s, targets %s", c.Digest(), strings.Join(c.Targets(), ", "))
	return x
}

func (f *doctorFlags) storeOK(ctx context.Context) finding {
	x := finding{Check: "store", Where: f.store.dir}
	path := app.StoreFile(f.store.dir)
	if _, err := os.Stat(path); os.IsNotExist(err) {
		probe, err := os.MkdirTemp(existing(f.store.dir), ".shenscan-probe-")
		if err != nil {
			x.Text, x.Mend = err.Error(), "name a writable folder with --store"
			return x
		}
		_ = os.Remove(probe)
		x.OK, x.Text = true, "not there yet; the first scan makes it"
		return x
	}
	sum, err := app.CheckStore(ctx, f.store.place())
	if err != nil {
		x.Text, x.Mend = err.Error(), "if another shenscan runs on it, that is fine; if it is damaged, restore a backup or delete it and scan again"
		return x
	}
	x.OK, x.Text = true, sum
	return x
}

// existing is dir or the nearest folder above it that exists.
func existing(dir string) string {
	for dir != "." && dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		i := strings.LastIndexByte(dir, '/')
		if i < 0 {
			return "."
		}
		dir = dir[:max(i, 1)]
	}
	return dir
}

func (f *doctorFlags) natsOK(ctx context.Context, s *settings) finding {
	x := finding{Check: "nats"}
	if f.nats.o.URL == "" {
		x.OK, x.Text = true, "embedded; name a server with --nats-url to check that one"
		return x
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	b, err := bus.Dial(ctx, f.nats.options(s, "shenscan-doctor", bus.SyncAlways))
	if err != nil {
		x.Text = err.Error()
		return x
	}
	defer b.Close()
	if st, err := b.State(ctx, bus.StreamWork); err != nil {
		x.Text, x.Mend = err.Error(), "JetStream must be enabled, and a producer, worker, sink or serve must have run once to create the streams"
	} else {
		x.OK, x.Text = true, fmt.Sprintf("connected; %d messages of work waiting", st.Messages)
		if f.nats.o.Replicas == 1 {
			x.Mend = "with one replica the server should run with sync_interval: always, or a power cut may cost up to two minutes of acknowledged work"
		}
	}
	return x
}

func (f *doctorFlags) cloudOK(ctx context.Context, s *settings) []finding {
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return []finding{{Check: "cloud", Text: err.Error()}}
	}
	defer client.Close()
	accounts, err := producer.NewRoster(client, client, f.cloud.accounts, time.Now).Accounts(ctx)
	var found []finding
	if err != nil {
		found = append(found, finding{Check: "accounts", Text: err.Error(), Mend: mendOf(err)})
	}
	var names []string
	for _, account := range accounts {
		switch {
		case account.Err != nil:
			found = append(found, finding{Check: "credentials", Where: account.String(), Text: account.Err.Error(), Mend: mendOf(account.Err)})
		case account.Excluded:
			names = append(names, account.String()+", excluded")
		default:
			names = append(names, account.String())
		}
	}
	if len(names) > 0 {
		found = slices.Insert(found, 0, finding{Check: "credentials", OK: true, Text: fmt.Sprintf("%d accounts: %s", len(names), strings.Join(names, ", "))})
	}
	for _, account := range accounts {
		if account.Err == nil && !account.Excluded {
			found = append(found, f.accountOK(ctx, client, account.ID)...)
		}
	}
	return append(found, clockOK(client))
}

// maxSkew is how far the clock may be off before the cloud refuses signed
// requests; it allows a quarter of an hour.
const maxSkew = 5 * time.Minute

// clockOK compares the clock with the time that the cloud's answers carry.
func clockOK(client *ecsapi.Client) finding {
	x := finding{Check: "clock"}
	skew, known := client.ClockSkew()
	switch {
	case !known:
		x.OK, x.Text = true, "the cloud's answers carry no time to compare with"
	case skew.Abs() > maxSkew:
		x.Text, x.Mend = fmt.Sprintf("%s off the cloud's", skew.Round(time.Second)), "synchronise it (NTP); the cloud refuses requests that are signed at another time"
	default:
		x.OK, x.Text = true, fmt.Sprintf("within %s of the cloud's", max(skew.Abs().Round(time.Second), time.Second))
	}
	return x
}

func (f *doctorFlags) accountOK(ctx context.Context, client *ecsapi.Client, account string) []finding {
	regions, err := client.Regions(ctx, account)
	if err != nil {
		return []finding{{Check: "regions", Where: account, Text: err.Error(), Mend: mendOf(err)}}
	}
	var mu sync.Mutex
	var found []finding
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	checked := 0
	for _, r := range regions {
		if len(f.scope.regions) > 0 && !slices.Contains(f.scope.regions, r.ID) {
			continue
		}
		checked++
		group.Go(func() error {
			perms := client.Check(ctx, ecs.Scope{Account: account, Region: r.ID})
			mu.Lock()
			defer mu.Unlock()
			found = append(found, permissionFindings(account+"/"+r.ID, perms)...)
			return nil
		})
	}
	_ = group.Wait()
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.Where+a.Check, b.Where+b.Check) })
	bad := len(found)
	return append([]finding{{Check: "permissions", Where: account, OK: bad == 0, Text: fmt.Sprintf("%d regions checked, %d problems", checked, bad)}}, found...)
}

// permissionFindings keeps what is missing; what is granted needs no line.
func permissionFindings(where string, perms []ecsapi.Permission) []finding {
	var found []finding
	for _, p := range perms {
		if p.Granted {
			continue
		}
		x := finding{Check: p.Action, Where: where, Text: "could not be checked", Mend: mendOf(p.Err)}
		if p.Missing() {
			x.Text = "not granted"
			x.Mend = "grant it with the policy in deploy/ram-policy.json"
		}
		if p.Err != nil {
			x.Text += ": " + p.Err.Error()
		}
		found = append(found, x)
	}
	return found
}

func mendOf(err error) string {
	if e, ok := asECS(err); ok {
		return e.Mend
	}
	return ""
}
