package producer_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// chain is a cloud whose pages a test changes.
type chain struct {
	*cloud
	change func(call int, page *ecs.Page)
	count  error
}

func (c *chain) Instances(ctx context.Context, s ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	page, err := c.cloud.Instances(ctx, s, q)
	if err == nil && c.change != nil {
		c.change(c.calls, page)
	}
	return page, err
}

func (c *chain) CountInstances(ctx context.Context, s ecs.Scope, q ecs.Query) (int, error) {
	n, err := c.cloud.CountInstances(ctx, s, q)
	return n, errors.Join(err, c.count)
}

func walkLane(t *testing.T, o producer.Options, c producer.Cloud, job *event.LaneJob) (*event.LaneEnded, *journal) {
	t.Helper()
	j := &journal{}
	job.ScanID, job.Scope, job.Lane = "s", scope, "all"
	if err := producer.New(o, c, accounts(c, "1"), j, nil).HandleLane(t.Context(), job, "1"); err != nil {
		t.Fatal(err)
	}
	ended := of[*event.LaneEnded](j)
	if len(ended) != 1 {
		t.Fatalf("ended %d times", len(ended))
	}
	return ended[0], j
}

// A lane that begins or ends at a time is counted before it is read: one of all times
// was counted with its scope.
func TestAPartOfAScopeIsCountedBeforeItIsRead(t *testing.T) {
	at := time.Date(2015, 6, 1, 20, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		job    event.LaneJob
		counts int
	}{
		"all times":         {event.LaneJob{}, 1}, // afterwards
		"from a time on":    {event.LaneJob{From: at}, 2},
		"up to a time":      {event.LaneJob{To: at}, 2},
		"counted elsewhere": {event.LaneJob{Counted: new(int)}, 1},
	} {
		c := &cloud{pageSize: 10}
		ended, _ := walkLane(t, options(), c, &tc.job)
		if c.probes != tc.counts || ended.Failure != nil {
			t.Errorf("%s: counted %d times, want %d; %+v", name, c.probes, tc.counts, ended.Failure)
		}
	}
	ended, j := walkLane(t, options(), &chain{cloud: &cloud{pageSize: 10, instances: fleet(3, time.Hour)}, count: &ecs.Error{Action: "DescribeInstances", Class: ecs.Permission, Err: errors.New("no")}}, &event.LaneJob{From: at})
	if ended.Failure == nil || ended.Failure.Class != "permission" || len(seen(j)) != 0 || ended.Walk != "1" {
		t.Errorf("a lane that cannot be counted: %+v", ended)
	}
}

// An answer of a call that left a minute ago is as good as a new one; one that is
// older is read again.
func TestAnAnswerOfAMinuteAgoIsTaken(t *testing.T) {
	for age, calls := range map[time.Duration]int{time.Minute: 1, time.Minute + 1: 2} {
		synctest.Test(t, func(t *testing.T) {
			c := &chain{cloud: &cloud{instances: fleet(5, time.Hour), pageSize: 10}}
			c.change = func(call int, page *ecs.Page) {
				if call == 1 {
					page.Asked = page.Asked.Add(-age)
				}
			}
			if ended, j := walkLane(t, options(), c, &event.LaneJob{}); c.calls != calls || ended.Failure != nil || len(seen(j)) != 5 {
				t.Errorf("%d calls for an answer of %s ago, want %d; %+v", c.calls, age, calls, ended.Failure)
			}
		})
	}
}

// A lane starts over as often as it may, and says where tokens run in a circle.
func TestAChainThatDoesNotEndIsGivenUp(t *testing.T) {
	expired := &ecs.Error{Action: "DescribeInstances", Class: ecs.TokenExpired, Code: "InvalidNextToken", Err: errors.New("expired")}
	for restarts, calls := range map[int]int{0: 2, 3: 8} {
		c := &cloud{instances: fleet(20, time.Hour), pageSize: 10}
		c.fail = func(_ int, q ecs.Query) error {
			if q.NextToken != "" {
				return expired
			}
			return nil
		}
		o := options()
		o.Restarts = restarts
		if ended, _ := walkLane(t, o, c, &event.LaneJob{}); c.calls != calls || ended.Failure == nil || ended.Failure.Class != "token-expired" {
			t.Errorf("with %d restarts: %d calls, want %d; %+v", restarts, c.calls, calls, ended.Failure)
		}
	}
	c := &chain{cloud: &cloud{instances: fleet(20, time.Hour), pageSize: 10}}
	c.change = func(_ int, page *ecs.Page) { page.NextToken = "t10" }
	if ended, _ := walkLane(t, options(), c, &event.LaneJob{}); ended.Failure == nil || !strings.Contains(ended.Failure.Error, "runs in a circle after 2 pages") {
		t.Errorf("%+v", ended.Failure)
	}
}

// machines say what they answered, or nothing that can be read.
type machines struct {
	err   error
	asked []int
}

func (m *machines) Fill(_ context.Context, _ ecs.Scope, instances []ecs.Instance) error {
	m.asked = append(m.asked, len(instances))
	return m.err
}

// What machines answered is looked up for answers that hold any, and where it cannot
// be read the lane goes on without it to its end, and is not complete.
func TestALaneGoesOnWithoutWhatMachinesAnswered(t *testing.T) {
	for _, err := range []error{nil, errors.New("no sink answers")} {
		var log bytes.Buffer
		m := &machines{err: err}
		o := options()
		o.Guests, o.Log = m, slog.New(slog.NewTextHandler(&log, nil))
		for _, n := range []int{0, 15} {
			c := &cloud{instances: fleet(n, time.Hour), pageSize: 10}
			ended, j := walkLane(t, o, c, &event.LaneJob{})
			if len(seen(j)) != n || (ended.Failure != nil) != (err != nil && n > 0) {
				t.Errorf("%d of %d instances, %+v", len(seen(j)), n, ended.Failure)
			}
			if f := ended.Failure; f != nil && (f.API != "shenscan" || f.Class != "transient" || f.Mend == "" || !strings.Contains(f.Error, "no sink answers")) {
				t.Errorf("%+v", f)
			}
		}
		if len(m.asked) != 2 || m.asked[0] != 10 || m.asked[1] != 5 || strings.Count(log.String(), `msg="what machines answered could not be read`) != map[bool]int{true: 0, false: 2}[err == nil] {
			t.Errorf("asked for %v; the log says %s", m.asked, log.String())
		}
	}
}

// Somebody who asks for a scan waits for a sink as long as it may take, and no longer.
func TestAScanWaitsForASinkAsLongAsItMay(t *testing.T) {
	for after, ok := range map[int]bool{4: true, 5: false} { // one answer each quarter of a second
		synctest.Test(t, func(t *testing.T) {
			o := producer.DefaultRequestOptions()
			o.ClaimWait = time.Second
			j := &journal{}
			d := producer.NewRequests(o, accounts(&cloud{}, "1"), j, &unanswered{claims{held: map[string]string{}}, after}, "test")
			began := time.Now()
			reply, err := d.Scan(t.Context(), nil)
			if (err == nil) != ok || ok && reply.ScanID == "" || time.Since(began) != time.Second {
				t.Errorf("after %d answers without a word: %+v, %v in %s", after, reply, err, time.Since(began))
			}
		})
	}
}
