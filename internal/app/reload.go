package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/sink/httpapi"
)

// Settings are what a process takes anew while it runs. Whatever else is
// configured counts from the next start on.
type Settings struct {
	Rules, Targets []string
	Accounts       []string // those that are wanted
	Configured     []ecsapi.Account
	Directory      ecsapi.Directory
	Exclude        []string
	Schedules      []Schedule
	OwnerTags      []string   // whose values are owners
	OwnerAccount   bool       // what has none of them is its account's
	Level          slog.Level // of the log
}

// Settings are those of the options.
func (o *Options) Settings() Settings {
	settings := Settings{
		Rules: o.Rules, Targets: o.Targets, Accounts: o.Accounts,
		Configured: o.Cloud.Accounts, Directory: o.Cloud.Directory, Exclude: o.Cloud.Exclude, Schedules: o.Schedules,
		OwnerTags: o.OwnerTags, OwnerAccount: o.OwnerAccount,
	}
	if o.Debug.Level != nil {
		settings.Level = o.Debug.Level.Level()
	}
	return settings
}

// Reread reads the configuration again. restart names settings that differ and
// that only a restart takes.
type Reread func(context.Context) (next Settings, restart []string, err error)

// Reloaded is what a reload came to.
type Reloaded struct {
	Changed []string `json:"changed"` // a sentence each; none: everything is as it was
	Restart []string `json:"restart"` // settings that differ and wait for a restart
}

// reloading is how others ask for a reload and hear what came of it.
type reloading chan chan<- outcome

type outcome struct {
	done *Reloaded
	err  error
}

// errStopping is what those hear who ask while the process ends.
var errStopping = errors.New("this process is stopping")

// Reload takes the configuration anew and waits for the outcome. Where it
// returns an error that is not of ctx, everything stays as it was.
func (a *App) Reload(ctx context.Context) (*Reloaded, error) {
	answer := make(chan outcome, 1)
	select {
	case a.reloads <- answer:
	case <-a.ended:
		return nil, errStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case got := <-answer:
		return got.done, got.err
	case <-ctx.Done(): // it goes on
		return nil, ctx.Err()
	}
}

// keepReloading reloads whenever somebody asks, one after the other.
func (a *App) keepReloading(ctx context.Context) error {
	defer close(a.ended)
	owed := time.NewTicker(5 * time.Second)
	defer owed.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.o.Hangup:
			_, _ = a.reload(ctx) // the log and the metric say what came of it
		case answer := <-a.reloads:
			done, err := a.reload(ctx)
			answer <- outcome{done, err}
		case <-owed.C:
			if a.schedulesOwed {
				a.schedulesOwed = a.restoreSchedules(ctx) != nil
			}
		}
	}
}

// reload takes all of the configuration or nothing of it.
func (a *App) reload(ctx context.Context) (*Reloaded, error) {
	done, err := a.takeAnew(ctx)
	if err != nil {
		a.metrics.reloadSuccess.Set(0)
		a.log.Error("configuration not taken anew: everything stays as it was", "err", err)
		return nil, err
	}
	a.metrics.reloadSuccess.Set(1)
	a.metrics.reloadTime.Set(float64(a.o.Now().Unix()))
	attrs := []any{"changed", strings.Join(done.Changed, "; ")}
	if len(done.Changed) == 0 {
		attrs = []any{"changed", "nothing"}
	}
	if len(done.Restart) > 0 {
		attrs = append(attrs, "waits_for_restart", strings.Join(done.Restart, ", "))
	}
	a.log.Warn("configuration taken anew", attrs...)
	return done, nil
}

func (a *App) takeAnew(ctx context.Context) (*Reloaded, error) {
	if a.o.Reread == nil {
		return nil, errors.New("this process has no configuration that it could read again")
	}
	next, restart, err := a.o.Reread(ctx)
	if err != nil {
		return nil, err
	}
	now := a.settings
	done := &Reloaded{Changed: []string{}, Restart: restart}
	if done.Restart == nil {
		done.Restart = []string{}
	}
	// First all that can be wrong, then what is written, then what cannot fail.
	classifier, err := Classifier(next.Rules, next.Targets)
	if err != nil {
		return nil, err
	}
	if err := checkSchedules(next.Schedules); err != nil {
		return nil, err
	}
	accounts, err := a.checkNextAccounts(ctx, &now, &next)
	if err != nil {
		return nil, err
	}
	judged := a.classifier.Load()
	otherRules := judged.Digest() != classifier.Digest() || !slices.Equal(judged.Targets(), classifier.Targets())
	var fresh []*Schedule
	if what := changedSchedules(now.Schedules, next.Schedules); a.requests != nil && len(what) > 0 {
		if fresh, err = a.setSchedules(ctx, next.Schedules); err != nil {
			return nil, a.keepSchedules(ctx, err)
		}
		done.Changed = append(done.Changed, what...)
	}
	if otherRules {
		what := changedRules(judged, classifier)
		said, err := a.judge(ctx, classifier)
		if err != nil {
			return nil, a.keepSchedules(ctx, fmt.Errorf("judge the stored fleet by the changed rules: %w", err))
		}
		what = append(what, said...)
		done.Changed = append(what, done.Changed...)
	}
	if accounts != nil {
		a.client.UseAccounts(accounts)
		if a.roster != nil {
			a.roster.Use(accounts, next.Accounts)
		}
		done.Changed = append(done.Changed, changedAccounts(&now, &next)...)
	}
	if a.db != nil && (!slices.Equal(now.OwnerTags, next.OwnerTags) || now.OwnerAccount != next.OwnerAccount) {
		a.db.OwnBy(next.OwnerTags, next.OwnerAccount)
		done.Changed = append(done.Changed, "owners are counted by "+cmp.Or(strings.Join(next.OwnerTags, ", "), "no tag")+" from the next scan on")
	}
	if level := a.o.Debug.Level; level != nil && level.Level() != next.Level {
		done.Changed = append(done.Changed, fmt.Sprintf("log level %s is %s", strings.ToLower(level.Level().String()), strings.ToLower(next.Level.String())))
		level.Set(next.Level)
	}
	a.settings = next
	a.tickFresh(ctx, fresh)
	return done, nil
}

// judge makes a rule set the one in use, in the store first, and says what that
// moved. An error says that the one before is in use everywhere. What moved may take
// minutes to tell: all parts of the process go by the new one meanwhile, as what they
// say would otherwise be of two.
func (a *App) judge(ctx context.Context, classifier *rules.Classifier) ([]string, error) {
	if a.sink == nil {
		a.useRules(classifier)
		return nil, nil
	}
	inUse := false
	moved, err := a.sink.Judge(ctx, classifier, func() {
		a.useRules(classifier)
		inUse = true
	})
	switch {
	case err == nil:
		return []string{fmt.Sprintf("%d instances have other verdicts", moved)}, nil
	case !inUse:
		return nil, err
	}
	a.log.Error("the changed rules are in use, but not all that they moved became events and history; the sink goes on with that before it reads results", "err", err)
	return []string{"what has other verdicts is still being told"}, nil
}

// useRules makes a rule set the one in use in every part of this process but
// the store, which judges its fleet anew.
func (a *App) useRules(classifier *rules.Classifier) {
	a.classifier.Store(classifier)
	a.metrics.knowledge.Store(classifier.Ruleset())
	if a.worker != nil {
		a.worker.Use(classifier)
	}
	a.warnOfWaivers()
}

// checkNextAccounts prepares the accounts of a changed configuration; nil where
// they are as they were, or where this process asks the cloud nothing.
func (a *App) checkNextAccounts(ctx context.Context, now, next *Settings) (*ecsapi.AccountSet, error) {
	if a.client == nil || len(changedAccounts(now, next)) == 0 {
		return nil, nil
	}
	set, err := a.client.NewAccounts(next.Configured, next.Directory, next.Exclude)
	if err != nil {
		return nil, &ConfigError{err}
	}
	if a.roster == nil {
		return set, nil
	}
	return set, a.checkAccounts(ctx, producer.NewRoster(set, a.cloud, next.Accounts, a.o.Now), next.Accounts)
}

// checkSchedules reports every schedule that no server would take: a name that
// is missing or is another's too, a cron of another shape.
func checkSchedules(list []Schedule) error {
	var errs []error
	seen := map[string]bool{}
	for _, schedule := range list {
		if schedule.Name == "" || len(strings.Fields(schedule.Cron)) != 6 && !strings.HasPrefix(schedule.Cron, "@") {
			errs = append(errs, fmt.Errorf("schedule %q: it needs a name and a cron of six fields, seconds first, such as \"0 0 3 * * *\"", schedule.Name))
		}
		if _, err := time.LoadLocation(schedule.Zone); err != nil {
			errs = append(errs, fmt.Errorf("schedule %q: zone %q is not known; give one such as Asia/Shanghai", schedule.Name, schedule.Zone))
		}
		if token := event.Token(schedule.Name); seen[token] {
			errs = append(errs, fmt.Errorf("schedule %q is there twice", schedule.Name))
		} else {
			seen[token] = true
		}
	}
	if len(errs) > 0 {
		return &ConfigError{errors.Join(errs...)}
	}
	return nil
}

// tryCrons asks a NATS server of its own, in a folder that is gone afterwards,
// to take the schedules: it alone knows what it fires.
func tryCrons(ctx context.Context, list []Schedule) (err error) {
	if len(list) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "shenscan-schedules-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := bus.DefaultOptions()
	o.Name, o.Dir, o.Sync, o.Declare, o.Log = "shenscan-config", dir, bus.SyncInterval, true, slog.New(slog.DiscardHandler)
	conn, err := bus.Open(ctx, o)
	if err != nil {
		return err
	}
	defer conn.Close()
	var errs []error
	for i := range list {
		if _, err := conn.Schedule(ctx, list[i].Name, list[i].Cron, list[i].Zone, requestOf(&list[i])); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return &ConfigError{errors.Join(errs...)}
	}
	return nil
}

// keepSchedules has the server fire what it fired before a reload that failed
// for err.
func (a *App) keepSchedules(ctx context.Context, err error) error {
	if a.requests == nil {
		return err
	}
	if again := a.restoreSchedules(ctx); again != nil {
		a.schedulesOwed = true
		a.log.Error("the schedules as they were could not be stored again; this is tried until it is done", "err", again)
	}
	return err
}

func (a *App) restoreSchedules(ctx context.Context) error {
	_, err := a.setSchedules(ctx, a.settings.Schedules)
	return err
}

// Bounds of what a reload tells.
const mostNamed = 20

// named tells which names of a kind were added, removed or changed.
func named(kind, what string, names []string) []string {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	names = slices.Compact(names)
	rest := ""
	if n := len(names) - mostNamed; n > 0 {
		names, rest = names[:mostNamed], fmt.Sprintf(" and %d more", n)
	}
	return []string{kind + " " + what + ": " + strings.Join(names, ", ") + rest}
}

// differences compares two lists of things by their names.
func differences[T any](kind string, was, is []T, name func(T) string, same func(a, b T) bool) (out []string) {
	byName := func(list []T) map[string]T {
		things := map[string]T{}
		for _, thing := range list {
			things[name(thing)] = thing
		}
		return things
	}
	before, now := byName(was), byName(is)
	var added, removed, changed []string
	for name, thing := range now {
		if old, ok := before[name]; !ok {
			added = append(added, name)
		} else if !same(old, thing) {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, ok := now[name]; !ok {
			removed = append(removed, name)
		}
	}
	return slices.Concat(named(kind, "added", added), named(kind, "changed", changed), named(kind, "removed", removed))
}

func changedSchedules(was, is []Schedule) []string {
	return differences("schedules", was, is, func(s Schedule) string { return s.Name }, func(a, b Schedule) bool {
		return a.Cron == b.Cron && a.Zone == b.Zone && slices.Equal(a.Accounts, b.Accounts) && slices.Equal(a.Regions, b.Regions)
	})
}

func changedAccounts(was, is *Settings) []string {
	itself, equal := func(name string) string { return name }, func(a, b string) bool { return a == b }
	out := differences("accounts", was.Configured, is.Configured,
		func(account ecsapi.Account) string { return cmp.Or(account.Name, account.RoleARN) }, func(a, b ecsapi.Account) bool { return a == b })
	out = append(out, differences("accounts.exclude", was.Exclude, is.Exclude, itself, equal)...)
	if was.Directory != is.Directory {
		out = append(out, "resource_directory changed")
	}
	return append(out, differences("--account", was.Accounts, is.Accounts, itself, equal)...)
}

func changedRules(was, is *rules.Classifier) []string {
	var out []string
	if was.Digest() != is.Digest() {
		out = append(out, fmt.Sprintf("rule set %s is %s", was.Digest(), is.Digest()))
	}
	if !slices.Equal(was.Targets(), is.Targets()) {
		out = append(out, fmt.Sprintf("targets %s are %s", strings.Join(was.Targets(), ", "), strings.Join(is.Targets(), ", ")))
	}
	return append(out, differences("waivers", was.Ruleset().Definition().Waivers, is.Ruleset().Definition().Waivers,
		func(waiver rules.WaiverRule) string { return waiver.ID }, func(a, b rules.WaiverRule) bool { return reflect.DeepEqual(a, b) })...)
}

// ServeHTTP answers operators who ask for a reload.
func (r reloadHandler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	done, err := r.a.Reload(req.Context())
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(done); err != nil {
			r.a.log.Debug("answer not delivered", "err", err)
		}
	case req.Context().Err() != nil:
		httpapi.Problem(w, http.StatusServiceUnavailable, "the reload is not done yet and goes on; shenscan_reload_success and the log say what comes of it")
	case isUsage(err):
		httpapi.Problem(w, http.StatusUnprocessableEntity, "everything stays as it was: "+err.Error())
	default:
		httpapi.Problem(w, http.StatusInternalServerError, "everything stays as it was: "+err.Error())
	}
}

// reloadHandler serves POST /-/reload.
type reloadHandler struct{ a *App }

// isUsage says that an error asks for the exit code of wrong usage: somebody has
// to change the configuration.
func isUsage(err error) bool {
	e, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err)
	return ok && e.ExitCode() == 2
}
