package ecssim

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxSkew is how far a request's time may be off.
const maxSkew = 15 * time.Minute

// caller is who signed a request.
type caller struct {
	account Account
	key     string // access key id
	kind    string // "User" or "AssumedRoleUser"
	name    string
}

// call is one signed request.
type call struct {
	req     *http.Request
	body    []byte
	params  params
	action  string
	version string
	caller  *caller
}

// authenticate verifies the signature in either style and says who signed.
func (s *Simulator) authenticate(c *call) (*caller, *apiError) {
	if h := c.req.Header.Get("Authorization"); h != "" {
		return s.authACS3(c, h)
	}
	if c.params.get("AccessKeyId") == "" {
		return nil, &apiError{400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action."}
	}
	return s.authRPC(c)
}

// authACS3 verifies ACS3-HMAC-SHA256.
func (s *Simulator) authACS3(c *call, authorization string) (*caller, *apiError) {
	key, signed, signature, ok := parseAuthorization(authorization)
	if !ok {
		return nil, &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards."}
	}
	h := c.req.Header
	who, secret, err := s.secretOf(key, h.Get("x-acs-security-token"))
	if err != nil {
		return nil, err
	}
	names := strings.Split(signed, ";")
	for _, must := range []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"} {
		if !slices.Contains(names, must) {
			return nil, &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards. " + must + " is not signed."}
		}
	}
	if h.Get("x-acs-security-token") != "" && !slices.Contains(names, "x-acs-security-token") {
		return nil, &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards. x-acs-security-token is not signed."}
	}
	sum := sha256.Sum256(c.body)
	if h.Get("x-acs-content-sha256") != hex.EncodeToString(sum[:]) {
		return nil, errSignature()
	}
	digest := sha256.Sum256(canonicalRequest(c.req, names, hex.EncodeToString(sum[:])))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(digest[:])))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(signature)) != 1 {
		return nil, errSignature()
	}
	return who, s.fresh(h.Get("x-acs-date"), h.Get("x-acs-signature-nonce"))
}

func errSignature() *apiError {
	return &apiError{400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation."}
}

// parseAuthorization takes the header apart.
func parseAuthorization(h string) (key, signed, signature string, ok bool) {
	rest, found := strings.CutPrefix(h, "ACS3-HMAC-SHA256 ")
	if !found {
		return "", "", "", false
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			key = value
		case "SignedHeaders":
			signed = value
		case "Signature":
			signature = value
		}
	}
	return key, signed, signature, key != "" && signed != "" && signature != ""
}

// canonicalRequest is what ACS3 signs.
func canonicalRequest(r *http.Request, names []string, bodyHash string) []byte {
	var b bytes.Buffer
	b.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n")
	b.WriteString(canonicalQuery(r.URL.Query()))
	b.WriteByte('\n')
	for _, n := range names {
		v := strings.TrimSpace(strings.Join(r.Header.Values(n), ","))
		if n == "host" {
			v = r.Host
		}
		b.WriteString(n + ":" + v + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + bodyHash)
	return b.Bytes()
}

// canonicalQuery sorts and encodes after RFC 3986.
func canonicalQuery(q url.Values) string {
	keys := make([]string, 0, len(q))
	for k := range q {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for _, k := range keys {
		for _, v := range q[k] {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(rfc3986(k) + "=" + rfc3986(v))
		}
	}
	return b.String()
}

var stricter = strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~")

func rfc3986(s string) string { return stricter.Replace(url.QueryEscape(s)) }

// authRPC verifies the RPC signature, version 1 (HMAC-SHA1).
func (s *Simulator) authRPC(c *call) (*caller, *apiError) {
	p := c.params
	who, secret, err := s.secretOf(p.get("AccessKeyId"), p.get("SecurityToken"))
	if err != nil {
		return nil, err
	}
	if p.get("SignatureMethod") != "HMAC-SHA1" || p.get("SignatureVersion") != "1.0" {
		return nil, &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards."}
	}
	if subtle.ConstantTimeCompare([]byte(rpcSignature(c.req.Method, p, secret)), []byte(p.get("Signature"))) != 1 {
		return nil, errSignature()
	}
	return who, s.fresh(p.get("Timestamp"), p.get("SignatureNonce"))
}

// rpcSignature signs everything but the signature itself.
func rpcSignature(method string, p params, secret string) string {
	q := url.Values{}
	for k, v := range p {
		if k != "Signature" {
			q[k] = v
		}
	}
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(method + "&%2F&" + rfc3986(canonicalQuery(q))))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// fresh refuses old requests and nonces that were seen.
func (s *Simulator) fresh(date, nonce string) *apiError {
	t, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return &apiError{400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."}
	}
	if d := s.opt.Now().Sub(t); d > maxSkew || d < -maxSkew {
		return &apiError{400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."}
	}
	if nonce == "" {
		return errMissing("SignatureNonce")
	}
	if !s.nonces.add(hashString(nonce)) {
		return &apiError{400, "SignatureNonceUsed", "Specified signature nonce was used already."}
	}
	return nil
}

// nonceBox remembers the last nonces in two generations, so that its memory is
// bounded.
type nonceBox struct {
	mu       sync.Mutex
	now, old map[uint64]struct{}
}

const nonceGeneration = 1 << 16

// add reports whether the nonce is new.
func (n *nonceBox) add(h uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, seen := n.now[h]; seen {
		return false
	}
	if _, seen := n.old[h]; seen {
		return false
	}
	if n.now == nil || len(n.now) >= nonceGeneration {
		n.old, n.now = n.now, make(map[uint64]struct{}, nonceGeneration)
	}
	n.now[h] = struct{}{}
	return true
}
