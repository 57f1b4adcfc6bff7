// Package ecstest is the conformance suite of ecs.API: what every
// implementation promises to its callers. It refuses to know any
// implementation; its tests read only through the interface.
package ecstest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/rules"
)

// Fixture is an implementation and what is true behind it. The fleet does not
// change while the suite runs.
type Fixture struct {
	API     ecs.API
	Account string
	// Sizes are the numbers of live instances by region; at least one region
	// has more than ecs.MaxPage.
	Sizes map[string]int
}

// Run runs the suite. newFixture is called once for every test.
func Run(t *testing.T, newFixture func(t *testing.T) Fixture) {
	t.Helper()
	for _, tc := range []struct {
		name string
		test func(*testing.T, Fixture)
	}{
		{"regions_are_those_of_the_account", regions},
		{"the_chain_visits_every_instance_once", chain},
		{"a_targeted_query_returns_what_exists", targeted},
		{"creation_times_cut_a_region_without_gap_or_overlap", cuts},
		{"the_count_is_the_size", count},
		{"access_is_verified", access},
		{"every_image_asked_for_is_answered", images},
		{"instance_types_are_listed_once", types},
		{"stock_is_told_for_every_zone_and_for_one", stock},
		{"an_unknown_region_is_closed", refused(func(s *ecs.Scope, _ *ecs.Query) { s.Region = "cn-neverwas" }, ecs.RegionClosed)},
		{"an_unknown_account_is_refused", refused(func(s *ecs.Scope, _ *ecs.Query) { s.Account = "neverwas" }, ecs.BadRequest, ecs.Credentials, ecs.Permission)},
		{"a_foreign_token_is_refused", refused(func(_ *ecs.Scope, q *ecs.Query) { q.NextToken = "bm90IGEgdG9rZW4=" }, ecs.TokenExpired)},
		{"too_many_ids_are_refused", refused(func(_ *ecs.Scope, q *ecs.Query) { q.InstanceIDs = make([]string, ecs.MaxPage+1) }, ecs.BadRequest)},
		{"a_cancelled_context_ends_every_call", cancelled},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, newFixture(t)) })
	}
}

// Walk lists what matches query to the end of its chain.
func Walk(ctx context.Context, api ecs.API, scope ecs.Scope, query ecs.Query) ([]ecs.Instance, error) {
	var all []ecs.Instance
	for {
		page, err := api.Instances(ctx, scope, query)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Instances...)
		if page.NextToken == "" {
			return all, nil
		}
		query.NextToken = page.NextToken
	}
}

func (f Fixture) biggest() ecs.Scope {
	best := ""
	for r, n := range f.Sizes {
		if best == "" || n > f.Sizes[best] || (n == f.Sizes[best] && r < best) {
			best = r
		}
	}
	return ecs.Scope{Account: f.Account, Region: best}
}

func regions(t *testing.T, fixture Fixture) {
	got, err := fixture.API.Regions(t.Context(), fixture.Account)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, region := range got {
		if named[region.ID] {
			t.Errorf("region %s is named twice", region.ID)
		}
		named[region.ID] = true
	}
	for r := range fixture.Sizes {
		if !named[r] {
			t.Errorf("region %s is not named", r)
		}
	}
}

func chain(t *testing.T, f Fixture) {
	for region, size := range f.Sizes {
		all, err := Walk(t.Context(), f.API, ecs.Scope{Account: f.Account, Region: region}, ecs.Query{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i := range all {
			if all[i].ID == "" || all[i].Type == "" || seen[all[i].ID] {
				t.Fatalf("instance %+v", all[i])
			}
			seen[all[i].ID] = true
		}
		if len(all) != size {
			t.Errorf("%s: %d instances, %d are there", region, len(all), size)
		}
	}
}

func firstPage(t *testing.T, f Fixture, scope ecs.Scope) *ecs.Page {
	t.Helper()
	page, err := f.API.Instances(t.Context(), scope, ecs.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Instances) != ecs.MaxPage || page.NextToken == "" {
		t.Fatalf("the first page of %s holds %d instances", scope, len(page.Instances))
	}
	return page
}

func targeted(t *testing.T, fixture Fixture) {
	scope := fixture.biggest()
	p := firstPage(t, fixture, scope)
	ids := []string{p.Instances[3].ID, "i-neverwasthere0000000", p.Instances[0].ID}
	got, err := fixture.API.Instances(t.Context(), scope, ecs.Query{InstanceIDs: ids})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Instances) != 2 || got.NextToken != "" {
		t.Errorf("%+v", got)
	}
	for _, in := range got.Instances {
		if in.ID != ids[0] && in.ID != ids[2] {
			t.Errorf("%s was not asked for", in.ID)
		}
	}
}

const minute = "2006-01-02T15:04Z"

func cuts(t *testing.T, fixture Fixture) {
	scope := fixture.biggest()
	all, err := Walk(t.Context(), fixture.API, scope, ecs.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var times []string
	for i := range all {
		times = append(times, all[i].CreationTime)
	}
	sort.Strings(times)
	cut, err := time.Parse(minute, times[len(times)/2])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, q := range []ecs.Query{{CreatedTo: cut.Add(-time.Minute)}, {CreatedFrom: cut}} {
		part, err := Walk(t.Context(), fixture.API, scope, q)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 || len(part) == len(all) {
			t.Errorf("a part holds %d of %d instances", len(part), len(all))
		}
		for i := range part {
			seen[part[i].ID]++
		}
	}
	for i := range all {
		if n := seen[all[i].ID]; n != 1 {
			t.Errorf("%s created %s is in %d parts", all[i].ID, all[i].CreationTime, n)
		}
	}
}

func count(t *testing.T, fixture Fixture) {
	scope := fixture.biggest()
	n, err := fixture.API.CountInstances(t.Context(), scope, ecs.Query{})
	if err != nil || n != fixture.Sizes[scope.Region] {
		t.Errorf("%d counted, %d are there: %v", n, fixture.Sizes[scope.Region], err)
	}
}

func access(t *testing.T, f Fixture) {
	if err := f.API.VerifyAccess(t.Context(), f.biggest()); err != nil {
		t.Error(err)
	}
}

func images(t *testing.T, fixture Fixture) {
	scope := fixture.biggest()
	page := firstPage(t, fixture, scope)
	var ids []string
	distinct := map[string]bool{}
	for i := range page.Instances {
		ids = append(ids, page.Instances[i].ImageID) // with repeats
	}
	ids = append(ids, "m-neverwasthere0000000", "an id, with a comma", "")
	for _, id := range ids {
		distinct[id] = true
	}
	got, err := fixture.API.Images(t.Context(), scope, ids)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	answered := map[string]bool{}
	for _, img := range got {
		if answered[img.ID] || !distinct[img.ID] {
			t.Errorf("image %q is answered twice or was not asked for", img.ID)
		}
		answered[img.ID] = true
		switch img.Facts.Presence {
		case rules.ImageFound:
			found++
		case rules.ImageMissing:
		default:
			t.Errorf("image %q: presence %d", img.ID, img.Facts.Presence)
		}
	}
	if len(answered) != len(distinct) || found == 0 || found == len(distinct) {
		t.Errorf("%d of %d images answered, %d found", len(answered), len(distinct), found)
	}
}

func types(t *testing.T, f Fixture) {
	got, err := f.API.InstanceTypes(t.Context(), f.Account)
	if err != nil || len(got) == 0 {
		t.Fatalf("%d instance types, %v", len(got), err)
	}
	seen := map[string]bool{}
	for _, item := range got {
		if item.ID == "" || seen[item.ID] {
			t.Errorf("%+v", item)
		}
		seen[item.ID] = true
	}
}

// wantClass fails unless err is an *ecs.Error of one of the classes.
func wantClass(t *testing.T, err error, classes ...ecs.Class) {
	t.Helper()
	if failure, ok := errors.AsType[*ecs.Error](err); !ok || !slices.Contains(classes, failure.Class) {
		t.Errorf("err = %v, want an *ecs.Error of one of the classes %v", err, classes)
	}
}

// refused asks for instances of the biggest region as ask changes it.
func refused(ask func(*ecs.Scope, *ecs.Query), classes ...ecs.Class) func(*testing.T, Fixture) {
	return func(t *testing.T, f Fixture) {
		scope, query := f.biggest(), ecs.Query{}
		ask(&scope, &query)
		_, err := f.API.Instances(t.Context(), scope, query)
		wantClass(t, err, classes...)
	}
}

func stock(t *testing.T, fixture Fixture) {
	scope := fixture.biggest()
	all, err := fixture.API.Stock(t.Context(), scope, ecs.StockQuery{ChargeType: "PostPaid"})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d zones, %v", len(all), err)
	}
	for _, zoneStock := range all {
		one, err := fixture.API.Stock(t.Context(), scope, ecs.StockQuery{Zone: zoneStock.Zone, ChargeType: "PostPaid"})
		if err != nil || len(one) != 1 || one[0].Zone != zoneStock.Zone {
			t.Fatalf("%s: %+v, %v", zoneStock.Zone, one, err)
		}
		if !maps.Equal(one[0].Types, zoneStock.Types) || len(zoneStock.Types) == 0 {
			t.Errorf("%s sells %d types, asked alone %d", zoneStock.Zone, len(zoneStock.Types), len(one[0].Types))
		}
	}
	_, err = fixture.API.Stock(t.Context(), scope, ecs.StockQuery{ChargeType: "ForFree"})
	wantClass(t, err, ecs.BadRequest)
}

func cancelled(t *testing.T, fixture Fixture) {
	scope := fixture.biggest()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Regions":        func() error { _, err := fixture.API.Regions(ctx, scope.Account); return err },
		"Instances":      func() error { _, err := fixture.API.Instances(ctx, scope, ecs.Query{}); return err },
		"CountInstances": func() error { _, err := fixture.API.CountInstances(ctx, scope, ecs.Query{}); return err },
		"VerifyAccess":   func() error { return fixture.API.VerifyAccess(ctx, scope) },
		"Images":         func() error { _, err := fixture.API.Images(ctx, scope, []string{"m-1"}); return err },
		"InstanceTypes":  func() error { _, err := fixture.API.InstanceTypes(ctx, scope.Account); return err },
		"Stock":          func() error { _, err := fixture.API.Stock(ctx, scope, ecs.StockQuery{}); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}
