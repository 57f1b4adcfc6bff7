package app

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/shenscan/shenscan/internal/bus"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// startSchedules makes the server's schedules those of the configuration. One
// that the server did not know ticks at once: a new service scans at its first
// start, and not when the hour comes.
func (a *App) startSchedules(ctx context.Context) error {
	fresh, err := a.setSchedules(ctx, a.o.Schedules)
	if err != nil {
		return err
	}
	for _, s := range fresh {
		if err := a.tick(ctx, s); err != nil {
			return err
		}
	}
	// Whoever lost the streams asks for the scans that ran by himself.
	a.bus.WhenMade(bus.StreamSchedules, func(ctx context.Context) error {
		_, err := a.storeSchedules(ctx, *a.schedules.Load())
		return err
	})
	return nil
}

// setSchedules makes the server's schedules those of the list, and returns those
// that it did not know.
func (a *App) setSchedules(ctx context.Context, list []Schedule) (fresh []*Schedule, err error) {
	if fresh, err = a.storeSchedules(ctx, list); err != nil {
		return nil, err
	}
	if err := a.endOtherSchedules(ctx, list); err != nil {
		return nil, err
	}
	a.schedules.Store(&list)
	return fresh, nil
}

func (a *App) tick(ctx context.Context, s *Schedule) error {
	return a.requests.HandleTick(ctx, requestOf(s), bus.TickSubject(s.Name), a.o.Now())
}

// tickFresh lets the schedules that a reload brought tick at once.
func (a *App) tickFresh(ctx context.Context, fresh []*Schedule) {
	for _, s := range fresh {
		if err := a.tick(ctx, s); err != nil {
			a.log.Error("the first scan of a new schedule was not asked for; it happens when its hour comes", "schedule", s.Name, "err", err)
		}
	}
}

// requestOf is what a tick of a schedule asks for.
func requestOf(s *Schedule) *event.ScanRequested {
	return &event.ScanRequested{Kind: event.KindScan, Accounts: s.Accounts, Regions: s.Regions, Reason: "schedule " + s.Name}
}

// storeSchedules hands the schedules to the server, which fires them, and
// returns those that it did not know. A server that lost them gets them again.
func (a *App) storeSchedules(ctx context.Context, list []Schedule) (fresh []*Schedule, err error) {
	for i := range list {
		schedule := &list[i]
		isFresh, err := a.bus.Schedule(ctx, schedule.Name, schedule.Cron, schedule.Zone, requestOf(schedule))
		if errors.Is(err, bus.ErrSchedule) {
			err = &ConfigError{err}
		}
		if err != nil {
			return nil, err
		}
		if isFresh {
			fresh = append(fresh, schedule)
		}
	}
	return fresh, nil
}

// endOtherSchedules ends the schedules that left the configuration. A producer
// without schedules of its own, beside others, only names them.
func (a *App) endOtherSchedules(ctx context.Context, list []Schedule) error {
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	others, err := a.bus.OtherSchedules(ctx, names)
	if err != nil {
		return err
	}
	if a.o.Distributed && list == nil {
		if len(others) > 0 {
			a.log.Info("the server fires schedules that this process does not have: it has none, and leaves them alone; say schedules: [] to end them", "schedules", others)
		}
		return nil
	}
	for _, name := range others {
		if err := a.bus.EndSchedule(ctx, name); err != nil {
			return err
		}
		a.log.Warn("schedule is not in the configuration any more, and ended", "schedule", name)
	}
	return nil
}

// nextScan is when the first of the configured schedules asks for a scan, and its
// name; "" where none is configured here.
func (a *App) nextScan() (at time.Time, name string) {
	list := a.schedules.Load()
	if list == nil {
		return time.Time{}, ""
	}
	now := a.o.Now()
	for i := range *list {
		s := &(*list)[i]
		if next, ok := nextTick(s, now); ok && (name == "" || next.Before(at)) {
			at, name = next, s.Name
		}
	}
	return at, name
}

// nextTick is when a schedule ticks after now, as the server reckons it.
func nextTick(s *Schedule, now time.Time) (time.Time, bool) {
	zone := time.UTC
	if s.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(s.Zone); err != nil {
			return time.Time{}, false
		}
	}
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	at, err := parser.Parse(s.Cron)
	if err != nil {
		return time.Time{}, false
	}
	next := at.Next(now.In(zone))
	return next.UTC(), !next.IsZero()
}

// ticked counts and logs what came of a tick.
func (a *App) ticked(subject string, tick producer.Tick) {
	name := subject[strings.LastIndexByte(subject, '.')+1:]
	a.metrics.ticks.WithLabelValues(name, string(tick)).Inc()
	switch tick {
	case producer.TickStarted:
		a.log.Info("tick of a schedule started a scan", "schedule", name)
	case producer.TickJoined:
		a.log.Info("tick of a schedule joins a scan that runs", "schedule", name)
	default:
		a.log.Warn("tick of a schedule is left out: the scan of an earlier tick still runs; scan less often, or look what holds it up", "schedule", name)
	}
}
