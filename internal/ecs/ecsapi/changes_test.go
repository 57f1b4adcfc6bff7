package ecsapi

import (
	"fmt"
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

// What speaks against an offer in the same answer wins, wherever it stands.
func TestTheWorseOfWhatIsSaidOfAChangeCounts(t *testing.T) {
	const good, sold = `{"Value":"x","Status":"Available","StatusCategory":"WithStock"}`, `{"Value":"x","Status":"SoldOut"}`
	const part = `{"Type":"InstanceType","SupportedResources":{"SupportedResource":[%s]}}`
	const condition = `{"Type":"InstanceType","ConditionSupportedResources":{"ConditionSupportedResource":[{"Value":"x","Status":"Available","Conditions":{"Condition":[{"Key":"DiskCategory"}]}}]}}`
	zone := func(status string, resources ...string) string {
		return fmt.Sprintf(`{"RegionId":"r","ZoneId":"r-a",%s,"AvailableResources":{"AvailableResource":[%s]}}`, status, strings.Join(resources, ","))
	}
	const open = `"Status":"Available","StatusCategory":"WithStock"`
	list := func(rows ...string) string { return fmt.Sprintf(part, strings.Join(rows, ",")) }
	for _, c := range []struct {
		name, zones, zone string
		want              ecs.TypeChange
		doubt             string
	}{
		{name: "twice", zones: zone(open, list(sold, good)), want: ecs.TypeChange{}},
		{name: "twice_the_other_way", zones: zone(open, list(good, sold)), want: ecs.TypeChange{}},
		{name: "in_two_lists", zones: zone(open, list(sold), list(good)), want: ecs.TypeChange{}},
		{name: "in_a_zone_that_is_sold_out", zones: zone(`"Status":"SoldOut"`, list(good)), want: ecs.TypeChange{}},
		{name: "in_two_rows_of_a_zone", zones: zone(`"Status":"SoldOut"`, list(good)) + "," + zone(open, list(good)), want: ecs.TypeChange{}},
		{name: "a_condition_in_another_list", zones: zone(open, list(good), condition), want: ecs.TypeChange{Stock: ecs.InStock}},
		{name: "available_without_stock", zones: zone(open, list(`{"Value":"x","Status":"Available","StatusCategory":"WithoutStock"}`)), want: ecs.TypeChange{}},
		{name: "no_status", zones: zone(open, list(`{"Value":"x"}`)), want: ecs.TypeChange{Stock: ecs.InStock, Odd: "none"}},
		{name: "a_status_that_nobody_knows", zones: zone(open, list(`{"Value":"x","Status":"Waning"}`)), want: ecs.TypeChange{Stock: ecs.InStock, Odd: "Waning"}},
		{name: "a_category_that_nobody_knows", zones: zone(open, list(`{"Value":"x","Status":"Available","StatusCategory":"Reserved"}`)), want: ecs.TypeChange{Stock: ecs.InStock, Odd: "Reserved"}},
		{name: "a_zone_whose_status_nobody_knows", zones: zone(`"Status":"Closing"`, list(good)), want: ecs.TypeChange{Stock: ecs.InStock, Odd: "Closing"}},
		{name: "the_zone_is_not_known", zones: zone(open, list(good)), zone: "-", want: ecs.TypeChange{Stock: ecs.InStock}},
		{name: "and_there_are_several", zones: zone(open, list(good)) + "," + zone(open, list(good)), zone: "-", doubt: "several zones"},
		{name: "a_list_that_goes_on", zones: zone(open, list(good)) + `]},"NextToken":"x","A":{"B":[`, doubt: "goes on under a NextToken"},
		{name: "a_list_that_says_so", zones: zone(open, list(good)) + `]},"IsTruncated":true,"A":{"B":[`, doubt: "says that there are more"},
		{name: "another_kind_of_resource", zones: zone(open, strings.Replace(list(good), "InstanceType", "SystemDisk", 1)), doubt: "no type at all"},
	} {
		answer, err := decodeChanges([]byte(`{"AvailableZones":{"AvailableZone":[` + c.zones + `]}}`))
		if err != nil {
			t.Fatal(c.name, err)
		}
		at := "r-a"
		if c.zone == "-" {
			at = ""
		}
		got, doubt := answer.types("r", at)
		if c.doubt != "" && !strings.Contains(doubt, c.doubt) || c.doubt == "" && (doubt != "" || got["x"] != c.want) {
			t.Errorf("%s: %q, %+v", c.name, doubt, got)
		}
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
		var answer wireZones
		if err := unmarshal(body, &answer); err != nil {
			t.Fatal(name, err)
		}
		got, doubt := answer.types("cn-hangzhou-dg-a01", "cn-hangzhou-h")
		if doubt != "" || len(got) < 40 || got["ecs.g5.xlarge"] != (ecs.TypeChange{Stock: ecs.InStock}) {
			t.Errorf("%s: %q, %v", name, doubt, got)
		}
	}
}
