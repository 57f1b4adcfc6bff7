package workers

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

// A page in which guests became known is the page that a producer would have made
// of the same instances, had it known.
func TestAPageWithGuestsIsThatOfTheirInstances(t *testing.T) {
	var instances []ecs.Instance
	known := map[string]rules.GuestFacts{"i-nobody": {Up: rules.Yes}}
	for i := range event.MaxInstances {
		x := ecs.Instance{
			ID: fmt.Sprintf("i-%d", i), Name: fmt.Sprintf("n%d", i%7), Type: fmt.Sprintf("ecs.g%d.large", i%7), Family: fmt.Sprintf("ecs.g%d", i%7), ImageID: fmt.Sprintf("m-%d", i%5),
			OSName: fmt.Sprintf("os %d", i%5), OSType: "linux", Status: "Running", Zone: "z", CreationTime: "2017-12-10T04:04Z", StartTime: fmt.Sprintf("2026-11-%02dT04:04Z", 1+i%28),
		}
		switch i % 6 {
		case 0:
			x.CreationTime, x.StartTime = "some day", ""
		case 1:
			x.Guest = &rules.GuestFacts{Kernel: "5.10", DeviceNames: rules.No}
		}
		if i%3 == 0 || i%7 == 1 { // of one type all, so that a profile is left without rows
			known[x.ID] = rules.GuestFacts{Up: rules.Yes, Kernel: fmt.Sprintf("4.%d", i%2), DeviceNames: rules.Yes, ConsoleKernel: fmt.Sprintf("4.%d", i%2)}
		}
		instances = append(instances, x)
	}
	page := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1"}, Page: 3, Epoch: 5, Observed: 7}
	page.SetInstances(instances)
	had := len(page.Profiles)
	got := withGuests(page, known)
	for i := range instances {
		if learnt, there := known[instances[i].ID]; there {
			var guest rules.GuestFacts
			if instances[i].Guest != nil {
				guest = *instances[i].Guest
			}
			guest = merge(guest, learnt)
			instances[i].Guest = &guest
		}
	}
	want := *page
	want.SetInstances(instances)
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-as listed +as learnt)\n%s", diff)
	}
	if diff := cmp.Diff(instances, got.Instances()); diff != "" {
		t.Errorf("(-instances +of the page)\n%s", diff)
	}
	if len(page.Profiles) != had || had == event.MaxInstances || len(got.Profiles) == had {
		t.Errorf("%d profiles, now %d, and %d with guests", had, len(page.Profiles), len(got.Profiles))
	}
}

// What the machine itself said counts more than what its console log shows.
func TestWhatTheMachineSaidIsKept(t *testing.T) {
	said := rules.GuestFacts{Kernel: "5.10", DeviceNames: rules.No, Release: "9"}
	if got := merge(said, rules.GuestFacts{Up: rules.Yes, Kernel: "4.19", DeviceNames: rules.Yes}); got != (rules.GuestFacts{Up: rules.Yes, Kernel: "5.10", DeviceNames: rules.No, Release: "9"}) {
		t.Errorf("%+v", got)
	}
	if got := merge(rules.GuestFacts{}, rules.GuestFacts{Kernel: "4.19", DeviceNames: rules.Yes}); got != (rules.GuestFacts{Kernel: "4.19", DeviceNames: rules.Yes}) {
		t.Errorf("%+v", got)
	}
}
