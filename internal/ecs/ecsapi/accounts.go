package ecsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shenscan/shenscan/internal/ecs"
)

// accounts knows which credentials belong to which account.
type accounts struct {
	c    *Client
	base *keyring

	mu       sync.Mutex
	rings    map[string]*keyring
	names    []string // configured, in order
	identity string   // the account of the base credentials, once learnt
	asking   turn     // held by the one caller who learns it
}

func (a *accounts) init(c *Client) {
	a.c, a.rings, a.asking = c, map[string]*keyring{}, newTurn()
	switch {
	case c.o.Base != nil:
		a.base = newKeyring(static(*c.o.Base), c.o.Logger)
	default:
		a.base = newKeyring(newChain(), c.o.Logger)
	}
	for _, acc := range c.o.Accounts {
		name := acc.name()
		a.names = append(a.names, name)
		a.rings[name] = a.make(acc)
	}
}

// make builds the keyring of an account.
func (a *accounts) make(acc Account) *keyring {
	base := a.base
	if acc.AccessKeyFile != "" {
		base = newKeyring(keyFile(acc.AccessKeyFile), a.c.o.Logger.With("account", acc.name()))
	}
	if acc.RoleARN == "" {
		return base
	}
	orDefault(&acc.SessionName, "shenscan")
	return newKeyring(&role{c: a.c, base: base, account: acc, duration: a.c.o.SessionDuration}, a.c.o.Logger.With("account", acc.name()))
}

// ring returns the keyring of an account. Accounts that are not configured
// are refused: names come with messages, too.
func (a *accounts) ring(ctx context.Context, name string) (*keyring, error) {
	a.mu.Lock()
	r := a.rings[name]
	a.mu.Unlock()
	if r != nil {
		return r, nil
	}
	unknown := &ecs.Error{
		Action: "Credentials", Scope: ecs.Scope{Account: clip(name, 60)}, Class: ecs.BadRequest,
		Err: errors.New("the account is not configured"), Mend: "add it to accounts, or set the directory role",
	}
	if dir := a.c.o.Directory; dir.RoleName != "" && accountID(name) {
		return a.add(name, Account{Name: name, RoleARN: "acs:ram::" + name + ":role/" + dir.RoleName, ExternalID: dir.ExternalID}), nil
	}
	if len(a.names) > 0 {
		return nil, unknown
	}
	id, err := a.whoami(ctx)
	if err != nil {
		return nil, err
	}
	if id != name {
		return nil, unknown
	}
	return a.base, nil
}

func (a *accounts) add(name string, acc Account) *keyring {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.rings[name]; r != nil {
		return r
	}
	r := a.make(acc)
	a.rings[name] = r
	return r
}

func accountID(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil && len(s) >= 5 && len(s) <= 20
}

// whoami learns the account of the base credentials, once.
func (a *accounts) whoami(ctx context.Context) (string, error) {
	if err := a.asking.take(ctx); err != nil {
		return "", err
	}
	defer a.asking.give()
	a.mu.Lock()
	id := a.identity
	a.mu.Unlock()
	if id != "" {
		return id, nil
	}
	err := a.c.at(ctx, a.c.sts, call{
		scope: stsScope("base"), ring: a.base, req: newRequest(stsVersion, actIdentity),
		decode: func(body []byte) error {
			var m struct {
				AccountID string `json:"AccountId"`
			}
			if err := unmarshal(body, &m); err != nil {
				return err
			}
			if id = m.AccountID; !accountID(id) {
				return errors.New("AccountId is missing or no account id")
			}
			return nil
		},
	})
	if err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.identity = id
	a.rings[id] = a.base
	return id, nil
}

func stsScope(account string) ecs.Scope { return ecs.Scope{Account: account, Region: "sts"} }

// ResolveAccounts returns the names of all accounts to look at, sorted: the
// configured ones and the active members of the resource directory when its
// role is set, or else the account of the base credentials.
func (c *Client) ResolveAccounts(ctx context.Context) ([]string, error) {
	names := map[string]bool{}
	for _, n := range c.accounts.names {
		names[n] = true
	}
	if dir := c.o.Directory; dir.RoleName != "" {
		members, err := c.Members(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			if m.Active() && !names[m.ID] {
				names[m.ID] = true
			}
		}
	}
	if len(names) == 0 {
		id, err := c.accounts.whoami(ctx)
		if err != nil {
			return nil, err
		}
		return []string{id}, nil
	}
	out := make([]string, 0, len(names))
	for n := range names {
		out = append(out, n)
	}
	sort.Strings(out)
	return out, nil
}

// Member is an account of the resource directory.
type Member struct {
	ID, DisplayName, Status string
}

// Active reports whether the member has joined: its role can be assumed.
func (m Member) Active() bool {
	return strings.HasSuffix(m.Status, "Success") || m.Status == "" // CreateSuccess, InviteSuccess, PromoteSuccess
}

const (
	memberPage  = 100
	memberPages = 200
)

// Members lists the resource directory with the base credentials
// (resourcemanager:ListAccounts).
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	ep, err := c.serviceEndpoint(c.o.Directory.Endpoint, "resourcemanager.aliyuncs.com")
	if err != nil {
		return nil, fmt.Errorf("directory endpoint: %w", err)
	}
	scope := ecs.Scope{Account: "base", Region: "directory"}
	var out []Member
	total := 0
	for page := 1; page <= memberPages; page++ {
		req := newRequest(rdVersion, actMembers)
		req.set("PageNumber", strconv.Itoa(page))
		req.set("PageSize", strconv.Itoa(memberPage))
		var got []Member
		err := c.at(ctx, ep, call{
			scope: scope, ring: c.accounts.base, req: req,
			decode: func(body []byte) (err error) {
				got, total, err = decodeMembers(body)
				return err
			},
		})
		if err != nil {
			return nil, err
		}
		out = append(out, got...)
		if len(out) >= total {
			return out, nil
		}
		if len(got) == 0 {
			break
		}
	}
	return nil, &ecs.Error{Action: actMembers, Scope: scope, Class: ecs.BadAnswer, Err: fmt.Errorf("the directory counts %d members and lists %d", total, len(out))}
}

func decodeMembers(body []byte) ([]Member, int, error) {
	var m struct {
		TotalCount int
		Accounts   maybe[struct {
			Account list[struct {
				AccountID           string `json:"AccountId"`
				DisplayName, Status string
			}]
		}]
	}
	if err := unmarshal(body, &m); err != nil {
		return nil, 0, err
	}
	if m.Accounts.v.Account == nil {
		return nil, 0, missing("Accounts.Account")
	}
	var out []Member
	for _, a := range m.Accounts.v.Account {
		if !accountID(a.AccountID) {
			return nil, 0, fmt.Errorf("AccountId %q is no account id", clip(a.AccountID, 40))
		}
		out = append(out, Member{a.AccountID, a.DisplayName, a.Status})
	}
	return out, m.TotalCount, nil
}

// role assumes a role through STS.
type role struct {
	c        *Client
	base     *keyring
	account  Account
	duration time.Duration
}

func (r *role) fetch(ctx context.Context) (lease, error) {
	req := newRequest(stsVersion, actAssume)
	req.set("RoleArn", r.account.RoleARN)
	req.set("RoleSessionName", r.account.SessionName)
	req.set("DurationSeconds", strconv.Itoa(int(r.duration.Seconds())))
	if r.account.ExternalID != "" {
		req.set("ExternalId", r.account.ExternalID)
	}
	var l lease
	err := r.c.at(ctx, r.c.sts, call{
		scope: stsScope(r.account.name()), ring: r.base, req: req,
		decode: func(body []byte) (err error) {
			l, err = decodeAssumed(body)
			return err
		},
	})
	return l, err
}

func decodeAssumed(body []byte) (lease, error) {
	var m struct {
		Credentials *struct {
			AccessKeyID     string `json:"AccessKeyId"`
			AccessKeySecret string
			SecurityToken   string
			Expiration      time.Time
		}
	}
	if json.Unmarshal(body, &m) != nil { // the error would quote a key
		return lease{}, errors.New("the answer of AssumeRole has not the right shape")
	}
	c := m.Credentials
	if c == nil || c.AccessKeyID == "" || c.AccessKeySecret == "" || c.SecurityToken == "" || c.Expiration.IsZero() {
		return lease{}, missing("Credentials")
	}
	return lease{Keys{NewSecret(c.AccessKeyID), NewSecret(c.AccessKeySecret), NewSecret(c.SecurityToken)}, c.Expiration}, nil
}
