package event_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// A scope that no part announces is scanned by nobody, and one that two announce
// is counted twice. Whoever reads the parts must know which is the last, since
// accounts that a whole announcement does not name are taken for gone.
func TestAnAnnouncementIsCutAndNothingOfItIsLost(t *testing.T) {
	for name, c := range map[string]struct{ scopes, failures, accounts, parts int }{
		"nothing":                    {0, 0, 0, 1},
		"one scope":                  {1, 0, 1, 1},
		"scopes that fill a part":    {3000, 0, 1, 1},
		"a scope more":               {3001, 0, 1, 2},
		"scopes that fill two parts": {6000, 0, 1, 2},
		"failures that fill a part":  {0, 80, 0, 1},
		"a failure more":             {0, 81, 0, 2},
		"accounts that fill a part":  {0, 0, 2000, 1},
		"an account more":            {0, 0, 2001, 2},
		"failures need the most":     {3001, 241, 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			whole := &event.ScanPlanned{ScanID: "s-1", Part: "end", AllAccounts: true, InstanceIDs: []string{"i-1"}}
			for i := range c.scopes {
				whole.Scopes = append(whole.Scopes, ecs.Scope{Account: fmt.Sprint(i), Region: "cn-hangzhou"})
			}
			for i := range c.failures {
				whole.Failed = append(whole.Failed, record.Failure{Account: fmt.Sprint(i)})
			}
			for i := range c.accounts {
				whole.Accounts = append(whole.Accounts, event.PlannedAccount{ID: fmt.Sprint(i)})
			}
			parts := whole.Parts()
			if len(parts) != c.parts {
				t.Fatalf("%d parts, want %d", len(parts), c.parts)
			}
			joined := &event.ScanPlanned{ScanID: "s-1", Part: "end", AllAccounts: true}
			for i, part := range parts {
				last, wantName := i == len(parts)-1, "end"
				if i > 0 {
					wantName = fmt.Sprintf("end+%d", i)
				}
				if part.Part != wantName || part.More == last || part.AllAccounts != last || part.ScanID != "s-1" {
					t.Errorf("part %d of %d is %q, more %t, all accounts %t", i, len(parts), part.Part, part.More, part.AllAccounts)
				}
				joined.Scopes = append(joined.Scopes, part.Scopes...)
				joined.Failed = append(joined.Failed, part.Failed...)
				joined.Accounts = append(joined.Accounts, part.Accounts...)
				joined.InstanceIDs = append(joined.InstanceIDs, part.InstanceIDs...)
			}
			if diff := cmp.Diff(whole, joined); diff != "" {
				t.Errorf("the parts together are not the whole (-whole +parts):\n%s", diff)
			}
		})
	}
}

// A part of an announcement that others follow says so even where it is cut.
func TestAPartThatOthersFollowIsNeverTheLast(t *testing.T) {
	for _, part := range (&event.ScanPlanned{Part: "a", More: true, Failed: make([]record.Failure, 100)}).Parts() {
		if !part.More {
			t.Errorf("part %q says that nothing follows", part.Part)
		}
	}
}
