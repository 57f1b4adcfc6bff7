// Package reporttest makes fleets of instance records for the tests of what
// people see, and opens and reads pages for them. It is not the classifier: the
// verdicts are made up to look like a real fleet's, the same for the same seed.
package reporttest

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/rules"
)

// Now is the moment at which the fleet was read.
func Now() time.Time { return time.Date(2026, 11, 23, 1, 30, 0, 0, time.UTC) }

// Targets are those of the fleet.
func Targets() []string { return rules.Classes() }

// Fleet is a number of records with the summary that a store would give.
type Fleet struct {
	Records []*record.Record
	Summary record.Summary
	Scan    record.Scan
}

// All yields the records in order.
func (f *Fleet) All() iter.Seq2[*record.Record, error] {
	return func(yield func(*record.Record, error) bool) {
		for _, r := range f.Records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

type scope struct{ account, region string }

var scopes = []scope{
	{"1234567890123456", "cn-beijing"},
	{"1234567890123456", "cn-hangzhou"},
	{"1234567890123456", "cn-shanghai"},
	{"1234567890123456", "eu-central-1"},
	{"2345678901234567", "ap-southeast-1"},
	{"2345678901234567", "cn-hangzhou"},
}

type machine struct {
	typ, family string
	generation  int
	virt        string
	cpu, mem    int
}

var machines = []machine{
	{"ecs.t1.small", "ecs.t1", 1, "xen", 1, 1024},
	{"ecs.s3.large", "ecs.s3", 1, "kvm", 4, 8192},
	{"ecs.n4.large", "ecs.n4", 3, "kvm", 2, 4096},
	{"ecs.c5.xlarge", "ecs.c5", 5, "kvm", 4, 8192},
	{"ecs.g5.2xlarge", "ecs.g5", 5, "kvm", 8, 32768},
	{"ecs.g6.large", "ecs.g6", 6, "shenlong", 2, 8192},
	{"ecs.r6.xlarge", "ecs.r6", 6, "shenlong", 4, 32768},
	{"ecs.g7.large", "ecs.g7", 7, "shenlong", 2, 8192},
}

// New makes a fleet of count instances. The first ones carry the names of Hostile.
func New(count int, seed uint64) *Fleet {
	rng := rand.New(rand.NewPCG(seed, seed))
	kinds := kinds()
	var weights int
	for i := range kinds {
		weights += kinds[i].weight
	}
	hostile := Hostile()
	fleet := &Fleet{}
	for index := range count {
		kind := pick(kinds, rng.IntN(weights))
		machine := machines[rng.IntN(len(machines))]
		scope := scopes[rng.IntN(len(scopes))]
		name := fmt.Sprintf("%s-%s-%04d", []string{"web", "db", "cache", "batch", "支付", "订单"}[rng.IntN(6)], []string{"prod", "test"}[rng.IntN(2)], index)
		if index < len(hostile) {
			name = hostile[index]
		}
		fleet.Records = append(fleet.Records, &record.Record{
			Account: scope.account, Region: scope.region, Zone: scope.region + "-" + string(rune('a'+rng.IntN(3))),
			InstanceID: fmt.Sprintf("i-%s%012x", scope.region[:2], rng.Uint64()>>16), InstanceName: name,
			InstanceType: machine.typ, InstanceFamily: machine.family, Generation: machine.generation, Virtualization: machine.virt,
			Status: []string{"Running", "Running", "Running", "Stopped"}[rng.IntN(4)], ImageID: kind.image, ImageOwner: "system",
			CPU: machine.cpu, MemoryMiB: machine.mem, Tags: map[string]string{
				"owner": []string{"payments", "search", "平台组"}[rng.IntN(3)], "env": "prod",
				"cost-center": fmt.Sprintf("cc-%03d", rng.IntN(400)), "created-by": fmt.Sprintf("pipeline-%d", index),
			},
			Classification: kind.class,
			ObservedAt:     Now().Add(-time.Duration(rng.IntN(600)) * time.Second), ScanID: "20261123T012000Z-demo", Ruleset: "0123456789ab",
		})
	}
	slices.SortFunc(fleet.Records, func(a, b *record.Record) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.InstanceID, b.InstanceID))
	})
	fleet.sum()
	return fleet
}

func pick(kinds []kind, at int) *kind {
	for i := range kinds {
		if at -= kinds[i].weight; at < 0 {
			return &kinds[i]
		}
	}
	return &kinds[0]
}

// Count adds records up as a store would.
func Count(recs []*record.Record, targets []string) record.Summary {
	summary := record.Summary{
		Instances: len(recs), Targets: targets, Verdicts: map[string]map[string]int{},
		Confidence: map[string]map[string]map[string]int{}, Waived: map[string]int{}, UnknownByQuestion: map[string]map[string]int{},
	}
	groups := map[record.Group]*record.Group{}
	for _, entry := range recs {
		if entry.Legacy {
			summary.Legacy++
		}
		for _, verdict := range entry.Verdicts {
			if summary.Verdicts[verdict.Target] == nil {
				summary.UnknownByQuestion[verdict.Target] = record.NoQuestions()
				summary.Verdicts[verdict.Target], summary.Confidence[verdict.Target] = map[string]int{}, map[string]map[string]int{}
			}
			level := verdict.Level.String()
			summary.Verdicts[verdict.Target][level]++
			if summary.Confidence[verdict.Target][level] == nil {
				summary.Confidence[verdict.Target][level] = record.NoConfidence()
			}
			summary.Confidence[verdict.Target][level][verdict.Confidence.String()]++
			if verdict.Level == rules.Unknown {
				summary.UnknownByQuestion[verdict.Target][string(verdict.Settles())]++
			}
			if verdict.Waiver != nil {
				summary.Waived[verdict.Target]++
			}
			key := record.Group{
				Account: entry.Account, Region: entry.Region, Target: verdict.Target, Verdict: level,
				OSFamily: entry.OS.Family, OSVersion: entry.OS.Version, Legacy: entry.Legacy,
			}
			group := groups[key]
			if group == nil {
				group = &record.Group{}
				*group = key
				groups[key] = group
			}
			group.Add(1, verdict.Confidence, verdict.Waiver != nil)
		}
	}
	for _, g := range groups {
		summary.Groups = append(summary.Groups, *g)
	}
	slices.SortFunc(summary.Groups, func(a, b record.Group) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return summary
}

// sum counts the records and says that all of them were read.
func (f *Fleet) sum() {
	ended := Now()
	summary := Count(f.Records, Targets())
	summary.Ruleset, summary.CaughtUp, summary.AsOf = "0123456789ab", true, ended
	perScope := map[scope]int{}
	for _, r := range f.Records {
		perScope[scope{r.Account, r.Region}]++
	}
	f.Scan = record.Scan{
		ID: "20261123T012000Z-demo", Kind: "scan", State: record.ScanComplete, StartedAt: ended.Add(-92 * time.Second), EndedAt: &ended,
		Regions: len(scopes), Done: len(scopes), Instances: len(f.Records), Pages: (len(f.Records) + 99) / 100,
	}
	for _, sc := range scopes {
		count := perScope[sc]
		numbers := record.Numbers{Counted: &count, Listed: count, Published: count, Classified: count, Stored: count}
		summary.Scopes = append(summary.Scopes, record.ScopeStatus{
			Account: sc.account, Region: sc.region, Instances: count, Completeness: record.ScopeComplete,
			LastScan: f.Scan.ID, LastEnd: &ended, LastComplete: &ended, Numbers: &numbers,
		})
		f.Scan.Scopes = append(f.Scan.Scopes, record.ScanScope{
			Account: sc.account, Region: sc.region, Completeness: record.ScopeComplete, Instances: count, Numbers: numbers, Pages: count/100 + 1,
		})
	}
	f.Summary = summary
}

// Fail makes one scope partial and one failed, and returns the failures.
func (f *Fleet) Fail() []record.Failure {
	failures := []record.Failure{
		{
			Account: scopes[0].account, Region: scopes[0].region, API: "DescribeInstances", Class: "throttled", Code: "Throttling.User",
			Error: "DescribeInstances in " + scopes[0].account + "/" + scopes[0].region + ": throttled (Throttling.User): request was denied due to user flow control \x1b[31m",
			Mend:  "lower --rate for this account, or ask for a higher quota, then scan this region again", RequestID: "6EF60BEC-0242-43AF-BB20-270359FB54A7",
		},
		{
			Account: scopes[3].account, Region: scopes[3].region, API: "DescribeInstances", Class: "permission", Code: "Forbidden.RAM",
			Error: "User not authorized to operate on the specified resource, or this API doesn't support RAM",
			Mend:  "attach deploy/ram-policy.json to the RAM user or role",
		},
	}
	f.Summary.Scopes[0].Completeness, f.Summary.Scopes[0].Failures = record.ScopePartial, failures[:1]
	f.Summary.Scopes[3].Completeness, f.Summary.Scopes[3].Failures = record.ScopeFailed, failures[1:]
	f.Scan.Scopes[0].Completeness, f.Scan.Scopes[0].Failures = record.ScopePartial, failures[:1]
	f.Scan.Scopes[3].Completeness, f.Scan.Scopes[3].Failures = record.ScopeFailed, failures[1:]
	f.Scan.State = record.ScanPartial
	return failures
}

// Verdict is a verdict whose texts are short.
func Verdict(target string, level rules.Level, rule, reason string, remedies ...rules.Remedy) rules.Verdict {
	return rules.Verdict{
		Target: target, Level: level, Confidence: rules.High, Rule: rule, Reason: reason, Source: "https://www.alibabacloud.com/help/en/ecs/",
		Remedies: append([]rules.Remedy{}, remedies...), Checks: []string{"restart", "snapshot", "custom-image-trial"},
		Findings: []rules.Finding{{Rule: rule, Level: level, Confidence: rules.High, Reason: reason, Source: "https://www.alibabacloud.com/help/en/ecs/"}},
	}
}
