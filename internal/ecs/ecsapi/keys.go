package ecsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aliyun/credentials-go/credentials"
	"golang.org/x/sync/semaphore"
)

// lease are keys and how long they are good for.
type lease struct {
	keys    Keys
	expires time.Time // zero: not known
}

// source fetches keys anew. Implementations need not be safe for concurrent
// use: a keyring calls one at a time.
type source interface {
	fetch(ctx context.Context) (lease, error)
}

// rechecked is how long keys without a known expiry are kept.
const rechecked = 30 * time.Second

// keyring holds the current keys of one identity and renews them: early while
// the old ones still serve, by one caller at a time, and at once after they
// were refused. Where keys come from outside, as from a file that is rotated, it
// takes none of another account than the one before: what that account has would
// be stored as this one's, and all that this one has be taken for gone.
type keyring struct {
	src source
	log *slog.Logger
	// identify asks whose keys are; nil where they cannot become another account's.
	identify func(ctx context.Context, keys *Keys) (account string, err error)

	fetching *semaphore.Weighted // held by the one caller who renews

	mu      sync.Mutex
	cur     *Keys
	renew   time.Time // from here on a caller tries to renew
	expires time.Time // from here on cur does not serve
	account string    // whose the keys are, "" until somebody asked
	asked   Secret    // the id of the access key that is known to be the account's
}

func newKeyring(src source, log *slog.Logger) *keyring {
	return &keyring{src: src, log: log, fetching: semaphore.NewWeighted(1)}
}

// get returns keys that are good for the next call.
func (k *keyring) get(ctx context.Context) (*Keys, error) {
	now := time.Now()
	cur, renew, expires := k.state()
	if cur != nil && now.Before(renew) {
		return cur, nil
	}
	usable := cur != nil && (expires.IsZero() || now.Before(expires))
	if usable {
		if !k.fetching.TryAcquire(1) { // somebody else renews: the old ones serve
			return cur, nil
		}
	} else if err := k.fetching.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer k.fetching.Release(1)
	if c, renew, _ := k.state(); c != nil && time.Now().Before(renew) {
		return c, nil // another caller renewed while this one waited
	}
	next, err := k.fetch(ctx)
	if err != nil && usable {
		k.postpone(now)
		k.log.WarnContext(ctx, "credentials were not renewed, the old ones serve on", "expires", expires, "err", err)
		return cur, nil
	}
	return next, err
}

func (k *keyring) state() (*Keys, time.Time, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cur, k.renew, k.expires
}

// keyID is the id of the access key that serves, empty while none does.
func (k *keyring) keyID() Secret {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cur == nil {
		return Secret{}
	}
	return k.cur.AccessKeyID
}

// belongs says whose keys are: those that serve now, unless others did before
// somebody asked.
func (k *keyring) belongs(account string, before Secret) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.account, k.asked = account, Secret{}
	if k.cur != nil && (before.Empty() || before.reveal() == k.cur.AccessKeyID.reveal()) {
		k.asked = k.cur.AccessKeyID
	}
}

// same is an error where keys are not, or may not be, those of the account that
// the keys before were of.
func (k *keyring) same(ctx context.Context, keys *Keys) error {
	k.mu.Lock()
	account, asked := k.account, k.asked
	k.mu.Unlock()
	if k.identify == nil || account == "" || keys.AccessKeyID.reveal() == asked.reveal() {
		return nil
	}
	id, err := k.identify(ctx, keys)
	if err != nil {
		return fmt.Errorf("there is another access key than before, and whose it is could not be found out: %w", err)
	}
	if id != account {
		return fmt.Errorf("there is an access key of account %s where one of %s was: give back one of %s, or restart shenscan to scan the other account under its own id", id, account, account)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = keys.AccessKeyID
	return nil
}

// postpone keeps the old keys and tries again soon.
func (k *keyring) postpone(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	left := rechecked
	if !k.expires.IsZero() {
		left = min(left, k.expires.Sub(now)/4)
	}
	k.renew = now.Add(left)
}

// refused says that the cloud did not accept keys; the next get fetches new
// ones. Keys that were already replaced are not thrown away twice.
func (k *keyring) refused(keys *Keys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cur == keys {
		k.cur = nil
	}
}

func (k *keyring) fetch(ctx context.Context) (*Keys, error) {
	lease, err := k.src.fetch(ctx)
	if err != nil {
		return nil, err
	}
	if lease.keys.AccessKeyID.Empty() || lease.keys.AccessKeySecret.Empty() {
		return nil, errors.New("the credentials hold no access key")
	}
	if err := k.same(ctx, &lease.keys); err != nil {
		return nil, err
	}
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cur, k.expires, k.renew = &lease.keys, lease.expires, now.Add(rechecked)
	if !lease.expires.IsZero() {
		life := lease.expires.Sub(now)
		if life <= 0 {
			k.cur = nil
			return nil, fmt.Errorf("the credentials expired %s ago when they came: check this machine's clock", -life.Round(time.Second))
		}
		k.renew = lease.expires.Add(-renewMargin(life))
	}
	return k.cur, nil
}

// renewMargin is how long before the end keys of some life are renewed: a
// third of it or five minutes, but never more than half.
func renewMargin(life time.Duration) time.Duration {
	return min(max(5*time.Minute, life/3), life/2)
}

// static keys never change.
type static Keys

func (s static) fetch(context.Context) (lease, error) { return lease{keys: Keys(s)}, nil }

// keyFile reads keys from a file, so that a mounted secret may be rotated.
type keyFile string

func (f keyFile) fetch(context.Context) (lease, error) {
	raw, err := os.ReadFile(string(f))
	if err != nil {
		return lease{}, fmt.Errorf("read the access key file: %w", err)
	}
	var answer struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"access_key_secret"`
		Token  string `json:"security_token"`
	}
	if json.Unmarshal(raw, &answer) != nil || answer.ID == "" || answer.Secret == "" { // the error would quote the key
		return lease{}, fmt.Errorf("the access key file %s is not a JSON object with access_key_id and access_key_secret", string(f))
	}
	return lease{keys: Keys{NewSecret(answer.ID), NewSecret(answer.Secret), NewSecret(answer.Token)}}, nil
}

// chain is the SDK's default credential chain. It races when two goroutines
// use it and it panics when it is asked again after it failed, so it is used
// under the keyring's lock and made anew after a failure.
type chain struct {
	cred credentials.Credential
	make func() (credentials.Credential, error)
}

func newChain() *chain {
	return &chain{make: func() (credentials.Credential, error) { return credentials.NewCredential(nil) }}
}

// ErrNoCredentials means that the default credential chain found nothing.
var ErrNoCredentials = errors.New("no Alibaba Cloud credentials were found: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or run `aliyun configure`, or use an OIDC or an instance role")

func (c *chain) fetch(ctx context.Context) (lease, error) {
	type answer struct {
		cred credentials.Credential
		l    lease
		err  error
	}
	done := make(chan answer, 1)
	cred := c.cred
	c.cred = nil
	go func() { // the chain takes no context: when ctx ends first, its own time limits end it
		var a answer
		a.cred, a.l, a.err = askChain(cred, c.make)
		done <- a
	}()
	select {
	case <-ctx.Done():
		return lease{}, ctx.Err()
	case a := <-done:
		if a.err == nil {
			c.cred = a.cred
		}
		return a.l, a.err
	}
}

func askChain(cred credentials.Credential, create func() (credentials.Credential, error)) (_ credentials.Credential, granted lease, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w (the credential chain panicked)", ErrNoCredentials)
		}
	}()
	none := func(err error) error {
		return fmt.Errorf("%w (%s)", ErrNoCredentials, scrub(clip(tried(err.Error()), 400)))
	}
	if cred == nil {
		if cred, err = create(); err != nil {
			return nil, lease{}, none(err)
		}
	}
	credentialModel, err := cred.GetCredential()
	if err != nil {
		return nil, lease{}, none(err)
	}
	if credentialModel == nil || credentialModel.AccessKeyId == nil || credentialModel.AccessKeySecret == nil {
		return nil, lease{}, ErrNoCredentials
	}
	granted.keys = Keys{AccessKeyID: NewSecret(*credentialModel.AccessKeyId), AccessKeySecret: NewSecret(*credentialModel.AccessKeySecret)}
	if credentialModel.SecurityToken != nil {
		granted.keys.SecurityToken = NewSecret(*credentialModel.SecurityToken)
	}
	return cred, granted, nil
}
