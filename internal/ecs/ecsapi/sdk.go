package ecsapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
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

// signer signs requests to one endpoint and sends them, by the SDK's own functions
// for either. Its client's CallApi calls the same ones and does much beside: it
// prints the stack of the goroutine into every nonce and merges five maps, which is
// a third of what a call costs here. A test holds what is sent against what that
// client sends.
type signer struct {
	protocol, host, userAgent *string
	runtime                   *dara.RuntimeObject
}

// newSigner makes a signer that sends through guard.
func newSigner(guard *guard, ep endpoint, userAgent string) *signer {
	protocol := ep.protocol()
	return &signer{
		protocol: &protocol, host: &ep.host, userAgent: openapiutil.GetUserAgent(&userAgent),
		// The guard's transport knows the proxy; the SDK must not.
		runtime: &dara.RuntimeObject{HttpClient: guard, NoProxy: &ep.host},
	}
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
var emptyPayload = hex.EncodeToString(openapiutil.Hash(nil, dara.String(signatureAlgorithm)))

// signed is the request with the headers of the API and the signature over them.
func (s *signer) signed(request *request, keys *Keys) *dara.Request {
	nonce := rand.Text()
	headers := map[string]*string{
		"host": s.host, "user-agent": s.userAgent, "accept": dara.String("application/json"),
		"x-acs-version": &request.version, "x-acs-action": &request.action,
		"x-acs-date": openapiutil.GetTimestamp(), "x-acs-signature-nonce": &nonce, "x-acs-content-sha256": &emptyPayload,
	}
	id, secret := keys.AccessKeyID.reveal(), keys.AccessKeySecret.reveal()
	if !keys.SecurityToken.Empty() {
		token := keys.SecurityToken.reveal()
		headers["x-acs-accesskey-id"], headers["x-acs-security-token"] = &id, &token
	}
	call := &dara.Request{Protocol: s.protocol, Method: dara.String("POST"), Pathname: dara.String("/"), Headers: headers, Query: request.query}
	headers["Authorization"] = openapiutil.GetAuthorization(call, dara.String(signatureAlgorithm), &emptyPayload, &id, &secret)
	return call
}

// send performs one exchange, signed with keys. The exchange that it returns
// is never nil; its body is there exactly when err is nil.
func (s *signer) send(ctx context.Context, request *request, keys *Keys) (exchange *exchange, err error) {
	ctx, exchange = withExchange(ctx)
	defer func() {
		if p := recover(); p != nil { // the SDK panics on some of its own mistakes
			exchange.release()
			err = fmt.Errorf("the SDK panicked: %v", p)
		}
	}()
	_, err = dara.DoRequestWithCtx(ctx, s.signed(request, keys), s.runtime)
	if err == nil && exchange.body == nil {
		err = errNoAnswer
	}
	if err != nil {
		exchange.release()
	}
	return exchange, err
}

var _ dara.HttpClient = (*guard)(nil)

// padded returns the answer with room behind it, as the page scanner wants.
func padded(b *bytes.Buffer) []byte {
	b.Grow(padding)
	return b.Bytes()
}
