package ecsapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/shenscan/shenscan/internal/ecs"
)

// AccountSet is which accounts there are and which credentials belong to each.
// A Client uses one at a time.
type AccountSet struct {
	c         *Client
	directory Directory
	exclude   []string
	base      *identity
	known     []*identity // configured, in order
	// retired are accounts of the set before this one that are not in this one
	// any more: a scan that has begun may end with them.
	retired      map[string]*keyring
	retiredUntil time.Time

	mu    sync.Mutex
	rings map[string]*keyring // by account id
}

// retiredFor is how long a scan may go on reading an account that is not
// configured any more.
const retiredFor = 6 * time.Hour

// identity is a set of credentials and the account that they belong to.
type identity struct {
	account Account
	ring    *keyring
	asking  *semaphore.Weighted // held by the one caller who learns it

	id atomic.Value // string, once it is learnt
}

func firstAccounts(client *Client) *AccountSet {
	base := &identity{account: Account{Name: ecs.BaseCredentials}, asking: semaphore.NewWeighted(1)}
	switch {
	case client.o.Base != nil:
		base.ring = newKeyring(static(*client.o.Base), client.o.Logger)
	default:
		base.ring = newKeyring(newChain(), client.o.Logger)
		base.ring.identify = client.whose(base.account.Name)
	}
	return newAccounts(client, base, client.o.Accounts, client.o.Directory, client.o.Exclude, nil)
}

// newAccounts keeps from the set before what is configured as it was: what was
// learnt of it, and the keys that it holds.
func newAccounts(c *Client, base *identity, list []Account, directory Directory, exclude []string, before *AccountSet) *AccountSet {
	accountSet := &AccountSet{c: c, directory: directory, exclude: exclude, base: base, rings: map[string]*keyring{}}
	for _, acc := range list {
		known := &identity{account: acc, asking: semaphore.NewWeighted(1)}
		known.id.Store(acc.id())
		if before != nil {
			if i := slices.IndexFunc(before.known, func(k *identity) bool { return k.account == acc }); i >= 0 {
				known = before.known[i]
			}
		}
		if known.ring == nil {
			known.ring = accountSet.make(acc)
		}
		accountSet.known = append(accountSet.known, known)
		if id := known.learnt(); id != "" {
			accountSet.rings[id] = known.ring
		}
	}
	return accountSet
}

// NewAccounts prepares another set of accounts beside the one in use, which
// UseAccounts makes the one in use. It makes no call.
func (c *Client) NewAccounts(list []Account, directory Directory, exclude []string) (*AccountSet, error) {
	o := c.o
	o.Accounts, o.Directory, o.Exclude = list, directory, exclude
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	now := c.accounts.Load()
	return newAccounts(c, now.base, slices.Clone(list), directory, slices.Clone(exclude), now), nil
}

// UseAccounts makes a set of NewAccounts the one in use. Whoever is in the
// middle of reading an account that is not in it may go on for some hours.
func (c *Client) UseAccounts(next *AccountSet) {
	now := c.accounts.Load()
	retired := map[string]*keyring{}
	if time.Now().Before(now.retiredUntil) {
		maps.Copy(retired, now.retired)
	}
	now.mu.Lock()
	maps.Copy(retired, now.rings)
	now.mu.Unlock()
	next.retired, next.retiredUntil = retired, time.Now().Add(retiredFor)
	c.accounts.Store(next)
}

// make builds the keyring of an account.
func (a *AccountSet) make(acc Account) *keyring {
	base := a.base.ring
	if acc.AccessKeyFile != "" {
		base = newKeyring(keyFile(acc.AccessKeyFile), a.c.o.Logger.With("account", acc.name()))
		base.identify = a.c.whose(acc.name())
	}
	if acc.RoleARN == "" {
		return base
	}
	acc.SessionName = cmp.Or(acc.SessionName, "shenscan")
	return newKeyring(&role{c: a.c, base: base, account: acc, duration: a.c.o.SessionDuration}, a.c.o.Logger.With("account", acc.name()))
}

// ring returns the keyring of an account. Accounts that are not configured
// are refused: ids come with messages, too.
func (a *AccountSet) ring(ctx context.Context, id string) (*keyring, error) {
	a.mu.Lock()
	keyring := a.rings[id]
	a.mu.Unlock()
	if keyring != nil {
		return keyring, nil
	}
	dir := a.directory
	var unsure error
	for _, who := range a.identities() {
		if got, err := a.whoami(ctx, who); err != nil {
			unsure = err
		} else if got == id {
			return who.ring, nil
		}
	}
	switch {
	case dir.RoleName != "" && accountID(id):
		return a.keep(id, a.make(Account{Name: id, RoleARN: "acs:ram::" + id + ":role/" + dir.RoleName, ExternalID: dir.ExternalID})), nil
	case a.retired[id] != nil && time.Now().Before(a.retiredUntil):
		return a.retired[id], nil
	case unsure != nil: // it may be the one that could not be identified
		return nil, unsure
	}
	return nil, &ecs.Error{
		Action: "Credentials", Scope: ecs.Scope{Account: clip(id, 60)}, Class: ecs.BadRequest,
		Err: errors.New("the account is not configured"), Mend: "add it to accounts, or set the directory role",
	}
}

// keep remembers the keyring of an account, unless there is one.
func (a *AccountSet) keep(id string, ring *keyring) *keyring {
	a.mu.Lock()
	defer a.mu.Unlock()
	if had := a.rings[id]; had != nil {
		return had
	}
	a.rings[id] = ring
	return ring
}

// identities are those that are configured, and that of the base credentials where it
// is looked at itself.
func (a *AccountSet) identities() []*identity {
	if len(a.known) > 0 && a.directory.RoleName == "" {
		return a.known
	}
	return append(slices.Clone(a.known), a.base)
}

// whoami learns, once, which account credentials belong to.
func (a *AccountSet) whoami(ctx context.Context, who *identity) (string, error) {
	if err := who.asking.Acquire(ctx, 1); err != nil {
		return "", err
	}
	defer who.asking.Release(1)
	if id := who.learnt(); id != "" {
		return id, nil
	}
	before := who.ring.keyID()
	id, err := a.c.callerOf(ctx, who.account.name(), who.ring)
	if err != nil {
		return "", err
	}
	who.ring.belongs(id, before)
	who.id.Store(id)
	a.keep(id, who.ring)
	return id, nil
}

// callerOf asks STS whose keys are.
func (c *Client) callerOf(ctx context.Context, name string, ring *keyring) (string, error) {
	type caller struct {
		AccountID string `json:"AccountId"`
		Arn       string
	}
	return askAt(ctx, c, c.sts, ring, stsScope(name), newRequest(stsVersion, actIdentity), decoding(func(answer *caller) (string, error) {
		if !accountID(answer.AccountID) {
			return "", errors.New("AccountId is missing or no account id")
		}
		if of := accountOf.FindStringSubmatch(answer.Arn); of != nil && of[1] != answer.AccountID {
			return "", fmt.Errorf("the keys are of account %s by AccountId and of account %s by Arn", answer.AccountID, of[1])
		}
		return answer.AccountID, nil
	}))
}

// whose returns the question of a keyring about keys that it does not hold yet.
func (c *Client) whose(name string) func(context.Context, *Keys) (string, error) {
	return func(ctx context.Context, keys *Keys) (string, error) {
		return c.callerOf(ctx, name, newKeyring(static(*keys), c.o.Logger))
	}
}

// directoryScope is the scope of calls to the resource directory.
var directoryScope = ecs.Scope{Account: "base", Region: "directory"}

func stsScope(account string) ecs.Scope {
	return ecs.Scope{Account: account, Region: ecs.SecurityTokens}
}

// Accounts lists every account that there is to look at, by id, and leaves none
// out: the configured ones; where the directory has a role, its members in
// whatever status and the account of the base credentials; where nothing is
// configured, that account alone. Those that cannot be identified and those
// that are excluded are among them and say so. The error is a directory that
// could not be listed in full; the accounts that are known all the same are
// returned with it.
func (c *Client) Accounts(ctx context.Context) ([]ecs.Account, error) {
	return c.accounts.Load().Accounts(ctx)
}

// Accounts lists the accounts of a set as Client.Accounts does those of the set
// in use.
func (a *AccountSet) Accounts(ctx context.Context) ([]ecs.Account, error) {
	client, dir := a.c, a.directory.RoleName != ""
	var found []ecs.Account
	at := map[string]int{}
	add := func(account ecs.Account) {
		if i, ok := at[account.ID]; ok && account.ID != "" {
			found[i].Status = cmp.Or(found[i].Status, account.Status)
			if found[i].Name == account.ID {
				found[i].Name = account.Name
			}
			return
		}
		at[account.ID] = len(found)
		found = append(found, account)
	}
	for _, x := range a.identify(ctx, a.identities()) {
		add(x)
	}
	var failed error
	if dir {
		members, err := client.Members(ctx)
		failed = err
		for _, m := range members {
			add(ecs.Account{ID: m.ID, Name: cmp.Or(clip(m.DisplayName, 128), m.ID), Status: cmp.Or(clip(m.Status, 40), "no status")})
		}
		if i, ok := at[a.base.learnt()]; err == nil && ok && found[i].Status != "" {
			// A member lists the directory for somebody else, whom it does not list.
			manager, err := client.managementAccount(ctx)
			failed = err
			if err == nil {
				add(manager)
			}
		}
	}
	for i := range found {
		x := &found[i]
		x.Excluded = slices.Contains(a.exclude, x.ID) || slices.Contains(a.exclude, x.Name)
	}
	slices.SortStableFunc(found, func(a, b ecs.Account) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name)) })
	return found, failed
}

// AllAccounts says whether somebody said which accounts there are: in the
// configuration, or by naming the resource directory. Keys alone say nothing of
// other accounts.
func (c *Client) AllAccounts() bool { return c.accounts.Load().AllAccounts() }

// AllAccounts says the same of a set.
func (a *AccountSet) AllAccounts() bool {
	return len(a.known) > 0 || a.directory.RoleName != ""
}

// identify learns the ids of several accounts side by side.
func (a *AccountSet) identify(ctx context.Context, asked []*identity) []ecs.Account {
	out := make([]ecs.Account, len(asked))
	var group errgroup.Group
	group.SetLimit(8)
	for i, who := range asked {
		group.Go(func() error {
			id, err := a.whoami(ctx, who)
			name := who.account.name()
			if who == a.base && id != "" {
				name = id
			}
			out[i] = ecs.Account{ID: id, Name: name, Err: err}
			return nil
		})
	}
	_ = group.Wait() // errors stand in the accounts
	return out
}

// learnt is the id of the account, "" while it is not known.
func (who *identity) learnt() string {
	id, _ := who.id.Load().(string)
	return id
}

// managementAccount asks for the account that owns the resource directory.
func (c *Client) managementAccount(ctx context.Context) (ecs.Account, error) {
	type manager struct {
		ResourceDirectory struct {
			MasterAccountID   string `json:"MasterAccountId"`
			MasterAccountName string
		}
	}
	return askDirectory(ctx, c, newRequest(rdVersion, actDirectory), decoding(func(answer *manager) (ecs.Account, error) {
		id, name := answer.ResourceDirectory.MasterAccountID, answer.ResourceDirectory.MasterAccountName
		if !accountID(id) {
			return ecs.Account{}, missing("ResourceDirectory.MasterAccountId")
		}
		return ecs.Account{ID: id, Name: cmp.Or(clip(name, 128), id)}, nil
	}))
}

// askDirectory calls the resource directory with the base credentials.
func askDirectory[T any](ctx context.Context, c *Client, req *request, decode func(body []byte) (T, error)) (T, error) {
	ep, err := c.serviceEndpoint(c.o.Directory.Endpoint, "resourcemanager.aliyuncs.com")
	if err != nil {
		var none T
		return none, fmt.Errorf("directory endpoint: %w", err)
	}
	return askAt(ctx, c, ep, c.accounts.Load().base.ring, directoryScope, req, decode)
}

// Member is an account of the resource directory. Its machines run in whatever
// status it is: one that cannot be changed into a cloud account is a member
// all the same.
type Member struct {
	ID, DisplayName, Status string
}

const (
	memberPage  = 100
	memberPages = 200
)

// Members lists the resource directory with the base credentials
// (resourcemanager:ListAccounts).
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var out []Member
	known := map[string]bool{}
	most, promised := ecs.NoCount, false // what any page counted at most, and that the last one said that more come
	for page := 1; page <= memberPages; page++ {
		req := newRequest(rdVersion, actMembers, "PageNumber", strconv.Itoa(page), "PageSize", strconv.Itoa(memberPage))
		got, err := askDirectory(ctx, c, req, decodingRest((*wireMembers).page))
		switch {
		case page > 1 && !promised && len(out) >= most && ecs.ClassOf(err) == ecs.BadRequest && err != nil:
			return out, nil // it takes no number of a page behind the last one
		case err != nil:
			return out, err
		}
		most = max(most, got.total)
		before := len(out)
		for _, member := range got.members {
			if !known[member.ID] {
				known[member.ID] = true
				out = append(out, member)
			}
		}
		// A page that brings nobody new is the end, whatever is counted: a count that
		// is too low would leave accounts out without a word.
		switch {
		case len(out) > before:
			promised = got.more
		case promised || got.more:
			return out, &ecs.Error{Action: actMembers, Scope: directoryScope, Class: ecs.BadAnswer, Err: fmt.Errorf("the directory lists %d members and says that there are more members, and not where", len(out))}
		case len(out) < most:
			return out, &ecs.Error{Action: actMembers, Scope: directoryScope, Class: ecs.BadAnswer, Err: fmt.Errorf("the directory counts %d members and lists %d", most, len(out))}
		default:
			return out, nil
		}
	}
	return out, &ecs.Error{Action: actMembers, Scope: directoryScope, Class: ecs.BadAnswer, Err: fmt.Errorf("the list of the directory's members does not end: %d came on %d pages", len(out), memberPages)}
}

// wireMembers is an answer of ListAccounts.
type wireMembers struct {
	NextToken  string
	TotalCount count
	Accounts   maybe[struct {
		Account list[struct {
			AccountID           string `json:"AccountId"`
			DisplayName, Status string
		}]
	}]
}

// membersPage is what one says.
type membersPage struct {
	members []Member
	total   int  // ecs.NoCount where there is none
	more    bool // it says that there are more
}

func (w *wireMembers) page(rest present) (out membersPage, err error) {
	if w.Accounts.v.Account == nil {
		return out, missing("Accounts.Account")
	}
	for _, a := range w.Accounts.v.Account {
		if !accountID(a.AccountID) {
			return out, fmt.Errorf("AccountId %q is no account id", clip(a.AccountID, 40))
		}
		out.members = append(out.members, Member{a.AccountID, a.DisplayName, a.Status})
	}
	out.total = orNone(w.TotalCount)
	out.more, err = goesOn(rest)
	out.more = out.more || w.NextToken != ""
	return out, err
}

// role assumes a role through STS.
type role struct {
	c        *Client
	base     *keyring
	account  Account
	duration time.Duration
}

func (r *role) fetch(ctx context.Context) (lease, error) {
	req := newRequest(stsVersion, actAssume, "RoleArn", r.account.RoleARN, "RoleSessionName", r.account.SessionName,
		"DurationSeconds", strconv.Itoa(int(r.duration.Seconds())), "ExternalId", r.account.ExternalID)
	return askAt(ctx, r.c, r.c.sts, r.base, stsScope(r.account.name()), req, func(body []byte) (lease, error) { return decodeAssumed(body, r.account.id()) })
}

// accountOf matches whose user or role an ARN names, where it says it in digits.
var accountOf = regexp.MustCompile(`^acs:[a-z]+::(\d+):`)

// decodeAssumed reads the keys of a role of an account.
func decodeAssumed(body []byte, account string) (lease, error) {
	var answer struct {
		Credentials *struct {
			AccessKeyID     string `json:"AccessKeyId"`
			AccessKeySecret string
			SecurityToken   string
			Expiration      time.Time
		}
		AssumedRoleUser struct{ Arn string }
	}
	if json.Unmarshal(body, &answer) != nil { // the error would quote a key
		return lease{}, errors.New("the answer of AssumeRole has not the right shape")
	}
	credentials := answer.Credentials
	if credentials == nil || credentials.AccessKeyID == "" || credentials.AccessKeySecret == "" || credentials.SecurityToken == "" || credentials.Expiration.IsZero() {
		return lease{}, missing("Credentials")
	}
	if of := accountOf.FindStringSubmatch(answer.AssumedRoleUser.Arn); of != nil && of[1] != account {
		return lease{}, fmt.Errorf("the role that was assumed is of account %s, and not of %s as its ARN says", of[1], account)
	}
	return lease{Keys{NewSecret(credentials.AccessKeyID), NewSecret(credentials.AccessKeySecret), NewSecret(credentials.SecurityToken)}, credentials.Expiration}, nil
}
