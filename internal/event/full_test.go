package event_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
)

// A page is full of instances, or of images before that: workers add what is known
// of each image, and all of it has to fit into a message.
func TestAPageIsFullOfInstancesOrOfSystems(t *testing.T) {
	for images, want := range map[int]int{1: event.MaxInstances, event.MaxSystems - 1: event.MaxInstances, event.MaxInstances: event.MaxSystems} {
		page := event.NewPageWriter()
		for i := 0; !page.Full(); i++ {
			page.Add(&ecs.Instance{ID: fmt.Sprintf("i-%d", i), ImageID: fmt.Sprintf("m-%d", i%images)})
		}
		if page.Len() != want {
			t.Errorf("a page of instances of %d images is full with %d, want %d", images, page.Len(), want)
		}
		page.Close()
	}
}

// Words that tell instances apart are not looked up for ever; what comes again
// behind them is read as what it is.
func TestWordsThatTellInstancesApartAreKept(t *testing.T) {
	var instances []ecs.Instance
	for i := range 300 {
		host := fmt.Sprintf("host-%d", i)
		if i > 150 && i%3 == 0 {
			host = fmt.Sprintf("host-%d", i%50)
		}
		instances = append(instances, ecs.Instance{
			ID: fmt.Sprintf("i-%d", i), Zone: fmt.Sprintf("zone-%d", i), Status: "Running", CreationTime: "2021-12-10T04:04Z",
			Tags: []ecs.Tag{{Key: "host", Value: host}, {Key: "team", Value: fmt.Sprintf("team-%d", i%4)}},
		})
	}
	var page event.InstancesListed
	page.SetInstances(instances)
	encoded, err := event.Encode(&page)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := event.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(instances, decoded.(*event.InstancesListed).Instances()); diff != "" {
		t.Errorf("(-listed +read) %s", diff)
	}
	// 64 of the zones, 64 of the hosts, and those that do come again: a status, no
	// network type, two keys, four teams, however they alternate.
	reader := page.Rows.Reader(nil)
	if numbered := len(reader.Words); numbered != 64+64+8 {
		t.Errorf("%d words of the page have a number, where 600 do not come again", numbered)
	}
	for reader.Next() {
		if reader.Status.N == 0 || reader.Tags[0].Key.N == 0 || reader.Tags[1].Value.N == 0 {
			t.Fatalf("words of %s that come again and again are spelt out", reader.ID)
		}
	}
}
