package producer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/event"
	"github.com/shenscan/shenscan/internal/record"
	"github.com/shenscan/shenscan/producer"
)

// directory is a resource directory that changes.
type directory struct {
	accounts []ecs.Account
	err      error
}

func (d *directory) Accounts(context.Context) ([]ecs.Account, error) {
	return slices.Clone(d.accounts), d.err
}

func plan(t *testing.T, c producer.Cloud, r *producer.Roster, req *event.ScanRequested) (*event.ScanPlanned, *journal) {
	t.Helper()
	j := &journal{}
	req.ScanID, req.Kind = "s", event.KindScan
	if err := producer.New(options(), c, r, j, nil).HandleScan(t.Context(), req, time.Unix(100, 0)); err != nil {
		t.Fatal(err)
	}
	return whole(t, j), j
}

// whole puts the parts of a scan's announcement together.
func whole(t *testing.T, j *journal) *event.ScanPlanned {
	t.Helper()
	parts := of[*event.ScanPlanned](j)
	out := *parts[0]
	out.Scopes, out.Failed = nil, nil
	for i, m := range parts {
		if last := i == len(parts)-1; m.More == last {
			t.Errorf("part %d of %d says that more follow: %v", i, len(parts), m.More)
		}
		out.Scopes, out.Failed = append(out.Scopes, m.Scopes...), append(out.Failed, m.Failed...)
		out.AllAccounts, out.Named = m.AllAccounts, out.Named || m.Named
		for _, a := range m.Accounts {
			at := slices.IndexFunc(out.Accounts, func(x event.PlannedAccount) bool { return x.ID == a.ID })
			if at < 0 {
				t.Errorf("account %s was not announced before its regions", a.ID)
				continue
			}
			out.Accounts[at] = a
		}
	}
	sorted(out.Scopes)
	slices.SortStableFunc(out.Failed, func(a, b record.Failure) int { return strings.Compare(a.Account+a.Region, b.Account+b.Region) })
	return &out
}

func TestAnAccountThatJoinsIsScannedWithoutARestart(t *testing.T) {
	c, d := &cloud{regions: []string{"cn-x"}}, &directory{accounts: []ecs.Account{{ID: "1"}}}
	r := producer.NewRoster(d, c, nil, time.Now)
	plan(t, c, r, &event.ScanRequested{})
	d.accounts = append(d.accounts, ecs.Account{ID: "2", Status: "PromoteFailed"})
	got, _ := plan(t, c, r, &event.ScanRequested{})
	if diff := cmp.Diff([]ecs.Scope{{Account: "1", Region: "cn-x"}, {Account: "2", Region: "cn-x"}}, sorted(got.Scopes)); diff != "" {
		t.Error(diff)
	}
	// A directory that is down leaves out nobody who was in it, and is named.
	d.accounts, d.err = nil, &ecs.Error{Action: "ListAccounts", Class: ecs.Transient, Err: errors.New("down")}
	got, _ = plan(t, c, r, &event.ScanRequested{})
	if len(got.Scopes) != 2 || len(got.Failed) != 1 || got.Failed[0].API != "ListAccounts" || got.Failed[0].Account != "" {
		t.Errorf("plan %+v", got)
	}
}

func sorted(scopes []ecs.Scope) []ecs.Scope {
	slices.SortFunc(scopes, func(a, b ecs.Scope) int { return strings.Compare(a.String(), b.String()) })
	return scopes
}

func TestAnAccountThatCannotBeIdentifiedIsNamed(t *testing.T) {
	c := &cloud{regions: []string{"cn-x"}}
	r := producer.NewRoster(&directory{accounts: []ecs.Account{{ID: "1"}, {Name: "prod", Err: errors.New("no keys")}, {ID: "9", Excluded: true}}}, c, nil, time.Now)
	got, _ := plan(t, c, r, &event.ScanRequested{})
	if len(got.Scopes) != 1 || len(got.Failed) != 1 || !strings.Contains(got.Failed[0].Error, "prod: no keys") || len(got.Unidentified) != 1 || got.Unidentified[0] != (event.Unidentified{Name: "prod", Failure: got.Failed[0]}) {
		t.Errorf("plan %+v", got)
	}
	// What stands for the credentials of the process is no name that somebody gave.
	r = producer.NewRoster(&directory{accounts: []ecs.Account{{Name: ecs.BaseCredentials, Err: errors.New("no keys")}}}, c, nil, time.Now)
	if got, _ := plan(t, c, r, &event.ScanRequested{}); len(got.Failed) != 1 || len(got.Unidentified) != 0 {
		t.Errorf("plan %+v", got)
	}
}

// Whoever names accounts, in the request or for the whole process, learns nothing of those
// that cannot be identified.
func TestAPlanSaysThatItsAccountsWereNamed(t *testing.T) {
	c := &cloud{regions: []string{"cn-x"}}
	d := &directory{accounts: []ecs.Account{{ID: "1", Name: "shop"}, {Name: "lab", Err: errors.New("no keys")}}}
	for name, asked := range map[string]struct {
		wanted []string
		req    event.ScanRequested
		named  bool
		failed int
	}{
		"all":                       {nil, event.ScanRequested{}, false, 1},
		"one region of all":         {nil, event.ScanRequested{Regions: []string{"cn-x"}}, false, 1},
		"one account":               {nil, event.ScanRequested{Accounts: []string{"1"}}, true, 0},
		"a producer of one account": {[]string{"shop"}, event.ScanRequested{}, true, 0},
	} {
		got, _ := plan(t, c, producer.NewRoster(d, c, asked.wanted, time.Now), &asked.req)
		if got.Named != asked.named || len(got.Failed) != asked.failed {
			t.Errorf("%s: named %v, failed %v", name, got.Named, got.Failed)
		}
	}
}

func TestAnAnswerWithoutRegionsIsNoFleetWithoutRegions(t *testing.T) {
	c := &cloud{}
	got, _ := plan(t, c, accounts(c, "1"), &event.ScanRequested{})
	if len(got.Scopes) != 0 || len(got.Failed) != 1 || got.Failed[0].API != "DescribeRegions" || got.Failed[0].Class != "bad-answer" {
		t.Errorf("plan %+v", got)
	}
}

// slowAccount answers for account 2 only when told.
type slowAccount struct {
	*cloud
	release chan struct{}
}

func (c slowAccount) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	if account == "2" {
		<-c.release
	}
	return c.cloud.Regions(ctx, account)
}

// tapped passes on what is published.
type tapped struct{ scopes chan string }

func (p tapped) Publish(_ context.Context, m event.Message) error {
	if job, ok := m.(*event.ScopeJob); ok {
		p.scopes <- job.Scope.Account
	}
	return nil
}

func TestOneSlowAccountHoldsUpNobody(t *testing.T) {
	c := slowAccount{&cloud{regions: []string{"cn-x"}}, make(chan struct{})}
	out := tapped{make(chan string, 9)}
	done := make(chan error, 1)
	go func() {
		done <- producer.New(options(), c, accounts(c, "1", "2", "3"), out, nil).HandleScan(t.Context(), &event.ScanRequested{ScanID: "s", Kind: event.KindScan}, time.Unix(100, 0))
	}()
	got := []string{<-out.scopes, <-out.scopes} // would hang where accounts wait for each other
	slices.Sort(got)
	close(c.release)
	if err := <-done; err != nil || !slices.Equal(got, []string{"1", "3"}) || <-out.scopes != "2" {
		t.Errorf("%v before the slow account answered, %v", got, err)
	}
}

func TestWhatIsNotThereIsRefusedWhenAskedAndLeavesNothing(t *testing.T) {
	c := &cloud{regions: []string{"cn-hangzhou", "cn-beijing"}}
	for body, want := range map[string]string{
		`{"accounts":["name-of-12345678"]}`:   `did you mean "name-of-123456789"?`,
		`{"regions":["cn-hangzou"]}`:          `did you mean "cn-hangzhou"?`,
		`{"accounts":["sandbox"]}`:            "sandbox (excluded)",
		`{"regions":["CN-HANGZHOU"]}`:         "there are cn-beijing, cn-hangzhou",
		`{"accounts":["1"],"regions":["cn"]}`: "no region",
	} {
		j := &journal{}
		d := &directory{accounts: []ecs.Account{{ID: "1", Name: "one"}, {ID: "123456789", Name: "name-of-123456789"}, {ID: "77", Name: "sandbox", Excluded: true}}}
		q := producer.NewRequests(producer.DefaultRequestOptions(), producer.NewRoster(d, c, nil, time.Now), j, &claims{held: map[string]string{}}, "test")
		_, err := q.Scan(t.Context(), []byte(body))
		re, ok := errors.AsType[*producer.RequestError](err)
		if !ok || re.Code != "400" || !strings.Contains(strings.Replace(re.Text, "is excluded", "sandbox (excluded)", 1), want) {
			t.Errorf("%s: %v", body, err)
		}
		rescan := strings.NewReplacer(`"accounts":["`, `"account":"`, `"regions":["`, `"region":"`, `"]`, `"`).Replace(strings.TrimSuffix(body, "}")) + `,"instance_ids":["i-good0001"]}`
		if _, err := q.Rescan(t.Context(), []byte(rescan), "c"); err == nil || !strings.Contains(err.Error(), re.Text) {
			t.Errorf("%s: %v", rescan, err)
		}
		if len(j.msgs) != 0 {
			t.Errorf("%s left %v behind", body, j.msgs)
		}
	}
}

func TestWhatCannotBeCheckedNowIsAskedForLater(t *testing.T) {
	j, c := &journal{}, &cloud{}
	d := &directory{err: &ecs.Error{Action: "ListAccounts", Class: ecs.Transient, Err: errors.New("down")}, accounts: []ecs.Account{{ID: "broken"}}}
	q := producer.NewRequests(producer.DefaultRequestOptions(), producer.NewRoster(d, c, nil, time.Now), j, &claims{held: map[string]string{}}, "test")
	for _, body := range []string{`{"accounts":["member"]}`, `{"regions":["cn-x"]}`} {
		_, err := q.Scan(t.Context(), []byte(body))
		if re, ok := errors.AsType[*producer.RequestError](err); !ok || re.Code != "503" {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestARequestNamesAccountsAsItLikes(t *testing.T) {
	j := &journal{}
	d := requests(t, j, nil)
	byName, err := d.Scan(t.Context(), []byte(`{"accounts":["name-of-1"]}`))
	if err != nil {
		t.Fatal(err)
	}
	byID, err := d.Scan(t.Context(), []byte(`{"accounts":["1"]}`))
	if err != nil || byID.ScanID != byName.ScanID {
		t.Errorf("%v and %v are two scans, %v", byName, byID, err)
	}
	if got := of[*event.ScanRequested](j); len(got) != 1 || !slices.Equal(got[0].Accounts, []string{"1"}) {
		t.Errorf("stored %+v", got)
	}
}

func TestARescanSaysWhatBecameOfEachInstance(t *testing.T) {
	for name, tc := range map[string]struct {
		change                   func(*cloud)
		found, notFound, notRead []string
		failed                   string
	}{
		"one is released": {func(*cloud) {}, []string{"i-000001"}, []string{"i-away"}, nil, ""},
		"a refused call": {func(c *cloud) {
			c.fail = func(int, ecs.Query) error {
				return &ecs.Error{Action: "DescribeInstances", Class: ecs.Permission, Err: errors.New("denied")}
			}
		}, nil, nil, []string{"i-000001", "i-away"}, "permission"},
		"an answer with a doubt": {func(c *cloud) { c.doubt = func(int) *ecs.Error { return contradicted() } }, []string{"i-000001"}, nil, []string{"i-away"}, "contradicted"},
	} {
		t.Run(name, func(t *testing.T) {
			c, j := &cloud{instances: fleet(3, time.Hour), regions: []string{scope.Region}}, &journal{}
			tc.change(c)
			req := &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: []string{scope.Account}, Regions: []string{scope.Region}, InstanceIDs: []string{"i-000001", "i-away"}}
			if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleRescan(t.Context(), req, time.Now(), "1"); err != nil {
				t.Fatal(err)
			}
			ended, planned := of[*event.LaneEnded](j)[0], of[*event.ScanPlanned](j)[0]
			if !slices.Equal(ended.Found, tc.found) || !slices.Equal(ended.NotFound, tc.notFound) || !slices.Equal(ended.NotRead, tc.notRead) ||
				(ended.Failure == nil) != (tc.failed == "") || ended.Failure != nil && ended.Failure.Class != tc.failed {
				t.Errorf("ended %+v, %+v", ended, ended.Failure)
			}
			if !slices.Equal(planned.InstanceIDs, req.InstanceIDs) {
				t.Errorf("planned %+v", planned)
			}
		})
	}
}

// strangers answers a question by ids with another instance.
type strangers struct{ *cloud }

func (c strangers) Instances(_ context.Context, _ ecs.Scope, q ecs.Query) (*ecs.Page, error) {
	return &ecs.Page{Instances: []ecs.Instance{{ID: "i-somebody-elses"}}, Asked: time.Now()}, nil
}

func TestAnotherInstanceIsNoAnswer(t *testing.T) {
	j, c := &journal{}, strangers{&cloud{}}
	req := &event.ScanRequested{ScanID: "s", Kind: event.KindRescan, Accounts: []string{scope.Account}, Regions: []string{scope.Region}, InstanceIDs: []string{"i-000001"}}
	if err := producer.New(options(), c, accounts(c, "1"), j, nil).HandleRescan(t.Context(), req, time.Now(), "1"); err != nil {
		t.Fatal(err)
	}
	ended := of[*event.LaneEnded](j)[0]
	if len(seen(j)) != 0 || !slices.Equal(ended.NotRead, []string{"i-000001"}) || ended.Failure == nil {
		t.Errorf("ended %+v with %v", ended, seen(j))
	}
}

// everyone says of its accounts that there are no others.
type everyone struct{ *directory }

func (everyone) AllAccounts() bool { return true }

func TestAPlanSaysWhatItIsAbout(t *testing.T) {
	c := &cloud{regions: []string{"cn-x"}}
	d := &directory{accounts: []ecs.Account{{ID: "1", Name: "shop"}, {ID: "9", Name: "9", Excluded: true}, {ID: "broken"}}}
	shop, left, broken := event.PlannedAccount{ID: "1", Name: "shop", AllRegions: true, Listed: true}, event.PlannedAccount{ID: "9", AllRegions: true, Excluded: true}, event.PlannedAccount{ID: "broken", AllRegions: true}
	check := func(name string, r *producer.Roster, req *event.ScanRequested, all bool, want ...event.PlannedAccount) {
		t.Helper()
		got, _ := plan(t, c, r, req)
		if diff := cmp.Diff(want, got.Accounts); diff != "" || got.AllAccounts != all {
			t.Errorf("%s: all accounts: %v\n%s", name, got.AllAccounts, diff)
		}
	}
	check("everything", producer.NewRoster(everyone{d}, c, nil, time.Now), &event.ScanRequested{}, true, shop, left, broken)
	check("keys alone", producer.NewRoster(d, c, nil, time.Now), &event.ScanRequested{}, false, shop, left, broken)
	check("a producer of one account", producer.NewRoster(everyone{d}, c, []string{"shop"}, time.Now), &event.ScanRequested{}, false, shop)
	check("one account", producer.NewRoster(everyone{d}, c, nil, time.Now), &event.ScanRequested{Accounts: []string{"1"}}, false, shop, left)
	narrow := shop
	narrow.AllRegions = false
	check("one region", producer.NewRoster(everyone{d}, c, []string{"1"}, time.Now), &event.ScanRequested{Regions: []string{"cn-x"}}, false, narrow)
	d.accounts = append(d.accounts, ecs.Account{Name: "plant", Err: errors.New("no keys")})
	check("one that cannot be identified", producer.NewRoster(everyone{d}, c, nil, time.Now), &event.ScanRequested{}, false, shop, left, broken)
}

// unread counts how often it is asked for the accounts.
type unread struct {
	directory
	asked int
}

func (u *unread) Accounts(ctx context.Context) ([]ecs.Account, error) {
	u.asked++
	return u.directory.Accounts(ctx)
}

// An account whose keys say nothing now is there: a request for it is to be repeated
// later, with the cause. It is no misspelt name.
func TestARequestForAnAccountThatCannotBeIdentifiedSaysWhy(t *testing.T) {
	d := &unread{directory: directory{accounts: []ecs.Account{{ID: "1", Name: "one"}, {Name: "prod", Err: errors.New("the keys are refused")}}}}
	r := producer.NewRoster(d, &cloud{regions: []string{"cn-x"}}, []string{"one", "prod", "typo"}, time.Now)
	for name, want := range map[string][2]string{
		"prod": {"503", "account prod could not be identified: the keys are refused"},
		"typo": {"400", `no account is called "typo"`},
		"prd":  {"400", `no account is called "prd"`},
	} {
		_, err := r.Resolve(t.Context(), []string{name}, nil)
		if re, ok := errors.AsType[*producer.RequestError](err); !ok || re.Code != want[0] || !strings.HasPrefix(re.Text, want[1]) {
			t.Errorf("%s: %v, want %s %s", name, err, want[0], want[1])
		}
	}
	// It is asked for anew before it is refused, once its keys may be taken again.
	now := time.Unix(1_700_000_000, 0)
	r = producer.NewRoster(d, &cloud{regions: []string{"cn-x"}}, nil, func() time.Time { return now })
	if _, err := r.Accounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	now, d.accounts[1] = now.Add(time.Minute), ecs.Account{ID: "2", Name: "prod"}
	if ids, err := r.Resolve(t.Context(), []string{"prod"}, nil); err != nil || !slices.Equal(ids, []string{"2"}) {
		t.Errorf("a minute after its keys were refused: %q, %v", ids, err)
	}
	if ids, err := r.Resolve(t.Context(), []string{"one", "1"}, []string{"cn-x"}); err != nil || !slices.Equal(ids, []string{"1"}) {
		t.Errorf("%q, %v", ids, err)
	}
	if ids, err := r.Resolve(t.Context(), nil, []string{"cn-x"}); err != nil || len(ids) != 0 {
		t.Errorf("%q, %v", ids, err)
	}
}

// What is remembered of the accounts serves requests for ten minutes; what it does
// not have is asked for again, every ten seconds at most, and so are the regions.
func TestRequestsAreCheckedAgainstWhatIsRemembered(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	d := &unread{directory: directory{accounts: []ecs.Account{{ID: "1", Name: "one"}}}}
	c := &regional{cloud: &cloud{regions: []string{"cn-x"}}}
	r := producer.NewRoster(d, c, nil, func() time.Time { return now })
	for _, step := range []struct {
		after           time.Duration // since the step before
		account, region string
		accounts, asks  int // how often they are asked for
	}{
		{0, "one", "cn-x", 1, 1},
		{10*time.Minute - 1, "one", "cn-x", 0, 0},
		{1, "one", "cn-x", 1, 1},
		{10*time.Second - 1, "two", "", 0, 0},
		{1, "two", "", 1, 0},
		{10*time.Second - 1, "two", "", 0, 0},
		{0, "1", "cn-y", 0, 1}, // 20 s old by now
		{10*time.Second - 1, "1", "cn-y", 0, 0},
		{1, "1", "cn-y", 0, 1},
		{0, "1", "cn-x", 0, 0},
	} {
		now = now.Add(step.after)
		d.asked, c.asked = 0, 0
		var regions []string
		if step.region != "" {
			regions = []string{step.region}
		}
		_, err := r.Resolve(t.Context(), []string{step.account}, regions)
		if ok := step.account != "two" && step.region != "cn-y"; ok != (err == nil) {
			t.Errorf("%+v: %v", step, err)
		}
		if d.asked != step.accounts || c.asked != step.asks {
			t.Errorf("%+v: accounts are asked for %d times, regions %d times", step, d.asked, c.asked)
		}
	}
}

// regional counts how often it is asked for the regions.
type regional struct {
	*cloud
	asked int
}

func (r *regional) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	r.asked++
	return r.cloud.Regions(ctx, account)
}

// A directory that is down leaves out nobody who was in it, and repeats nobody; one
// that could not be identified before is not remembered as another.
func TestADirectoryThatIsDownRepeatsNobody(t *testing.T) {
	d := &directory{accounts: []ecs.Account{{ID: "1"}, {ID: "2"}, {Name: "prod", Err: errors.New("no keys")}}}
	r := producer.NewRoster(d, &cloud{}, nil, time.Now)
	if got, err := r.Accounts(t.Context()); err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	d.accounts, d.err = []ecs.Account{{ID: "2"}}, errors.New("down")
	got, err := r.Accounts(t.Context())
	if err == nil || len(got) != 2 || got[0].ID != "2" || got[1].ID != "1" {
		t.Errorf("%v, %v", got, err)
	}
	// Each that is wanted and not there is named, and those after it are scanned.
	d.accounts, d.err = []ecs.Account{{ID: "1"}, {ID: "2", Name: "two"}}, nil
	r.Use(d, []string{"typo", "two", "9", "1"})
	got, err = r.Accounts(t.Context())
	if err != nil || len(got) != 4 || got[0].Err == nil || got[1].ID != "2" || got[2].Err == nil || got[3].ID != "1" {
		t.Errorf("%v, %v", got, err)
	}
}

// A region is refused where every account was asked and none has it. What is proposed
// can be scanned.
func TestARegionIsRefusedWhereNoAccountHasIt(t *testing.T) {
	c := &cloud{regions: []string{"cn-hangzhou"}}
	d := &directory{accounts: []ecs.Account{{ID: "broken"}, {ID: "2", Name: "sandbox"}, {ID: "3", Name: "sandbux", Excluded: true}, {Name: "sandbix", Err: errors.New("no keys")}}}
	r := producer.NewRoster(d, c, nil, time.Now)
	for _, tc := range []struct {
		account, region, code, text string
	}{
		{"", "cn-hangzhou", "", ""}, // one account that has it is enough
		{"", "cn-hangzou", "503", `whether there is a region "cn-hangzou" could not be checked`},
		{"2", "cn-hangzou", "400", `no region is called "cn-hangzou"; did you mean "cn-hangzhou"?`},
		{"sandbax", "", "400", `no account is called "sandbax"; did you mean "sandbox"?`},
	} {
		var accounts, regions []string
		if tc.account != "" {
			accounts = []string{tc.account}
		}
		if tc.region != "" {
			regions = []string{tc.region}
		}
		_, err := r.Resolve(t.Context(), accounts, regions)
		re, refused := errors.AsType[*producer.RequestError](err)
		if refused != (tc.code != "") || !refused && err != nil || refused && (re.Code != tc.code || !strings.HasPrefix(re.Text, tc.text)) {
			t.Errorf("%+v: %v", tc, err)
		}
	}
	// Regions are looked for in the accounts that are known, also while the directory
	// is down, and only in those that are scanned.
	d.err = errors.New("down")
	if _, err := r.Resolve(t.Context(), nil, []string{"cn-hangzhou"}); err != nil {
		t.Errorf("with what is known: %v", err)
	}
	down := producer.NewRoster(&directory{err: errors.New("down")}, c, nil, time.Now)
	if _, err := down.Resolve(t.Context(), nil, []string{"cn-hangzhou"}); err == nil || !strings.Contains(err.Error(), "the accounts could not be listed: down") {
		t.Errorf("with nothing known: %v", err)
	}
	partly := producer.NewRoster(&directory{accounts: []ecs.Account{{ID: "2"}}, err: errors.New("down")}, c, nil, time.Now)
	if _, err := partly.Resolve(t.Context(), nil, []string{"cn-hangzhou"}); err != nil {
		t.Errorf("with one that was listed: %v", err)
	}
	none := producer.NewRoster(&directory{accounts: []ecs.Account{{ID: "3", Excluded: true}, {ID: "4", Err: errors.New("no keys")}}}, c, nil, time.Now)
	if _, err := none.Resolve(t.Context(), nil, []string{"cn-hangzhou"}); err == nil {
		t.Error("a region of accounts that are not scanned is taken")
	}
}

// partlyNamed is a cloud whose list of regions says that it is not all.
type partlyNamed struct{ *cloud }

func (c *partlyNamed) Regions(ctx context.Context, account string) ([]ecs.Region, error) {
	regions, _ := c.cloud.Regions(ctx, account)
	return regions, &ecs.Error{Action: "DescribeRegions", Scope: ecs.Scope{Account: account}, Class: ecs.Contradicted, Err: errors.New("it goes on under a NextToken")}
}

func TestRegionsThatAreNotAllAreScannedAndTheRestIsNotTakenForNone(t *testing.T) {
	c := &partlyNamed{&cloud{regions: []string{"cn-x", "cn-y"}}}
	r := producer.NewRoster(&directory{accounts: []ecs.Account{{ID: "1"}}}, c, nil, time.Now)
	got, _ := plan(t, c, r, &event.ScanRequested{})
	if len(got.Scopes) != 2 || len(got.Failed) != 1 || got.Failed[0].Region != "" || !strings.Contains(got.Failed[0].Error, "goes on") {
		t.Errorf("planned %+v, failed %+v", got.Scopes, got.Failed)
	}
	if got.Accounts[0].Listed {
		t.Error("the regions of the account are said to be listed")
	}
	// A region that is there can be asked for, and nothing is wrong with that.
	got, _ = plan(t, c, r, &event.ScanRequested{Regions: []string{"cn-y"}})
	if len(got.Scopes) != 1 || len(got.Failed) != 0 {
		t.Errorf("planned %+v, failed %+v", got.Scopes, got.Failed)
	}
	if err := r.CheckRegion(t.Context(), []string{"1"}, "cn-y"); err != nil {
		t.Error(err)
	}
	// One that it does not name may be there all the same.
	if got, _ = plan(t, c, r, &event.ScanRequested{Regions: []string{"cn-z"}}); len(got.Failed) != 1 || !strings.Contains(got.Failed[0].Error, "goes on") {
		t.Errorf("failed %+v", got.Failed)
	}
	if err := r.CheckRegion(t.Context(), []string{"1"}, "cn-z"); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Error(err)
	}
}
