package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
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

	against []string // what speaks against the move, beside the verdict
	open    []string // what was asked and not found out
}

// askMove asks the cloud for the disks of the instance and for the change of its
// type, as far as the flags want it. What could not be asked is open, and no error.
func (f *checkFlags) askMove(ctx context.Context, s *settings, rec *record.Record) (*checkedMove, error) {
	move := &checkedMove{Record: report.Tidy(rec)}
	if !f.disks && !f.offered {
		return move, nil
	}
	client, err := ecsapi.New(f.cloud.options(s))
	if err != nil {
		return nil, usage(err)
	}
	defer client.Close()
	ctx, stop := context.WithTimeout(ctx, f.wait)
	defer stop()
	options, err := f.moveOptions(ctx, client, rec)
	if err != nil {
		move.open = append(move.open, "the catalogue of instance types was not read: "+report.Clean(err.Error()))
		return move, nil
	}
	one := func() iter.Seq2[*record.Record, error] {
		return func(yield func(*record.Record, error) bool) { yield(rec, nil) }
	}
	if f.disks {
		disks, err := plan.AskDisks(ctx, client, options, one())
		if err != nil {
			return nil, err
		}
		move.hearDisks(disks)
	}
	if f.offered {
		offered, err := plan.AskOffered(ctx, client, options, one(), plan.AskedWaves(), 2) // here, then by another cluster
		if err != nil {
			return nil, err
		}
		move.hearOffered(offered)
	}
	return move, nil
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
	m.Disks = disks.Of(m.Record)
	for _, failures := range [][]record.Failure{disks.Failures, disks.Doubts} {
		for _, failure := range failures {
			m.open = append(m.open, "disks: "+oneLine(failure))
		}
	}
	switch {
	case m.Disks == nil:
	case m.Disks.State == record.DisksConvert:
		m.against = append(m.against, "it has disks that the target does not take")
	case m.Disks.State == record.DisksNotKnown && len(disks.Doubts) == 0:
		m.open = append(m.open, "disks: "+m.Disks.Why)
	}
}

func (m *checkedMove) hearOffered(offered *plan.Offered) {
	m.Offered = offered.Of(m.Record)
	for _, failure := range offered.Failures {
		m.open = append(m.open, "change of type: "+oneLine(failure))
	}
	switch {
	case m.Offered == nil:
		if offered.Calls == 0 && len(m.open) == 0 {
			m.open = append(m.open, "change of type: nothing was asked, since no other type of the target is known to suit the instance")
		}
	case m.Offered.Against():
		m.against = append(m.against, plan.OfferedText(m.Offered, lang.English))
	case m.Offered.State != record.ChangeOffered && len(offered.Failures) == 0:
		m.open = append(m.open, plan.OfferedText(m.Offered, lang.English))
	}
}

// exit is the error of a check whose verdict is compatible: nil only where nothing
// that was asked speaks against the move and all of it was found out.
func (m *checkedMove) exit(target string) error {
	lead := fmt.Sprintf("%s is not to move to %s as it is: the verdict is compatible, but ", m.InstanceID, target)
	switch {
	case len(m.against) > 0:
		return &exitError{exitFailOn, errors.New(report.Clean(lead + strings.Join(m.against, ", and ")))}
	case len(m.open) > 0:
		return &exitError{exitPartial, errors.New(report.Clean(lead + "this was not found out: " + strings.Join(m.open, "; ")))}
	}
	return nil
}

// write adds what the cloud says of the move to the verdict's table.
func (m *checkedMove) write(out io.Writer) error {
	screen := onScreen(out)
	for _, said := range []struct{ lead, text string }{
		{"disks: ", plan.DiskText(m.Disks, lang.English)},
		{"change of type: ", plan.OfferedText(m.Offered, lang.English)},
	} {
		if said.text != "" {
			if err := screen.say(said.lead, said.text); err != nil {
				return err
			}
		}
	}
	for _, open := range m.open {
		if err := screen.say("not found out: ", open); err != nil {
			return err
		}
	}
	return nil
}
