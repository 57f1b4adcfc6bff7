package ecssim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ecs "github.com/alibabacloud-go/ecs-20140526/v4/client"
)

// body reads one body of testdata/bodies (SOURCES.tsv says where it is from).
func body(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "bodies", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// paths maps the path of every value to its JSON kind; list elements share one
// path.
func paths(t *testing.T, b []byte) map[string]string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %.200s", err, b)
	}
	out := map[string]string{}
	var visit func(at string, v any)
	visit = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			out[at] = "object"
			for k, e := range v {
				visit(at+"."+k, e)
			}
		case []any:
			out[at] = "list"
			for _, e := range v {
				visit(at+"[]", e)
			}
		case string:
			out[at] = "string"
		case float64:
			out[at] = "number"
		case bool:
			out[at] = "bool"
		}
	}
	visit("", v)
	return out
}

// strict decodes into the SDK's own type: a field that the type does not know
// is an error.
func strict(t *testing.T, name string, b []byte, into any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Errorf("%s does not fit %T: %v", name, into, err)
	}
}

// Every answer fits the SDK's type without a field too many, and has every
// field that recorded and documented bodies have, of the same JSON kind.
func TestAnswersHaveTheShapeOfTheAPI(t *testing.T) {
	s := start(t, Options{Instances: 3000, Regions: 1, Images: 600})
	tests := []struct {
		action string
		kv     []string
		into   func() any
		bodies []string
		apart  []string // paths of the bodies that are not simulated, or kinds that the real bodies do not agree on
	}{
		{
			"DescribeInstances",
			[]string{"RegionId", "cn-hangzhou", "MaxResults", "100", "AdditionalAttributes.1", "CURRENT_OS_NVME_SUPPORTED"},
			func() any { return &ecs.DescribeInstancesResponseBody{} },
			[]string{"example.DescribeInstances.json", "DescribeInstances.doc.zh.01.json", "DescribeInstances.recorded.connext.json", "DescribeInstances.recorded.troubleshooter.02.json", "DescribeInstances.recorded.troubleshooter.06.json"},
			[]string{".OperationLocks.LockReason[]", ".KeyPairName"},
		},
		{
			"DescribeImages",
			[]string{"RegionId", "cn-hangzhou", "PageSize", "100", "ImageOwnerAlias", "self"},
			func() any { return &ecs.DescribeImagesResponseBody{} },
			[]string{"example.DescribeImages.json", "DescribeImages.recorded.troubleshooter.01.json", "DescribeImages.recorded.aliyun-cli.01.json"},
			[]string{".ImdsSupport", "TotalCount", "PageSize"},
		},
		{
			"DescribeInstanceTypes", nil, func() any { return &ecs.DescribeInstanceTypesResponseBody{} },
			[]string{"example.DescribeInstanceTypes.json", "DescribeInstanceTypes.doc.zh.01.json"},
			[]string{"SupportedTopologyType[]"},
		},
		{
			"DescribeRegions", nil, func() any { return &ecs.DescribeRegionsResponseBody{} },
			[]string{"example.DescribeRegions.json", "DescribeRegions.recorded.troubleshooter.01.json"},
			nil,
		},
		{
			"DescribeAvailableResource",
			[]string{"RegionId", "cn-hangzhou", "DestinationResource", "InstanceType"},
			func() any { return &ecs.DescribeAvailableResourceResponseBody{} },
			[]string{"example.DescribeAvailableResource.json", "DescribeAvailableResource.doc.zh.01.json"},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.action, func(t *testing.T) {
			r := ask(t, s, tt.action, tt.kv...)
			if r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
			strict(t, "the simulator's answer", r.body, tt.into())
			have := paths(t, r.body)
			for _, name := range tt.bodies {
				for at, kind := range paths(t, body(t, name)) {
					if slices.ContainsFunc(tt.apart, func(p string) bool { return strings.Contains(at, p) }) {
						continue
					}
					if have[at] != kind {
						t.Errorf("%s: %s is a %s, here %q", name, at, kind, have[at])
					}
				}
			}
		})
	}
}

func TestExamplesFitTheSDKToo(t *testing.T) {
	strict(t, "DescribeInstances", body(t, "example.DescribeInstances.json"), &ecs.DescribeInstancesResponseBody{})
	strict(t, "DescribeImages", body(t, "example.DescribeImages.json"), &ecs.DescribeImagesResponseBody{})
	strict(t, "DescribeInstanceTypes", body(t, "example.DescribeInstanceTypes.json"), &ecs.DescribeInstanceTypesResponseBody{})
	strict(t, "DescribeRegions", body(t, "example.DescribeRegions.json"), &ecs.DescribeRegionsResponseBody{})
}

func TestErrorsHaveTheShapeOfTheGateway(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1, Faults: []Fault{{Kind: FaultThrottle, Action: "DescribeImages"}, {Kind: FaultForbidden, Action: "DescribeInstances"}}})
	tests := []struct{ action, body string }{
		{"DescribeImages", "example.error.json"},
		{"DescribeImages", "Error.Throttling.json"},
		{"DescribeImages", "Error.InvalidAccessKeyId.gateway.json"},
		{"DescribeInstances", "example.error-ram.json"},
	}
	for _, tt := range tests {
		r := ask(t, s, tt.action, "RegionId", "cn-hangzhou")
		have := paths(t, r.body)
		want := paths(t, body(t, tt.body))
		for at, kind := range want {
			if have[at] != kind {
				t.Errorf("%s: %s is a %s, here %q", tt.body, at, kind, have[at])
			}
		}
		if len(have) != len(want) && tt.body != "Error.Throttling.json" {
			t.Errorf("%s: %d fields, here %d: %s", tt.body, len(want), len(have), r.body)
		}
	}
	if _, err := sdk(t, s).DescribeImages(&ecs.DescribeImagesRequest{RegionId: new("cn-hangzhou")}); codeOf(err) != "Throttling.User" {
		t.Errorf("the SDK reads %v", err)
	}
}

func TestAssumeRoleHasTheShapeOfTheDocumentation(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1})
	r, _ := assume(t, s, "RoleArn", "acs:ram::"+DemoAccountID+":role/shenscan", "RoleSessionName", "tt")
	have := paths(t, r.body)
	for at, kind := range paths(t, body(t, "example.AssumeRole.json")) {
		if have[at] != kind {
			t.Errorf("%s is a %s, here %q", at, kind, have[at])
		}
	}
}
