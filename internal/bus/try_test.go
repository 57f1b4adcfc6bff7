package bus_test

import (
	"testing"

	"github.com/shenscan/shenscan/internal/bus"
)

// A job that was stored twice, because the answer to the first was lost for
// longer than the duplicate window, is two jobs that are both delivered for the
// first time. What they produce must not pass for one.
func TestTriesOfOneJobStoredTwiceHaveDifferentNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, d := range []bus.Delivery{{Seq: 1, Attempt: 1}, {Seq: 1, Attempt: 2}, {Seq: 2, Attempt: 1}, {Seq: 11, Attempt: 1}, {Seq: 1, Attempt: 11}} {
		if name := d.Try(); seen[name] || name == "" {
			t.Errorf("%+v is called %q like another", d, name)
		} else {
			seen[name] = true
		}
	}
}
