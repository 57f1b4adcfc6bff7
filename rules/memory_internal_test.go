package rules

import (
	"strconv"
	"testing"
)

// What a classifier numbers is bounded: up to the bound what is equal keeps its
// number, and one more makes room by forgetting all.
func TestNumbersAreBounded(t *testing.T) {
	ruleset, err := Compile(Definition{}, "")
	if err != nil {
		t.Fatal(err)
	}
	c := ruleset.NewClassifier(nil)
	for i := len(c.softs); i < maxNumbered-1; i++ {
		c.next++
		c.softs[software{profile: profile{support: strconv.Itoa(i)}}] = c.next
		c.hards[hardware{arch: strconv.Itoa(i)}] = c.next
	}
	first, last := &software{profile: profile{support: "0"}}, &software{profile: profile{owner: "last"}}
	before := c.number(first, false)
	if n := c.number(last, false); len(c.softs) != maxNumbered || c.number(last, false) != n || c.number(first, false) != before {
		t.Errorf("%d systems are kept at the bound of %d", len(c.softs), maxNumbered)
	}
	if n := c.number(&software{profile: profile{owner: "one more"}}, false); n == before || len(c.softs) != 1 {
		t.Errorf("%d systems are kept beyond the bound of %d", len(c.softs), maxNumbered)
	}
	c.Host(Hardware{InstanceType: "ecs.g6.large", InstanceFamily: "ecs.g6"})
	if len(c.hards) != maxNumbered {
		t.Errorf("%d machines are kept at the bound of %d", len(c.hards), maxNumbered)
	}
	c.Host(Hardware{InstanceType: "ecs.g8y.large", InstanceFamily: "ecs.g8y"})
	if len(c.hards) != 1 {
		t.Errorf("%d machines are kept beyond the bound of %d", len(c.hards), maxNumbered)
	}
}
