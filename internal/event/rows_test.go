package event_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/rules"
)

func oneRow(change func(*event.Row)) event.Row {
	row := event.Row{
		ID: "i-1", Name: "web", Zone: "z", Status: "Running", CreationTime: "2021-12-10T04:04Z", NetworkType: "vpc", CPU: 2, MemoryMiB: 4096,
		Tags: []ecs.Tag{{Key: "env", Value: "prod"}}, Profile: 1, Started: 7,
	}
	change(&row)
	return row
}

// Rows are equal where each field of each is.
func TestRowsAreEqualWhereEveryFieldIs(t *testing.T) {
	same := func(*event.Row) {}
	rows := event.RowsOf([]event.Row{oneRow(same), oneRow(same)})
	for name, change := range map[string]func(*event.Row){
		"id":       func(r *event.Row) { r.ID = "i-2" },
		"name":     func(r *event.Row) { r.Name = "db" },
		"zone":     func(r *event.Row) { r.Zone = "y" },
		"status":   func(r *event.Row) { r.Status = "Stopped" },
		"created":  func(r *event.Row) { r.CreationTime = "2021-12-10T04:05Z" },
		"network":  func(r *event.Row) { r.NetworkType = "classic" },
		"cpu":      func(r *event.Row) { r.CPU = 4 },
		"memory":   func(r *event.Row) { r.MemoryMiB = -1 },
		"profile":  func(r *event.Row) { r.Profile = 0 },
		"started":  func(r *event.Row) { r.Started = 0 },
		"no tags":  func(r *event.Row) { r.Tags = nil },
		"tag":      func(r *event.Row) { r.Tags = []ecs.Tag{{Key: "env", Value: "test"}} },
		"more tag": func(r *event.Row) { r.Tags = append(r.Tags, ecs.Tag{Key: "a"}) },
	} {
		for _, list := range [][]event.Row{{oneRow(change), oneRow(same)}, {oneRow(same), oneRow(change)}} {
			if other := event.RowsOf(list); rows.Equal(other) || other.Equal(rows) {
				t.Errorf("rows that differ in %s are equal", name)
			}
		}
	}
	if one := event.RowsOf([]event.Row{oneRow(same)}); rows.Equal(one) || one.Equal(rows) || rows.Equal(event.Rows{}) {
		t.Error("one row is equal to two")
	}
	if !event.RowsOf(slices.Collect(rows.All())).Equal(rows) || !event.RowsOf(nil).Equal(event.Rows{}) {
		t.Error("rows that were read are not equal to those that were written")
	}
}

// A row keeps all that it had, its last minute and no tags included, and says
// where it has no id, which no stage may store.
func TestRowsAreReadAsTheyWereWritten(t *testing.T) {
	last, ok := event.PackMinute("9999-99-99T99:99Z")
	if !ok {
		t.Fatal("the last minute is none")
	}
	for name, c := range map[string]struct {
		rows     []event.Row
		nameless bool
	}{
		"none":                 {nil, false},
		"without tags":         {[]event.Row{{ID: "i-1", CreationTime: "9999-99-99T99:99Z", Started: last}}, false},
		"negative":             {[]event.Row{{ID: "i-1", CPU: -1, MemoryMiB: -1 << 31}, {ID: "i-2", CPU: 1<<31 - 1}}, false},
		"the first has no id":  {[]event.Row{{}, {ID: "i-2"}}, true},
		"the second has no id": {[]event.Row{{ID: "i-1"}, {}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			written := event.RowsOf(c.rows)
			page := &event.InstancesListed{Software: make([]event.Installed, 1), Hardware: fleetPage().Hardware[:1], Profiles: make([]event.Profile, 1), Rows: written}
			encoded, err := event.Encode(page)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := event.Decode(encoded)
			if err != nil {
				t.Fatal(err)
			}
			read := decoded.(*event.InstancesListed).Rows
			if diff := cmp.Diff(c.rows, slices.Collect(read.All())); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
			if written.Nameless() != c.nameless || read.Nameless() != c.nameless || read.Len() != len(c.rows) {
				t.Errorf("written nameless %t, read nameless %t, %d rows", written.Nameless(), read.Nameless(), read.Len())
			}
		})
	}
}

// Nothing that a page is cut down to is read, wherever it ends, and none of it
// brings the reader down.
func TestAPageThatIsCutShortIsRefused(t *testing.T) {
	var rows []event.Row
	for i := range 150 { // more words than one byte has numbers
		rows = append(rows, oneRow(func(r *event.Row) {
			r.Profile, r.Tags = 0, []ecs.Tag{{Key: "a", Value: fmt.Sprint(i % 50)}, {Key: "b", Value: fmt.Sprint("b", i%50)}, {Key: "c", Value: fmt.Sprint("c", i%50)}}
		}))
	}
	page := fleetPage()
	page.Rows = event.RowsOf(rows)
	for kind, m := range map[string]event.Message{"listed": page, "classified": classified(t)} {
		whole, err := event.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		for n := 2; n < len(whole); n++ {
			if _, err := event.Decode(whole[:n]); !errors.Is(err, event.ErrMalformed) {
				t.Fatalf("%s, cut after %d of %d bytes: %v", kind, n, len(whole), err)
			}
		}
	}
}

// A time that is spelt otherwise is kept as a text; only the minutes of the cloud
// are numbers.
func TestOnlyMinutesArePacked(t *testing.T) {
	for text, want := range map[string]bool{
		"2017-12-10T04:04Z": true, "0000-00-00T00:00Z": true, "9999-99-99T99:99Z": true,
		"": false, "2017-12-10T04:04": false, "2017-12-10T04:04:00Z": false, "2017-12-10 04:04Z": false,
		"2017-12-10T04:0/Z": false, "2017-12-10T04:0:Z": false, "2017-12-10T04:0xZ": false,
	} {
		number, ok := event.PackMinute(text)
		if ok != want || ok != (number > 0) {
			t.Errorf("%q is packed to %d, %t", text, number, ok)
		}
		if ok && event.UnpackMinute(number) != text {
			t.Errorf("%q comes back as %q", text, event.UnpackMinute(number))
		}
	}
}

// An instance whose texts are too long for a page is left out by whoever lists it,
// which needs every text counted.
func TestEveryTextOfAnInstanceCounts(t *testing.T) {
	const most = 128 << 10
	for name, set := range map[string]func(*ecs.Instance, string){
		"id":         func(i *ecs.Instance, s string) { i.ID = s },
		"name":       func(i *ecs.Instance, s string) { i.Name = s },
		"image":      func(i *ecs.Instance, s string) { i.ImageID = s },
		"os":         func(i *ecs.Instance, s string) { i.OSName = s },
		"english os": func(i *ecs.Instance, s string) { i.OSNameEn = s },
		"type":       func(i *ecs.Instance, s string) { i.Type = s },
		"family":     func(i *ecs.Instance, s string) { i.Family = s },
		"zone":       func(i *ecs.Instance, s string) { i.Zone = s },
		"tag key":    func(i *ecs.Instance, s string) { i.Tags = []ecs.Tag{{}, {Key: s}} },
		"tag value":  func(i *ecs.Instance, s string) { i.Tags = []ecs.Tag{{Value: s}, {}} },
	} {
		var fits, long ecs.Instance
		set(&fits, strings.Repeat("x", most))
		set(&long, strings.Repeat("x", most+1))
		if !event.Fits(&fits) || event.Fits(&long) {
			t.Errorf("%s: the longest fits %t, a longer one %t", name, event.Fits(&fits), event.Fits(&long))
		}
	}
}

// fleetInstances are 100 instances such as a page of a fleet has.
func fleetInstances() []ecs.Instance {
	instances := make([]ecs.Instance, ecs.MaxPage)
	for i := range instances {
		instances[i] = ecs.Instance{
			ID: fmt.Sprintf("i-bp67acfmxazb4p%04d", i), Name: fmt.Sprintf("web-%05d", i), Type: fmt.Sprintf("ecs.g6.%dxlarge", i%8), Family: "ecs.g6",
			ImageID: fmt.Sprintf("centos_7_%d_x64_20G_alibase_20220824.vhd", i%10), OSName: "CentOS  7.9 64位", OSNameEn: "CentOS  7.9 64 bit", OSType: "linux",
			Status: "Running", Zone: "cn-hangzhou-h", CreationTime: "2021-12-10T04:04Z", NetworkType: "vpc", IoOptimized: rules.Yes, OSNVMe: rules.No,
			CPU: 2, MemoryMiB: 8192, Tags: []ecs.Tag{{Key: "env", Value: "prod"}, {Key: "team", Value: "payments"}},
		}
	}
	return instances
}

// fleetPage is a page of them.
func fleetPage() *event.InstancesListed {
	m := &event.InstancesListed{
		Walk: event.Walk{ScanID: "s-1", Kind: event.KindScan, Scope: ecs.Scope{Account: "1234567890123456", Region: "cn-hangzhou"}, Lane: "4k-1.0", Walk: "5c-1.0"},
		Page: 7, Epoch: 1_763_000_000_000_000_000, Observed: 1_763_000_001_000_000_000,
	}
	m.SetInstances(fleetInstances())
	return m
}
