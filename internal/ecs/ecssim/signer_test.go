package ecssim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// keys are what a raw test call is signed with.
type keys struct{ id, secret, token string }

func demoKeys() keys { return keys{id: DemoAccessKeyID, secret: DemoAccessKeySecret} }

var testNonce atomic.Int64 // two calls of one test run never share a nonce

// signed builds a request signed in the ACS3 style.
func signed(t testing.TB, base, version, action string, k keys, q url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, base+"/?"+q.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	empty := sha256.Sum256(nil)
	h := map[string]string{
		"x-acs-action": action, "x-acs-version": version, "x-acs-date": time.Now().UTC().Format(time.RFC3339),
		"x-acs-signature-nonce": "n" + strconv.FormatInt(testNonce.Add(1), 10), "x-acs-content-sha256": hex.EncodeToString(empty[:]),
	}
	if k.token != "" {
		h["x-acs-security-token"], h["x-acs-accesskey-id"] = k.token, k.id
	}
	for n, v := range h {
		r.Header.Set(n, v)
	}
	seal(r, k)
	return r
}

// resign moves a signed request to another time.
func resign(r *http.Request, k keys, at time.Time) {
	r.Header.Set("x-acs-date", at.UTC().Format(time.RFC3339))
	seal(r, k)
}

// seal signs what the request holds.
func seal(r *http.Request, k keys) {
	names := []string{"host"}
	for n := range r.Header {
		if n = strings.ToLower(n); strings.HasPrefix(n, "x-acs-") {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	sum := sha256.Sum256(canonicalRequest(r, names, r.Header.Get("x-acs-content-sha256")))
	mac := hmac.New(sha256.New, []byte(k.secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:])))
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential="+k.id+",SignedHeaders="+strings.Join(names, ";")+",Signature="+hex.EncodeToString(mac.Sum(nil)))
}

// rpc builds a request signed in the RPC style, everything in the query.
func rpc(t testing.TB, base, version, action string, k keys, q url.Values) *http.Request {
	t.Helper()
	p := url.Values{
		"Action": {action}, "Version": {version}, "Format": {"JSON"}, "SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"},
		"Timestamp": {time.Now().UTC().Format(time.RFC3339)}, "SignatureNonce": {"r" + strconv.FormatInt(testNonce.Add(1), 10)}, "AccessKeyId": {k.id},
	}
	if k.token != "" {
		p.Set("SecurityToken", k.token)
	}
	maps.Copy(p, q)
	p.Set("Signature", rpcSignature(http.MethodGet, params(p), k.secret))
	r, err := http.NewRequest(http.MethodGet, base+"/?"+p.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// result is one raw answer.
type result struct {
	status int
	body   []byte
	header http.Header
	err    error // of the transport
}

// code is the API's error code.
func (r result) code() string {
	var v struct{ Code string }
	_ = json.Unmarshal(r.body, &v) // not JSON has no code
	return v.Code
}

// page is a DescribeInstances answer, as far as the tests look at it.
type page struct {
	NextToken            string
	TotalCount, PageSize int
	Instances            struct {
		Instance []struct{ InstanceId, CreationTime, ZoneId, Status, ImageId, InstanceTypeFamily string }
	}
}

func (r result) page(t testing.TB) page {
	t.Helper()
	var p page
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("%v in %.300s", err, r.body)
	}
	return p
}

// do sends a request without following redirects.
func do(r *http.Request) result {
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(r)
	if err != nil {
		return result{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return result{resp.StatusCode, body, resp.Header, err}
}

// ask is a signed ECS call with pairs of parameters.
func ask(t testing.TB, s *Server, action string, kv ...string) result {
	t.Helper()
	return do(signed(t, s.URL, "2014-05-26", action, demoKeys(), pairs(kv)))
}

func pairs(kv []string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(kv); i += 2 {
		q.Set(kv[i], kv[i+1])
	}
	return q
}
