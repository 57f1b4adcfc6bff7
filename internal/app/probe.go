package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/filter"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer/prober"
	"github.com/shenscan/shenscan/rules/distro"
	"github.com/shenscan/shenscan/sink/store"
)

// guestsFile keeps what machines themselves answered, beside the store.
func guestsFile(dir string) string { return filepath.Join(dir, "guests.jsonl") }

// openGuests opens what machines answered, where any was ever asked or may be
// now. A process that is alone keeps it in a file; several keep it in NATS, and
// those of them that have a store keep a copy in that file.
func (a *App) openGuests(ctx context.Context) error {
	if a.o.Roles&Producer == 0 {
		return nil
	}
	var journal *prober.Journal
	path := guestsFile(a.o.Store)
	_, err := os.Stat(path)
	if a.o.Roles&Sink != 0 && (err == nil || !errors.Is(err, fs.ErrNotExist) || a.o.Probe) {
		if journal, err = prober.OpenJournal(path, a.o.Now, a.log); err != nil {
			return err
		}
		a.onClose(func() {
			if err := journal.Close(); err != nil {
				a.log.Error("what machines answered was not closed cleanly", "err", err)
			}
		})
	}
	if a.bus.Alone() {
		if journal != nil {
			a.guests, a.filled, a.guestsNow = journal, &prober.Filler{Book: journal, Lost: journal.Lost, Now: a.o.Now}, a.o.Now
		}
		return nil
	}
	shared, err := openSharedGuests(ctx, a.bus, journal, a.o.Now, a.log)
	if err != nil {
		return err
	}
	a.guests, a.filled, a.guestsNow = askingGuests{shared}, &prober.Filler{Book: shared, Lost: shared.lost, Now: shared.Now}, shared.Now
	return nil
}

// prober returns what asks machines. Nothing but this makes a client that can
// run commands, and only where Options.Probe is set.
func (a *App) prober() (*prober.Prober, error) {
	if !a.o.Probe {
		return nil, errors.New("machines are asked only with --probe")
	}
	api, ok := a.cloud.(ecs.GuestAPI)
	if !ok || a.guests == nil || a.db == nil {
		return nil, &ConfigError{errors.New("--probe asks machines through the cloud, which this scan does not read")}
	}
	options := a.o.Prober
	if options.Now == nil {
		options = prober.DefaultOptions()
	}
	options.Log, options.Now, options.Went = a.log, a.guestsNow, a.probing.went
	return prober.New(api, a.guests, options), nil
}

// soleProber waits until no other process asks machines: two would look after
// the same batches. Which machine is asked by whom does not rest on it, since a
// process may be cut off from NATS and not from the cloud.
func (a *App) soleProber(ctx context.Context) (release func(), err error) {
	who := a.calledItself()
	for told := false; ; told = true {
		release, err = a.bus.Sole(ctx, event.SubjectProber, who)
		if !errors.Is(err, bus.ErrTaken) {
			return release, err
		}
		a.probing.standby()
		if !told {
			a.log.InfoContext(ctx, "another process asks machines; this one waits until it is done or gone", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// candidates are the instances that a filter lets through.
func (a *App) candidates(ctx context.Context, f store.Filter) (out []prober.Candidate, err error) {
	view, err := a.db.View(ctx, nil, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	for entry, err := range view.Instances(ctx) {
		if err != nil {
			return nil, err
		}
		osType, err := osType(view, entry)
		if err != nil {
			return nil, err
		}
		out = append(out, prober.Candidate{
			Scope: ecs.Scope{Account: entry.Account, Region: entry.Region}, ID: entry.InstanceID, OSType: osType, ImageID: entry.ImageID, Type: entry.InstanceType,
			Running: entry.Status == "Running",
		})
	}
	return out, nil
}

// osType is the kind of system that the cloud says an instance has.
func osType(view *store.View, entry *record.Record) (string, error) {
	facts, err := view.Facts(entry.Account, entry.Region, entry.InstanceID)
	switch {
	case err != nil:
		return "", err
	case facts.OSType != "":
		return facts.OSType, nil
	case facts.Image.OSType != "":
		return facts.Image.OSType, nil
	}
	switch entry.OS.Family {
	case distro.WindowsServer, distro.WindowsClient:
		return "windows", nil
	case distro.Unknown, "":
		return "", nil
	}
	return "linux", nil
}

// Known are the names of which a filter may be made.
func (a *App) Known() *filter.Known { return a.db.Known() }

// ProbePlan says what Probe would ask of whom. It asks nobody.
func (a *App) ProbePlan(ctx context.Context, chosen store.Filter) (*prober.Plan, error) {
	asker, err := a.prober()
	if err != nil {
		return nil, err
	}
	list, err := a.candidates(ctx, chosen)
	if err != nil {
		return nil, err
	}
	return asker.Plan(ctx, list)
}

// maxProbedRescan is how many instances one rescan of those that answered names.
const maxProbedRescan = 2000

// Probe asks the machines that a filter lets through, waits for their answers
// and has those that answered looked at again. The App runs meanwhile.
func (a *App) Probe(ctx context.Context, chosen store.Filter) (*prober.Outcome, error) {
	asker, err := a.prober()
	if err != nil {
		return nil, err
	}
	release, err := a.soleProber(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	scan, err := a.db.LastScan()
	if err != nil {
		return nil, err
	}
	a.probing.began(scan, a.o.Now())
	list, err := a.candidates(ctx, chosen)
	var out *prober.Outcome
	if err == nil {
		out, err = asker.Run(ctx, list)
	}
	if err == nil {
		if missed := a.missed(chosen, len(list)); missed != nil {
			a.log.WarnContext(ctx, "the filter of --probe does not let through whom it is meant for; they were not asked", "err", missed)
			out.Errors = append(out.Errors, missed)
		}
	}
	a.probing.ended(out, err, a.o.Now())
	if err != nil {
		return nil, err
	}
	if err := a.tellAges(ctx, out); err != nil {
		return nil, err
	}
	byScope := map[ecs.Scope][]string{}
	for _, g := range out.Changed() {
		byScope[g.Scope] = append(byScope[g.Scope], g.ID)
	}
	var scans []string
	for scope, ids := range byScope {
		for chunk := range slices.Chunk(ids, maxProbedRescan) {
			id, err := a.rescan(ctx, []string{scope.Account}, []string{scope.Region}, chunk, fmt.Sprintf("probe/%s/%s", scope, chunk[0]), "the machines answered")
			if err != nil {
				return nil, err
			}
			scans = append(scans, id)
		}
	}
	return out, a.awaitScans(ctx, scans)
}

// missed says what in the filter of --probe lets nobody through: a name that no
// machine ever had, or names that no machine has together now.
func (a *App) missed(chosen store.Filter, let int) error {
	if err := chosen.Scope.Check(a.Known()); err != nil {
		return fmt.Errorf("--%w", err)
	}
	if let == 0 && !chosen.Scope.IsZero() {
		if summary := a.db.Summary(); summary.Instances > 0 {
			return fmt.Errorf("none of %d instances passes the filter of --probe: nobody was asked", summary.Instances)
		}
	}
	return nil
}

// tellAges announces when machines were asked and answered, where the store does
// not have it so.
func (a *App) tellAges(ctx context.Context, out *prober.Outcome) error {
	byScope := map[ecs.Scope][]event.EvidenceItem{}
	for _, list := range [][]prober.Guest{out.Plan.Kept, out.Answered, out.Silent} {
		for i := range list {
			if guest := &list[i]; !guest.Answered.IsZero() { // else it is waited for
				byScope[guest.Scope] = append(byScope[guest.Scope], event.EvidenceItem{
					ID: guest.ID, Asked: guest.Asked, Heard: guest.Heard, Image: guest.ImageID, Types: guest.Type, Cause: guest.Cause,
				})
			}
		}
	}
	for scope, items := range byScope {
		for part := range slices.Chunk(items, event.MaxEvidence) {
			ids := make([]string, len(part))
			for i := range part {
				ids[i] = part[i].ID
			}
			had, err := a.db.Evidence(scope, event.EvidenceProbe, ids)
			if err != nil {
				return fmt.Errorf("when machines in %s answered: %w", scope, err)
			}
			evidence := &event.EvidenceRead{Scope: scope, Source: event.EvidenceProbe, At: a.o.Now().UTC()}
			for i := range part {
				item := &part[i]
				if is, there := had[item.ID]; !there || !is.Asked.Equal(item.Asked) || !is.Heard.Equal(item.Heard) || is.Image != item.Image || is.Types != item.Types || is.Cause != item.Cause {
					evidence.Items = append(evidence.Items, *item)
				}
			}
			if len(evidence.Items) == 0 {
				continue
			}
			if err := a.bus.Publish(ctx, evidence); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepProbing asks machines after each scan, and after a start, as the last
// process may have been ended while it asked. What cannot be asked is said in
// the log and tried again.
func (a *App) keepProbing(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	after := ""
	for {
		moved := a.sink.Moved()
		last, err := a.db.LastScan()
		if err == nil && last != after {
			if err = a.probeAfter(ctx, last); err == nil {
				after = last
			}
		}
		if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "machines were not asked; they may be in half a minute", "scan", last, "err", err)
			moved = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-moved:
		case <-tick.C:
		}
	}
}

func (a *App) probeAfter(ctx context.Context, scan string) error {
	out, err := a.Probe(ctx, store.Filter{Scope: a.o.ProbeFilter})
	if err != nil {
		return err
	}
	calls := 0
	for _, n := range out.Calls {
		calls += n
	}
	a.log.InfoContext(ctx, "machines were asked", "scan", scan, "answered", len(out.Answered), "silent", len(out.Silent), "kept", len(out.Plan.Kept), "calls", calls)
	return nil
}

// awaitScans waits until scans have ended.
func (a *App) awaitScans(ctx context.Context, ids []string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for len(ids) > 0 {
		ids = slices.DeleteFunc(ids, func(id string) bool {
			s, err := a.db.Scan(id)
			return err == nil && s.State != record.ScanRunning
		})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// ProbeEvidence says what asking machines came to by now, by account and region.
// What a machine said before is in use though it is silent today.
func ProbeEvidence(out *prober.Outcome, now time.Time) []record.Evidence {
	by := map[ecs.Scope]*record.Evidence{}
	var order []ecs.Scope
	of := func(scope ecs.Scope) *record.Evidence {
		if by[scope] == nil {
			by[scope] = &record.Evidence{Source: "probe", Account: scope.Account, Region: scope.Region, About: "instances"}
			order = append(order, scope)
		}
		return by[scope]
	}
	skip := func(evidence *record.Evidence, cause string) {
		evidence.Asked++
		for i := range evidence.Skipped {
			if evidence.Skipped[i].Cause == cause {
				evidence.Skipped[i].Count++
				return
			}
		}
		evidence.Skipped = append(evidence.Skipped, record.EvidenceSkipped{Count: 1, Cause: cause})
	}
	take := func(guest *prober.Guest) {
		evidence := of(guest.Scope)
		switch {
		case guest.Believed(guest.ImageID, guest.Type, now):
			evidence.Asked++
			if evidence.Answered++; evidence.Oldest == nil || guest.Heard.Before(*evidence.Oldest) {
				at := guest.Heard
				evidence.Oldest = &at
			}
		case guest.Cause != "":
			skip(evidence, guest.Cause)
		default:
			skip(evidence, prober.CauseOpen)
		}
	}
	for _, list := range [][]prober.Guest{out.Plan.Kept, out.Answered, out.Silent} {
		for i := range list {
			take(&list[i])
		}
	}
	for cause, list := range out.Plan.Not {
		for i := range list {
			skip(of(list[i].Scope), cause)
		}
	}
	for s, calls := range out.Calls {
		of(s).Calls = calls
	}
	slices.SortFunc(order, func(a, b ecs.Scope) int { return strings.Compare(a.String(), b.String()) })
	list := make([]record.Evidence, 0, len(order))
	for _, s := range order {
		slices.SortFunc(by[s].Skipped, func(a, b record.EvidenceSkipped) int { return strings.Compare(a.Cause, b.Cause) })
		list = append(list, *by[s])
	}
	return list
}
