package ecsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Secret is a string that never shows itself: it prints, logs and marshals as
// <secret>. It holds a pointer, because fmt prints a string in an unexported
// field whatever methods its type has.
type Secret struct{ value *string }

// NewSecret hides s.
func NewSecret(s string) Secret { return Secret{&s} }

const redacted = "<secret>"

// Empty reports whether there is nothing to hide.
func (s Secret) Empty() bool { return s.value == nil || *s.value == "" }

func (s Secret) reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns a placeholder, never the value.
func (s Secret) String() string { return redacted }

// GoString returns a placeholder, never the value.
func (s Secret) GoString() string { return redacted }

// MarshalText returns a placeholder, never the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a placeholder, never the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Keys are one set of credentials.
type Keys struct {
	AccessKeyID     Secret
	AccessKeySecret Secret
	SecurityToken   Secret // empty for a long-lived key
}

// Account is one Alibaba Cloud account to look at.
type Account struct {
	// Name is what people call the account: a label beside its id, which alone
	// says which account it is. "" takes the id from RoleARN.
	Name string
	// RoleARN is a role to assume with the base credentials,
	// "acs:ram::1234567890123456:role/shenscan". "" means that the account's
	// own keys (AccessKeyFile) or the base credentials are used as they are.
	RoleARN     string
	ExternalID  string
	SessionName string // default "shenscan"
	// AccessKeyFile is a JSON file with access_key_id, access_key_secret and
	// perhaps security_token, read again whenever the credentials are renewed.
	AccessKeyFile string
}

// Directory finds accounts by listing the members of the resource directory.
type Directory struct {
	// RoleName is the role to assume in each member account; "" turns the
	// directory off.
	RoleName   string
	ExternalID string
	// Endpoint of the resource directory, default
	// resourcemanager.aliyuncs.com, or Options.Endpoint when that is on loopback.
	Endpoint string
}

// Options configure a Client. The zero value of a field takes the default
// that DefaultOptions names.
type Options struct {
	// Endpoint is an ECS endpoint for all regions: "https://host",
	// "http://127.0.0.1:port" for the simulator. "" takes the endpoint that
	// DescribeRegions names, or else the SDK's own for the region.
	Endpoint string
	// STSEndpoint serves AssumeRole and GetCallerIdentity. Default
	// sts.aliyuncs.com, with VPC that of the home region, or Endpoint when that
	// is on loopback.
	STSEndpoint string
	// HomeRegion is asked for what is not regional: DescribeRegions and
	// DescribeInstanceTypes.
	HomeRegion string
	// VPC uses the ecs-vpc.* and sts-vpc.* endpoints and lets private addresses
	// be dialled. The resource directory has no such endpoint.
	VPC bool
	// FakeIP lets addresses be dialled that the DNS of some proxies answers every
	// name with. TLS still says who answers.
	FakeIP bool
	// AllowHosts are endpoint hosts accepted beyond *.aliyuncs.com.
	AllowHosts []string

	// Base are static base credentials; nil takes the SDK's default chain
	// (environment, OIDC, CLI profile, credentials file, instance role).
	Base     *Keys
	Accounts []Account
	// Directory lists further accounts.
	Directory Directory
	// Exclude are ids or names of accounts that are named and left alone.
	Exclude []string
	// SessionDuration asked of AssumeRole, 15 minutes to 12 hours.
	SessionDuration time.Duration

	Timeout        time.Duration // of one HTTP exchange, answer included
	ConnectTimeout time.Duration
	MaxBody        int64 // largest answer in bytes, after gzip
	Gzip           bool  // ask for compressed answers: 9 times fewer bytes, twice the CPU
	Concurrency    int   // calls that run side by side; sizes the connection pool
	Proxy          string
	CAFile         string // PEM file with further roots

	MaxAttempts  int           // of one call, throttled ones not counted
	MaxRetryTime time.Duration // of one call from its first attempt
	BackoffBase  time.Duration // first retry waits up to this
	BackoffMax   time.Duration
	MaxThrottles int           // throttled answers that one call bears
	MaxThrottled time.Duration // time that one call bears being throttled
	// ThrottleWait is the longest wait that the API may ask for. A call that is
	// asked to wait for longer fails and says until when, as do all others that
	// the same limit holds back.
	ThrottleWait  time.Duration
	CircuitAfter  int           // calls of one scope that fail in a row before it is given up
	CircuitPause  time.Duration // how long a given-up scope is left alone
	StartRate     float64       // calls a second an account, region and action begin with
	MinRate       float64       // never slower than this
	MaxRate       float64       // calls a second of one account, all actions and regions; 0 is no ceiling
	Shared        Shared        // limiter state shared with other processes; nil keeps it here
	SharedPenalty int           // share of the last rate (1/n) kept while Shared fails

	UserAgent string
	Observer  Observer
	Logger    *slog.Logger
}

// DefaultOptions returns what New fills in for absent fields.
func DefaultOptions() Options {
	return Options{
		HomeRegion:      "cn-hangzhou",
		SessionDuration: time.Hour,
		Timeout:         10 * time.Second,
		ConnectTimeout:  5 * time.Second,
		MaxBody:         8 << 20,
		Concurrency:     32,
		MaxAttempts:     6,
		MaxRetryTime:    90 * time.Second,
		BackoffBase:     200 * time.Millisecond,
		BackoffMax:      10 * time.Second,
		MaxThrottles:    40,
		MaxThrottled:    10 * time.Minute,
		ThrottleWait:    5 * time.Minute,
		CircuitAfter:    3,
		CircuitPause:    30 * time.Second,
		StartRate:       10,
		MinRate:         1,
		SharedPenalty:   4,
		UserAgent:       "shenscan",
		Observer:        noObserver{},
		Logger:          slog.New(slog.DiscardHandler),
	}
}

// fill sets the fields that are absent.
func (o *Options) fill() {
	given, defaults := reflect.ValueOf(o).Elem(), reflect.ValueOf(DefaultOptions())
	for i := range given.NumField() {
		if given.Field(i).IsZero() {
			given.Field(i).Set(defaults.Field(i))
		}
	}
	o.MinRate = min(o.MinRate, o.StartRate)
}

var (
	roleARN     = regexp.MustCompile(`^acs:ram::(\d{5,20}):role/([A-Za-z0-9._-]{1,64})$`)
	sessionName = regexp.MustCompile(`^[A-Za-z0-9_.@-]{2,32}$`)
	roleName    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	regionID    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
)

// Validate reports every mistake in the options at once.
func (o Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for name, raw := range map[string]string{"endpoint": o.Endpoint, "sts endpoint": o.STSEndpoint, "directory endpoint": o.Directory.Endpoint} {
		if raw == "" {
			continue
		}
		if _, err := parseEndpoint(raw); err != nil {
			bad("%s %q: %w", name, raw, err)
		}
	}
	if o.Proxy != "" {
		if u, err := url.Parse(o.Proxy); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
			bad("proxy is not a URL with scheme http, https or socks5 and a host")
		}
	}
	if o.HomeRegion != "" && !regionID.MatchString(o.HomeRegion) {
		bad("home region %q is not a region id", o.HomeRegion)
	}
	if d := o.SessionDuration; d != 0 && (d < 15*time.Minute || d > 12*time.Hour) {
		bad("session duration %s is outside 15m to 12h", d)
	}
	if o.Directory.RoleName != "" && !roleName.MatchString(o.Directory.RoleName) {
		bad("directory role %q is not the name of a role", o.Directory.RoleName)
	}
	if o.ThrottleWait != 0 && (o.ThrottleWait < time.Second || o.ThrottleWait > 10*time.Minute) {
		bad("throttle wait %s is outside 1s to 10m", o.ThrottleWait)
	}
	if o.MaxRate < 0 || o.StartRate < 0 || o.MinRate < 0 {
		bad("rates are calls a second and not negative")
	}
	errs = append(errs, validateAccounts(o.Accounts)...)
	return errors.Join(errs...)
}

func validateAccounts(accounts []Account) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	ids := map[string]int{}
	for i, account := range accounts {
		name := account.name()
		if id := account.id(); id != "" {
			if first, ok := ids[id]; ok {
				bad("accounts[%d]: account %s is accounts[%d] already", i, id, first)
			} else {
				ids[id] = i
			}
			if accountID(account.Name) && account.Name != id {
				bad("accounts[%d]: the name %s is the id of another account than role_arn's %s", i, account.Name, id)
			}
		}
		if name == "" {
			bad("accounts[%d]: give it a name or a role_arn", i)
		}
		if strings.ContainsAny(name, "/. *>\t\r\n") {
			bad("accounts[%d]: the name %q holds a character that a scope cannot hold", i, name)
		}
		if seen[name] {
			bad("accounts[%d]: %q is there twice", i, name)
		}
		seen[name] = true
		if account.RoleARN != "" && !roleARN.MatchString(account.RoleARN) {
			bad("accounts[%d]: role_arn %q is not of the form acs:ram::<account id>:role/<name>", i, account.RoleARN)
		}
		if account.SessionName != "" && !sessionName.MatchString(account.SessionName) {
			bad("accounts[%d]: session name %q is not 2 to 32 of letters, digits and _.@-", i, account.SessionName)
		}
	}
	return errs
}

func (a Account) name() string {
	if a.Name != "" {
		return a.Name
	}
	return a.id()
}

// id is the account's id where its role tells it, else "".
func (a Account) id() string {
	if m := roleARN.FindStringSubmatch(a.RoleARN); m != nil {
		return m[1]
	}
	return ""
}

// ErrDebug means that the environment makes the SDK print keys and tokens.
var ErrDebug = errors.New("the environment variable DEBUG names a part of the Alibaba Cloud SDK, which then prints access keys and tokens to standard output; unset it")

// checkDebug refuses the switches of the SDK packages in use (their
// debug.Init flags).
func checkDebug() error {
	for part := range strings.SplitSeq(os.Getenv("DEBUG"), ",") {
		switch strings.TrimSpace(part) {
		case "dara", "tea", "credential":
			return ErrDebug
		}
	}
	return nil
}
