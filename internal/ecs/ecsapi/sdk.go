package ecsapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// request is one call of one action, before it is signed.
type request struct {
	action  string
	version string
	query   map[string]string
	// aside says that nothing but evidence hangs on the call: its failures do
	// not count against the scope, which is listed all the same.
	aside bool
	// expected is a code that is the good answer (dry runs).
	expected string
	asked    time.Time // when it was last sent, which is after any wait for the limiter
}

const (
	ecsVersion = "2014-05-26"
	stsVersion = "2015-04-01"
	rdVersion  = "2020-03-31" // resource directory
)

// newRequest is a call of an action; pairs are names of parameters, each with its value
// behind it.
func newRequest(version, action string, pairs ...string) *request {
	req := &request{action: action, version: version, query: make(map[string]string, 8)}
	req.set(pairs...)
	return req
}

// ecsRequest is a call of an action of ECS.
func ecsRequest(action string, pairs ...string) *request {
	return newRequest(ecsVersion, action, pairs...)
}

// asideRequest is one for evidence that a scan does without.
func asideRequest(action string, pairs ...string) *request {
	req := ecsRequest(action, pairs...)
	req.aside = true
	return req
}

// set adds parameters. One without a value is left out.
func (r *request) set(pairs ...string) {
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			r.query[pair[0]] = pair[1]
		}
	}
}

// setEach adds the values of a parameter that may be there many times.
func (r *request) setEach(name string, values []string) {
	for i, value := range values {
		r.set(name+"."+strconv.Itoa(i+1), value)
	}
}

// signer signs requests to one endpoint and sends them through the HTTP client. The SDK's
// client does both with a twentieth of a scan's CPU beside: it prints the stack of the
// goroutine into every nonce and makes parts of a log line that nobody reads. Of the SDK
// the function that signs is used; a test holds what is sent against what its client sends.
type signer struct {
	client               *httpClient
	url, host, userAgent string
}

func newSigner(client *httpClient, ep endpoint, userAgent string) *signer {
	return &signer{client: client, url: ep.protocol() + "://" + ep.host + "/?", host: ep.host, userAgent: *openapiutil.GetUserAgent(&userAgent)}
}

// sdkEndpoint is the host that the SDK itself knows for a region.
func sdkEndpoint(region string, vpc bool) (string, error) {
	cfg := &openapi.Config{RegionId: &region}
	if vpc {
		cfg.SetNetwork("vpc")
	}
	api, err := sdk.NewClient(cfg)
	if err != nil {
		return "", fmt.Errorf("find the endpoint of region %s: %w", region, err)
	}
	return dara.StringValue(api.Endpoint), nil
}

const signatureAlgorithm = "ACS3-HMAC-SHA256"

// emptyPayload is the hash of the body of a request, which is none.
var emptyPayload = func() string {
	sum := sha256.Sum256(nil)
	return hex.EncodeToString(sum[:])
}()

// signed is the request with the headers of the API and the signature over them.
func (s *signer) signed(ctx context.Context, request *request, keys *Keys) (*http.Request, error) {
	values, query := url.Values{}, map[string]*string{}
	for key, value := range request.query {
		values.Set(key, value)
		query[key] = &value
	}
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+values.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	headers := map[string]*string{
		"host": &s.host, "x-acs-action": &request.action, "x-acs-content-sha256": &emptyPayload, "x-acs-date": new(time.Now().UTC().Format(time.RFC3339)),
		"x-acs-signature-nonce": new(rand.Text()), "x-acs-version": &request.version,
	}
	id := keys.AccessKeyID.reveal()
	if !keys.SecurityToken.Empty() {
		headers["x-acs-accesskey-id"], headers["x-acs-security-token"] = &id, new(keys.SecurityToken.reveal())
	}
	toSign := &dara.Request{Method: new(http.MethodPost), Pathname: new("/"), Headers: headers, Query: query}
	headers["Authorization"] = openapiutil.GetAuthorization(toSign, new(signatureAlgorithm), &emptyPayload, &id, new(keys.AccessKeySecret.reveal()))
	headers["User-Agent"], headers["accept"] = &s.userAgent, new("application/json")
	delete(headers, "host") // which the URL says
	for name, value := range headers {
		call.Header[name] = []string{*value}
	}
	return call, nil
}

// send performs one exchange, signed with keys. The exchange that it returns
// is never nil; its body is there exactly when err is nil.
func (s *signer) send(ctx context.Context, request *request, keys *Keys) (*exchange, error) {
	exchange := new(exchange)
	call, err := s.signed(ctx, request, keys)
	if err == nil {
		err = s.client.call(call, exchange)
	}
	return exchange, err
}
