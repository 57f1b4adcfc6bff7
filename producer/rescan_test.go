package producer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// lagging is a cloud whose answers to questions by id take a second, and leave out
// what gone names.
type lagging struct {
	*cloud
	asked atomic.Int64
}

func (s *lagging) Instances(ctx context.Context, scope ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	s.asked.Add(1)
	page, err := s.cloud.Instances(ctx, scope, q)
	time.Sleep(time.Second)
	if err == nil && slices.Contains(q.InstanceIDs, "i-000150") { // the queue held it up for longer
		page.Asked = page.Asked.Add(-20 * time.Second)
	}
	return page, err
}

// A rescan of several answers is as old as the oldest of those that hold an instance,
// counted from when its call left, and tells what became of each.
func TestARescanIsAsOldAsItsOldestAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		there, pages int
		age          time.Duration
	}{
		"all are there":                             {400, 4, 21 * time.Second},
		"the oldest answer holds one":               {151, 2, 21 * time.Second},
		"the oldest answer holds none":              {100, 1, time.Second},
		"an answer that is not the oldest has none": {200, 2, 21 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, j, o := &lagging{cloud: &cloud{instances: fleet(tc.there, time.Hour)}}, &journal{}, options()
				o.Now = time.Now
				var ids []string
				for _, x := range fleet(400, time.Hour) {
					ids = append(ids, x.ID)
				}
				req := &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: []string{"1"}, Regions: []string{"cn-x"}, InstanceIDs: ids}
				if err := producer.New(o, c, accounts(c, "1"), j, nil).HandleRescan(t.Context(), req, time.Now(), "1"); err != nil {
					t.Fatal(err)
				}
				pages, ended := of[*event.InstancesListed](j), of[*event.LaneEnded](j)
				if len(ended) != 1 || ended[0].Pages != tc.pages || len(pages) != tc.pages || ended[0].Instances != tc.there || ended[0].Listed != tc.there || len(ended[0].Found) != tc.there || len(ended[0].NotFound) != 400-tc.there {
					t.Fatalf("%d pages, ended %+v", len(pages), ended)
				}
				for i, page := range pages {
					if age := time.Since(time.Unix(0, page.Observed)); page.Page != i || age != tc.age {
						t.Errorf("page %d of %d is %s old, want %s", page.Page, len(pages), age, tc.age)
					}
				}
			})
		})
	}
}

// A rescan whose instances are judged without what they answered themselves says so, as a
// scan does.
func TestARescanNamesWhatMachinesAnsweredUnread(t *testing.T) {
	for _, lost := range []error{nil, errors.New("no bucket")} {
		c, j, o := &cloud{instances: fleet(3, time.Hour)}, &journal{}, options()
		o.Guests = &machines{err: lost}
		req := &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: []string{"1"}, Regions: []string{"cn-x"}, InstanceIDs: []string{c.instances[0].ID}}
		if err := producer.New(o, c, accounts(c, "1"), j, nil).HandleRescan(t.Context(), req, time.Now(), "1"); err != nil {
			t.Fatal(err)
		}
		ended := of[*event.LaneEnded](j)
		if len(ended) != 1 || len(ended[0].Found) != 1 || (ended[0].Failure != nil) != (lost != nil) {
			t.Fatalf("%v: ended %+v", lost, ended)
		}
		if f := ended[0].Failure; f != nil && (f.API != "shenscan" || !strings.Contains(f.Error, "no bucket")) {
			t.Errorf("%+v", f)
		}
	}
}

// What is known to be where the request does not look is not looked for there.
func TestARescanLooksWhereItsRequestSays(t *testing.T) {
	elsewhere := ecs.Scope{Account: "2", Region: "cn-y"}
	for _, tc := range []struct {
		accounts, regions []string
		known             ecs.Scope
		want              []ecs.Scope
	}{
		{nil, nil, elsewhere, []ecs.Scope{elsewhere}},
		{[]string{"1", "2"}, []string{"cn-y"}, elsewhere, []ecs.Scope{elsewhere}},
		{[]string{"1"}, nil, elsewhere, []ecs.Scope{{Account: "1", Region: "cn-x"}, {Account: "1", Region: "cn-y"}}},
		{nil, []string{"cn-x"}, elsewhere, []ecs.Scope{{Account: "1", Region: "cn-x"}, {Account: "2", Region: "cn-x"}}},
	} {
		c, j := &cloud{regions: []string{"cn-x", "cn-y"}}, &journal{}
		req := &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: tc.accounts, Regions: tc.regions, InstanceIDs: []string{"i-000001"}}
		if err := producer.New(options(), c, accounts(c, "1", "2"), j, known{"i-000001": tc.known}).HandleRescan(t.Context(), req, time.Unix(100, 0), "1"); err != nil {
			t.Fatal(err)
		}
		if plans := of[*event.ScanPlanned](j); len(plans) != 1 || !slices.Equal(plans[0].Scopes, tc.want) {
			t.Errorf("accounts %q and regions %q: %+v, want %v", tc.accounts, tc.regions, plans, tc.want)
		}
	}
}

// Whether instances that a list lacks are there is asked until enough are found to
// say so: of thousands, not each.
func TestACheckEndsWithWhatIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, j := &lagging{cloud: &cloud{instances: fleet(3, time.Hour)}}, &journal{}
		var ids []string
		for _, x := range fleet(2000, time.Hour) {
			ids = append(ids, x.ID)
		}
		if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleCheck(t.Context(), &event.ScopeCheck{ScanID: "s", Question: "q", Scope: scope, InstanceIDs: ids}, "1"); err != nil {
			t.Fatal(err)
		}
		if n := c.asked.Load(); n < 4 || n > 8 { // those that are under way when the first answers, and those that begin then
			t.Errorf("%d calls for 2,000 instances of which the first answer holds three", n)
		}
	})
}
