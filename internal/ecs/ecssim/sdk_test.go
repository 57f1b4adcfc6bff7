package ecssim

import (
	"errors"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/tea"
)

// start serves a simulator for one test.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// sdk is the real SDK client against the simulator.
func sdk(t testing.TB, s *Server, change ...func(*openapi.Config)) *ecs.Client {
	t.Helper()
	cfg := &openapi.Config{
		AccessKeyId: new(DemoAccessKeyID), AccessKeySecret: new(DemoAccessKeySecret),
		Endpoint: new(s.Addr), Protocol: new("http"), ReadTimeout: new(20000), ConnectTimeout: new(20000), // milliseconds
	}
	for _, fn := range change {
		fn(cfg)
	}
	c, err := ecs.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// codeOf is the API's error code, "" for success and "?" for another error.
func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*tea.SDKError](err); ok {
		return tea.StringValue(e.Code)
	}
	return "?"
}

// listAll walks the token chain of a region.
func listAll(t testing.TB, c *ecs.Client, req *ecs.DescribeInstancesRequest) []*ecs.DescribeInstancesResponseBodyInstancesInstance {
	t.Helper()
	var out []*ecs.DescribeInstancesResponseBodyInstancesInstance
	for {
		r, err := c.DescribeInstances(req)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Body.Instances.Instance...)
		if tea.StringValue(r.Body.NextToken) == "" {
			return out
		}
		if n := tea.Int32Value(r.Body.TotalCount); n != 0 {
			t.Fatalf("TotalCount %d beside NextToken", n)
		}
		req.NextToken = r.Body.NextToken
	}
}

func TestSDKReadsTheWholeFleetAsTheTruthHasIt(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Instances: 1500, Regions: 5, Seed: 7})
	c := sdk(t, s)
	regions, err := c.DescribeRegions(&ecs.DescribeRegionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string]*Truth{}
	if err := s.EachTruth(func(tr *Truth) error { truth[tr.InstanceID] = tr; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(truth) != 1500 {
		t.Fatalf("%d instances in the truth, want 1500", len(truth))
	}
	seen := 0
	for _, r := range regions.Body.Regions.Region {
		if tea.StringValue(r.RegionEndpoint) != s.Addr {
			t.Errorf("endpoint %q, want %q", tea.StringValue(r.RegionEndpoint), s.Addr)
		}
		list := listAll(t, c, &ecs.DescribeInstancesRequest{RegionId: r.RegionId, MaxResults: tea.Int32(100)})
		if len(list) == 0 {
			t.Errorf("%s is empty", tea.StringValue(r.RegionId))
		}
		for _, in := range list {
			tr := truth[tea.StringValue(in.InstanceId)]
			if tr == nil || tr.Region != tea.StringValue(in.RegionId) {
				t.Fatalf("%s of %s is not in the truth", tea.StringValue(in.InstanceId), tea.StringValue(in.RegionId))
			}
			seen++
			if !strings.HasPrefix(tea.StringValue(in.ZoneId), tea.StringValue(in.RegionId)) {
				t.Errorf("zone %q", tea.StringValue(in.ZoneId))
			}
		}
	}
	if seen != 1500 {
		t.Errorf("%d instances listed, want 1500", seen)
	}
}
