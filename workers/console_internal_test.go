package workers

import (
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/event"
)

// A log that tells the end of a start is read again after three weeks, one that tells none
// after a day; and at once where it was read by a clock that was wrong, which tells nothing.
func TestALogIsReadAgainInItsTime(t *testing.T) {
	const day, moment = 24 * time.Hour, time.Nanosecond
	consoles := &Consoles{asker: asker{now: func() time.Time { return beatNow }}}
	for _, tt := range []struct {
		age       time.Duration
		end       string // "": no log
		due, told bool
	}{
		{-5*time.Minute - moment, "login", true, false},
		{-5 * time.Minute, "login", false, true},
		{day + moment, "login", false, true},
		{day + moment, "panic", false, true},
		{day + moment, "stuck", false, true},
		{day, "open", false, true},
		{day + moment, "open", true, true},
		{day, "", false, false},
		{day + moment, "", true, false},
		{21 * day, "panic", false, true},
		{21*day + moment, "panic", true, true},
		{30 * day, "panic", true, true},
		{30*day + moment, "panic", true, false},
	} {
		item := &event.EvidenceItem{Asked: beatNow.Add(-tt.age), Heard: beatStart}
		if tt.end != "" {
			item.Console = &event.Console{End: tt.end}
		}
		hung := &hung{started: beatStart}
		if due, told := consoles.due(hung, item), hung.told(item, beatNow); due != tt.due || told != tt.told {
			t.Errorf("%q, read %s ago: worth a call %t, tells of the start %t; want %t and %t", tt.end, tt.age, due, told, tt.due, tt.told)
		}
	}
}
