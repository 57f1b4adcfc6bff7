package workers

import (
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

var (
	beatNow   = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	beatStart = beatNow.Add(-60 * 24 * time.Hour)
)

// An answer counts for less than 30 days, and not where it is of a time that clocks cannot
// be apart by; it is asked for again before it counts no more.
func TestAnAnswerCountsForLessThanThirtyDays(t *testing.T) {
	const day, moment = 24 * time.Hour, time.Nanosecond
	hung := &hung{started: beatStart}
	for _, tt := range []struct {
		age               time.Duration
		proves, due, soon bool
	}{
		{-5*time.Minute - moment, false, true, true},
		{-5 * time.Minute, false, false, false},
		{-5*time.Minute + moment, true, false, false},
		{7 * day, true, false, false},
		{7*day + moment, true, false, true},
		{21 * day, true, false, true},
		{21*day + moment, true, true, true},
		{30*day - moment, true, true, true},
		{30 * day, false, true, true},
	} {
		item := &event.EvidenceItem{Asked: beatNow.Add(-tt.age), Heard: beatNow.Add(-31 * day)}
		due, soon := hung.due(item, beatNow)
		if proves := hung.proves(item, beatNow); proves != tt.proves || due != tt.due || soon != tt.soon {
			t.Errorf("of an age of %s it counts: %t, is worth a call: %t, is asked for where one is made: %t", tt.age, proves, due, soon)
		}
	}
}

// A guest is up whose agent was heard of within the hour, by clocks that are at most five
// minutes apart.
func TestAnAgentIsHeardOfWithinTheHour(t *testing.T) {
	for age, cause := range map[time.Duration]string{
		-5*time.Minute - 1: event.CauseFuture,
		-5 * time.Minute:   "",
		time.Hour:          "",
		time.Hour + 1:      event.CauseSilent,
	} {
		if got := silence(&ecs.Agent{Installed: true, Heartbeat: beatNow.Add(-age)}, beatStart, beatNow); got != cause {
			t.Errorf("a heartbeat of %s ago: %q, want %q", age, got, cause)
		}
	}
}
