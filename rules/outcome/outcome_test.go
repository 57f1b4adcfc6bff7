package outcome_test

import (
	"fmt"
	"strings"
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
					want := outcome.Of(c.Classify(f), host.There())
					got := r.Class(c.System(f), host)
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
		stands, ok := r.Class(c.System(&f), host).Standing(len(c.Targets()) - 1)
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
	first := r.Class(system, host)
	if n := testing.AllocsPerRun(10, func() {
		if r.Class(system, host) != first {
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
		r.Class(system, host)
	}
}

func ExampleClass_OS() {
	fmt.Println((&outcome.Class{Family: "centos", Version: "5.8"}).OS())
	// Output: centos 5.8
}

// A class that came in a message is kept only if a rule set can have said it.
func TestUnsoundClassesAreTold(t *testing.T) {
	standing := func(wave waves.ID, c rules.Confidence, was rules.Level) string {
		return string([]byte{outcome.Standing{Wave: wave.Number(), Confidence: c, Was: was}.Byte()})
	}
	sound := outcome.Class{
		Levels: string([]byte{byte(rules.Incompatible)}), Standings: standing(waves.AlreadyThere, rules.High, rules.Incompatible),
		Family: strings.Repeat("f", 64), Version: strings.Repeat("v", 64),
	}
	if !sound.Sound(1) {
		t.Fatalf("%+v passes for unsound", sound)
	}
	for name, change := range map[string]func(c *outcome.Class){
		"a level of another target":      func(c *outcome.Class) { c.Levels += c.Levels },
		"a standing of another target":   func(c *outcome.Class) { c.Standings += c.Standings },
		"no standing":                    func(c *outcome.Class) { c.Standings = "" },
		"no family":                      func(c *outcome.Class) { c.Family = "" },
		"a family too long":              func(c *outcome.Class) { c.Family += "f" },
		"a version too long":             func(c *outcome.Class) { c.Version += "v" },
		"a level of nobody's":            func(c *outcome.Class) { c.Levels = string([]byte{byte(rules.Incompatible) + 1}) },
		"another verdict without waiver": func(c *outcome.Class) { c.Standings = standing(waves.Ready, rules.High, rules.Compatible) },
		"a confidence of nobody's":       func(c *outcome.Class) { c.Standings = standing(waves.Ready, rules.High+1, rules.Incompatible) },
		"a wave of nobody's": func(c *outcome.Class) {
			c.Standings = string([]byte{outcome.Standing{Wave: len(waves.All()), Confidence: rules.High, Was: rules.Incompatible}.Byte()})
		},
		"a waiver, which workers do not know": func(c *outcome.Class) { c.Standings = standing(waves.Waived, rules.High, rules.Incompatible) },
	} {
		c := sound.Clone()
		if change(&c); c.Sound(1) {
			t.Errorf("%s: %+v passes for sound", name, c)
		}
	}
	if sound.Sound(0) || sound.Sound(2) {
		t.Error("a class of one target passes for one of another number")
	}
}

// An unknown verdict says which check settles it, and a standing keeps each of
// them. What a waiver made unknown is left to a trial.
func TestUnknownVerdictsSayWhatSettlesThem(t *testing.T) {
	cl := rules.Classification{}
	var want []rules.Question
	for _, q := range rules.Questions() {
		cl.Verdicts = append(cl.Verdicts, rules.Verdict{Level: rules.Unknown, Confidence: rules.Medium, Checks: []string{"restart", string(q), string(rules.QuestionTrial)}})
		want = append(want, q)
	}
	cl.Verdicts = append(cl.Verdicts,
		rules.Verdict{Level: rules.Unknown, Checks: []string{"restart"}},
		rules.Verdict{Level: rules.Unknown, Checks: []string{string(rules.QuestionVersion)}, Waiver: &rules.Waiver{Was: rules.Incompatible}},
		rules.Verdict{Level: rules.Compatible, Checks: []string{string(rules.QuestionVersion)}})
	want = append(want, rules.QuestionTrial, rules.QuestionTrial, "")
	c := outcome.Of(&cl, 0)
	for i, q := range want {
		if got, unknown := c.Question(i); got != q || unknown != (q != "") {
			t.Errorf("verdict %d: %q, not %q", i, got, q)
		}
		stands, _ := c.Standing(i)
		if b := stands.Byte(); b != c.Standings[i] {
			t.Errorf("verdict %d: standing %+v is %d and was %d", i, stands, b, c.Standings[i])
		}
	}
	if len(rules.Questions()) > 4 {
		t.Error("a standing has two bits for the question")
	}
	if got, unknown := c.Question(len(want)); got != rules.QuestionTrial || !unknown {
		t.Errorf("a target that the class does not know: %q", got)
	}
}

// What a plan makes of instances does not make them unlike.
func TestAlikeIsWhatChangesAreSeenBy(t *testing.T) {
	one := outcome.Class{Levels: "\x01", Standings: "\x01", Family: "centos", Version: "5.8"}
	for name, c := range map[string]struct {
		change func(c *outcome.Class)
		alike  bool
	}{
		"the same":          {func(*outcome.Class) {}, true},
		"another standing":  {func(c *outcome.Class) { c.Standings = "\x02" }, true},
		"another verdict":   {func(c *outcome.Class) { c.Levels = "\x02" }, false},
		"another family":    {func(c *outcome.Class) { c.Family = "debian" }, false},
		"another version":   {func(c *outcome.Class) { c.Version = "5.9" }, false},
		"legacy by another": {func(c *outcome.Class) { c.Legacy = true }, false},
	} {
		other := one.Clone()
		if c.change(&other); one.Alike(&other) != c.alike || other.Alike(&one) != c.alike {
			t.Errorf("%s: alike is %v", name, !c.alike)
		}
	}
}

// A target that a class does not know is unknown, and has no standing.
func TestTargetsBeyondTheClassAreUnknown(t *testing.T) {
	c := outcome.Class{Levels: string([]byte{byte(rules.Compatible)}), Standings: string([]byte{outcome.Standing{Wave: 3, Confidence: rules.Medium, Was: rules.NeedsAction}.Byte()})}
	if c.Level(0) != rules.Compatible || c.Level(1) != rules.Unknown {
		t.Errorf("levels %v and %v", c.Level(0), c.Level(1))
	}
	if s, ok := c.Standing(0); !ok || s != (outcome.Standing{Wave: 3, Confidence: rules.Medium, Was: rules.NeedsAction}) {
		t.Errorf("standing %+v, %v", s, ok)
	}
	if s, ok := c.Standing(1); ok || s != (outcome.Standing{}) {
		t.Errorf("standing %+v, %v of a target that the class does not know", s, ok)
	}
}

// A waiver keeps what the verdict was.
func TestWaivedClassesRememberTheVerdict(t *testing.T) {
	cl := rules.Classification{Verdicts: []rules.Verdict{{Level: rules.Compatible, Waiver: &rules.Waiver{Was: rules.Incompatible}}, {Level: rules.Compatible, Confidence: rules.High}}}
	c := outcome.Of(&cl, 2)
	for i, want := range []outcome.Standing{{Wave: waves.Waived.Number(), Was: rules.Incompatible}, {Wave: waves.AlreadyThere.Number(), Confidence: rules.High, Was: rules.Compatible}} {
		if got, _ := c.Standing(i); got != want {
			t.Errorf("target %d: %+v, not %+v", i, got, want)
		}
	}
}

// The family that the cloud names counts before the one that the type is named
// after.
func TestThereGoesByTheFamilyThatTheCloudNames(t *testing.T) {
	rs := classifier(t).Ruleset()
	family, err := rs.ParseTarget("ecs.g7")
	if err != nil {
		t.Fatal(err)
	}
	c := rs.NewClassifier([]rules.Target{family})
	for named, want := range map[string]uint32{"": 1, "ecs.g7": 1, "ecs.c7": 0} {
		h := rules.Hardware{InstanceType: "ecs.g7.large", InstanceFamily: named}
		if got := c.Host(h).There(); got != want {
			t.Errorf("named %q: %b", named, got)
		}
	}
}
