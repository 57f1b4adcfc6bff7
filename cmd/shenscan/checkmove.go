package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecsapi"
	"github.com/shenscan/shenscan/internal/lang"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
)

// checkedMove is the record of the instance with what the cloud says of the move
// itself, which is asked for by --disks and --offered.
type checkedMove struct {
	*record.Record

	Disks   *record.InstanceDisks `json:"disks,omitempty"`
	Offered *record.OfferedChange `json:"offered,omitempty"`
	Against []string              `json:"against,omitempty"`       // what speaks against the move, beside the verdict
	Open    []string              `json:"not_found_out,omitempty"` // what was asked in vain

	noted []string // why something was not asked that need not be
}

// askMove asks the cloud for the disks of the instance and for the change of its
// type, as far as the flags want it. What could not be asked is open, and no error.
func (f *checkFlags) askMove(ctx context.Context, s *settings, seen *sight) (*checkedMove, error) {
	rec := seen.rec
	move := &checkedMove{Record: report.Tidy(rec), Open: seen.open}
	if !f.disks && !f.offered {
		return move, nil
	}
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return nil, usage(err)
	}
	defer client.Close()
	asking, stop := context.WithTimeout(ctx, f.wait)
	defer stop()
	err = f.ask(asking, client, rec, move)
	if asking.Err() != nil && ctx.Err() == nil { // the verdict is in hand all the same
		move.Open = append(move.Open, fmt.Sprintf("the cloud did not answer within %s; --wait gives it longer", f.wait))
		return move, nil
	}
	return move, err
}

func (f *checkFlags) ask(ctx context.Context, client *ecsapi.Client, rec *record.Record, move *checkedMove) error {
	options, err := f.moveOptions(ctx, client, rec)
	if ctx.Err() != nil {
		return fmt.Errorf("check %s: %w", rec.InstanceID, ctx.Err())
	}
	if err != nil {
		move.Open = append(move.Open, "the catalogue of instance types was not read: "+report.Clean(err.Error()))
		return nil
	}
	if options.There(rec) {
		move.noted = append(move.noted, "it is there already, and nothing was asked about a move")
		return nil
	}
	one := func(yield func(*record.Record, error) bool) { yield(rec, nil) }
	if f.disks {
		disks, err := plan.AskDisks(ctx, client, options, one)
		if err != nil {
			return err
		}
		move.hearDisks(disks)
	}
	if f.offered {
		offered, err := plan.AskOffered(ctx, client, options, one, plan.AskedWaves(), 2) // here, then by another cluster
		if err != nil {
			return err
		}
		move.hearOffered(offered)
	}
	return nil
}

func (f *checkFlags) moveOptions(ctx context.Context, client *ecsapi.Client, rec *record.Record) (plan.Options, error) {
	ruleset, err := app.Ruleset(f.rules.rules)
	if err != nil {
		return plan.Options{}, err
	}
	target, err := ruleset.ParseTarget(f.target)
	if err != nil {
		return plan.Options{}, err
	}
	types, err := client.InstanceTypes(ctx, rec.Account)
	if err != nil {
		return plan.Options{}, err
	}
	target, _ = ruleset.Learn(target, ecs.TypeFacts(types))
	return plan.Options{Target: target, Families: ruleset.Families(), Rules: ruleset, Types: types, Checks: ruleset.Definition().Checks, Now: time.Now().UTC()}, nil
}

func (m *checkedMove) hearDisks(disks *plan.Disks) {
	m.Disks = disks.Of(m.Account, m.Region, m.InstanceID)
	m.failed("disks: ", disks.Failures)
	m.failed("disks: ", disks.Doubts)
	switch {
	case disks.Regions == 0:
		m.noted = append(m.noted, "disks: not asked for, since no page names a kind that the target does not take")
	case m.Disks == nil: // a failure says why
	case m.Disks.State == record.DisksConvert:
		m.Against = append(m.Against, "it has disks that the target does not take")
	case m.Disks.State == record.DisksNotKnown && len(disks.Doubts) == 0:
		m.Open = append(m.Open, "disks: "+m.Disks.Why)
	}
}

func (m *checkedMove) hearOffered(offered *plan.Offered) {
	m.Offered = offered.Of(m.Account, m.Region, m.InstanceID)
	m.failed("change of type: ", offered.Failures)
	switch {
	case m.Offered == nil:
		m.Open = append(m.Open, "change of type: nothing was asked, since no other type of the target is known to suit the instance")
	case m.Offered.Against():
		m.Against = append(m.Against, plan.OfferedText(m.Offered, lang.English))
	case m.Offered.State != record.ChangeOffered && len(offered.Failures) == 0:
		m.Open = append(m.Open, plan.OfferedText(m.Offered, lang.English))
	}
}

// settles says whether the check of the verdict is answered by what was asked.
func (m *checkedMove) settles(check string) bool {
	return m.Disks != nil && m.Disks.State == record.DisksFit && plan.IsDiskAdvice(check)
}

func (m *checkedMove) failed(what string, failures []record.Failure) {
	for _, failure := range failures {
		m.Open = append(m.Open, what+oneLine(failure))
	}
}

// exit is the error of a check whose verdict is compatible: nil only where nothing
// that was asked speaks against the move and all of it was found out.
func (m *checkedMove) exit(target string) error {
	fail := func(code int, format string, said []string) error {
		return &exitError{code, errors.New(report.Clean(fmt.Sprintf(format, m.InstanceID, target, strings.Join(said, "; "))))}
	}
	switch {
	case len(m.Against) > 0:
		return fail(exitFailOn, "%s is not to move to %s as it is: the verdict is compatible, but %s", m.Against)
	case len(m.Open) > 0:
		return fail(exitPartial, "whether %s can move to %s as it is, is not known: the verdict is compatible, but this was not found out: %s", m.Open)
	}
	return nil
}

// write adds what the cloud says of the move to the verdict's table.
func (m *checkedMove) write(out io.Writer) error {
	screen := onScreen(out)
	line := func(lead, text string) {
		if text != "" {
			screen.say(lead, text)
		}
	}
	line("disks: ", plan.DiskText(m.Disks, lang.English))
	line("change of type: ", plan.OfferedText(m.Offered, lang.English))
	for _, noted := range m.noted {
		line("", noted)
	}
	for _, open := range m.Open {
		line("not found out: ", open)
	}
	return screen.err
}
