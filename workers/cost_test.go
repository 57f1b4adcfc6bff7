package workers_test

import (
	"fmt"
	"testing"
	"time"
)

// Asking the platform costs one call for each image at first; a daily scan makes
// at most two in a hundred more calls than it takes to list the fleet, since a
// thirtieth of the answers is renewed a day.
func TestPlatformCostsASteadyScanTwoPercent(t *testing.T) {
	t.Parallel()
	for _, instances := range []int{10_000, 1_000_000} {
		r := newPlatform(t)
		const days = 91
		images, listing := instances*3/1000, instances/100
		ids := make([]string, images)
		for i := range ids {
			ids[i] = fmt.Sprintf("m-bp1%017d", i)
		}
		calls := func() int { return r.cloud.calls() + r.cloud.listings }
		cold, steady, most := 0, 0, 0
		for day := range days {
			before := calls()
			if _, err := r.Images(t.Context(), scope, ids); err != nil {
				t.Fatal(err)
			}
			if n := calls() - before; day == 0 {
				cold = n
			} else {
				steady, most = steady+n, max(most, n)
			}
			r.now = r.now.Add(24 * time.Hour)
		}
		t.Logf("%d instances, %d calls to list them, %d images: %d calls for the platform at first, then %.1f a day and %d at most", instances, listing, images, cold, float64(steady)/(days-1), most)
		if cold > images+2 { // the yardstick is found with one call and asked about with another
			t.Errorf("%d calls at first, for %d images and a yardstick", cold, images)
		}
		if steady*100 > 2*listing*(days-1) {
			t.Errorf("%d more calls in %d days that list the fleet with %d each: more than 2 in 100", steady, days-1, listing)
		}
	}
}
