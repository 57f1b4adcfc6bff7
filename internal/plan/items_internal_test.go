package plan

import (
	"fmt"
	"testing"

	"github.com/shenscan/shenscan/internal/record"
)

// A large fleet has a group for every few dozen instances. What is to be done with
// its instances is kept once all the same, and each is told its own group.
func TestGroupsDoNotMultiplyTheWork(t *testing.T) {
	t.Parallel()
	const n = 500
	c := newCollector(false)
	wave := &Wave{}
	for i := range n {
		it := &Item{Account: "1", Region: "r", InstanceID: fmt.Sprintf("i-%04d", i), Note: "Stop it first."}
		if i%2 == 0 {
			it.StartGroup, it.groupNote = &ItemGroup{Kind: record.ScalingGroup, ID: fmt.Sprint("asg-", i)}, fmt.Sprint("It belongs to asg-", i, ".")
		}
		if err := c.add(wave, it); err != nil {
			t.Fatal(err)
		}
	}
	c.hold([]*Wave{wave}, nil, nil)
	if got := len(c.works.items); got != 1 {
		t.Errorf("%d kinds of work, want 1", got)
	}
	i := 0
	for it := range wave.Items {
		group, note := "", "Stop it first."
		if i%2 == 0 {
			group = fmt.Sprint("asg-", i)
			note += fmt.Sprint(" It belongs to asg-", i, ".")
		}
		if it.Note != note || (it.StartGroup != nil) != (group != "") || it.StartGroup != nil && it.StartGroup.ID != group {
			t.Errorf("%s: %+v, %q", it.InstanceID, it.StartGroup, it.Note)
		}
		i++
	}
	if i != n {
		t.Errorf("%d items", i)
	}
}
