package event_test

import (
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// Rescans and their pages have subjects of their own: whoever waits for a few
// instances does not wait behind a scan of the fleet.
func TestRescansDoNotWaitBehindScans(t *testing.T) {
	scope := ecs.Scope{Account: "1234567890123456", Region: "cn-hangzhou"}
	for _, c := range []struct {
		message     event.Message
		subject, id string
	}{
		{&event.ScanRequested{ScanID: "s-1", Kind: event.KindScan}, "shenscan.work.scan.s-1", "request/s-1"},
		{&event.ScanRequested{ScanID: "r-1", Kind: event.KindRescan}, "shenscan.work.rescan.r-1", "request/r-1"},
		{&event.InstancesListed{Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: scope, Lane: "p.0", Walk: "d.1"}, Page: 3}, "shenscan.pages.bulk.1234567890123456.cn-hangzhou", "page/s-1/1234567890123456/cn-hangzhou/p.0/d.1/3"},
		{&event.InstancesListed{Walk: event.Walk{ScanID: "r-1", Kind: event.KindRescan, Scope: scope}}, "shenscan.pages.fast.1234567890123456.cn-hangzhou", "page/r-1/1234567890123456/cn-hangzhou///0"},
	} {
		if subject, id := event.Route(c.message); subject != c.subject || id != c.id {
			t.Errorf("%T has the subject %q and the id %q, want %q and %q", c.message, subject, id, c.subject, c.id)
		}
	}
}

// Every process names the scan of one tick alike, so that it runs once; a name
// tells a rescan from a scan, and the schedule by its end.
func TestNamesOfScans(t *testing.T) {
	at := time.Date(2026, 11, 1, 3, 4, 5, 0, time.FixedZone("", 8*3600))
	scan, rescan := event.NewScanID(event.KindScan, at, "nightly"), event.NewScanID(event.KindRescan, at, "nightly")
	if want := "-20261031T190405-"; scan[:1] != "s" || rescan[:1] != "r" || scan[1:1+len(want)] != want || scan[1:] != rescan[1:] {
		t.Errorf("a scan is called %s, a rescan %s", scan, rescan)
	}
	next := event.NewScanID(event.KindScan, at.Add(time.Hour), "nightly")
	if !event.SameSalt(scan, next) || !event.SameSalt(next, rescan) {
		t.Errorf("%s and %s are not of one schedule", scan, next)
	}
	if other := event.NewScanID(event.KindScan, at, "hourly"); event.SameSalt(scan, other) {
		t.Errorf("%s and %s are of one schedule", scan, other)
	}
}
