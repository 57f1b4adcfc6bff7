package producer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/producer"
)

// uncountable refuses to count.
type uncountable struct {
	*cloud
	err error
}

func (u uncountable) CountInstances(context.Context, ecs.Scope, ecs.Query) (int, error) {
	u.probes++
	return 0, u.err
}

// What a sink asks of a scope before it takes anything for gone is answered with
// what the cloud says, and with why not where it does not say.
func TestQuestionsAboutAScopeAreAnswered(t *testing.T) {
	three := 3
	denied := &ecs.Error{Action: "DescribeInstances", Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("no")}
	ids := []string{"i-000000", "i-000001", "i-gone"}
	for name, c := range map[string]struct {
		question      event.ScopeCheck
		cloud         *cloud
		err           error // of counts
		counted       *int
		found         int
		examples      []string
		failed        bool
		probes, calls int
	}{
		"how many there are":          {question: event.ScopeCheck{Count: true}, counted: &three, probes: 1},
		"how many, of a silent cloud": {question: event.ScopeCheck{Count: true}, cloud: &cloud{uncounted: true}, probes: 1},
		"which are there":             {question: event.ScopeCheck{InstanceIDs: ids}, found: 2, examples: ids[:2], calls: 1},
		"both":                        {question: event.ScopeCheck{Count: true, InstanceIDs: ids[2:]}, counted: &three, probes: 1, calls: 1},
		"nothing":                     {},
		"more than are named":         {question: event.ScopeCheck{InstanceIDs: []string{"i-000000", "i-000001", "i-000002", "i-000003"}}, cloud: &cloud{instances: fleet(4, time.Hour)}, found: 4, examples: []string{"i-000000", "i-000001", "i-000002"}, calls: 1},
		"what cannot be counted":      {question: event.ScopeCheck{Count: true, InstanceIDs: ids}, err: denied, failed: true, probes: 1},
		"what may not be read":        {question: event.ScopeCheck{InstanceIDs: ids[2:]}, cloud: &cloud{denied: true}, failed: true, calls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			if c.cloud == nil {
				c.cloud = &cloud{}
			}
			if c.cloud.instances == nil {
				c.cloud.instances = fleet(3, time.Hour)
			}
			var asks producer.Cloud = c.cloud
			if c.err != nil {
				asks = uncountable{c.cloud, c.err}
			}
			j := &journal{}
			c.question.ScanID, c.question.Kind, c.question.Scope, c.question.Question, c.question.Part = "s", event.KindScan, scope, "q", 2
			if err := producer.New(options(), asks, accounts(asks, "1"), j, nil).HandleCheck(t.Context(), &c.question, "1"); err != nil {
				t.Fatal(err)
			}
			answers := of[*event.ScopeChecked](j)
			if len(answers) != 1 || len(j.msgs) != 1 {
				t.Fatalf("%d answers", len(j.msgs))
			}
			got := *answers[0]
			if (got.Failure != nil) != c.failed || c.failed && (got.Failure.Code != "Forbidden.RAM" || got.Failure.Region != scope.Region) {
				t.Errorf("it failed with %+v", got.Failure)
			}
			got.Failure = nil
			want := event.ScopeChecked{ScanID: "s", Kind: event.KindScan, Scope: scope, Question: "q", Part: 2, Counted: c.counted, Found: c.found, Examples: c.examples}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.cloud.probes != c.probes || c.cloud.calls != c.calls {
				t.Errorf("%d counts and %d lists, want %d and %d", c.cloud.probes, c.cloud.calls, c.probes, c.calls)
			}
		})
	}
}

// A question that nobody can answer is not asked again and again, and the largest
// one is answered.
func TestQuestionsThatNobodyCanAnswer(t *testing.T) {
	named := func(n int) (ids []string) {
		for i := range n {
			ids = append(ids, fmt.Sprintf("i-%06d", i))
		}
		return ids
	}
	for name, question := range map[string]*event.ScopeCheck{
		"of no scan":        {Question: "q"},
		"without a name":    {ScanID: "s"},
		"about too many":    {ScanID: "s", Question: "q", InstanceIDs: named(event.MaxCheckIDs + 1)},
		"about nothing yet": {},
	} {
		c, j := &cloud{}, &journal{}
		if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleCheck(t.Context(), question, "1"); !event.IsTerminal(err) || len(j.msgs)+c.calls+c.probes > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, j := &cloud{instances: fleet(1, time.Hour)}, &journal{}
	if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleCheck(t.Context(), &event.ScopeCheck{ScanID: "s", Question: "q", InstanceIDs: named(event.MaxCheckIDs)}, "1"); err != nil {
		t.Error(err)
	}
	if got := of[*event.ScopeChecked](j); len(got) != 1 || got[0].Found != 1 {
		t.Errorf("the largest question is answered %+v", got)
	}
	// What was cut off by a stop is no answer.
	for _, question := range []*event.ScopeCheck{{ScanID: "s", Question: "q", InstanceIDs: named(1)}, {ScanID: "s", Question: "q", Again: true}} {
		stopped, stop := context.WithCancel(t.Context())
		stop()
		j = &journal{}
		if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleCheck(stopped, question, "1"); !errors.Is(err, context.Canceled) || len(j.msgs) > 0 {
			t.Errorf("a stop: %v, %d messages", err, len(j.msgs))
		}
	}
}

// A scope whose lanes disagreed with its counts is listed once more as one lane,
// which may take a part of the calls of the first listing.
func TestAScopeIsListedOnceMoreAsOneLane(t *testing.T) {
	const n = 10_000
	c, j := &cloud{instances: fleet(n, time.Hour)}, &journal{}
	question := &event.ScopeCheck{ScanID: "s", Kind: event.KindScan, Scope: scope, Question: "q", Again: true}
	if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleCheck(t.Context(), question, "7"); err != nil {
		t.Fatal(err)
	}
	lanes, plans := of[*event.LaneJob](j), of[*event.ScopePlanned](j)
	if len(lanes) != 1 || len(plans) != 1 || len(j.msgs) != 2 {
		t.Fatalf("%d lanes, %d plans of %d messages", len(lanes), len(plans), len(j.msgs))
	}
	if lane := lanes[0]; lane.Lane != "7.0" || !lane.From.IsZero() || !lane.To.IsZero() || lane.Counted == nil || *lane.Counted != n || lane.ScopeCalls != 1100 || lane.Calls > 1100 || lane.Calls < 1090 {
		t.Errorf("%+v", lane)
	}
	j = &journal{}
	failing := uncountable{c, &ecs.Error{Action: "DescribeInstances", Class: ecs.Throttled, Code: "Throttling"}}
	if err := producer.New(options(), failing, accounts(c, "1"), j, nil).HandleCheck(t.Context(), question, "7"); err != nil {
		t.Fatal(err)
	}
	if got := of[*event.ScopeChecked](j); len(got) != 1 || len(j.msgs) != 1 || got[0].Failure == nil || got[0].Failure.Code != "Throttling" || got[0].Question != "q" {
		t.Errorf("a scope that cannot be counted is answered %+v", got)
	}
}
