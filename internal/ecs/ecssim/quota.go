package ecssim

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Quota is how many calls the service takes. Windows are fixed and begin at
// whole multiples of their length, as the service's calendar minutes do.
type Quota struct {
	Calls   int            `json:"calls"`            // per account, region and action in one window; 0 without end
	Actions map[string]int `json:"actions"`          // the same for one action, over Calls
	Window  Duration       `json:"window,omitempty"` // default one minute
	// AccountRate is how many calls a second one account has for all its
	// regions and actions together; 0 without end.
	AccountRate int `json:"account_rate"`
}

func (q Quota) validate() error {
	if q.Calls < 0 || q.AccountRate < 0 || q.Window < 0 {
		return fmt.Errorf("%w: quota below 0", ErrOptions)
	}
	return nil
}

// ParseActionQuota reads "DescribeInstances=100": so many calls of the action in a window of
// the quota. Anything else, and less than one call, is ErrOptions.
func ParseActionQuota(text string) (action string, calls int, err error) {
	action, v, ok := strings.Cut(text, "=")
	if calls, err = strconv.Atoi(v); err != nil || !ok || calls < 1 {
		return "", 0, fmt.Errorf("%w: quota %q: want ACTION=CALLS", ErrOptions, text)
	}
	return action, calls, nil
}

// quotaBox counts calls by window.
type quotaBox struct {
	mu      sync.Mutex
	q       Quota
	windows map[quotaKey]*quotaWindow
}

type quotaKey struct{ account, region, action string }

// quotaWindow is a window with the calls that were asked and served in it.
type quotaWindow struct {
	start         time.Time
	asked, served int
}

// window is the window of a key at a moment, which is another one where the last
// has passed.
func window(all map[quotaKey]*quotaWindow, key quotaKey, length time.Duration, now time.Time) *quotaWindow {
	start := now.Truncate(length)
	if all[key] == nil || !all[key].start.Equal(start) {
		all[key] = &quotaWindow{start: start}
	}
	return all[key]
}

func (b *quotaBox) set(quota Quota) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if quota.Window == 0 {
		quota.Window = Duration(time.Minute)
	}
	b.q, b.windows = quota, map[quotaKey]*quotaWindow{}
}

// take uses one call of the quota. Where it is used up, refusal is the header that
// says so, and when the window ends. STS has quotas of its own that are not
// simulated.
func (b *quotaBox) take(call *call, now time.Time) (refusal string) {
	if call.action == "AssumeRole" || call.action == "GetCallerIdentity" {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	limit, ok := b.q.Actions[call.action]
	if !ok {
		limit = b.q.Calls
	}
	account := call.caller.account.ID
	left, ok := b.use(quotaKey{account: account}, b.q.AccountRate, time.Second, now)
	if ok {
		left, ok = b.use(quotaKey{account, call.params.get("RegionId"), call.action}, limit, time.Duration(b.q.Window), now)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("Limit:%d,Remain:0,TimeLeft:%d", limit, left.Milliseconds())
}

// use takes one call of a window; a limit of 0 is none.
func (b *quotaBox) use(quotaKey quotaKey, limit int, length time.Duration, now time.Time) (left time.Duration, ok bool) {
	if limit == 0 {
		return 0, true
	}
	current := window(b.windows, quotaKey, length, now)
	if current.served >= limit {
		return current.start.Add(length).Sub(now), false
	}
	current.served++
	return 0, true
}

// Latency is how long an answer takes. The zero value is no time.
type Latency struct {
	Kind string        // "", "fixed", "uniform", "lognormal"
	A    time.Duration // fixed; lower bound; median
	B    time.Duration // upper bound
	S    float64       // sigma of the lognormal
}

// ParseLatency reads "50ms", "uniform:20ms-80ms" or "lognormal:50ms,0.5"
// (median, sigma); "" and "0" are no latency.
func ParseLatency(text string) (Latency, error) {
	bad := fmt.Errorf("%w: latency %q: want 50ms, uniform:20ms-80ms or lognormal:50ms,0.5", ErrOptions, text)
	kind, spec, ok := strings.Cut(text, ":")
	if !ok {
		if text == "" || text == "0" {
			return Latency{}, nil
		}
		kind, spec = "fixed", text
	}
	latency := Latency{Kind: kind}
	var err error
	switch kind {
	case "fixed":
		latency.A, err = time.ParseDuration(spec)
	case "uniform":
		lo, hi, _ := strings.Cut(spec, "-")
		if latency.A, err = time.ParseDuration(lo); err == nil {
			latency.B, err = time.ParseDuration(hi)
		}
	case "lognormal":
		median, sigma, _ := strings.Cut(spec, ",")
		if latency.A, err = time.ParseDuration(median); err == nil {
			latency.S, err = strconv.ParseFloat(sigma, 64)
		}
	default:
		return latency, bad
	}
	if err != nil || latency.A < 0 || (kind == "uniform" && latency.B < latency.A) || latency.S < 0 {
		return latency, bad
	}
	return latency, nil
}

// of draws a duration.
func (l *Latency) of(seed uint64) time.Duration {
	switch l.Kind {
	case "fixed":
		return l.A
	case "uniform":
		return l.A + time.Duration(share(seed)*float64(l.B-l.A))
	case "lognormal":
		u, v := share(seed), share(mix(seed))
		normal := math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
		return time.Duration(float64(l.A) * math.Exp(l.S*normal))
	}
	return 0
}

func (l *Latency) sleep(ctx context.Context, r uint64) {
	if d := l.of(r); d > 0 {
		wait(ctx, d)
	}
}

// UnmarshalJSON reads the form of ParseLatency.
func (l *Latency) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := ParseLatency(s)
	*l = v
	return err
}
