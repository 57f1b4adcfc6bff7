package ecssim

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// walk follows a token chain with raw calls and returns the ids in order.
func walk(t testing.TB, s *Server, kv ...string) []string {
	t.Helper()
	var ids []string
	token := ""
	for {
		p := ask(t, s, "DescribeInstances", append([]string{"NextToken", token, "MaxResults", "100"}, kv...)...).page(t)
		for _, in := range p.Instances.Instance {
			ids = append(ids, in.InstanceId)
		}
		if token = p.NextToken; token == "" {
			return ids
		}
	}
}

// union counts ids and reports those that come twice.
func union(t testing.TB, lists ...[]string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, l := range lists {
		for _, id := range l {
			if out[id] {
				t.Errorf("%s twice", id)
			}
			out[id] = true
		}
	}
	return out
}

func TestMaxResultsIsClamped(t *testing.T) {
	s := start(t, Options{Instances: 500, Regions: 1})
	for _, tt := range []struct {
		max  string
		want int
	}{{"", 10}, {"1", 10}, {"10", 10}, {"37", 37}, {"100", 100}, {"1000", 100}} {
		p := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "MaxResults", tt.max).page(t)
		if len(p.Instances.Instance) != tt.want || p.PageSize != tt.want || p.TotalCount != 0 || p.NextToken == "" {
			t.Errorf("MaxResults %q: %d instances, PageSize %d, TotalCount %d", tt.max, len(p.Instances.Instance), p.PageSize, p.TotalCount)
		}
	}
	if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "MaxResults", "many"); r.code() != "InvalidParameter" {
		t.Errorf("MaxResults many: %s", r.body)
	}
}

func TestPageNumbersCountAndCover(t *testing.T) {
	s := start(t, Options{Instances: 345, Regions: 1})
	for _, filter := range [][]string{nil, {"Status", "Running"}} {
		var lists [][]string
		total := -1
		for n := 1; n <= 4; n++ {
			kv := append([]string{"RegionId", "cn-hangzhou", "PageNumber", strconv.Itoa(n), "PageSize", "100"}, filter...)
			p := ask(t, s, "DescribeInstances", kv...).page(t)
			if total >= 0 && total != p.TotalCount {
				t.Errorf("TotalCount changed from %d to %d", total, p.TotalCount)
			}
			total = p.TotalCount
			var ids []string
			for _, in := range p.Instances.Instance {
				ids = append(ids, in.InstanceId)
			}
			lists = append(lists, ids)
		}
		if got := union(t, lists...); len(got) != total || (filter == nil && total != 345) {
			t.Errorf("%v: %d instances, TotalCount %d", filter, len(got), total)
		}
	}
}

func TestShardsByCreationTimeAndZoneCoverTheRegion(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Instances: 3000, Regions: 1, Seed: 3})
	all := union(t, walk(t, s, "RegionId", "cn-hangzhou"))
	if len(all) != 3000 {
		t.Fatalf("%d instances", len(all))
	}
	cut := []time.Time{time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2017, 3, 4, 5, 6, 0, 0, time.UTC), time.Date(2022, 8, 9, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	const layout = "2006-01-02T15:04Z"
	var shards [][]string
	for i := range 3 {
		shards = append(shards, walk(t, s, "RegionId", "cn-hangzhou", "Filter.1.Key", "CreationStartTime", "Filter.1.Value", cut[i].Format(layout),
			"Filter.2.Key", "CreationEndTime", "Filter.2.Value", cut[i+1].Add(-time.Minute).Format(layout)))
	}
	if got := union(t, shards...); len(got) != len(all) || len(shards[1]) == 0 {
		t.Errorf("%d instances in shards by time", len(got))
	}
	var zones [][]string
	for _, z := range zonesOf("cn-hangzhou") {
		zones = append(zones, walk(t, s, "RegionId", "cn-hangzhou", "ZoneId", z))
	}
	if got := union(t, zones...); len(got) != len(all) {
		t.Errorf("%d instances in shards by zone", len(got))
	}
}

func TestCreationFiltersAreInclusive(t *testing.T) {
	s := start(t, Options{Instances: 400, Regions: 1})
	p := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "MaxResults", "100").page(t)
	at := p.Instances.Instance[50].CreationTime
	want := 0
	for _, in := range p.Instances.Instance {
		if in.CreationTime == at {
			want++
		}
	}
	got := walk(t, s, "RegionId", "cn-hangzhou", "Filter.1.Key", "CreationStartTime", "Filter.1.Value", at, "Filter.2.Key", "CreationEndTime", "Filter.2.Value", at)
	if len(got) != want || want < 2 {
		t.Errorf("%d instances of minute %s, want %d", len(got), at, want)
	}
	for _, tt := range []struct{ key, value, code string }{{"Colour", at, "InvalidFilterKey.NotFound"}, {"CreationStartTime", "2017-12-10T04:04:00Z", "InvalidParameter"}} {
		if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "Filter.1.Key", tt.key, "Filter.1.Value", tt.value); r.code() != tt.code {
			t.Errorf("%s=%s: %q, want %q", tt.key, tt.value, r.code(), tt.code)
		}
	}
}

func TestNextTokenIsBoundAndExpires(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Instances: 800, Regions: 2, TokenTTL: time.Minute, Now: func() time.Time { return now }})
	next := func() string {
		return ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "MaxResults", "100").page(t).NextToken
	}
	token := next()
	for _, tt := range []struct {
		name string
		kv   []string
		code string
	}{
		{"its own query", []string{"RegionId", "cn-hangzhou", "NextToken", token}, ""},
		{"its own query, another page size", []string{"RegionId", "cn-hangzhou", "NextToken", token, "MaxResults", "50"}, ""},
		{"another region", []string{"RegionId", "cn-shanghai", "NextToken", token}, "InvalidParameter"},
		{"another filter", []string{"RegionId", "cn-hangzhou", "NextToken", token, "Status", "Running"}, "InvalidParameter"},
		{"another shard", []string{"RegionId", "cn-hangzhou", "NextToken", token, "Filter.1.Key", "CreationStartTime", "Filter.1.Value", "2017-12-10T04:04Z"}, "InvalidParameter"},
		{"made up", []string{"RegionId", "cn-hangzhou", "NextToken", "caeba0bbb2be03f84eb48b699f0a4883"}, "InvalidParameter"},
		{"changed", []string{"RegionId", "cn-hangzhou", "NextToken", "0" + token[1:63] + "0"}, "InvalidParameter"},
	} {
		if r := ask(t, s, "DescribeInstances", tt.kv...); r.code() != tt.code {
			t.Errorf("%s: %q, want %q: %.200s", tt.name, r.code(), tt.code, r.body)
		}
	}
	now = now.Add(61 * time.Second)
	if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "NextToken", token); r.code() != "InvalidParameter" {
		t.Errorf("old token: %s", r.body)
	}
	token = next()
	s.ExpireTokens()
	if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "NextToken", token); r.code() != "InvalidParameter" {
		t.Errorf("expired token: %s", r.body)
	}
	s.RefuseTokens(2)
	refused := 0
	for range 10 {
		if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "NextToken", next()); r.code() == "InvalidParameter" {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 10 tokens refused, want every second", refused)
	}
}

func TestInstanceIDs(t *testing.T) {
	s := start(t, Options{Instances: 400, Regions: 2})
	here := walk(t, s, "RegionId", "cn-hangzhou")
	there := walk(t, s, "RegionId", "cn-shanghai")
	kv := []string{"RegionId", "cn-hangzhou", "InstanceIds", fmt.Sprintf(`["%s","%s","%s","i-bp1doesnotexist00000","","%s"]`, here[5], here[9], there[0], here[5])}
	p := ask(t, s, "DescribeInstances", kv...).page(t)
	if got := len(p.Instances.Instance); got != 2 || p.NextToken != "" {
		t.Errorf("%d instances, want 2 and no token", got)
	}
	many := "[" + strings.Repeat(`"i-1",`, 101)
	for name, v := range map[string]string{"101 ids": many[:len(many)-1] + "]", "not JSON": "i-1"} {
		if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou", "InstanceIds", v); r.code() != "InvalidParameter" {
			t.Errorf("%s: %d %.100s", name, r.status, r.body)
		}
	}
}

func TestDryRun(t *testing.T) {
	s := start(t, Options{Instances: 400, Regions: 2, Faults: []Fault{{Kind: FaultEmpty, Region: "cn-shanghai"}}})
	for _, tt := range []struct{ region, code string }{{"cn-hangzhou", "DryRunOperation"}, {"cn-shanghai", "Forbidden.RAM"}} {
		if r := ask(t, s, "DescribeInstances", "RegionId", tt.region, "DryRun", "true"); r.code() != tt.code {
			t.Errorf("%s: %q, want %q", tt.region, r.code(), tt.code)
		}
	}
	r := ask(t, s, "DescribeInstances", "RegionId", "cn-shanghai", "MaxResults", "100")
	if p := r.page(t); r.status != 200 || len(p.Instances.Instance) != 0 || p.NextToken != "" {
		t.Errorf("denied region: %d %s", r.status, r.body)
	}
}

func TestDuplicatesAcrossPages(t *testing.T) {
	s := start(t, Options{Instances: 1000, Regions: 1, DuplicateRate: 0.5})
	ids := walk(t, s, "RegionId", "cn-hangzhou")
	distinct := map[string]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if len(distinct) != 1000 || len(ids) <= 1000 {
		t.Errorf("%d rows of %d instances: want 1000 and some repeated", len(ids), len(distinct))
	}
}
