package ecssim

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	s := start(t, Options{Instances: 500, Regions: 2})
	tests := []struct {
		fault  Fault
		status int    // 0: the connection broke
		code   string // of the API
		json   bool   // the body is JSON
	}{
		{Fault{Kind: FaultThrottle}, 400, "Throttling.User", true},
		{Fault{Kind: FaultInternal}, 500, "InternalError", true},
		{Fault{Kind: FaultUnavailable}, 503, "ServiceUnavailable", true},
		{Fault{Kind: FaultHTML503}, 503, "", false},
		{Fault{Kind: FaultEmpty502}, 502, "", false},
		{Fault{Kind: FaultEmpty200}, 200, "", false},
		{Fault{Kind: FaultReset}, 0, "", false},
		{Fault{Kind: FaultCut}, 0, "", false},
		{Fault{Kind: FaultTruncated}, 200, "", false},
		{Fault{Kind: FaultMalformed}, 200, "", false},
		{Fault{Kind: FaultWrongShape}, 200, "", true},
		{Fault{Kind: FaultSlow, Delay: Duration(20 * time.Millisecond)}, 200, "", true},
		{Fault{Kind: FaultHang, Delay: Duration(20 * time.Millisecond)}, 0, "", false},
		{Fault{Kind: FaultContentType}, 200, "", true},
		{Fault{Kind: FaultRedirect, To: "http://127.0.0.1:1/elsewhere"}, 302, "", false},
		{Fault{Kind: FaultHuge, Bytes: 2 << 20}, 200, "", true},
		{Fault{Kind: FaultToken}, 400, "InvalidParameter", true},
		{Fault{Kind: FaultCredentials}, 400, "InvalidSecurityToken.Expired", true},
		{Fault{Kind: FaultDisabledKey}, 403, "InvalidAccessKeyId.Inactive", true},
		{Fault{Kind: FaultUnactivated}, 403, "RegionUnauthorized", true},
		{Fault{Kind: FaultForbidden}, 403, "Forbidden.RAM", true},
		{Fault{Kind: FaultEmpty}, 200, "", true},
		{Fault{Kind: FaultNotSupport}, 400, "RegionId.ApiNotSupported", true},
		{Fault{Kind: FaultDuplicate}, 200, "", true},
	}
	if len(tests) != len(FaultKinds()) {
		t.Errorf("%d tests of %d kinds", len(tests), len(FaultKinds()))
	}
	for _, tt := range tests {
		t.Run(tt.fault.Kind, func(t *testing.T) {
			s.ClearFaults()
			tt.fault.Region = "cn-shanghai"
			if err := s.AddFault(tt.fault); err != nil {
				t.Fatal(err)
			}
			r := ask(t, s, "DescribeInstances", "RegionId", "cn-shanghai", "MaxResults", "100")
			if (r.err != nil) != (tt.status == 0) || (tt.status != 0 && r.status != tt.status) || r.code() != tt.code {
				t.Errorf("%d %q %v, want %d %q: %.100s", r.status, r.code(), r.err, tt.status, tt.code, r.body)
			}
			if json.Valid(r.body) != tt.json {
				t.Errorf("JSON %v, want %v: %.100s", !tt.json, tt.json, r.body)
			}
			if r := ask(t, s, "DescribeInstances", "RegionId", "cn-hangzhou"); r.status != 200 {
				t.Errorf("another region: %d", r.status)
			}
		})
	}
	if r := ask(t, s, "DescribeRegions"); r.status != 200 {
		t.Errorf("afterwards: %d", r.status)
	}
}

func TestFaultRateAfterAndCount(t *testing.T) {
	hits := func(f Fault) int {
		t.Helper()
		s := start(t, Options{Instances: 50, Regions: 1, Seed: 9, Faults: []Fault{f}})
		n := 0
		for range 200 {
			if ask(t, s, "DescribeRegions").code() == "InternalError" {
				n++
			}
		}
		return n
	}
	if n := hits(Fault{Kind: FaultInternal, After: 190}); n != 10 {
		t.Errorf("after 190: %d hits", n)
	}
	if n := hits(Fault{Kind: FaultInternal, Count: 3}); n != 3 {
		t.Errorf("count 3: %d hits", n)
	}
	a, b := hits(Fault{Kind: FaultInternal, Rate: 0.2}), hits(Fault{Kind: FaultInternal, Rate: 0.2})
	if a != b || a < 20 || a > 60 {
		t.Errorf("rate 0.2: %d and %d hits of 200", a, b)
	}
	if n := hits(Fault{Kind: FaultInternal, Action: "DescribeImages"}); n != 0 {
		t.Errorf("another action: %d hits", n)
	}
}

func TestParseFault(t *testing.T) {
	want := Fault{Kind: FaultSlow, Region: "cn-beijing", Rate: 0.5, After: 2, Count: 3, Delay: Duration(5 * time.Second)}
	for _, s := range []string{"kind=slow,region=cn-beijing,rate=0.5,after=2,count=3,delay=5s", `{"kind":"slow","region":"cn-beijing","rate":0.5,"after":2,"count":3,"delay":"5s"}`} {
		if f, err := ParseFault(s); err != nil || f != want {
			t.Errorf("%s: %+v, %v", s, f, err)
		}
	}
	for _, s := range []string{"kind=slow,rate=.5,after=02", `{"kind":"slow","rate":0.5,"after":2}`} {
		if f, err := ParseFault(s); err != nil || f != (Fault{Kind: FaultSlow, Rate: 0.5, After: 2}) {
			t.Errorf("%s: %+v, %v", s, f, err)
		}
	}
	for _, s := range []string{"", "slow", "kind=flood", "kind=slow,rate=2", "kind=slow,colour=red", "kind=slow,rate=", "kind=slow,rate=null", "kind=slow,count=many", "kind=slow,delay=5", "{", `{"kind":"slow","colour":1}`} {
		if _, err := ParseFault(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestQuotaRefusesAsTheServiceDoes(t *testing.T) {
	now := time.Date(2026, 11, 23, 1, 0, 30, 0, time.UTC)
	q := Quota{Calls: 5, Actions: map[string]int{"DescribeImages": 2}}
	s := start(t, Options{Instances: 500, Regions: 2, Quota: q, Now: func() time.Time { return now }})
	served := func(action, region string) (n int, last result) {
		for range 8 {
			req := signed(t, s.URL, "2014-05-26", action, demoKeys(), pairs([]string{"RegionId", region}))
			resign(req, demoKeys(), now)
			if last = do(req); last.code() == "" {
				n++
			}
		}
		return n, last
	}
	n, last := served("DescribeInstances", "cn-hangzhou")
	if n != 5 || last.status != 400 || last.code() != "Throttling.User" || !strings.Contains(last.header.Get("x-ratelimit-user-api"), "TimeLeft:30000") {
		t.Errorf("%d served, then %d %q %v", n, last.status, last.code(), last.header)
	}
	if n, _ = served("DescribeInstances", "cn-shanghai"); n != 5 {
		t.Errorf("another region: %d served", n)
	}
	if n, _ = served("DescribeImages", "cn-hangzhou"); n != 2 {
		t.Errorf("action with a quota of its own: %d served", n)
	}
	now = now.Add(30 * time.Second)
	if n, _ = served("DescribeInstances", "cn-hangzhou"); n != 5 {
		t.Errorf("next minute: %d served", n)
	}
	st := s.Stats()
	if st.Throttled != 3+3+6+3 {
		t.Errorf("%d throttled", st.Throttled)
	}
	for _, p := range st.Peaks {
		if p.Action == "DescribeInstances" && (p.Asked != 8 || p.Served != 5) {
			t.Errorf("peak %+v", p)
		}
	}
	if err := s.SetQuota(Quota{AccountRate: 3}); err != nil {
		t.Fatal(err)
	}
	a, _ := served("DescribeInstances", "cn-hangzhou")
	b, _ := served("DescribeImages", "cn-shanghai")
	if a+b != 3 {
		t.Errorf("account rate of 3: %d served", a+b)
	}
}

func TestLatency(t *testing.T) {
	for _, tt := range []struct {
		spec   string
		lo, hi time.Duration
	}{{"", 0, 0}, {"50ms", 50 * time.Millisecond, 50 * time.Millisecond}, {"uniform:20ms-80ms", 20 * time.Millisecond, 80 * time.Millisecond}, {"lognormal:50ms,0.5", time.Millisecond, time.Second}} {
		l, err := ParseLatency(tt.spec)
		if err != nil {
			t.Fatal(err)
		}
		sum := time.Duration(0)
		for i := range uint64(1000) {
			d := l.of(hash(i))
			if d < tt.lo || d > tt.hi {
				t.Errorf("%s: %s", tt.spec, d)
			}
			sum += d
		}
		if mean := sum / 1000; tt.spec != "" && (mean < 45*time.Millisecond || mean > 65*time.Millisecond) {
			t.Errorf("%s: mean %s", tt.spec, mean)
		}
	}
	for _, s := range []string{"fast", "uniform:80ms-20ms", "uniform:20ms", "lognormal:50ms", "normal:1s", "-1s"} {
		if _, err := ParseLatency(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}
