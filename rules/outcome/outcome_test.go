package outcome_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/catalog"
	"github.com/shenscan/shenscan/rules/outcome"
	"github.com/shenscan/shenscan/rules/waves"
)

// fleet is every system on every machine of a few.
func fleet() []rules.Facts {
	var out []rules.Facts
	for _, os := range []string{"CentOS  5.8 64位", "CentOS  7.9 64位", "Ubuntu  16.04 64位", "Windows Server  2008 R2 企业版 64位中文版", "Debian  6.0.9 64位", "", "nobody's system"} {
		for _, family := range []string{"ecs.n1", "ecs.c5", "ecs.g6", "ecs.g7", "ecs.g8i", "ecs.c6r"} {
			for _, size := range []string{"large", "xlarge"} {
				for _, running := range []rules.Tri{rules.Yes, rules.No} {
					out = append(out, rules.Facts{OSName: os, OSType: "linux", InstanceType: family + "." + size, InstanceFamily: family, Running: running})
				}
			}
		}
	}
	return out
}

// classifier has a target that only one type of machines is, so that equal
// verdicts have unequal standings.
func classifier(t testing.TB) *rules.Classifier {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	one, err := rs.ParseTarget("ecs.g7.large")
	if err != nil {
		t.Fatal(err)
	}
	return rs.NewClassifier(append(rules.DefaultTargets(), one))
}

// A Reader gives what Of makes of the whole classification, asked once or
// often, by one or by many.
func TestReaderKnowsWhatClassificationsSay(t *testing.T) {
	c := classifier(t)
	r := outcome.NewReader(c)
	machines := fleet()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2 {
				for i := range machines {
					f := &machines[i]
					host := c.Host(f.Hardware())
					want := outcome.Of(c.Classify(f), outcome.There(c.TargetList(), f.Hardware(), c.Machine(f.Hardware())))
					got := r.Class(c.System(f), host, r.There(host, f.Hardware()))
					if *got != want {
						t.Errorf("%s on %s: %+v, not %+v", f.OSName, f.InstanceType, *got, want)
					}
					if !got.Sound(len(c.Targets())) {
						t.Errorf("%s on %s: %+v passes for none that a rule set gives", f.OSName, f.InstanceType, *got)
					}
				}
			}
		})
	}
	all.Wait()
}

// Machines of one family are judged alike, and only those of the target's type
// are there already.
func TestReaderTellsWhoIsThereApart(t *testing.T) {
	c := classifier(t)
	r := outcome.NewReader(c)
	wave := func(instanceType string) waves.ID {
		f := rules.Facts{OSName: "CentOS  7.9 64位", OSType: "linux", InstanceType: instanceType, InstanceFamily: "ecs.g7", Running: rules.Yes}
		host := c.Host(f.Hardware())
		stands, ok := r.Class(c.System(&f), host, r.There(host, f.Hardware())).Standing(len(c.Targets()) - 1)
		if !ok {
			t.Fatal("no standing")
		}
		return waves.All()[stands.Wave]
	}
	if there, other := wave("ecs.g7.large"), wave("ecs.g7.xlarge"); there != waves.AlreadyThere || other == waves.AlreadyThere {
		t.Errorf("the target's own type is %s, another %s", there, other)
	}
}

// What is known costs no allocation.
func TestReaderRemembers(t *testing.T) {
	c := classifier(t)
	r := outcome.NewReader(c)
	f := fleet()[0]
	system, host := c.System(&f), c.Host(f.Hardware())
	first := r.Class(system, host, 0)
	if n := testing.AllocsPerRun(10, func() {
		if r.Class(system, host, 0) != first {
			t.Error("another class")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkReader(b *testing.B) {
	c := classifier(b)
	r := outcome.NewReader(c)
	f := fleet()[0]
	system, host := c.System(&f), c.Host(f.Hardware())
	for b.Loop() {
		r.Class(system, host, 0)
	}
}

func ExampleClass_OS() {
	fmt.Println((&outcome.Class{Family: "centos", Version: "5.8"}).OS())
	// Output: centos 5.8
}
