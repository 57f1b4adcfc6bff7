package ecsapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
)

const changesHead = `{"RequestId":"r","AvailableZones":{"AvailableZone":[{"RegionId":"cn-hangzhou","ZoneId":"cn-hangzhou-h","Status":"Available","AvailableResources":{"AvailableResource":[{"Type":"InstanceType",`

func TestTypeChangesAreRead(t *testing.T) {
	body := changesHead + `"SupportedResources":{"SupportedResource":[{"Value":"ecs.g6.large","Status":"Available","StatusCategory":"WithStock"},{"Value":"ecs.c6.large","Status":"SoldOut"},{"Value":"ecs.g7.large","Status":"Available"}]},
		"ConditionSupportedResources":{"ConditionSupportedResource":[{"Value":"ecs.g8i.large","Status":"Available","StatusCategory":"ClosedWithStock","Conditions":{"Condition":[{"Key":"DiskCategory"}]}},
		{"Value":"ecs.g7.large","Status":"Available","Conditions":{"Condition":[{"Key":"DiskCategory"}]}},
		{"Value":"ecs.r8i.large","Status":"Available","Conditions":{"Condition":[{"Key":"DiskCategory"},{"Key":"Moon"}]}},{"Value":"ecs.c8i.large","Status":"Available"}]}}]}}]}}`
	f := newFake(t, map[string]http.HandlerFunc{actChanges: func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for key, want := range map[string]string{"RegionId": "cn-hangzhou", "ResourceId": "i-1", "DestinationResource": "InstanceType", "OperationType": "Upgrade", "Conditions.1": "DiskCategory", "MigrateAcrossZone": "true"} {
			if q.Get(key) != want {
				t.Errorf("%s=%q, want %q", key, q.Get(key), want)
			}
		}
		answer(w, 200, body)
	}})
	got, err := newTestClient(t, f, nil).TypeChanges(t.Context(), testScope, ecs.ChangeQuery{Instance: "i-1", Zone: "cn-hangzhou-h", AcrossClusters: true})
	want := map[string]ecs.TypeChange{
		"ecs.g6.large": {Stock: ecs.InStock}, "ecs.c6.large": {Stock: ecs.SoldOut}, "ecs.g7.large": {Stock: ecs.InStock}, "ecs.g8i.large": {Stock: ecs.LowStock, AfterDisks: true},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestTypeChangesThatAreNotBelieved(t *testing.T) {
	for _, c := range []struct{ name, body, says string }{
		{"no_zone", `{"RequestId":"r","AvailableZones":{"AvailableZone":[]}}`, "names no zone"},
		{"nothing", `{"RequestId":"r"}`, "names no zone"},
		{"no_type", changesHead + `"SupportedResources":{"SupportedResource":[]}}]}}]}}`, "names no type at all"},
		{"another_zone", strings.ReplaceAll(changesHead, "hangzhou-h", "hangzhou-b") + `"SupportedResources":{"SupportedResource":[{"Value":"x"}]}}]}}]}}`, "another zone"},
		{"another_region", strings.ReplaceAll(changesHead, "hangzhou", "beijing") + `"SupportedResources":{"SupportedResource":[{"Value":"x"}]}}]}}]}}`, "another region"},
	} {
		f := newFake(t, map[string]http.HandlerFunc{actChanges: func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, c.body) }})
		_, err := newTestClient(t, f, nil).TypeChanges(t.Context(), testScope, ecs.ChangeQuery{Instance: "i-1", Zone: "cn-hangzhou-h"})
		if e := mustClass(t, err, ecs.Contradicted); !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %v", c.name, e)
		}
	}
	f := newFake(t, map[string]http.HandlerFunc{actChanges: refusal(403, "Forbidden.RAM")})
	_, err := newTestClient(t, f, nil).TypeChanges(t.Context(), testScope, ecs.ChangeQuery{Instance: "i-1"})
	if e := mustClass(t, err, ecs.Permission); !strings.Contains(e.Mend, "ecs:DescribeResourcesModification") {
		t.Error(e)
	}
	if _, err := newTestClient(t, f, nil).TypeChanges(t.Context(), testScope, ecs.ChangeQuery{Instance: " "}); ecs.ClassOf(err) != ecs.BadRequest {
		t.Error(err)
	}
}

// The documents' own example.
func TestTypeChangesOfTheDocuments(t *testing.T) {
	for name, body := range responses(t, "DescribeResourcesModification.") {
		var answer wireChanges
		if err := unmarshal(body, &answer); err != nil {
			t.Fatal(name, err)
		}
		got, doubt := answer.types("cn-hangzhou-dg-a01", "cn-hangzhou-h")
		if doubt != "" || len(got) < 40 || got["ecs.g5.xlarge"] != (ecs.TypeChange{Stock: ecs.InStock}) {
			t.Errorf("%s: %q, %v", name, doubt, got)
		}
	}
}
