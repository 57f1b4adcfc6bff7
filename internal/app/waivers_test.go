package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/app"
	"github.com/shenscan/shenscan/rules/catalog"
)

func TestWaiversAreWarnedOf(t *testing.T) {
	t.Parallel()
	rs, err := catalog.Load([]byte("version: 1\nwaivers:\n" +
		"  - {id: w.ended, scope: {regions: [cn-hangzhou]}, as: compatible, until: \"2026-11-28\", reason: r}\n" +
		"  - {id: w.today, scope: {regions: [cn-hangzhou]}, as: compatible, until: \"2026-11-29\", reason: r}\n" +
		"  - {id: w.later, scope: {regions: [cn-hangzhou]}, as: compatible, until: \"2027-06-30\", reason: r}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := app.WaiverNotes(rs, time.Date(2026, 11, 29, 23, 59, 0, 0, time.UTC))
	if len(got) != 2 || !strings.Contains(got[0], "w.ended ended on 2026-11-28") || !strings.Contains(got[1], "w.today ends on 2026-11-29") {
		t.Errorf("%q", got)
	}
	if got := app.WaiverNotes(rs, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)); len(got) != 2 || !strings.Contains(got[1], "w.today ended") {
		t.Errorf("at midnight: %q", got)
	}
}
