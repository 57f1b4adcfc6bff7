package rules_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shenscan/shenscan/rules"
	"github.com/shenscan/shenscan/rules/distro"
)

// fleet is a fleet's worth of distinct facts, as a scan sees them.
func fleet(n int) []rules.Facts {
	names := []string{"CentOS  7.9 64位", "CentOS  5.8 64位", "Ubuntu  16.04 64位", "Debian  9.2 64位", "Windows Server  2012 R2 数据中心版 64位中文版", "Alibaba Cloud Linux  3.2104 LTS 64位"}
	types := []string{"ecs.g5.large", "ecs.c6.xlarge", "ecs.n4.small", "ecs.g7.2xlarge", "ecs.sn1ne.large"}
	out := make([]rules.Facts, n)
	for i := range out {
		f := &out[i]
		f.OSName, f.OSNameEn, f.OSType = names[i%len(names)], "en "+names[i%len(names)], "linux"
		f.InstanceType = types[i%len(types)]
		f.InstanceFamily = f.InstanceType[:6]
		f.IoOptimized, f.Running = rules.Yes, rules.Yes
		f.ImageID = fmt.Sprintf("m-bp%016d", i)
		f.Image = rules.ImageFacts{Presence: rules.ImageFound, OSName: f.OSName, OSNameEn: f.OSNameEn, Architecture: "x86_64", BootMode: "BIOS", Owner: "self", Status: "Available"}
	}
	return out
}

// BenchmarkClassifyKnown is the cost of an instance whose facts were seen
// before, in fleets of so many distinct ones, each in memory of its own. The
// more there are, the more of the time is spent waiting for memory.
func BenchmarkClassifyKnown(b *testing.B) {
	for _, n := range []int{16, 128, 1024, 8192} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := ruleset(b).NewClassifier(nil)
			facts, again := fleet(n), fleet(n)
			for i := range facts {
				c.Classify(&facts[i])
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				c.Classify(&again[i&(n-1)])
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

// BenchmarkClassifyKnownParallel is the same on every core.
func BenchmarkClassifyKnownParallel(b *testing.B) {
	c := ruleset(b).NewClassifier(nil)
	facts := fleet(512)
	for i := range facts {
		c.Classify(&facts[i])
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			c.Classify(&facts[i&511])
		}
	})
}

// BenchmarkClassifyNewImage is the cost of facts that were never seen, of an
// operating system that was.
func BenchmarkClassifyNewImage(b *testing.B) {
	c := ruleset(b).NewClassifier(nil)
	facts := fleet(1 << 16)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i == len(facts) {
			i = 0
			c = c.Ruleset().NewClassifier(nil)
		}
		c.Classify(&facts[i])
	}
}

// BenchmarkIdentifyCold is the cost of reading one string.
func BenchmarkIdentifyCold(b *testing.B) {
	for _, s := range []string{"CentOS  7.9 64位", "Windows Server  2008 R2 标准版 SP1 64位中文版 自动激活", "win2008r2_64_ent_sp1_en-us_40G_alibase_20170622.vhd", "PHP运行环境（CentOS7.1 64位 | Apache2.2 | PHP5.3 |Mysql5.1）", "m-bp1xxxxxxxxxxxxxxxxx"} {
		b.Run(s[:6], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				distro.Identify(s)
			}
		})
	}
}

// BenchmarkIdentifyNames is the cost of reading names-2.tsv, and that of the name
// in the middle, each at its fastest: a busy machine makes no name slower.
func BenchmarkIdentifyNames(b *testing.B) {
	all := rows(b, "names-2.tsv")
	took := make([]time.Duration, len(all))
	b.ReportAllocs()
	for b.Loop() {
		for i := range all {
			start := time.Now()
			for range 16 {
				distro.Identify(all[i]["input"])
			}
			if d := time.Since(start) / 16; took[i] == 0 || d < took[i] {
				took[i] = d
			}
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "ns/median")
}

// BenchmarkClassifyCold is the cost of an operating system that was never
// seen: identity, every rule for three targets, the texts.
func BenchmarkClassifyCold(b *testing.B) {
	r := ruleset(b)
	facts := make([]rules.Facts, 1<<15)
	for i := range facts {
		facts[i].OSName = fmt.Sprintf("CentOS  7.9 64位 %d", i)
		facts[i].Guest.Kernel = fmt.Sprintf("3.10.0-%d.el7.x86_64", i)
	}
	c := r.NewClassifier(nil)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i++; i == len(facts) {
			i = 0
			c = r.NewClassifier(nil)
		}
		c.Classify(&facts[i])
	}
}

func TestKnownFactsAllocateNothing(t *testing.T) {
	c := ruleset(t).NewClassifier(nil)
	facts := fleet(64)
	for i := range facts {
		c.Classify(&facts[i])
	}
	again := fleet(64)
	i := 0
	if n := testing.AllocsPerRun(1000, func() { c.Classify(&again[i&63]); i++ }); n != 0 {
		t.Errorf("%v allocations for known facts", n)
	}
}
