package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/shenscan/shenscan/internal/record"
)

// Levels are the verdicts in the order of severity, worst first, spelled as
// records spell them.
func Levels() []string { return []string{"incompatible", "unknown", "needs-action", "compatible"} }

// Counts counts instances for each target and verdict.
type Counts map[string]map[string]int

func (c Counts) add(target, verdict string, n int) {
	if c[target] == nil {
		c[target] = map[string]int{}
	}
	c[target][verdict] += n
}

// Of returns the instances that have one of the verdicts on any one target,
// taking the target on which they are most.
func (c Counts) Of(verdicts ...string) int {
	_, most := c.hardest(slices.Collect(maps.Keys(c)), verdicts...)
	return most
}

// hardest is the target on which most instances have one of the verdicts, the first
// of several.
func (c Counts) hardest(targets []string, verdicts ...string) (target string, most int) {
	for _, t := range targets {
		sum := 0
		for _, v := range verdicts {
			sum += c[t][v]
		}
		if sum > most {
			target, most = t, sum
		}
	}
	return target, most
}

// Worst is the most severe verdict that occurs on the target, and how many
// instances have it; "" when there is none.
func (c Counts) Worst(target string) (verdict string, n int) {
	for _, v := range Levels() {
		if n := c[target][v]; n > 0 {
			return v, n
		}
	}
	return "", 0
}

// Bucket is a number of instances that share something.
type Bucket struct {
	Account, Region   string // of a scope, or one of them
	OSFamily, Version string // of an operating system
	Family            string // instance family
	Legacy            bool
	Instances         int
	Verdicts          Counts
	Low               Counts // of them, with low confidence
}

// OS names the operating system of b for people.
func (b *Bucket) OS() string { return OSName(b.OSFamily, b.Version) }

// Digest is a summary sorted for reading, worst buckets first.
type Digest struct {
	Targets  []string
	OS       []*Bucket // by OS family and version
	Scopes   []*Bucket // by account and region
	Regions  []*Bucket
	Accounts []*Bucket
	Whole    Whole
}

// Whole says in numbers how complete a summary is.
type Whole struct {
	Scopes, Complete, Partial, Failed, Pending int
}

// All tells whether every scope was read to its end.
func (w Whole) All() bool {
	return w.Scopes > 0 && w.Partial == 0 && w.Failed == 0 && w.Pending == 0
}

// NewDigest groups the summary's counts. The counts of one target are as good
// as those of another for the number of instances, so the first that a group
// names is taken.
func NewDigest(summary *record.Summary) *Digest {
	digest := &Digest{Targets: summary.Targets, Whole: wholeOf(summary.Scopes)}
	os, scopes, regions, accounts := buckets{}, buckets{}, buckets{}, buckets{}
	for i := range summary.Groups {
		group := &summary.Groups[i]
		first := len(summary.Targets) > 0 && group.Target == summary.Targets[0]
		os.add(Bucket{OSFamily: group.OSFamily, Version: group.OSVersion, Legacy: group.Legacy}, group, first)
		scopes.add(Bucket{Account: group.Account, Region: group.Region}, group, first)
		regions.add(Bucket{Region: group.Region}, group, first)
		accounts.add(Bucket{Account: group.Account}, group, first)
	}
	digest.OS, digest.Scopes, digest.Regions, digest.Accounts = os.sorted(), scopes.sorted(), regions.sorted(), accounts.sorted()
	return digest
}

func wholeOf(scopes []record.ScopeStatus) Whole {
	whole := Whole{Scopes: len(scopes)}
	for i := range scopes {
		switch scopes[i].Completeness {
		case record.ScopeComplete:
			whole.Complete++
		case record.ScopePartial:
			whole.Partial++
		case record.ScopeFailed:
			whole.Failed++
		default:
			whole.Pending++
		}
	}
	return whole
}

// bucketKey is what makes a bucket one.
type bucketKey struct {
	account, region, osFamily, version, family string
	legacy                                     bool
}

type buckets map[bucketKey]*Bucket

func (bs buckets) get(bucket Bucket) *Bucket {
	key := bucketKey{bucket.Account, bucket.Region, bucket.OSFamily, bucket.Version, bucket.Family, bucket.Legacy}
	have := bs[key]
	if have == nil {
		bucket.Verdicts, bucket.Low = Counts{}, Counts{}
		have = &bucket
		bs[key] = have
	}
	return have
}

func (bs buckets) add(b Bucket, group *record.Group, first bool) {
	have := bs.get(b)
	have.Verdicts.add(group.Target, group.Verdict, group.Instances)
	if group.LowConfidence > 0 {
		have.Low.add(group.Target, group.Verdict, group.LowConfidence)
	}
	if first {
		have.Instances += group.Instances
	}
}

// sorted orders by what hurts most: incompatible instances, then unknown ones,
// then those that need action, then size, then name.
func (bs buckets) sorted() []*Bucket {
	return slices.SortedFunc(maps.Values(bs), func(a, b *Bucket) int {
		return cmp.Or(
			cmp.Compare(b.Verdicts.Of("incompatible"), a.Verdicts.Of("incompatible")),
			cmp.Compare(b.Verdicts.Of("unknown"), a.Verdicts.Of("unknown")),
			cmp.Compare(b.Verdicts.Of("needs-action"), a.Verdicts.Of("needs-action")),
			cmp.Compare(b.Instances, a.Instances),
			cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region),
			cmp.Compare(a.OSFamily, b.OSFamily), cmp.Compare(a.Version, b.Version),
			cmp.Compare(a.Family, b.Family),
		)
	})
}

// osNames are the families' names as people write them.
var osNames = map[string]string{
	"centos": "CentOS", "rhel": "Red Hat Enterprise Linux", "alinux": "Alibaba Cloud Linux", "anolis": "Anolis OS",
	"debian": "Debian", "ubuntu": "Ubuntu", "sles": "SUSE Linux Enterprise Server", "opensuse": "openSUSE",
	"fedora": "Fedora", "coreos": "CoreOS", "flatcar": "Flatcar", "freebsd": "FreeBSD", "gentoo": "Gentoo",
	"windows-server": "Windows Server", "windows-client": "Windows", "rocky": "Rocky Linux", "almalinux": "AlmaLinux",
	"oracle": "Oracle Linux", "openeuler": "openEuler", "kylin": "Kylin", "uos": "UOS", "other-linux": "Other Linux",
	"unknown": "Unknown OS", "": "Unknown OS",
}

// osText names an operating system that is spelled as changes spell it, "centos
// 5.8".
func osText(s string) string {
	family, version, _ := strings.Cut(s, " ")
	return Short(OSName(family, version), 80)
}

// OSName names an operating system for people: "CentOS 5.8".
func OSName(family, version string) string {
	name, ok := osNames[family]
	if !ok {
		name = Clean(family)
	}
	if base, ok := strings.CutSuffix(version, "r2"); ok && base != "" && strings.HasPrefix(family, "windows") {
		version = base + " R2"
	}
	switch {
	case version != "":
		return name + " " + Clean(version)
	case family == "" || family == "unknown" || family == "other-linux" || family == "gentoo": // Gentoo has no releases
		return name
	}
	return name + " (version not known)"
}
