package ecsapi

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
	"github.com/shenscan/shenscan/internal/ecs/ecssim"
	"github.com/shenscan/shenscan/internal/ecs/ecstest"
	"github.com/shenscan/shenscan/rules"
)

// simulate starts a simulator and a client for it.
func simulate(t testing.TB, so ecssim.Options, change func(*Options)) (*ecssim.Server, *Client) {
	t.Helper()
	sim, err := ecssim.Start(so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	o := Options{
		Endpoint:  sim.URL,
		Base:      &Keys{AccessKeyID: NewSecret(ecssim.DemoAccessKeyID), AccessKeySecret: NewSecret(ecssim.DemoAccessKeySecret)},
		StartRate: 2000, BackoffBase: 5 * time.Millisecond, BackoffMax: 20 * time.Millisecond, Timeout: 10 * time.Second, CircuitAfter: 1000,
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return sim, c
}

func TestConformance(t *testing.T) {
	ecstest.Run(t, func(t *testing.T) ecstest.Fixture {
		sim, c := simulate(t, ecssim.Options{Instances: 2000, Regions: 4, Seed: 11}, nil)
		f := ecstest.Fixture{API: c, Account: ecssim.DemoAccountID, Sizes: map[string]int{}}
		for _, r := range sim.Regions() {
			f.Sizes[r] = sim.ScopeSize(f.Account, r)
		}
		return f
	})
}

// walk lists a scope to its end, again from the start when its token expires.
func walk(ctx context.Context, c *Client, s ecs.Scope) (map[string]bool, error) {
	for {
		seen := map[string]bool{}
		q := ecs.Query{}
		for {
			p, err := c.Instances(ctx, s, q)
			if ecs.ClassOf(err) == ecs.TokenExpired {
				break
			}
			if err != nil {
				return nil, err
			}
			for i := range p.Instances {
				seen[p.Instances[i].ID] = true
			}
			if p.NextToken == "" {
				return seen, nil
			}
			q.NextToken = p.NextToken
		}
	}
}

// walkAll lists every scope side by side and fails unless each has its size.
func walkAll(t *testing.T, sim *ecssim.Server, c *Client, accounts []string) {
	t.Helper()
	var wg sync.WaitGroup
	for _, a := range accounts {
		regions, err := c.Regions(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range regions {
			wg.Go(func() {
				s := ecs.Scope{Account: a, Region: r.ID}
				got, err := walk(t.Context(), c, s)
				if err != nil {
					t.Error(err)
				} else if want := sim.ScopeSize(a, r.ID); len(got) != want {
					t.Errorf("%s: %d instances, %d are there", s, len(got), want)
				}
			})
		}
	}
	wg.Wait()
}

func TestAgainstTheSimulatorEverythingIsRead(t *testing.T) {
	sim, c := simulate(t, ecssim.Options{Instances: 3000, Regions: 4, Seed: 7}, nil)
	accounts, err := idsOf(c.Accounts(t.Context()))
	if err != nil || len(accounts) != 1 || accounts[0] != ecssim.DemoAccountID {
		t.Fatalf("%v, %v", accounts, err)
	}
	walkAll(t, sim, c, accounts)
	s := ecs.Scope{Account: accounts[0], Region: sim.Regions()[0]}
	n, err := c.CountInstances(t.Context(), s, ecs.Query{})
	if err != nil || n != sim.ScopeSize(s.Account, s.Region) {
		t.Errorf("%d counted, %d are there: %v", n, sim.ScopeSize(s.Account, s.Region), err)
	}
	types, err := c.InstanceTypes(t.Context(), accounts[0])
	if err != nil || len(types) < 100 {
		t.Errorf("%d instance types, %v", len(types), err)
	}
	for _, p := range c.Check(t.Context(), s) {
		if !p.Granted {
			t.Errorf("%+v", p)
		}
	}
	page, err := c.Instances(t.Context(), s, ecs.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, in := range page.Instances {
		ids = append(ids, in.ImageID)
	}
	images, err := c.Images(t.Context(), s, append(ids, "m-that-never-was"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, img := range images {
		if img.Facts.Presence == rules.ImageFound {
			found++
		}
	}
	if found == 0 || found == len(images) {
		t.Errorf("%d of %d images found", found, len(images))
	}
}

func TestAgainstEveryFaultEverythingIsRead(t *testing.T) {
	t.Parallel()
	kinds := []string{
		ecssim.FaultInternal, ecssim.FaultUnavailable, ecssim.FaultHTML503, ecssim.FaultEmpty502, ecssim.FaultEmpty200, ecssim.FaultReset,
		ecssim.FaultCut, ecssim.FaultTruncated, ecssim.FaultMalformed, ecssim.FaultWrongShape, ecssim.FaultContentType, ecssim.FaultToken, ecssim.FaultCredentials,
	}
	var faults []ecssim.Fault
	for _, k := range kinds {
		faults = append(faults, ecssim.Fault{Kind: k, Action: actInstances, Rate: 0.01})
	}
	sim, c := simulate(t, ecssim.Options{Instances: 20_000, Regions: 5, Seed: 3, Faults: faults}, nil)
	walkAll(t, sim, c, []string{ecssim.DemoAccountID})
}

// The keys live one to two seconds (the API names whole seconds), so that they
// expire in the middle of token chains.
func TestTwoRolesWhoseKeysExpireInSecondsAreReadThrough(t *testing.T) {
	t.Parallel()
	sim, c := simulate(t, ecssim.Options{Instances: 6000, Regions: 3, Accounts: 3, Seed: 5, SessionTTL: 2 * time.Second, ExternalID: "x-1", RoleName: "shenscan"}, func(o *Options) {
		o.MaxRate = 200
	})
	var accounts []Account
	var names []string
	for _, a := range sim.Accounts()[1:] {
		accounts = append(accounts, Account{RoleARN: "acs:ram::" + a.ID + ":role/shenscan", ExternalID: "x-1"})
		names = append(names, a.ID)
	}
	o := c.o
	o.Accounts = accounts
	roles, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(roles.Close)
	for begun := time.Now(); time.Since(begun) < 2500*time.Millisecond; {
		walkAll(t, sim, roles, names)
	}
	assumed := 0
	for _, s := range sim.Stats().Calls {
		if s.Code != "" && (s.Code != "InvalidSecurityToken.Expired" || s.Calls > 3) { // a slow machine may stall between signing and sending
			t.Errorf("%+v", s)
		}
		if s.Action == actAssume {
			assumed += s.Calls
		}
	}
	if assumed < 4 || assumed > 12 {
		t.Errorf("two roles were assumed %d times in 2.5 s", assumed)
	}
}

func TestTheDirectorysMembersAreAssumed(t *testing.T) {
	sim, c := simulate(t, ecssim.Options{Instances: 900, Regions: 2, Accounts: 3, Seed: 5}, func(o *Options) { o.Directory.RoleName = "shenscan" })
	names, err := idsOf(c.Accounts(t.Context()))
	if err != nil || len(names) != 3 {
		t.Fatalf("%v, %v", names, err)
	}
	walkAll(t, sim, c, names)
}

func TestAnEmptyListForTheUnauthorizedIsFoundOut(t *testing.T) {
	sim, c := simulate(t, ecssim.Options{Instances: 500, Regions: 2, Seed: 5}, nil)
	s := ecs.Scope{Account: ecssim.DemoAccountID, Region: sim.Regions()[0]}
	if err := sim.AddFault(ecssim.Fault{Kind: ecssim.FaultEmpty, Region: s.Region}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Instances(t.Context(), s, ecs.Query{})
	mustClass(t, err, ecs.Permission)
	mustClass(t, c.VerifyAccess(t.Context(), s), ecs.Permission)
	if err := c.VerifyAccess(t.Context(), ecs.Scope{Account: s.Account, Region: sim.Regions()[1]}); err != nil {
		t.Error(err)
	}
}
