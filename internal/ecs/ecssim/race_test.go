package ecssim

import (
	"sync"
	"testing"
)

// Calls, churn and control at the same time; the race detector is the judge.
func TestCallsAndChurnSideBySide(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Instances: 1500, Regions: 2, Gzip: true})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				for _, region := range s.Regions() {
					if r := ask(t, s, "DescribeInstances", "RegionId", region, "MaxResults", "100", "ZoneId", region+"-b"); r.status != 200 {
						t.Errorf("%d %s", r.status, r.body)
					}
					ask(t, s, "DescribeImages", "RegionId", region, "PageSize", "100")
				}
				s.Stats()
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if _, err := s.Churn(ChurnPlan{Born: 5, Gone: 5, Stopped: 3, Reimaged: 3, Retyped: 3}); err != nil {
				t.Error(err)
			}
			_ = s.SetQuota(Quota{Calls: 1000})
			s.ExpireSessions()
		}
	})
	wg.Wait()
	if n := s.ScopeSize(DemoAccountID, "cn-hangzhou") + s.ScopeSize(DemoAccountID, "cn-shanghai"); n != 1500 {
		t.Errorf("%d instances", n)
	}
}
