package workers

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// What is told in a scan of a scope is remembered for 64 of them; then the oldest is
// forgotten.
func TestWhatIsToldIsRememberedFor64Scopes(t *testing.T) {
	fleet := NewFleet(nil, nil)
	of := func(i int) *fleetTold {
		return fleet.of(&event.InstancesListed{Walk: event.Walk{ScanID: "s", Scope: ecs.Scope{Account: "1", Region: fmt.Sprint("r-", i)}}})
	}
	first := of(0)
	for i := 1; i < 64; i++ {
		of(i)
	}
	if of(0) != first {
		t.Error("one of 64 is forgotten")
	}
	if second := of(1); of(64) == nil || of(1) != second || of(0) == first {
		t.Errorf("of 65 the oldest is remembered, or the second is not; %d are", len(fleet.scans))
	}
}
