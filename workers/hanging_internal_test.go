package workers

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/outcome"
)

// A page in which guests became known says of each instance what it would say had the
// producer known; what no row refers to is not in it, and nothing twice.
func TestAPageWithGuestsIsThatOfTheirInstances(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	reader := outcome.NewReader(rs.NewClassifier(nil))
	// judged is a page of instances, classified.
	judged := func(instances []ecs.Instance) (*event.InstancesListed, []*Image, *event.InstancesClassified) {
		page := &event.InstancesListed{Walk: event.Walk{ScanID: "s-1"}, Page: 3, Epoch: 5, Observed: 7}
		page.SetInstances(instances)
		images := make([]*Image, len(page.Software))
		for i := range images {
			images[i] = &Image{Facts: rules.ImageFacts{Presence: rules.ImageFound, Name: page.Software[i].ImageID}}
		}
		return page, images, Classify(reader, page, images)
	}
	// told is what a page tells of each instance.
	type told struct {
		ID    string
		Facts rules.Facts
		Class outcome.Class
	}
	tells := func(page *event.InstancesClassified) (list []told) {
		for row := range page.Rows.All() {
			list = append(list, told{row.ID, page.Facts(row.Profile), page.Classes[page.Profiles[row.Profile].Class]})
		}
		return list
	}
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
		if i%3 == 0 || i%7 == 1 || i > 900 { // of one type all, so that a profile is left without rows
			known[x.ID] = rules.GuestFacts{Up: rules.Yes, Kernel: fmt.Sprintf("4.%d", i%2), DeviceNames: rules.Yes, ConsoleKernel: fmt.Sprintf("4.%d", i%2)}
		}
		if i > 900 { // alone in their profiles, of images of their own
			x.ImageID = fmt.Sprintf("m-%d", i-i%2)
		}
		instances = append(instances, x)
	}
	page, images, got := judged(instances)
	all := make([]int, len(page.Profiles))
	for i := range all {
		all[i] = i
	}
	before := tells(got)
	listed := *page
	judgeAgain(reader, page, images, got, hungOf(page, all), known)
	if diff := cmp.Diff(&listed, page); diff != "" {
		t.Errorf("the listed page is another one\n%s", diff)
	}

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
	_, _, want := judged(instances)
	if diff := cmp.Diff(tells(want), tells(got)); diff != "" {
		t.Errorf("(-as listed +as learnt)\n%s", diff)
	}
	if cmp.Equal(before, tells(got)) {
		t.Error("what became known changed nothing")
	}
	if len(got.Profiles) != len(want.Profiles) || len(got.Software) != len(want.Software) {
		t.Errorf("%d profiles of %d systems, want %d of %d", len(got.Profiles), len(got.Software), len(want.Profiles), len(want.Software))
	}
}

// Instances that are alone in their profiles keep them: their rows are not written anew.
func TestRowsOfInstancesWithProfilesOfTheirOwnStay(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	var page event.InstancesListed
	var instances []ecs.Instance
	for i := range 4 {
		instances = append(instances, ecs.Instance{ID: fmt.Sprintf("i-%d", i), Type: "ecs.g7.large", Family: "ecs.g7", ImageID: fmt.Sprintf("m-%d", i), OSType: "linux"})
	}
	page.SetInstances(instances)
	reader, images := outcome.NewReader(rs.NewClassifier(nil)), make([]*Image, len(page.Software))
	out := Classify(reader, &page, images)
	judgeAgain(reader, &page, images, out, hungOf(&page, []int{1, 2, 3}), map[string]rules.GuestFacts{"i-1": {Up: rules.Yes}, "i-2": {}, "i-3": {Up: rules.Yes, Kernel: "5.10"}})
	if !out.Rows.Equal(page.Rows) || len(out.Profiles) != 4 || len(out.Software) != 4 {
		t.Errorf("%d profiles of %d systems; rows as they were: %t", len(out.Profiles), len(out.Software), out.Rows.Equal(page.Rows))
	}
	for i, class := range out.Classes { // i-2, of which nothing is known, has that of i-0
		if slices.Contains(out.Classes[:i], class) {
			t.Errorf("class %d is there twice: %+v", i, class)
		}
	}
	var kernels []string
	for i := range out.Profiles {
		kernels = append(kernels, out.Facts(i).Guest.Up.String()+out.Facts(i).Guest.Kernel)
	}
	if diff := cmp.Diff([]string{"unobserved", "yes", "unobserved", "yes5.10"}, kernels); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Calls beside those that list are as many as the share allows; a page takes a call for each
// hundred instances and one for the rest.
func TestAShareIsOfTheCallsThatList(t *testing.T) {
	for instances, want := range map[int]int{0: 0, 1: 1, 100: 1, 101: 2, 1000: 10} {
		page := &event.InstancesListed{Walk: event.Walk{ScanID: "s"}}
		page.SetInstances(make([]ecs.Instance, instances))
		calls, taken := callShare{share: 1}, 0
		for calls.listed(page); taken <= instances && calls.take("s"); {
			taken++
		}
		if taken != want {
			t.Errorf("%d calls beside those that list %d instances, want %d", taken, instances, want)
		}
	}
}

// A scan that is told apart makes its free calls once; sixteen are.
func TestFreeCallsAreOfAScan(t *testing.T) {
	calls := callShare{free: 1}
	for i := range 16 {
		if scan := fmt.Sprint(i); !calls.take(scan) || calls.take(scan) || calls.take("0") {
			t.Fatalf("scan %s, or the first one beside it, makes none or two", scan)
		}
	}
	if !calls.take("16") || calls.take("1") || !calls.take("0") {
		t.Error("the first of seventeen is told apart, or the second is not")
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
