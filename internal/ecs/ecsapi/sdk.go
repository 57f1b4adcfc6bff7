package ecsapi

import (
	"bytes"
	"context"
	"fmt"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/aliyun/credentials-go/credentials"
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

// signer is the SDK's client at one endpoint.
type signer struct{ api openapi.Client }

// newSigner makes a client that sends through guard.
func newSigner(guard *guard, ep endpoint, region, userAgent string) (*signer, error) {
	cfg := &openapi.Config{
		Endpoint:   &ep.host,
		RegionId:   &region,
		HttpClient: guard,
		UserAgent:  &userAgent,
		NoProxy:    &ep.host, // the guard's transport knows the proxy; the SDK must not
	}
	cfg.SetProtocol(ep.protocol())
	api, err := sdk.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the SDK client: %w", err)
	}
	return &signer{api: api.Client}, nil
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

// params are the same for every action but for three strings.
func (r *request) params() *openapi.Params {
	p := &openapi.Params{Action: &r.action, Version: &r.version}
	p.SetProtocol("HTTPS").SetPathname("/").SetMethod("POST").SetAuthType("AK").SetStyle("RPC").
		SetReqBodyType("formData").SetBodyType("binary")
	return p
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
	api := s.api // a copy: a call writes to its client without a lock
	api.Credential = (*signing)(keys)
	_, err = api.CallApiWithCtx(ctx, request.params(), &openapi.OpenApiRequest{Query: request.query}, &dara.RuntimeOptions{})
	if err == nil && exchange.body == nil {
		err = errNoAnswer
	}
	if err != nil {
		exchange.release()
	}
	return exchange, err
}

var (
	_ credentials.Credential = (*signing)(nil)
	_ dara.HttpClient        = (*guard)(nil)
)

// padded returns the answer with room behind it, as the page scanner wants.
func padded(b *bytes.Buffer) []byte {
	b.Grow(padding)
	return b.Bytes()
}
