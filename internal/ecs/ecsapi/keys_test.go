package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aliyun/credentials-go/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/shenscan/shenscan/internal/ecs"
)

// countingSource hands out keys that live for some time.
type countingSource struct {
	life    time.Duration
	takes   time.Duration
	fails   func(n int) bool
	n       atomic.Int64
	working atomic.Int64
}

var errSource = errors.New("no keys today")

func (s *countingSource) fetch(ctx context.Context) (lease, error) {
	if s.working.Add(1) > 1 {
		panic("two fetches at a time")
	}
	defer s.working.Add(-1)
	n := int(s.n.Add(1))
	if err := sleepUntil(ctx, time.Now().Add(s.takes), nil); err != nil {
		return lease{}, err
	}
	if s.fails != nil && s.fails(n) {
		return lease{}, errSource
	}
	l := lease{keys: Keys{AccessKeyID: NewSecret(fmt.Sprint("id", n)), AccessKeySecret: NewSecret("s")}}
	if s.life > 0 {
		l.expires = time.Now().Add(s.life)
	}
	return l, nil
}

// Many callers over a long time never hold expired keys, and the keys are
// renewed about as often as their life demands.
func TestKeysAreRenewedBeforeTheyExpire(t *testing.T) {
	for _, life := range []time.Duration{time.Minute, time.Hour, 12 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &countingSource{life: life, takes: 300 * time.Millisecond}
				k := newKeyring(src, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithTimeout(t.Context(), 10*life)
				defer cancel()
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						for ctx.Err() == nil {
							if _, err := k.get(ctx); err != nil && ctx.Err() == nil {
								t.Error(err)
							}
							if _, _, expires := k.state(); ctx.Err() == nil && !time.Now().Before(expires) {
								t.Error("expired keys were handed out")
							}
							_ = sleepUntil(ctx, time.Now().Add(life/100), nil)
						}
					})
				}
				wg.Wait()
				if n := src.n.Load(); n < 10 || n > 25 {
					t.Errorf("%d fetches in ten lives", n)
				}
			})
		})
	}
}

func TestWhileARenewalFailsTheOldKeysServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &countingSource{life: time.Hour, fails: func(n int) bool { return n > 1 }}
		k := newKeyring(src, slog.New(slog.DiscardHandler))
		for range 59 {
			if _, err := k.get(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		if n := src.n.Load(); n > 100 {
			t.Errorf("%d fetches while they failed", n)
		}
		time.Sleep(2 * time.Minute)
		if _, err := k.get(t.Context()); !errors.Is(err, errSource) {
			t.Errorf("err = %v", err)
		}
	})
}

func TestRefusedKeysAreReplacedOnce(t *testing.T) {
	src := &countingSource{life: time.Hour}
	k := newKeyring(src, slog.New(slog.DiscardHandler))
	old, err := k.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k.refused(old)
	fresh, err := k.get(t.Context())
	if err != nil || fresh == old {
		t.Fatalf("%v", err)
	}
	k.refused(old) // said again by a call that was in flight
	if again, _ := k.get(t.Context()); again != fresh {
		t.Error("keys that were not refused were thrown away")
	}
}

func TestACallerLeavesTheQueueWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeyring(&countingSource{life: time.Hour, takes: time.Minute}, slog.New(slog.DiscardHandler))
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = k.get(t.Context()) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.Sleep(time.Millisecond)
		if _, err := k.get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		wg.Wait()
	})
}

// panicking is what the SDK's chain does on the second failure.
type panicking struct{ credentials.Credential }

func (panicking) GetCredential() (*credentials.CredentialModel, error) {
	panic("invalid memory address or nil pointer dereference")
}

func TestTheChainIsGuarded(t *testing.T) {
	made := 0
	c := &chain{make: func() (credentials.Credential, error) { made++; return panicking{}, nil }}
	for range 3 {
		if _, err := c.fetch(t.Context()); !errors.Is(err, ErrNoCredentials) {
			t.Errorf("err = %v", err)
		}
	}
	if made != 3 {
		t.Errorf("the failed chain was made %d times", made)
	}
}

func TestTheDefaultChainReadsTheEnvironment(t *testing.T) {
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "envid")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "envsecret")
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "envtoken")
	l, err := newChain().fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if l.keys.AccessKeyID.reveal() != "envid" || l.keys.AccessKeySecret.reveal() != "envsecret" || l.keys.SecurityToken.reveal() != "envtoken" {
		t.Error("the keys are others")
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"access_key_id":"fileid","access_key_secret":"filesecret"}`)
	l, err := keyFile(path).fetch(t.Context())
	if err != nil || l.keys.AccessKeyID.reveal() != "fileid" || !l.keys.SecurityToken.Empty() {
		t.Errorf("%v", err)
	}
	write(`{"access_key_id":"fileid-canary","access_key_secret":`)
	if _, err := keyFile(path).fetch(t.Context()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("err = %v", err)
	}
}

// TestAKeyOfAnotherAccountIsNotTaken rotates the file of an account's key: to a key of
// another account, to one of which nobody says whose it is, and to another one of the
// same. Nothing is read with one that is not the account's.
func TestAKeyOfAnotherAccountIsNotTaken(t *testing.T) {
	const other = "9999999999999999"
	whose := map[string]string{"key-a": testAccount, "key-b": other, "key-d": testAccount}
	var mu sync.Mutex
	read := map[string]int{} // lists of instances by key
	keyOf := func(r *http.Request) string {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		id, _, _ := strings.Cut(rest, ",")
		return id
	}
	f := newFake(t, map[string]http.HandlerFunc{
		actIdentity: func(w http.ResponseWriter, r *http.Request) {
			if whose[keyOf(r)] == "" {
				refusal(403, "NoPermission")(w, r)
				return
			}
			answer(w, 200, `{"AccountId":"`+whose[keyOf(r)]+`","RequestId":"r"}`)
		},
		actInstances: func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			read[keyOf(r)]++
			mu.Unlock()
			answer(w, 200, `{"RequestId":"r","NextToken":"","Instances":{"Instance":[{"InstanceId":"i-1"}]},"TotalCount":1}`)
		},
	})
	path := filepath.Join(t.TempDir(), "key.json")
	rotate := func(id string) {
		if err := os.WriteFile(path, []byte(`{"access_key_id":"`+id+`","access_key_secret":"s"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rotate("key-a")
	c := newTestClient(t, f, func(o *Options) { o.Accounts = []Account{{Name: "prod", AccessKeyFile: path}} })
	ring := c.accounts.Load().known[0].ring
	list := func() error {
		_, err := c.Instances(t.Context(), testScope, ecs.Query{})
		return err
	}
	if err := list(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ key, says, reads string }{
		{"key-b", "an access key of account " + other + " where one of " + testAccount + " was", ""},
		{"key-c", "whose it is could not be found out", ""},
		{"key-d", "", "key-d"},
	} {
		rotate(step.key)
		// While the old key serves it goes on, however often the file is looked at.
		if cur, _, _ := ring.state(); cur != nil && step.says != "" {
			ring.postpone(time.Now().Add(-time.Hour))
			if err := list(); err != nil || read["key-a"] != 2 {
				t.Errorf("%s: the key before does not serve on: %v, %v", step.key, err, read)
			}
		}
		cur, _, _ := ring.state()
		ring.refused(cur)
		if err := list(); (err == nil) != (step.says == "") || err != nil && !strings.Contains(err.Error(), step.says) {
			t.Errorf("%s: %v", step.key, err)
		}
	}
	if read["key-b"]+read["key-c"] != 0 || read["key-d"] != 1 {
		t.Errorf("instances were read with keys that are not the account's: %v", read)
	}
}

func TestDecodeAssumed(t *testing.T) {
	l, err := decodeAssumed(responses(t, "AssumeRole.")["AssumeRole.example.json"], testAccount)
	if err != nil || l.keys.SecurityToken.Empty() || l.expires.Format(time.RFC3339) != "2026-11-22T11:52:19Z" {
		t.Errorf("%v, %v", l, err)
	}
	for _, bad := range []string{`{}`, `{"Credentials":{}}`, `{"Credentials":{"AccessKeyId":"canary","AccessKeySecret":7}}`, `x`, `{"Credentials":{"AccessKeyId":"a","AccessKeySecret":"b","SecurityToken":"c"}}`} {
		if _, err := decodeAssumed([]byte(bad), testAccount); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestARoleOfAnotherAccountIsNotTaken(t *testing.T) {
	for arn, fails := range map[string]bool{
		"acs:sts::" + testAccount + ":assumed-role/shenscan/s": false, "acs:sts::9999999999999999:assumed-role/shenscan/s": true,
		"acs:sts::123456789012****:assumed-role/shenscan/s": false, "": false,
	} {
		_, err := decodeAssumed([]byte(`{"AssumedRoleUser":{"Arn":"`+arn+`"},"Credentials":{"AccessKeyId":"canary","AccessKeySecret":"canary","SecurityToken":"canary","Expiration":"2026-11-22T11:52:19Z"}}`), testAccount)
		if (err != nil) != fails || err != nil && (strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "is of account 9999999999999999")) {
			t.Errorf("%q: %v", arn, err)
		}
	}
}

func TestACallerOfTwoAccountsIsOfNone(t *testing.T) {
	t.Parallel()
	for arn, of := range map[string]string{
		"acs:ram::" + testAccount + ":user/x": testAccount, "acs:sts::" + testAccount + ":assumed-role/r/s": testAccount, "acs:ram::123456789012****:root": testAccount, "": testAccount,
		"acs:ram::9999999999999999:user/x": "",
	} {
		f := newFake(t, map[string]http.HandlerFunc{actIdentity: func(w http.ResponseWriter, _ *http.Request) {
			answer(w, 200, `{"RequestId":"r","AccountId":"`+testAccount+`","Arn":"`+arn+`"}`)
		}})
		listed, err := newTestClient(t, f, nil).Accounts(t.Context())
		if err != nil || len(listed) != 1 || listed[0].ID != of || (listed[0].Err == nil) != (of != "") {
			t.Errorf("%q: %+v, %v", arn, listed, err)
		} else if of == "" && !strings.Contains(listed[0].Err.Error(), "9999999999999999") {
			t.Errorf("%v does not name the other account", listed[0].Err)
		}
	}
}

func TestAccountsThatAreNotConfiguredAreRefused(t *testing.T) {
	f := newFake(t, nil)
	for name, tc := range map[string]struct {
		change func(*Options)
		ok     []string
		bad    []string
	}{
		"base only":  {nil, []string{testAccount}, []string{"9999999999999999", "", "base"}},
		"configured": {func(o *Options) { o.Accounts = []Account{{Name: "prod"}} }, []string{testAccount}, []string{"prod", "dev"}},
	} {
		c := newTestClient(t, f, tc.change)
		for _, a := range tc.ok {
			if _, err := c.Instances(t.Context(), ecs.Scope{Account: a, Region: "cn-hangzhou"}, ecs.Query{}); err != nil {
				t.Errorf("%s: %s: %v", name, a, err)
			}
		}
		for _, a := range tc.bad {
			_, err := c.Instances(t.Context(), ecs.Scope{Account: a, Region: "cn-hangzhou"}, ecs.Query{})
			mustClass(t, err, ecs.BadRequest)
		}
	}
}

// idsOf are the ids of accounts that may be looked at.
func idsOf(accounts []ecs.Account, err error) ([]string, error) {
	var out []string
	for _, a := range accounts {
		if a.Err == nil && !a.Excluded {
			out = append(out, a.ID)
		}
	}
	return out, err
}

func TestAnAccountIsItsIDWhateverItIsCalled(t *testing.T) {
	members := garbage(200, "application/json", `{"TotalCount":6,"Accounts":{"Account":[{"AccountId":"1111111111111111","Status":"CreateSuccess"},`+
		`{"AccountId":"2222222222222222","Status":"PromoteFailed"},{"AccountId":3333333333333333,"Status":"InviteSuccess","DisplayName":"shop"},`+
		`{"AccountId":"4444444444444444","Status":"PromoteVerifying"},{"AccountId":"5555555555555555","Status":"PromoteExpired"},{"AccountId":"6666666666666666","Status":"NeverHeardOf"}]}}`)
	f := newFake(t, map[string]http.HandlerFunc{actMembers: members})
	for name, tc := range map[string]struct {
		change func(*Options)
		want   []ecs.Account
	}{
		"the account of the environment's keys": {nil, []ecs.Account{{ID: testAccount, Name: testAccount}}},
		"the same account named in the file": {
			func(o *Options) { o.Accounts = []Account{{Name: "prod"}} }, []ecs.Account{{ID: testAccount, Name: "prod"}},
		},
		"a role": {
			func(o *Options) { o.Accounts = []Account{{Name: "b", RoleARN: "acs:ram::1111111111111111:role/r"}} }, []ecs.Account{{ID: "1111111111111111", Name: "b"}},
		},
		"members in whatever status, and the account that manages them": {func(o *Options) {
			o.Directory.RoleName = "shenscan"
			o.Accounts = []Account{{Name: "prod", RoleARN: "acs:ram::1111111111111111:role/r"}}
			o.Exclude = []string{"shop", "2222222222222222"}
		}, []ecs.Account{
			{ID: "1111111111111111", Name: "prod", Status: "CreateSuccess"},
			{ID: testAccount, Name: testAccount},
			{ID: "2222222222222222", Name: "2222222222222222", Status: "PromoteFailed", Excluded: true},
			{ID: "3333333333333333", Name: "shop", Status: "InviteSuccess", Excluded: true},
			{ID: "4444444444444444", Name: "4444444444444444", Status: "PromoteVerifying"},
			{ID: "5555555555555555", Name: "5555555555555555", Status: "PromoteExpired"},
			{ID: "6666666666666666", Name: "6666666666666666", Status: "NeverHeardOf"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newTestClient(t, f, tc.change).Accounts(t.Context())
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADirectoryThatCannotBeReadLeavesTheOtherAccounts(t *testing.T) {
	directory := func(o *Options) { o.Directory.RoleName = "shenscan" }
	// A directory that lists fewer members than it counts would leave accounts out.
	for _, body := range []string{`{"TotalCount":3,"Accounts":{"Account":[]}}`, `{"TotalCount":0,"Accounts":{}}`, `{"TotalCount":2,"Accounts":{"Account":""}}`} {
		short := newFake(t, map[string]http.HandlerFunc{actMembers: garbage(200, "application/json", body)})
		got, err := newTestClient(t, short, directory).Accounts(t.Context())
		mustClass(t, err, ecs.BadAnswer)
		if len(got) != 1 || got[0].ID != testAccount {
			t.Errorf("%s: %v", body, got)
		}
	}
	denied := newFake(t, map[string]http.HandlerFunc{actMembers: refusal(403, "NoPermission")})
	_, err := newTestClient(t, denied, directory).Accounts(t.Context())
	if e := mustClass(t, err, ecs.Permission); !strings.Contains(e.Mend, "resourcemanager:ListAccounts") {
		t.Errorf("mend = %q", e.Mend)
	}
}

// TestTheDirectoryIsReadUntilAPageBringsNobodyNew has a directory of eight members on
// pages of five count as it pleases. A count that is too low, or falls from page to
// page, leaves nobody out without a word.
func TestTheDirectoryIsReadUntilAPageBringsNobodyNew(t *testing.T) {
	for name, tc := range map[string]struct {
		counts  [3]int // what the first pages count; -1 is no count
		lists   [2]int // how many members come on each
		refuses bool   // a page behind the last one is an error
		members int
		says    string
		more    [3]string // what else stands on the pages
	}{
		"as documented":                    {[3]int{8, 8, 8}, [2]int{5, 3}, false, 8, "", [3]string{}},
		"counts nobody":                    {[3]int{-1, -1, -1}, [2]int{5, 3}, false, 8, "", [3]string{}},
		"counts those of the page":         {[3]int{5, 3, 0}, [2]int{5, 3}, false, 8, "", [3]string{}},
		"counts fewer than it lists":       {[3]int{4, 4, 4}, [2]int{5, 3}, false, 8, "", [3]string{}},
		"the count falls to what came":     {[3]int{8, 5, 5}, [2]int{5, 0}, false, 5, "the directory counts 8 members and lists 5", [3]string{}},
		"has no page behind the last":      {[3]int{8, 8, 8}, [2]int{5, 3}, true, 8, "", [3]string{}},
		"refuses a page that is yet to be": {[3]int{8, 9, 9}, [2]int{5, 3}, true, 8, "InvalidParameter", [3]string{}},
		"HasMore, and they come":           {[3]int{-1, -1, -1}, [2]int{5, 3}, false, 8, "", [3]string{`"HasMore":true`, `"HasMore":false`}},
		"HasMore, and none come":           {[3]int{-1, -1, -1}, [2]int{5, 0}, false, 5, "says that there are more members", [3]string{`"HasMore":true`}},
		"a token":                          {[3]int{-1, -1, -1}, [2]int{5, 0}, false, 5, "says that there are more members", [3]string{`"NextToken":"x"`}},
		"HasMore for ever":                 {[3]int{8, 8, 8}, [2]int{5, 3}, false, 8, "says that there are more members", [3]string{`"HasMore":true`, `"HasMore":true`, `"HasMore":true`}},
		"HasMore, and the next is refused": {[3]int{-1, -1, -1}, [2]int{5, 3}, true, 8, "InvalidParameter", [3]string{"", `"HasMore":true`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, map[string]http.HandlerFunc{actMembers: func(w http.ResponseWriter, r *http.Request) {
				page, _ := strconv.Atoi(r.URL.Query().Get("PageNumber"))
				if page > 2 && tc.refuses {
					refusal(400, "InvalidParameter.PageNumber")(w, r)
					return
				}
				var rows []string
				for i := range [...]int{0, tc.lists[0], tc.lists[1], 0}[min(page, 3)] {
					rows = append(rows, fmt.Sprintf(`{"AccountId":"%d"}`, 1000000000000000*page+i))
				}
				count := ""
				if n := tc.counts[min(page, 3)-1]; n >= 0 {
					count = fmt.Sprintf(`,"TotalCount":%d`, n)
				}
				if more := tc.more[min(page, 3)-1]; more != "" {
					count += "," + more
				}
				answer(w, 200, `{"RequestId":"r","Accounts":{"Account":[`+strings.Join(rows, ",")+`]}`+count+`}`)
			}})
			got, err := newTestClient(t, f, nil).Members(t.Context())
			if len(got) != tc.members {
				t.Errorf("%d members", len(got))
			}
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("said %v", err)
			}
		})
	}
}

// A delegated administrator lists the directory of the management account,
// which is no member of it.
func TestTheManagementAccountIsNamedByADelegatedAdministrator(t *testing.T) {
	members := garbage(200, "application/json", `{"TotalCount":1,"Accounts":{"Account":[{"AccountId":"`+testAccount+`","Status":"CreateSuccess"}]}}`)
	directory := func(o *Options) { o.Directory.RoleName = "shenscan" }
	f := newFake(t, map[string]http.HandlerFunc{
		actMembers:   members,
		actDirectory: garbage(200, "application/json", `{"ResourceDirectory":{"MasterAccountId":"7777777777777777","MasterAccountName":"head"}}`),
	})
	got, err := newTestClient(t, f, directory).Accounts(t.Context())
	want := []ecs.Account{{ID: testAccount, Name: testAccount, Status: "CreateSuccess"}, {ID: "7777777777777777", Name: "head"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	denied := newFake(t, map[string]http.HandlerFunc{actMembers: members, actDirectory: refusal(403, "NoPermission")})
	if _, err := newTestClient(t, denied, directory).Accounts(t.Context()); err == nil {
		t.Error("a management account that nobody can name was left out without a word")
	}
}

func TestAnAccountThatCannotBeIdentifiedSaysSo(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actIdentity: refusal(403, "NoPermission")})
	got, err := newTestClient(t, f, func(o *Options) {
		o.Accounts = []Account{{Name: "prod"}, {RoleARN: "acs:ram::1111111111111111:role/r"}}
	}).Accounts(t.Context())
	if err != nil || len(got) != 2 || got[0].ID != "" || got[0].Name != "prod" || got[0].Err == nil || got[1].ID != "1111111111111111" || got[1].Err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOneAccountIsConfiguredOnce(t *testing.T) {
	for _, accounts := range [][]Account{
		{{Name: "a", RoleARN: "acs:ram::1111111111111111:role/r"}, {Name: "b", RoleARN: "acs:ram::1111111111111111:role/s"}},
		{{Name: "2222222222222222", RoleARN: "acs:ram::1111111111111111:role/r"}},
	} {
		if err := (Options{Accounts: accounts}).Validate(); err == nil {
			t.Errorf("%+v passed", accounts)
		}
	}
}

func TestARoleThatCannotBeAssumedSaysSo(t *testing.T) {
	f := newFake(t, map[string]http.HandlerFunc{actAssume: refusal(403, "NoPermission")})
	c := newTestClient(t, f, func(o *Options) { o.Accounts = []Account{{RoleARN: "acs:ram::1111111111111111:role/r"}} })
	_, err := c.Instances(t.Context(), ecs.Scope{Account: "1111111111111111", Region: "cn-hangzhou"}, ecs.Query{})
	e := mustClass(t, err, ecs.Permission)
	if e.Action != actAssume || !strings.Contains(e.Mend, "sts:AssumeRole") {
		t.Errorf("%+v", e)
	}
}
