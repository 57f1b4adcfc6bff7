package ecssim

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kinds of fault.
const (
	FaultThrottle    = "throttle"             // 400 Throttling.User
	FaultInternal    = "internal"             // 500 InternalError
	FaultUnavailable = "unavailable"          // 503 ServiceUnavailable
	FaultHTML503     = "html-503"             // 503 with an HTML page
	FaultEmpty502    = "empty-502"            // 502 without a body
	FaultEmpty200    = "empty-200"            // 200 without a body
	FaultReset       = "reset"                // the connection is reset before the answer
	FaultCut         = "cut"                  // the connection ends in the middle of the body
	FaultTruncated   = "truncated"            // half of the JSON, as if it were all
	FaultMalformed   = "malformed"            // not JSON
	FaultWrongShape  = "wrong-shape"          // JSON whose list is a string
	FaultSlow        = "slow"                 // the body drips over Delay
	FaultHang        = "hang"                 // no answer within Delay (default: until the client leaves)
	FaultContentType = "content-type"         // a good body that calls itself text/html
	FaultRedirect    = "redirect"             // 302 to To
	FaultHuge        = "huge"                 // a body of Bytes (default 64 MiB)
	FaultToken       = "expired-token"        // InvalidParameter for NextToken
	FaultCredentials = "expired-credentials"  // InvalidSecurityToken.Expired
	FaultDisabledKey = "disabled-key"         // InvalidAccessKeyId.Inactive
	FaultUnactivated = "unactivated"          // 403 RegionUnauthorized
	FaultForbidden   = "forbidden"            // 403 Forbidden.RAM
	FaultEmpty       = "unauthorized-empty"   // 200 with no instances; DryRun says Forbidden.RAM
	FaultDuplicate   = "duplicate"            // pages repeat the last instance of the page before
	FaultNotSupport  = "region-not-supported" // 400 RegionId.ApiNotSupported
)

// Fault is one thing that goes wrong. The empty Action, Region and Account
// match every one.
type Fault struct {
	Kind    string   `json:"kind"`
	Action  string   `json:"action,omitempty"`
	Region  string   `json:"region,omitempty"`
	Account string   `json:"account,omitempty"`
	Rate    float64  `json:"rate,omitempty"`  // share of matching calls; 0 is all
	After   int      `json:"after,omitempty"` // the first matching calls are spared
	Count   int      `json:"count,omitempty"` // how often it strikes; 0 for ever
	Delay   Duration `json:"delay,omitempty"`
	Bytes   int64    `json:"bytes,omitempty"`
	To      string   `json:"to,omitempty"`
}

// Duration is a time.Duration that JSON spells as "150ms".
type Duration time.Duration

// MarshalText spells the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "150ms".
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// ParseFault reads "kind=cut,region=cn-beijing,rate=0.02" or its JSON.
func ParseFault(s string) (Fault, error) {
	var f Fault
	if strings.HasPrefix(s, "{") {
		dec := json.NewDecoder(strings.NewReader(s))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&f); err != nil {
			return f, fmt.Errorf("%w: fault: %w", ErrOptions, err)
		}
		return f, f.validate()
	}
	for part := range strings.SplitSeq(s, ",") {
		key, v, _ := strings.Cut(part, "=")
		if err := f.set(key, v); err != nil {
			return f, fmt.Errorf("%w: fault %q: %s: %w", ErrOptions, s, key, err)
		}
	}
	return f, f.validate()
}

func (f *Fault) set(key, v string) (err error) {
	switch key {
	case "kind":
		f.Kind = v
	case "action":
		f.Action = v
	case "region":
		f.Region = v
	case "account":
		f.Account = v
	case "to":
		f.To = v
	case "rate":
		f.Rate, err = strconv.ParseFloat(v, 64)
	case "after":
		f.After, err = strconv.Atoi(v)
	case "count":
		f.Count, err = strconv.Atoi(v)
	case "bytes":
		f.Bytes, err = strconv.ParseInt(v, 10, 64)
	case "delay":
		err = f.Delay.UnmarshalText([]byte(v))
	default:
		err = fmt.Errorf("want kind, action, region, account, rate, after, count, delay, bytes or to")
	}
	return err
}

// FaultKinds lists every kind.
func FaultKinds() []string {
	return []string{
		FaultThrottle, FaultInternal, FaultUnavailable, FaultHTML503, FaultEmpty502, FaultEmpty200, FaultReset, FaultCut, FaultTruncated, FaultMalformed,
		FaultWrongShape, FaultSlow, FaultHang, FaultContentType, FaultRedirect, FaultHuge, FaultToken, FaultCredentials, FaultDisabledKey, FaultUnactivated,
		FaultForbidden, FaultEmpty, FaultDuplicate, FaultNotSupport,
	}
}

func (f *Fault) validate() error {
	if !slices.Contains(FaultKinds(), f.Kind) {
		return fmt.Errorf("%w: fault kind %q: want one of %s", ErrOptions, f.Kind, strings.Join(FaultKinds(), " "))
	}
	if f.Rate < 0 || f.Rate > 1 || f.After < 0 || f.Count < 0 || f.Bytes < 0 || f.Delay < 0 {
		return fmt.Errorf("%w: fault %s: rate is 0 to 1, the other numbers are not below 0", ErrOptions, f.Kind)
	}
	return nil
}

// apiError is the error that the fault answers with, if it is one.
func (f *Fault) apiError() *apiError {
	if f == nil {
		return nil
	}
	switch f.Kind {
	case FaultThrottle:
		return errThrottled()
	case FaultInternal:
		return &apiError{500, "InternalError", "The request processing has failed due to some unknown error."}
	case FaultUnavailable:
		return &apiError{503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server."}
	case FaultToken:
		return errToken()
	case FaultCredentials:
		return errExpiredSession()
	case FaultDisabledKey:
		return &apiError{403, "InvalidAccessKeyId.Inactive", "The Access Key is disabled."}
	case FaultUnactivated:
		return &apiError{403, "RegionUnauthorized", "There is no authority to use the specified region."}
	case FaultForbidden:
		return errForbidden()
	case FaultNotSupport:
		return &apiError{400, "RegionId.ApiNotSupported", "The api is not supported in this region."}
	}
	return nil
}

// send bends the answer; true when it has written it.
func (f *Fault) send(w http.ResponseWriter, r *http.Request, a *answer) bool {
	h := w.Header()
	switch f.Kind {
	case FaultHTML503:
		h.Set("Content-Type", "text/html")
		a.status, a.body = 503, []byte("<html><head><title>503 Service Temporarily Unavailable</title></head><body>Powered by Tengine</body></html>")
	case FaultEmpty502:
		a.status, a.body = 502, nil
	case FaultEmpty200:
		a.body = nil
	case FaultTruncated:
		a.body = a.body[:len(a.body)/2]
	case FaultMalformed:
		a.body = []byte(`{"RequestId":"` + a.requestID + `","Instances":{"Instance":[{"InstanceId":i-broken}]`)
	case FaultWrongShape:
		a.body = []byte(`{"RequestId":"` + a.requestID + `","NextToken":"","Instances":"none","Images":7,"Regions":[],"TotalCount":"many"}`)
	case FaultContentType:
		h.Set("Content-Type", "text/html")
	case FaultRedirect:
		h.Set("Location", f.To)
		a.status, a.body = http.StatusFound, nil
	case FaultReset:
		return reset(w)
	case FaultHang:
		wait(r.Context(), time.Duration(f.Delay))
		return reset(w)
	case FaultCut:
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush() // a client that is gone has its cut already
		panic(http.ErrAbortHandler)               // net/http's way to close the connection in the middle
	case FaultSlow:
		f.drip(w, r, a)
		return true
	case FaultHuge:
		f.flood(w, a)
		return true
	}
	return false
}

// reset closes the connection with RST.
func reset(w http.ResponseWriter) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close reset
	}
	_ = conn.Close()
	return true
}

// wait waits for d, or for ever when d is 0, or until the client leaves.
func wait(ctx context.Context, d time.Duration) {
	if d == 0 {
		<-ctx.Done()
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// drip writes the body in ten pieces over Delay.
func (f *Fault) drip(w http.ResponseWriter, r *http.Request, a *answer) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	step := max(1, len(a.body)/10)
	for at := 0; at < len(a.body); at += step {
		if _, err := w.Write(a.body[at:min(at+step, len(a.body))]); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		wait(r.Context(), max(time.Duration(f.Delay)/10, time.Nanosecond))
		if r.Context().Err() != nil {
			return
		}
	}
}

// flood writes a valid answer behind a very long string.
func (f *Fault) flood(w http.ResponseWriter, a *answer) {
	size := f.Bytes
	if size == 0 {
		size = 64 << 20
	}
	w.WriteHeader(a.status)
	if _, err := w.Write([]byte(`{"Padding":"`)); err != nil {
		return
	}
	chunk := []byte(strings.Repeat("x", 64<<10))
	for n := int64(0); n < size; n += int64(len(chunk)) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
	_, _ = w.Write([]byte(`","RequestId":"` + a.requestID + `","Instances":{"Instance":[]},"NextToken":""}`))
}

// faultBox holds the faults in force.
type faultBox struct {
	mu   sync.Mutex
	seed uint64
	all  []*armed
}

// armed is a fault with its counters.
type armed struct {
	Fault
	matched, struck int
}

func (b *faultBox) set(seed uint64, all []Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seed, b.all = seed, nil
	for _, f := range all {
		b.all = append(b.all, &armed{Fault: f})
	}
}

func (b *faultBox) add(f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, &armed{Fault: f})
}

func (b *faultBox) list() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Fault, 0, len(b.all))
	for _, f := range b.all {
		out = append(out, f.Fault)
	}
	return out
}

// pick is the first fault that strikes this call. The n-th matching call of a
// fault is struck or spared by the seed.
func (b *faultBox) pick(account, region, action string) *Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range b.all {
		if f.Kind == FaultDuplicate || (f.Action != "" && f.Action != action) || (f.Region != "" && f.Region != region) || (f.Account != "" && f.Account != account) {
			continue
		}
		f.matched++
		if f.matched <= f.After || (f.Count > 0 && f.struck >= f.Count) {
			continue
		}
		if f.Rate > 0 && share(hash(b.seed, 'x', uint64(i), uint64(f.matched))) >= f.Rate {
			continue
		}
		f.struck++
		return &f.Fault
	}
	return nil
}

// rate is the rate of the faults of a kind that is not picked by call.
func (b *faultBox) rate(kind string) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.all {
		if f.Kind == kind {
			if f.Rate == 0 {
				return 1
			}
			return f.Rate
		}
	}
	return 0
}
