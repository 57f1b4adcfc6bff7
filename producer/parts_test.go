package producer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
)

// held is a cloud of which one account does not answer until it is let go.
type held struct {
	*cloud
	slow string
	free chan struct{}
}

func (h held) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	if account == h.slow {
		select {
		case <-h.free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return h.cloud.Regions(ctx, account)
}

// One account of thirty that does not answer keeps none of the others waiting:
// the scan is announced, and theirs are handed out and announced.
func TestAThrottledAccountHoldsUpNobody(t *testing.T) {
	var ids []string
	for i := range 30 {
		ids = append(ids, fmt.Sprintf("acc-%02d", i))
	}
	c, j := held{&cloud{regions: []string{"cn-x", "cn-y"}}, "acc-07", make(chan struct{})}, &journal{}
	ended := make(chan error, 1)
	go func() {
		ended <- producer.New(options(), c, accounts(c, ids...), j, nil).HandleScan(t.Context(), &event.ScanRequested{ScanID: "s", Kind: event.KindScan}, time.Unix(100, 0))
	}()
	for deadline := time.Now().Add(2 * time.Minute); len(of[*event.ScopeJob](j)) < 58 || len(of[*event.ScanPlanned](j)) < 30; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d jobs and %d parts while one account does not answer", len(of[*event.ScopeJob](j)), len(of[*event.ScanPlanned](j)))
		}
	}
	head := of[*event.ScanPlanned](j)[0]
	if len(head.Accounts) != 30 || !head.Accounts[7].Pending || !head.More {
		t.Errorf("the head is %+v", head)
	}
	close(c.free)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if plan := whole(t, j); len(plan.Scopes) != 60 || len(plan.Failed) != 0 {
		t.Errorf("%d scopes, failed %v", len(plan.Scopes), plan.Failed)
	}
}

// A plan of 18,000 scopes of which 600 could not be listed fits in messages.
func TestAPlanOfEighteenThousandScopesFits(t *testing.T) {
	plan := &event.ScanPlanned{ScanID: "s", Kind: event.KindScan, Part: "end", AllAccounts: true, InstanceIDs: []string{"i-1"}}
	for i := range 18_000 {
		s := ecs.Scope{Account: fmt.Sprintf("%016d", i/30), Region: fmt.Sprintf("cn-some-region-%d", i%30)}
		plan.Scopes = append(plan.Scopes, s)
		if i%30 == 0 {
			plan.Accounts = append(plan.Accounts, event.PlannedAccount{ID: s.Account, Name: strings.Repeat("n", 128)})
			plan.Failed = append(plan.Failed, record.Failure{Account: s.Account, Error: strings.Repeat("x", 4000), Mend: strings.Repeat("m", 500)})
		}
	}
	var scopes, failed, accounts, ids int
	subjects := map[string]bool{}
	parts := plan.Parts()
	for i, part := range parts {
		if _, err := event.Encode(part); err != nil {
			t.Errorf("part %d: %v", i, err)
		}
		_, id := event.Route(part)
		subjects[id] = true
		scopes, failed, accounts, ids = scopes+len(part.Scopes), failed+len(part.Failed), accounts+len(part.Accounts), ids+len(part.InstanceIDs)
		if last := i == len(parts)-1; part.More == last || part.AllAccounts != last {
			t.Errorf("part %d of %d: more %v, all accounts %v", i, len(parts), part.More, part.AllAccounts)
		}
	}
	if scopes != 18_000 || failed != 600 || accounts != 600 || ids != 1 || len(subjects) != len(parts) {
		t.Errorf("%d parts with %d ids hold %d scopes, %d failures, %d accounts, %d instances", len(parts), len(subjects), scopes, failed, accounts, ids)
	}
}
