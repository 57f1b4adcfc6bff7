package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/sink/store"
)

var beijing = ecs.Scope{Account: "prod", Region: "cn-beijing"}

// standings spells what is known of each scope.
func standings(db *store.DB) string {
	var out []string
	for _, sc := range db.Summary().Scopes {
		unlisted := ""
		if sc.Unlisted != nil {
			unlisted = fmt.Sprintf(" unlisted %d", (sc.Unlisted.UnixNano()-t0)/second)
		}
		out = append(out, fmt.Sprintf("%s/%s %d %s%s", sc.Account, sc.Region, sc.Instances, sc.Completeness, unlisted))
	}
	return strings.Join(out, ", ")
}

// about is a plan of a scan that was to read every region of its accounts.
func about(scan string, epoch int64, accounts []event.PlannedAccount, scopes ...ecs.Scope) *event.ScanPlanned {
	m := planned(scan, scanKind, epoch, scopes...)
	m.Accounts = accounts
	return m
}

// read is the rest of a complete scan of one scope.
func read(scan string, s ecs.Scope, epoch int64, machines ...machine) []event.Message {
	return whole(scan, s, epoch, machines...)[1:]
}

func TestWhatWasThereAndIsNotNamedAnyMoreIsKeptAndNamedUntilItIsSettled(t *testing.T) {
	prod := []event.PlannedAccount{{ID: "prod", Name: "shop", AllRegions: true, Listed: true}}
	failed := record.Failure{Account: "prod", API: "DescribeRegions", Class: "permission", Error: "denied"}
	denied := about("s2", 100, []event.PlannedAccount{{ID: "prod", AllRegions: true}})
	denied.Failed = []record.Failure{failed}
	nobody := about("s2", 100, nil)
	nobody.AllAccounts = true
	one, two := machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"}
	for name, c := range map[string]struct {
		plan   *event.ScanPlanned
		state  record.ScanState
		want   string
		failed int // regions of the account
	}{
		"both regions are listed":         {about("s2", 100, prod, hangzhou, beijing), "complete", "prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete", 0},
		"a region is not listed any more": {about("s2", 100, prod, hangzhou), "partial", "prod/cn-beijing 1 failed unlisted 100, prod/cn-hangzhou 1 complete", 0},
		"a scan of one region says nothing of others": {
			about("s2", 100, []event.PlannedAccount{{ID: "prod", Listed: true}}, hangzhou), "complete", "prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete", 0,
		},
		"the regions cannot be listed: each of them is one that was not read": {denied, "partial", "prod/cn-beijing 1 failed, prod/cn-hangzhou 1 failed", 2},
		"the account is not there any more":                                   {nobody, "partial", "prod/cn-beijing 1 failed unlisted 100, prod/cn-hangzhou 1 failed unlisted 100", 0},
		"keys alone say nothing of other accounts":                            {about("s2", 100, nil), "complete", "prod/cn-beijing 1 complete, prod/cn-hangzhou 1 complete", 0},
		"the account is excluded": {
			about("s2", 100, []event.PlannedAccount{{ID: "prod", Name: "shop", Excluded: true}}), "complete", "prod/cn-beijing 1 complete unlisted 100, prod/cn-hangzhou 1 complete unlisted 100", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, s := fresh(t), newStream()
			s.now = 50
			apply(t, db, s.put(about("s1", 10, prod, hangzhou, beijing)))
			apply(t, db, s.put(append(read("s1", hangzhou, 10, one), read("s1", beijing, 10, two)...)...))
			s.now = 200
			apply(t, db, s.put(c.plan))
			for _, sc := range c.plan.Scopes {
				apply(t, db, s.put(read("s2", sc, 100, map[ecs.Scope]machine{hangzhou: one, beijing: two}[sc])...))
			}
			got, err := db.Scan("s2")
			if err != nil || got.State != c.state {
				t.Fatalf("scan %+v, %v", got, err)
			}
			if diff := cmp.Diff(c.want, standings(db)); diff != "" {
				t.Error(diff)
			}
			if n := db.Stats().Accounts["prod"].FailedRegions; n != c.failed {
				t.Errorf("%d failed regions, want %d", n, c.failed)
			}
			if got := len(all(t, db, store.Filter{})); got != 2 || db.Summary().Gone != 0 {
				t.Errorf("%d instances, %d gone", got, db.Summary().Gone)
			}
			if excluded := len(db.Summary().Excluded) + len(got.Excluded); (excluded > 0) != strings.Contains(name, "excluded") {
				t.Errorf("excluded %+v", db.Summary().Excluded)
			}
		})
	}
}

func TestForgetSettlesWhatIsTrulyGone(t *testing.T) {
	prod := []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}
	one, two := machine{id: "i-1", os: "debian 12"}, machine{id: "i-2", os: "debian 12"}
	path := filepath.Join(t.TempDir(), "store.db")
	db, s := open(t, path, newJudge("a", oldOnes)), newStream()
	s.now = 50
	apply(t, db, s.put(about("s1", 10, prod, hangzhou, beijing)))
	if _, err := db.Forget(t.Context(), "prod", "cn-beijing", at(60)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Forget of what was never read = %v", err)
	}
	apply(t, db, s.put(append(read("s1", hangzhou, 10, one), scopePlanned("s1", scanKind, beijing, "1", "1.0"))...))
	if _, err := db.Forget(t.Context(), "prod", "cn-beijing", at(60)); !errors.Is(err, store.ErrRunning) {
		t.Errorf("Forget of what a scan reads = %v", err)
	}
	apply(t, db, s.put(read("s1", beijing, 10, two)...))
	apply(t, db, s.put(append([]event.Message{about("s2", 100, prod, hangzhou)}, read("s2", hangzhou, 100, one)...)...))
	got, err := db.Forget(t.Context(), "prod", "cn-beijing", at(300))
	want := []record.Forgotten{{Account: "prod", Region: "cn-beijing", Instances: 1, At: at(300)}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	check := func(when, scopes string, forgotten int, instances int) {
		t.Helper()
		if got := standings(db); got != scopes || len(db.Summary().Forgotten) != forgotten || len(all(t, db, store.Filter{})) != instances || db.Summary().Instances != instances {
			t.Errorf("%s: %s, forgotten %+v, %d instances", when, got, db.Summary().Forgotten, len(all(t, db, store.Filter{})))
		}
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	check("forgotten", "prod/cn-hangzhou 1 complete", 1, 1)
	if _, err := db.Find("i-2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Find of a forgotten instance = %v", err)
	}
	// The next scan has nothing left to name, and a region that comes back is one
	// like any other.
	s.now = 400
	apply(t, db, s.put(append([]event.Message{about("s3", 310, prod, hangzhou)}, read("s3", hangzhou, 310, one)...)...))
	if sc, err := db.Scan("s3"); err != nil || sc.State != record.ScanComplete {
		t.Errorf("scan %+v, %v", sc, err)
	}
	check("scanned without it", "prod/cn-hangzhou 1 complete", 1, 1)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, newJudge("a", oldOnes))
	check("opened again", "prod/cn-hangzhou 1 complete", 1, 1)
	apply(t, db, s.put(append([]event.Message{about("s4", 320, prod, hangzhou, beijing)}, append(read("s4", hangzhou, 320, one), read("s4", beijing, 320, two, machine{id: "i-3", os: "debian 12"})...)...)...))
	check("back again", "prod/cn-beijing 2 complete, prod/cn-hangzhou 1 complete", 0, 3)
	if got, err := db.Forget(t.Context(), "prod", "", at(500)); err != nil || len(got) != 2 || len(db.Stats().Accounts) != 0 {
		t.Errorf("Forget of the account = %+v, %v, %v", got, err, db.Stats().Accounts)
	}
	check("the account is forgotten", "", 2, 0)
}

func TestAnAccountsNameIsALabelThatFollowsTheConfiguration(t *testing.T) {
	db, s := fresh(t), newStream()
	s.now = 50
	names := func() (out []string) {
		for _, r := range all(t, db, store.Filter{}) {
			out = append(out, r.Account+" "+r.AccountName)
		}
		return out
	}
	for i, label := range []string{"shop", "store", ""} {
		id, epoch := fmt.Sprintf("s%d", i), int64(10+i)
		m := about(id, epoch, []event.PlannedAccount{{ID: "prod", Name: label, AllRegions: true, Listed: true}}, hangzhou)
		apply(t, db, s.put(append([]event.Message{m}, read(id, hangzhou, epoch, machine{id: "i-1", os: "debian 12"})...)...))
		if diff := cmp.Diff([]string{"prod " + label}, names()); diff != "" || db.Summary().Scopes[0].AccountName != label {
			t.Error(diff)
		}
	}
}

// What failed before it was known of which account is a failure of all that is shown, until a
// scan ends without it; whoever asks for one account by its id is not told of others.
func TestWhatFailedOfNoKnownAccountIsNotLeftOutOfTheTotals(t *testing.T) {
	cause := record.Failure{API: "GetCallerIdentity", Class: "credentials", Error: "account bad: the key is not known"}
	prod := []event.PlannedAccount{{ID: "prod", AllRegions: true, Listed: true}}
	db, s := fresh(t), newStream()
	s.now = 50
	scan := func(name string, epoch int64, failed ...record.Failure) {
		t.Helper()
		m := about(name, epoch, prod, hangzhou)
		m.Failed = failed
		apply(t, db, s.put(m))
		apply(t, db, s.put(read(name, hangzhou, epoch, machine{id: "i-1", os: "debian 12"})...))
	}
	scopes := func(f store.Filter) (out []string) {
		t.Helper()
		view, err := db.View(t.Context(), nil, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, sc := range view.Summary().Scopes {
			said := ""
			if len(sc.Failures) > 0 {
				said = ": " + sc.Failures[0].Error
			}
			out = append(out, fmt.Sprintf("%s/%s %s%s", sc.Account, sc.Region, sc.Completeness, said))
		}
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	const ok, bad = "prod/cn-hangzhou complete", "/ failed: account bad: the key is not known"
	scan("s1", 10, cause)
	for name, c := range map[string]struct {
		filter store.Filter
		want   []string
	}{
		"everything":             {store.Filter{}, []string{bad, ok}},
		"an account":             {store.Filter{Account: "prod"}, []string{ok}},
		"an account by its word": {store.Filter{Scope: scopeOf(t, "account=prod")}, []string{ok}},
		"a region":               {store.Filter{Scope: scopeOf(t, "region=cn-hangzhou")}, []string{bad, ok}},
	} {
		if diff := cmp.Diff(c.want, scopes(c.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	scan("s2", 100)
	if diff := cmp.Diff([]string{ok}, scopes(store.Filter{})); diff != "" {
		t.Errorf("after a scan without it: %s", diff)
	}
	scan("s3", 100, cause) // of the same time, and later ended
	if diff := cmp.Diff([]string{bad, ok}, scopes(store.Filter{})); diff != "" {
		t.Errorf("after a scan of the same time: %s", diff)
	}
	scan("s4", 100)
	if diff := cmp.Diff([]string{ok}, scopes(store.Filter{})); diff != "" {
		t.Errorf("after one without it: %s", diff)
	}
	scan("s5", 50, cause)
	if diff := cmp.Diff([]string{ok}, scopes(store.Filter{})); diff != "" {
		t.Errorf("after an older one that ended later: %s", diff)
	}
	other := record.Failure{API: "GetCallerIdentity", Class: "credentials", Error: "account typo: the key is not known"}
	named := about("s6", 200, prod, hangzhou)
	named.Named, named.Failed = true, []record.Failure{other}
	named.Unidentified = []event.Unidentified{{Name: "typo", Failure: other}}
	apply(t, db, s.put(named))
	apply(t, db, s.put(read("s6", hangzhou, 200, machine{id: "i-1", os: "debian 12"})...))
	prod = append(prod, event.PlannedAccount{ID: "9", Name: "typo", AllRegions: true, Listed: true}) // it was known until then
	scan("s7", 150, cause)                                                                           // began before, and looked at what the scan of named accounts did not
	if diff := cmp.Diff([]string{"/ failed: account typo: the key is not known", bad, ok}, scopes(store.Filter{})); diff != "" {
		t.Errorf("after one of named accounts that is newer and ended before: %s", diff)
	}
}

// What failed of accounts that could not be identified stays told of, each by its name, until
// a scan has looked at them again: one of other accounts, which somebody named, did not, nor
// did one whose request could not be read.
func TestAScanOfNamedAccountsForgetsNoOtherThatCouldNotBeIdentified(t *testing.T) {
	refused := func(name string) record.Failure {
		return record.Failure{API: "GetCallerIdentity", Class: "credentials", Error: "account " + name + ": the key is not known"}
	}
	directory := record.Failure{API: "ListAccounts", Class: "transient", Error: "not every account could be listed"}
	fails := func(m *event.ScanPlanned, failed []record.Failure) *event.ScanPlanned {
		m.Failed = failed
		for _, f := range failed {
			if name, is := strings.CutSuffix(f.Error, ": the key is not known"); is {
				m.Unidentified = append(m.Unidentified, event.Unidentified{Name: strings.TrimPrefix(name, "account "), Failure: f})
			}
		}
		return m
	}
	later := directory
	later.RequestID = "another"
	prod, lab := event.PlannedAccount{ID: "prod", Name: "shop", AllRegions: true, Listed: true}, event.PlannedAccount{ID: "7", Name: "lab", AllRegions: true, Listed: true}
	scan := func(accounts []event.PlannedAccount, named bool, failed ...record.Failure) *event.ScanPlanned {
		m := about("s2", 100, accounts, hangzhou)
		m.Named = named
		return fails(m, failed)
	}
	none := []record.Failure(nil)
	for name, c := range map[string]struct {
		then *event.ScanPlanned // nil: it could not be read
		want []record.Failure
	}{
		"a scan of all without them":            {scan([]event.PlannedAccount{prod}, false), none},
		"a scan of all that fails of one":       {scan([]event.PlannedAccount{prod}, false, refused("lab")), []record.Failure{refused("lab")}},
		"a scan of another account":             {scan([]event.PlannedAccount{prod}, true), []record.Failure{directory, refused("lab"), refused("plant")}},
		"a scan of one, which is identified":    {scan([]event.PlannedAccount{lab}, true), []record.Failure{directory, refused("plant")}},
		"a scan of one, which is not":           {scan([]event.PlannedAccount{prod}, true, refused("lab")), []record.Failure{directory, refused("plant"), refused("lab")}},
		"a scan that fails in the same way":     {scan([]event.PlannedAccount{prod}, true, later), []record.Failure{refused("lab"), refused("plant"), later}},
		"a scan whose request cannot be read":   {nil, []record.Failure{directory, refused("lab"), refused("plant")}},
		"a scan of one that is not to be found": {scan([]event.PlannedAccount{prod}, true, refused("typo")), []record.Failure{directory, refused("lab"), refused("plant"), refused("typo")}},
	} {
		db, s := fresh(t), newStream()
		s.now = 50
		first := fails(about("s1", 10, []event.PlannedAccount{prod}, hangzhou), []record.Failure{directory, refused("lab"), refused("plant")})
		apply(t, db, s.put(first))
		apply(t, db, s.put(read("s1", hangzhou, 10, machine{id: "i-1", os: "debian 12"})...))
		if c.then != nil {
			apply(t, db, s.put(c.then))
			apply(t, db, s.put(read("s2", hangzhou, 100, machine{id: "i-1", os: "debian 12"})...))
		} else {
			apply(t, db, s.put(&event.ScanAborted{ScanID: "s2", Kind: scanKind, Reason: "its request could not be read"}))
		}
		got := none
		for _, sc := range db.Summary().Scopes {
			if sc.Account == "" {
				got = append(got, sc.Failures...)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if len(db.Figures().Summary.Scopes) != len(db.Summary().Scopes) {
			t.Errorf("%s: a scrape and a query are told of other scopes", name)
		}
	}
}
