package plan_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/plan"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/internal/report"
	"github.com/shenscan/shenscan/rules/catalog"
)

// shop sells what it is told to and counts who asks.
type shop struct {
	mu     sync.Mutex
	asked  map[string]int
	zones  map[string]map[string]ecs.Stock // zone -> type -> stock
	refuse map[string]error                // by region
}

// Stock implements plan.Stocker.
func (s *shop) Stock(ctx context.Context, scope ecs.Scope, q ecs.StockQuery) ([]ecs.ZoneStock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = map[string]int{}
	}
	s.asked[scope.String()+"/"+q.ChargeType]++
	if err := s.refuse[scope.Region]; err != nil {
		return nil, err
	}
	var out []ecs.ZoneStock
	for zone, types := range s.zones {
		out = append(out, ecs.ZoneStock{Zone: zone, Types: types})
	}
	return out, ctx.Err()
}

var hangzhou = ecs.Scope{Account: "a", Region: "cn-hangzhou"}

// recommend plans one ecs.g5.large in cn-hangzhou-b with what the shop sells.
func recommend(t *testing.T, s *shop, change func(*record.Record)) (*plan.Item, *plan.Plan) {
	t.Helper()
	o := options(t, "shenlong-6", nil)
	var err error
	if o.Stock, err = plan.AskStock(t.Context(), s, o, []ecs.Scope{hangzhou}, "PrePaid"); err != nil {
		t.Fatal(err)
	}
	p := build(t, one(t, facts("CentOS 7.9 64位", "linux", "ecs.g5.large"), change), o)
	return only(t, p), p
}

func TestAvailabilityInTheZone(t *testing.T) {
	type stock = map[string]ecs.Stock
	for _, c := range []struct {
		name  string
		zones map[string]map[string]ecs.Stock
		want  plan.Choice
	}{
		{
			"the_first_choice_is_sold",
			map[string]map[string]ecs.Stock{"cn-hangzhou-b": {"ecs.g6.large": ecs.InStock, "ecs.hfg6.large": ecs.InStock}},
			plan.Choice{Type: "ecs.g6.large", Why: "2 vCPU and 8 GiB as now, x86_64, sold in cn-hangzhou-b", Availability: plan.Sold},
		},
		{
			"the_next_best_of_the_same_size_where_the_first_is_sold_out",
			map[string]map[string]ecs.Stock{"cn-hangzhou-b": {"ecs.hfg6.large": ecs.InStock}, "cn-hangzhou-h": {"ecs.g6.large": ecs.InStock}, "cn-hangzhou-g": {"ecs.g6.large": ecs.LowStock}},
			plan.Choice{
				Type: "ecs.hfg6.large", Why: "2 vCPU and 8 GiB as now, x86_64, sold in cn-hangzhou-b; ecs.g6.large is sold out in cn-hangzhou-b; sold in cn-hangzhou-g, cn-hangzhou-h",
				Availability: plan.Sold, FirstChoice: "ecs.g6.large", Zones: []string{"cn-hangzhou-g", "cn-hangzhou-h"},
			},
		},
		{
			"what_is_well_in_stock_before_what_is_scarce",
			map[string]map[string]ecs.Stock{"cn-hangzhou-b": {"ecs.g6.large": ecs.LowStock, "ecs.hfg6.large": ecs.InStock}},
			plan.Choice{Type: "ecs.hfg6.large", Why: "2 vCPU and 8 GiB as now, x86_64, sold in cn-hangzhou-b", Availability: plan.Sold},
		},
		{
			"what_is_scarce_before_what_is_larger",
			map[string]map[string]ecs.Stock{"cn-hangzhou-b": {"ecs.g6.large": ecs.LowStock, "ecs.g6.xlarge": ecs.InStock}},
			plan.Choice{Type: "ecs.g6.large", Why: "2 vCPU and 8 GiB as now, x86_64, few left in cn-hangzhou-b", Availability: plan.LowStock},
		},
		{
			"the_next_larger_where_nothing_of_the_size_is_sold",
			map[string]map[string]ecs.Stock{"cn-hangzhou-b": {"ecs.g6.xlarge": ecs.InStock}},
			plan.Choice{
				Type: "ecs.g6.xlarge", Availability: plan.Sold, FirstChoice: "ecs.g6.large",
				Why: "no type of the same size is sold in cn-hangzhou-b; the next larger: 4 vCPU and 16 GiB instead of 2 and 8 GiB, x86_64, sold in cn-hangzhou-b; ecs.g6.large is sold out in every zone of the region",
			},
		},
		{
			"sold_out_with_the_zones_that_sell_it",
			map[string]map[string]ecs.Stock{"cn-hangzhou-b": {}, "cn-hangzhou-h": {"ecs.g6.large": ecs.InStock}},
			plan.Choice{
				Type: "ecs.g6.large", Availability: plan.SoldOut, FirstChoice: "ecs.g6.large", Zones: []string{"cn-hangzhou-h"},
				Why: "2 vCPU and 8 GiB as now, x86_64; ecs.g6.large is sold out in cn-hangzhou-b; sold in cn-hangzhou-h",
			},
		},
		{
			"a_zone_that_the_answer_does_not_name_sells_nothing",
			map[string]map[string]ecs.Stock{"cn-hangzhou-h": {"ecs.g6.large": ecs.InStock}},
			plan.Choice{
				Type: "ecs.g6.large", Availability: plan.SoldOut, FirstChoice: "ecs.g6.large", Zones: []string{"cn-hangzhou-h"},
				Why: "2 vCPU and 8 GiB as now, x86_64; ecs.g6.large is sold out in cn-hangzhou-b; sold in cn-hangzhou-h",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			it, _ := recommend(t, &shop{zones: c.zones}, nil)
			if diff := gocmp.Diff(c.want, it.Replacement); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("an_instance_whose_zone_is_not_known_is_not_checked", func(t *testing.T) {
		it, p := recommend(t, &shop{zones: map[string]map[string]ecs.Stock{"cn-hangzhou-b": stock{}}}, func(r *record.Record) { r.Zone = "" })
		if it.Replacement.Type != "ecs.g6.large" || it.Replacement.Availability != plan.NotChecked || p.Availability.NotChecked != 1 {
			t.Errorf("%+v, %+v", it.Replacement, p.Availability)
		}
	})
}

func TestARefusalNeverBreaksThePlan(t *testing.T) {
	denied := &ecs.Error{
		Action: "DescribeAvailableResource", Scope: hangzhou, Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("not \x1b[31mauthorized"),
		Mend: "grant ecs:DescribeAvailableResource to the identity that shenscan uses",
	}
	it, p := recommend(t, &shop{refuse: map[string]error{"cn-hangzhou": denied}}, nil)
	if it.Replacement.Type != "ecs.g6.large" || it.Replacement.Availability != plan.NotChecked {
		t.Errorf("%+v", it.Replacement)
	}
	for _, f := range plan.Formats() {
		out := render(t, f, p)
		if f == report.CSV {
			if !strings.Contains(out, "not-checked") {
				t.Errorf("csv does not say that it was not checked:\n%s", out)
			}
			continue
		}
		for _, want := range []string{"ecs:DescribeAvailableResource", "Forbidden.RAM"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s does not name %s", f, want)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("%s holds an escape sequence", f)
		}
	}
}

func TestEachScopeIsAskedOnceAndFailuresOfAnAccountAreSaidOnce(t *testing.T) {
	s := &shop{zones: map[string]map[string]ecs.Stock{"z": {"ecs.g6.large": ecs.InStock}}, refuse: map[string]error{}}
	var scopes []ecs.Scope
	for i := range 30 {
		region := fmt.Sprintf("r-%02d", i)
		scopes = append(scopes, ecs.Scope{Account: "good", Region: region}, ecs.Scope{Account: "bad", Region: "bad-" + region})
		s.refuse["bad-"+region] = &ecs.Error{Class: ecs.Permission, Code: "Forbidden.RAM", Err: errors.New("no")}
	}
	s.refuse["r-07"] = errors.New("the line broke")
	stock, err := plan.AskStock(t.Context(), s, options(t, "shenlong-6", nil), scopes, "PostPaid")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 60 || slices.Max(slices.Collect(values(s.asked))) != 1 {
		t.Errorf("%d scopes asked: %v", len(s.asked), s.asked)
	}
	var where []string
	for _, f := range stock.Failures {
		where = append(where, f.Account+"/"+f.Region)
	}
	if diff := gocmp.Diff([]string{"bad/", "good/r-07"}, where); diff != "" || stock.Unasked != 31 {
		t.Errorf("%d unasked, %s", stock.Unasked, diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := plan.AskStock(ctx, s, options(t, "shenlong-6", nil), scopes, "PostPaid"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func values[K comparable, V any](m map[K]V) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// withAMD adds ecs.g6a, which the rules hold back from most systems.
func withAMD(o plan.Options) plan.Options {
	o.Types = append(o.Types, ecs.InstanceType{ID: "ecs.g6a.large", Family: "ecs.g6a", Arch: "X86", CPU: 2, MemoryGiB: 8, BootModes: []string{"BIOS"}})
	return o
}

func TestAFamilyThatIsWorseForTheSystemIsNotRecommended(t *testing.T) {
	rs, err := catalog.Default()
	if err != nil {
		t.Fatal(err)
	}
	// ecs.g6 is sold out: the next best would be the AMD family.
	sold := map[string]map[string]ecs.Stock{"cn-hangzhou-b": {"ecs.g6a.large": ecs.InStock, "ecs.hfg6.large": ecs.InStock}}
	for _, c := range []struct{ name, os, want string }{
		{"listed_for_amd", "CentOS 7.9 64位", "ecs.g6a.large"},
		{"not_listed_for_amd", "CentOS 7.4 64位", "ecs.hfg6.large"},
		{"not_listed_and_to_be_upgraded_first", "CentOS 5.8 64位", "ecs.hfg6.large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := withAMD(options(t, "shenlong-6", nil))
			o.Rules = rs
			if o.Stock, err = plan.AskStock(t.Context(), &shop{zones: sold}, o, []ecs.Scope{hangzhou}, "PostPaid"); err != nil {
				t.Fatal(err)
			}
			it := only(t, build(t, one(t, facts(c.os, "linux", "ecs.g5.large"), nil), o))
			if it.Replacement.Type != c.want {
				t.Errorf("%+v, want %s", it.Replacement, c.want)
			}
		})
	}
	t.Run("nothing_else_is_there", func(t *testing.T) {
		o := options(t, "shenlong-6", nil)
		o.Types, o.Rules = nil, rs
		o = withAMD(o)
		it := only(t, build(t, one(t, facts("CentOS 7.4 64位", "linux", "ecs.g5.large"), nil), o))
		if it.Replacement.Type != "" || !strings.Contains(it.Replacement.Why, "something against it, ecs.g6a.large for one") {
			t.Errorf("%+v", it.Replacement)
		}
	})
}
