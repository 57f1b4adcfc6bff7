package ecsapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
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
	query   map[string]*string
	asked   time.Time // when it was last sent, which is after any wait for the limiter
}

const (
	ecsVersion = "2014-05-26"
	stsVersion = "2015-04-01"
	rdVersion  = "2020-03-31" // resource directory
)

// set adds a parameter.
func (r *request) set(key, value string) {
	if r.query == nil {
		r.query = make(map[string]*string, 8)
	}
	r.query[key] = &value
}

func newRequest(version, action string) *request { return &request{action: action, version: version} }

// signer signs requests to one endpoint by the SDK's own function and sends them
// through the guard. The SDK's client does both with a twentieth of a scan's CPU
// beside: it prints the stack of the goroutine into every nonce and makes parts of a
// log line that nobody reads. A test holds what is sent against what it sends.
type signer struct {
	guard           *guard
	url             string
	host, userAgent *string
}

func newSigner(guard *guard, ep endpoint, userAgent string) *signer {
	return &signer{guard: guard, url: ep.protocol() + "://" + ep.host + "/?", host: &ep.host, userAgent: openapiutil.GetUserAgent(&userAgent)}
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
var emptyPayload = hex.EncodeToString(openapiutil.Hash(nil, new(signatureAlgorithm)))

// signed is the request with the headers of the API and the signature over them.
func (s *signer) signed(ctx context.Context, request *request, keys *Keys) (*http.Request, error) {
	nonce := rand.Text()
	headers := map[string]*string{
		"host": s.host, "User-Agent": s.userAgent, "accept": new("application/json"),
		"x-acs-version": &request.version, "x-acs-action": &request.action,
		"x-acs-date": openapiutil.GetTimestamp(), "x-acs-signature-nonce": &nonce, "x-acs-content-sha256": &emptyPayload,
	}
	id, secret := keys.AccessKeyID.reveal(), keys.AccessKeySecret.reveal()
	if !keys.SecurityToken.Empty() {
		token := keys.SecurityToken.reveal()
		headers["x-acs-accesskey-id"], headers["x-acs-security-token"] = &id, &token
	}
	unsigned := &dara.Request{Method: new(http.MethodPost), Pathname: new("/"), Headers: headers, Query: request.query}
	headers["Authorization"] = openapiutil.GetAuthorization(unsigned, new(signatureAlgorithm), &emptyPayload, &id, &secret)

	query := make(url.Values, len(request.query))
	for key, value := range request.query {
		query.Set(key, *value)
	}
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+query.Encode(), http.NoBody)
	if err != nil {
		return nil, err
	}
	delete(headers, "host") // which the URL says
	for key, value := range headers {
		call.Header[key] = []string{*value}
	}
	return call, nil
}

// send performs one exchange, signed with keys. The exchange that it returns
// is never nil; its body is there exactly when err is nil.
func (s *signer) send(ctx context.Context, request *request, keys *Keys) (*exchange, error) {
	exchange := new(exchange)
	call, err := s.signed(ctx, request, keys)
	if err == nil {
		err = s.guard.call(call, exchange)
	}
	return exchange, err
}

// padded returns the answer with room behind it, as the page scanner wants.
func padded(b *bytes.Buffer) []byte {
	b.Grow(padding)
	return b.Bytes()
}
