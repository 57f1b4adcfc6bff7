package ecsapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
)

const stockHead = `{"RequestId":"r","AvailableZones":{"AvailableZone":[{"RegionId":"cn-hangzhou","ZoneId":"cn-hangzhou-h","Status":"Available","StatusCategory":"WithStock","AvailableResources":{"AvailableResource":[{"Type":"InstanceType","SupportedResources":{"SupportedResource":`

func TestStockIsReadInEverySpelling(t *testing.T) {
	none := []ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{}}}
	for _, tt := range []struct {
		name, body string
		want       []ecs.ZoneStock
	}{
		{
			"all_categories",
			stockHead + `[{"Value":"a","Status":"Available","StatusCategory":"WithStock"},{"Value":"b","Status":"Available","StatusCategory":"ClosedWithStock"},
				{"Value":"c","Status":"SoldOut","StatusCategory":"WithoutStock"},{"Value":"d","Status":"SoldOut","StatusCategory":"ClosedWithoutStock"},{"Value":"e","Status":"Available"},{"Value":"f","Status":"SoldOut"}]}}]}}]}}`,
			[]ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{"a": ecs.InStock, "b": ecs.LowStock, "c": ecs.SoldOut, "d": ecs.SoldOut, "e": ecs.InStock, "f": ecs.SoldOut}}},
		},
		{"one_type_outside_a_list", stockHead + `{"Value":"a","StatusCategory":"WithStock"}}}]}}]}}`, []ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{"a": ecs.InStock}}}},
		{"nothing_in_the_zone", stockHead + `null}}]}}]}}`, none},
		{
			"a_zone_that_is_sold_out_sells_nothing",
			strings.Replace(stockHead, `"Available","StatusCategory":"WithStock"`, `"SoldOut","StatusCategory":"WithoutStock"`, 1) + `[{"Value":"a","StatusCategory":"WithStock"}]}}]}}]}}`,
			[]ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{"a": ecs.SoldOut}}},
		},
		{
			"what_is_sold_by_one_row_and_not_by_another_is_not_sold",
			stockHead + `[{"Value":"a","Status":"Available"},{"Value":"a","Status":"SoldOut"},{"Value":"b","StatusCategory":"ClosedWithStock"},{"Value":"b","StatusCategory":"WithStock"}]}}]}}]}}`,
			[]ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{"a": ecs.SoldOut, "b": ecs.LowStock}}},
		},
		{
			"words_that_nobody_knows_are_no_full_stock",
			stockHead + `[{"Value":"a","Status":"Forbidden","StatusCategory":"WithStock"},{"Value":"b","Status":"Available","StatusCategory":"Scarce"},{"Value":"c","Status":"SoldOut","StatusCategory":"Scarce"}]}}]}}]}}`,
			[]ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{"a": ecs.LowStock, "b": ecs.LowStock, "c": ecs.SoldOut}}},
		},
		{
			"a_zone_that_comes_twice_is_one",
			strings.Replace(stockHead, `"AvailableZone":[`, `"AvailableZone":[{"ZoneId":"cn-hangzhou-h","AvailableResources":{"AvailableResource":[{"SupportedResources":{"SupportedResource":[{"Value":"a","Status":"SoldOut"},{"Value":"b"}]}}]}},`, 1) + `[{"Value":"a","Status":"Available"}]}}]}}]}}`,
			[]ecs.ZoneStock{{Zone: "cn-hangzhou-h", Types: map[string]ecs.Stock{"a": ecs.SoldOut, "b": ecs.InStock}}},
		},
		{"no_zone_at_all", `{"RequestId":"r"}`, nil},
		{"an_empty_string_for_the_zones", `{"RequestId":"r","AvailableZones":""}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeStock([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for says, bad := range map[string]string{
		"another region":        strings.Replace(stockHead, "cn-hangzhou", "us-west-1", 1) + `[{"Value":"a"}]}}]}}]}}`,
		"zone cn-beijing-h":     strings.Replace(stockHead, `"RegionId":"cn-hangzhou","ZoneId":"cn-hangzhou-h"`, `"ZoneId":"cn-beijing-h"`, 1) + `[{"Value":"a"}]}}]}}]}}`,
		"goes on under a Next":  `{"NextToken":"x",` + stockHead[1:] + `[{"Value":"a"}]}}]}}]}}`,
		"that there are more z": `{"HasMore":true,` + stockHead[1:] + `[{"Value":"a"}]}}]}}]}}`,
	} {
		if got, err := decodeStock([]byte(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v", says, got, err)
		}
	}
	for _, bad := range []string{`{}`, `{"RequestId":"r","AvailableZones":{"AvailableZone":[{}]}}`, stockHead + `[{}]}}]}}]}}`, stockHead} {
		if got, err := decodeStock([]byte(bad)); err == nil {
			t.Errorf("%s is %+v", bad, got)
		}
	}
}

func TestStockAsksAsDocumentedAndNamesTheMissingAction(t *testing.T) {
	denied := false
	f := newFake(t, map[string]http.HandlerFunc{actStock: func(w http.ResponseWriter, _ *http.Request) {
		if denied {
			answer(w, 403, `{"Code":"Forbidden.RAM","Message":"no","RequestId":"r","AccessDeniedDetail":{"AuthAction":"ecs:DescribeAvailableResource"}}`)
			return
		}
		answer(w, 200, stockHead+`[{"Value":"ecs.g6.large","Status":"Available","StatusCategory":"WithStock"}]}}]}}]}}`)
	}})
	c := newTestClient(t, f, nil)
	s := ecs.Scope{Account: testAccount, Region: "cn-hangzhou"}
	got, err := c.Stock(t.Context(), s, ecs.StockQuery{Zone: "cn-hangzhou-h", ChargeType: "PrePaid"})
	if err != nil || len(got) != 1 || got[0].Types["ecs.g6.large"] != ecs.InStock {
		t.Fatalf("%+v, %v", got, err)
	}
	q := f.request().URL.Query()
	for key, want := range map[string]string{
		"RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-h", "DestinationResource": "InstanceType", "InstanceChargeType": "PrePaid", "IoOptimized": "optimized", "ResourceType": "instance",
	} {
		if q.Get(key) != want {
			t.Errorf("%s=%q, want %q", key, q.Get(key), want)
		}
	}
	denied = true
	_, err = c.Stock(t.Context(), s, ecs.StockQuery{})
	e, ok := errors.AsType[*ecs.Error](err)
	if !ok || e.Class != ecs.Permission || !strings.Contains(e.Mend, "ecs:DescribeAvailableResource") {
		t.Errorf("%v", err)
	}
}
