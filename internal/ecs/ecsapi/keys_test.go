package ecsapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
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
	if err := sleepUntil(ctx, time.Now().Add(s.takes)); err != nil {
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
							_ = sleepUntil(ctx, time.Now().Add(life/100))
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

func TestDecodeAssumed(t *testing.T) {
	l, err := decodeAssumed(responses(t, "AssumeRole.")["AssumeRole.example.json"])
	if err != nil || l.keys.SecurityToken.Empty() || l.expires.Format(time.RFC3339) != "2026-11-22T11:52:19Z" {
		t.Errorf("%v, %v", l, err)
	}
	for _, bad := range []string{`{}`, `{"Credentials":{}}`, `{"Credentials":{"AccessKeyId":"canary","AccessKeySecret":7}}`, `x`, `{"Credentials":{"AccessKeyId":"a","AccessKeySecret":"b","SecurityToken":"c"}}`} {
		if _, err := decodeAssumed([]byte(bad)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", bad, err)
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
