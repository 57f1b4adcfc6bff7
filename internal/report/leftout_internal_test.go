package report

import (
	"testing"

	"github.com/shenscan/shenscan/internal/record"
)

// It is never all of it: what is told to its end is not said any more.
func TestJudgingAnewSaysHowFar(t *testing.T) {
	for want, r := range map[string]record.Rejudging{"judging anew, 40 %:": {Instances: 2, Of: 5}, "judging anew, 99 %:": {Instances: 5, Of: 5}, "judging anew, 0 %:": {}} {
		if got := judgingAnew(&r); got[:len(want)] != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
