package ecssim

import (
	"errors"
	"fmt"
	"time"
)

// Keys that the simulator accepts out of the box. They open nothing else.
const (
	DemoAccessKeyID     = "LTAISIMULATORDEMO"
	DemoAccessKeySecret = "shenscan-simulator-demo-secret"
	DemoAccountID       = "1234567890123456"
)

// Limits of the options.
const (
	MaxInstances = 10_000_000
	MaxAccounts  = 64
)

// Account is one Alibaba Cloud account with its long-term keys.
type Account struct {
	ID              string // 16 digits
	Name            string
	AccessKeyID     string
	AccessKeySecret string
}

// Options say what the simulator holds and how it behaves. The zero value of a
// field is its default.
type Options struct {
	Instances int    // over all accounts and regions; default 10,000
	Regions   int    // how many regions; default 18
	Accounts  int    // how many accounts; default 1
	Seed      uint64 // same seed and sizes, same fleet
	Images    int    // distinct images counted per account and region; default 3 in 1,000 instances, 24 a region at least

	// Keys replaces the accounts made up from Accounts.
	Keys []Account
	// RoleName is the only role that AssumeRole knows; "" knows every name.
	RoleName string
	// ExternalID is what AssumeRole demands; "" demands none.
	ExternalID string
	// SessionTTL overrides what AssumeRole is asked for, down to seconds.
	SessionTTL time.Duration

	Gzip          bool          // compress answers for clients that ask for it
	TokenTTL      time.Duration // how long a NextToken lives; 0 for ever
	TokenRefuse   int           // every n-th NextToken presented is refused as expired; 0 none
	Latency       Latency
	Quota         Quota
	Faults        []Fault
	Contradict    []string         // names of Contradictions in force
	NoPlatform    bool             // deny DescribeImageSupportInstanceTypes; the truth is without it
	NoControl     bool             // do not serve /_sim/
	Now           func() time.Time // default time.Now
	WrongNames    float64          // share of machines whose OSName is wrong, vague or stale, as far as their images allow; their guests know better
	OfflineAgents float64          // share of machines with an agent whose agent does not answer
	FailedStarts  float64          // share of Running machines whose last start failed: they show it on their console and send no heartbeats
	OddAnswers    float64          // share of machines whose answer is cut short, garbled, late or a failure
	DuplicateRate float64          // share of pages that repeat the last instance of the page before
}

// ErrOptions is returned for options that make no sense.
var ErrOptions = errors.New("ecssim: bad options")

// withDefaults fills in what is not set and checks the rest.
func (o Options) withDefaults(data *data) (Options, error) {
	if o.Instances == 0 {
		o.Instances = 10_000
	}
	if o.Regions == 0 {
		o.Regions = min(18, len(data.regions))
	}
	if o.Accounts == 0 {
		o.Accounts = max(1, len(o.Keys))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Instances < 0 || o.Instances > MaxInstances:
		return o, fmt.Errorf("%w: instances %d, want 1 to %d", ErrOptions, o.Instances, MaxInstances)
	case o.Regions < 0 || o.Regions > len(data.regions):
		return o, fmt.Errorf("%w: regions %d, want 1 to %d", ErrOptions, o.Regions, len(data.regions))
	case o.Accounts < 0 || o.Accounts > MaxAccounts:
		return o, fmt.Errorf("%w: accounts %d, want 1 to %d", ErrOptions, o.Accounts, MaxAccounts)
	case o.Images < 0 || o.Images > o.Instances:
		return o, fmt.Errorf("%w: images %d, want 1 to the number of instances", ErrOptions, o.Images)
	case !isShare(o.OfflineAgents) || !isShare(o.OddAnswers) || !isShare(o.WrongNames) || !isShare(o.FailedStarts):
		return o, fmt.Errorf("%w: offline agents %g, odd answers %g, wrong names %g, failed starts %g: each is a share of machines, between 0 and 1", ErrOptions, o.OfflineAgents, o.OddAnswers, o.WrongNames, o.FailedStarts)
	case len(o.Keys) > 0 && len(o.Keys) != o.Accounts:
		return o, fmt.Errorf("%w: %d keys for %d accounts", ErrOptions, len(o.Keys), o.Accounts)
	}
	if o.Images == 0 {
		o.Images = max(24*o.Regions*o.Accounts, o.Instances/1000*3)
		o.Images = min(o.Images, o.Instances)
	}
	if len(o.Keys) == 0 {
		o.Keys = demoAccounts(o.Accounts)
	}
	for i := range o.Faults {
		if err := o.Faults[i].validate(); err != nil {
			return o, err
		}
	}
	return o, o.Quota.validate()
}

// demoAccounts makes up accounts; the first has the demo keys.
func demoAccounts(n int) []Account {
	out := make([]Account, n)
	for index := range out {
		out[index] = Account{
			ID:              fmt.Sprintf("%d", 1234567890123456+int64(index)*1_000_003),
			Name:            fmt.Sprintf("member-%02d", index),
			AccessKeyID:     DemoAccessKeyID,
			AccessKeySecret: DemoAccessKeySecret,
		}
		if index > 0 {
			out[index].AccessKeyID = fmt.Sprintf("%s%02d", DemoAccessKeyID, index)
			out[index].AccessKeySecret = fmt.Sprintf("%s-%02d", DemoAccessKeySecret, index)
		}
	}
	return out
}

// isShare says whether x is a part of a whole, which what is no number is not.
func isShare(x float64) bool { return x >= 0 && x <= 1 }
