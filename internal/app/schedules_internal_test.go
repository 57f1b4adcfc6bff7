package app

import (
	"testing"
	"time"
)

// The next scan is that of the schedule which ticks first, in its own zone.
func TestNextScanIsTheFirstTick(t *testing.T) {
	t.Parallel()
	a := &App{}
	a.o.Now = func() time.Time { return time.Date(2026, 11, 29, 18, 30, 0, 0, time.UTC) }
	if _, name := a.nextScan(); name != "" {
		t.Errorf("without a schedule the next scan is that of %q", name)
	}
	a.schedules.Store(&[]Schedule{{Name: "weekly", Cron: "0 0 3 * * 1"}, {Name: "daily", Cron: "0 0 3 * * *", Zone: "Asia/Shanghai"}})
	at, name := a.nextScan()
	if want := time.Date(2026, 11, 29, 19, 0, 0, 0, time.UTC); name != "daily" || !at.Equal(want) {
		t.Errorf("next scan %v by %q, want %v by daily", at, name, want)
	}
}
