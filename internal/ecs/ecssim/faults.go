package ecssim

import (
	"bytes"
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
func ParseFault(text string) (fault Fault, err error) {
	object := []byte(text)
	if !strings.HasPrefix(text, "{") {
		members := map[string]any{}
		for part := range strings.SplitSeq(text, ",") {
			key, value, _ := strings.Cut(part, "=")
			members[key] = value
			if slices.Contains([]string{"rate", "after", "count", "bytes"}, key) {
				number, failed := strconv.ParseFloat(value, 64)
				if failed != nil {
					return fault, fmt.Errorf("%w: fault %q: %s is a number: %w", ErrOptions, text, key, failed)
				}
				members[key] = number
			}
		}
		object, err = json.Marshal(members)
	}
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(object))
		dec.DisallowUnknownFields()
		err = dec.Decode(&fault)
	}
	if err != nil {
		return fault, fmt.Errorf("%w: fault %q: want kind, action, region, account, rate, after, count, delay, bytes or to: %w", ErrOptions, text, err)
	}
	return fault, fault.validate()
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
	if !isShare(f.Rate) || f.After < 0 || f.Count < 0 || f.Bytes < 0 || f.Delay < 0 {
		return fmt.Errorf("%w: fault %s: rate is 0 to 1, the other numbers are not below 0", ErrOptions, f.Kind)
	}
	return nil
}

// faultErrors are the kinds of fault that are errors of the API.
var faultErrors = map[string]*apiError{
	FaultThrottle:    errThrottled,
	FaultInternal:    {500, "InternalError", "The request processing has failed due to some unknown error."},
	FaultUnavailable: errUnavailable,
	FaultToken:       errToken,
	FaultCredentials: errExpiredSession,
	FaultDisabledKey: {403, "InvalidAccessKeyId.Inactive", "The Access Key is disabled."},
	FaultUnactivated: {403, "RegionUnauthorized", "There is no authority to use the specified region."},
	FaultForbidden:   errForbidden,
	FaultNotSupport:  errNotSupported,
}

// apiError is the error that the fault answers with, if it is one.
func (f *Fault) apiError() *apiError {
	if f == nil {
		return nil
	}
	return faultErrors[f.Kind]
}

// send bends the answer; true when it has written it.
func (f *Fault) send(w http.ResponseWriter, r *http.Request, answer *answer) bool {
	header := w.Header()
	switch f.Kind {
	case FaultHTML503:
		header.Set("Content-Type", "text/html")
		answer.status, answer.body = 503, []byte("<html><head><title>503 Service Temporarily Unavailable</title></head><body>Powered by Tengine</body></html>")
	case FaultEmpty502:
		answer.status, answer.body = 502, nil
	case FaultEmpty200:
		answer.body = nil
	case FaultTruncated:
		answer.body = answer.body[:len(answer.body)/2]
	case FaultMalformed:
		answer.body = []byte(`{"RequestId":"` + answer.requestID + `","Instances":{"Instance":[{"InstanceId":i-broken}]`)
	case FaultWrongShape:
		answer.body = []byte(`{"RequestId":"` + answer.requestID + `","NextToken":"","Instances":"none","Images":7,"Regions":[],"TotalCount":"many"}`)
	case FaultContentType:
		header.Set("Content-Type", "text/html")
	case FaultRedirect:
		header.Set("Location", f.To)
		answer.status, answer.body = http.StatusFound, nil
	case FaultReset:
		return reset(w)
	case FaultHang:
		wait(r.Context(), time.Duration(f.Delay))
		return reset(w)
	case FaultCut:
		header.Set("Content-Length", strconv.Itoa(len(answer.body)))
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body[:len(answer.body)/2])
		_ = http.NewResponseController(w).Flush() // a client that is gone has its cut already
		panic(http.ErrAbortHandler)               // net/http's way to close the connection in the middle
	case FaultSlow:
		f.drip(w, r, answer)
		return true
	case FaultHuge:
		f.flood(w, answer)
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

// wait waits for duration, or for ever when duration is 0, or until the client leaves.
func wait(ctx context.Context, duration time.Duration) {
	if duration == 0 {
		<-ctx.Done()
		return
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// drip writes the body in ten pieces over Delay.
func (f *Fault) drip(w http.ResponseWriter, r *http.Request, answer *answer) {
	w.Header().Set("Content-Length", strconv.Itoa(len(answer.body)))
	w.WriteHeader(answer.status)
	step := max(1, len(answer.body)/10)
	for at := 0; at < len(answer.body); at += step {
		if _, err := w.Write(answer.body[at:min(at+step, len(answer.body))]); err != nil {
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
func (f *Fault) flood(w http.ResponseWriter, answer *answer) {
	size := f.Bytes
	if size == 0 {
		size = 64 << 20
	}
	w.WriteHeader(answer.status)
	if _, err := w.Write([]byte(`{"Padding":"`)); err != nil {
		return
	}
	chunk := []byte(strings.Repeat("x", 64<<10))
	for n := int64(0); n < size; n += int64(len(chunk)) {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
	_, _ = w.Write([]byte(`","RequestId":"` + answer.requestID + `","Instances":{"Instance":[]},"NextToken":""}`))
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

// set puts these faults in the place of those in force; their counters begin at 0.
func (b *faultBox) set(seed uint64, all []Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seed, b.all = seed, nil
	for _, f := range all {
		b.all = append(b.all, &armed{Fault: f})
	}
}

func (b *faultBox) add(fault Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, &armed{Fault: fault})
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
	for index, armed := range b.all {
		if armed.Kind == FaultDuplicate || (armed.Action != "" && armed.Action != action) || (armed.Region != "" && armed.Region != region) || (armed.Account != "" && armed.Account != account) {
			continue
		}
		armed.matched++
		if armed.matched <= armed.After || (armed.Count > 0 && armed.struck >= armed.Count) {
			continue
		}
		if armed.Rate > 0 && share(hash(b.seed, 'x', uint64(index), uint64(armed.matched))) >= armed.Rate {
			continue
		}
		armed.struck++
		return &armed.Fault
	}
	return nil
}

// rate is the rate of the faults of a kind that is not picked by call.
func (b *faultBox) rate(kind string) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, armed := range b.all {
		if armed.Kind == kind {
			if armed.Rate == 0 {
				return 1
			}
			return armed.Rate
		}
	}
	return 0
}
