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
func (s *Simulator) authenticate(call *call) (*caller, *apiError) {
	if h := call.req.Header.Get("Authorization"); h != "" {
		return s.authACS3(call, h)
	}
	if call.params.get("AccessKeyId") == "" {
		return nil, &apiError{400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action."}
	}
	return s.authRPC(call)
}

// authACS3 verifies ACS3-HMAC-SHA256.
func (s *Simulator) authACS3(call *call, authorization string) (*caller, *apiError) {
	key, signed, signature, ok := parseAuthorization(authorization)
	if !ok {
		return nil, errIncomplete
	}
	header := call.req.Header
	who, secret, err := s.secretOf(key, header.Get("x-acs-security-token"))
	if err != nil {
		return nil, err
	}
	names := strings.Split(signed, ";")
	for _, must := range []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"} {
		if !slices.Contains(names, must) {
			return nil, &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards. " + must + " is not signed."}
		}
	}
	if header.Get("x-acs-security-token") != "" && !slices.Contains(names, "x-acs-security-token") {
		return nil, &apiError{400, "IncompleteSignature", "The request signature does not conform to Aliyun standards. x-acs-security-token is not signed."}
	}
	sum := sha256.Sum256(call.body)
	if header.Get("x-acs-content-sha256") != hex.EncodeToString(sum[:]) {
		return nil, errSignature
	}
	digest := sha256.Sum256(canonicalRequest(call.req, names, hex.EncodeToString(sum[:])))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(digest[:])))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(signature)) != 1 {
		return nil, errSignature
	}
	return who, s.fresh(header.Get("x-acs-date"), header.Get("x-acs-signature-nonce"))
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
	var buffer bytes.Buffer
	buffer.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n")
	buffer.WriteString(canonicalQuery(r.URL.Query()))
	buffer.WriteByte('\n')
	for _, name := range names {
		v := strings.TrimSpace(strings.Join(r.Header.Values(name), ","))
		if name == "host" {
			v = r.Host
		}
		buffer.WriteString(name + ":" + v + "\n")
	}
	buffer.WriteString("\n" + strings.Join(names, ";") + "\n" + bodyHash)
	return buffer.Bytes()
}

// canonicalQuery sorts and encodes after RFC 3986.
func canonicalQuery(values url.Values) string { return stricter.Replace(values.Encode()) }

var stricter = strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~")

// authRPC verifies the RPC signature, version 1 (HMAC-SHA1).
func (s *Simulator) authRPC(call *call) (*caller, *apiError) {
	params := call.params
	who, secret, err := s.secretOf(params.get("AccessKeyId"), params.get("SecurityToken"))
	if err != nil {
		return nil, err
	}
	if params.get("SignatureMethod") != "HMAC-SHA1" || params.get("SignatureVersion") != "1.0" {
		return nil, errIncomplete
	}
	if subtle.ConstantTimeCompare([]byte(rpcSignature(call.req.Method, params, secret)), []byte(params.get("Signature"))) != 1 {
		return nil, errSignature
	}
	return who, s.fresh(params.get("Timestamp"), params.get("SignatureNonce"))
}

// rpcSignature signs everything but the signature itself.
func rpcSignature(method string, p params, secret string) string {
	values := url.Values{}
	for k, v := range p {
		if k != "Signature" {
			values[k] = v
		}
	}
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(method + "&%2F&" + stricter.Replace(url.QueryEscape(canonicalQuery(values)))))
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
func (n *nonceBox) add(sum uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, seen := n.now[sum]; seen {
		return false
	}
	if _, seen := n.old[sum]; seen {
		return false
	}
	if n.now == nil || len(n.now) >= nonceGeneration {
		n.old, n.now = n.now, map[uint64]struct{}{}
	}
	n.now[sum] = struct{}{}
	return true
}
