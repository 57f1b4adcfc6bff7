package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
)

// A scan is announced in parts: it runs from the first on, shows which account is
// still waited for, and ends behind the last. Twice the same parts are one.
func TestAScanIsAnnouncedInParts(t *testing.T) {
	db, s := fresh(t), newStream()
	shop, slow := event.PlannedAccount{ID: "prod", Name: "shop", AllRegions: true, Pending: true}, event.PlannedAccount{ID: "slow", AllRegions: true, Pending: true}
	part := func(name string, more bool, accounts []event.PlannedAccount, scopes ...ecs.Scope) *event.ScanPlanned {
		m := about("s1", 100, accounts, scopes...)
		m.Part, m.More = name, more
		return m
	}
	listed := func(a event.PlannedAccount) []event.PlannedAccount {
		a.Pending, a.Listed = false, true
		return []event.PlannedAccount{a}
	}
	running := func() record.Scan {
		t.Helper()
		got, err := db.Scan("s1")
		if err != nil {
			t.Fatal(err)
		}
		return *got
	}
	head := part("accounts", true, []event.PlannedAccount{shop, slow})
	apply(t, db, s.put(head))
	apply(t, db, s.put(part("account-prod", true, listed(shop), hangzhou)))
	apply(t, db, s.put(read("s1", hangzhou, 100, machine{id: "i-1", os: "debian 12"})...))
	apply(t, db, s.put(head)) // a producer that died is followed by another
	apply(t, db, s.put(part("account-prod", true, listed(shop), hangzhou)))
	got := running()
	if got.State != record.ScanRunning || got.Regions != 1 || got.Done != 1 {
		t.Fatalf("%s, %d of %d regions", got.State, got.Done, got.Regions)
	}
	want := []record.ScanAccount{
		{Account: "prod", Name: "shop", Regions: 1, Complete: 1, Instances: 1, Seconds: got.Accounts[0].Seconds},
		{Account: "slow", Planning: true},
	}
	if diff := cmp.Diff(want, got.Accounts); diff != "" {
		t.Errorf("accounts:\n%s", diff)
	}
	apply(t, db, s.put(part("account-slow", true, listed(slow), ecs.Scope{Account: "slow", Region: "cn-hangzhou"})))
	apply(t, db, s.put(read("s1", ecs.Scope{Account: "slow", Region: "cn-hangzhou"}, 100)...))
	if got := running(); got.State != record.ScanRunning {
		t.Fatalf("it ended %s before its announcement did", got.State)
	}
	end := part("end", false, nil)
	end.AllAccounts = true
	apply(t, db, s.put(end))
	if got := running(); got.State != record.ScanComplete || got.Regions != 2 {
		t.Errorf("%s with %d regions: %+v", got.State, got.Regions, got.Scopes)
	}
	// What comes behind the end adds nothing.
	apply(t, db, s.put(part("account-late", true, []event.PlannedAccount{{ID: "late"}}, beijing)))
	if got := running(); got.Regions != 2 {
		t.Errorf("%d regions", got.Regions)
	}
}

// An account of twenty regions that cannot be listed is twenty regions that were
// not read, in the scan, by account, and in what metrics are made of.
func TestAnUnreadAccountIsAsManyRegionsAsItHas(t *testing.T) {
	db, s := fresh(t), newStream()
	prod := event.PlannedAccount{ID: "prod", AllRegions: true, Listed: true}
	var scopes []ecs.Scope
	for i := range 20 {
		scopes = append(scopes, ecs.Scope{Account: "prod", Region: "cn-" + string(rune('a'+i))})
	}
	apply(t, db, s.put(about("s1", 10, []event.PlannedAccount{prod}, scopes...)))
	for _, sc := range scopes {
		apply(t, db, s.put(read("s1", sc, 10)...))
	}
	s.now = 200
	denied := about("s2", 100, []event.PlannedAccount{{ID: "prod", AllRegions: true}})
	denied.Failed = []record.Failure{{Account: "prod", API: "DescribeRegions", Class: "permission", Error: "denied"}}
	denied.Part, denied.More = "account-prod", true
	apply(t, db, s.put(denied))
	apply(t, db, s.put(&event.ScanPlanned{ScanID: "s2", Kind: event.KindScan, Epoch: at(100), Part: "end"}))
	got, err := db.Scan("s2")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Accounts) != 1 || got.Accounts[0].Regions != 20 || got.Accounts[0].Failed != 20 || got.Regions != 20 || got.State != record.ScanPartial {
		t.Errorf("%s, %d regions, accounts %+v", got.State, got.Regions, got.Accounts)
	}
	if n := db.Stats().Accounts["prod"].FailedRegions; n != 20 {
		t.Errorf("%d failed regions for the metrics", n)
	}
}
