package ecsapi

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// recorder keeps what the SDK would send.
type recorder struct{ sent *http.Request }

func (r *recorder) Call(req *http.Request, _ *http.Transport) (*http.Response, error) {
	r.sent = req
	return nil, errors.New("recorded")
}

// What is sent is what the SDK's own client sends for the same call: the same URL,
// the same headers, and a signature over the same ones.
func TestRequestsAreThoseOfTheSDKsClient(t *testing.T) {
	for name, token := range map[string]string{"long-lived keys": "", "temporary keys": "token+/="} {
		keys := &Keys{AccessKeyID: NewSecret("testid"), AccessKeySecret: NewSecret("testsecret"), SecurityToken: NewSecret(token)}
		req := newRequest(ecsVersion, actInstances)
		req.set("RegionId", "cn-hangzhou")
		req.set("Filter.1.Value", "2020-01-02T03:04Z")
		req.set("NextToken", "a+b/c=* ~é")
		req.set("InstanceIds", `["i-1","i-2"]`)
		ep := endpoint{host: "ecs.cn-hangzhou.aliyuncs.com"}

		var ours, theirs recorder
		s := newSigner(nil, ep, "shenscan/test")
		s.runtime.HttpClient = &ours
		if _, err := s.send(t.Context(), req, keys); err == nil || ours.sent == nil {
			t.Fatalf("%s: nothing was sent: %v", name, err)
		}

		cfg := new(openapi.Config).SetEndpoint(ep.host).SetProtocol(ep.protocol()).SetRegionId("cn-hangzhou").SetUserAgent("shenscan/test").SetAccessKeyId("testid").SetAccessKeySecret("testsecret")
		if token != "" {
			cfg.SetSecurityToken(token).SetType("sts")
		}
		cfg.HttpClient = &theirs
		client, err := sdk.NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		params := new(openapi.Params).SetAction(actInstances).SetVersion(ecsVersion).SetProtocol("HTTPS").SetPathname("/").SetMethod("POST").
			SetAuthType("AK").SetStyle("RPC").SetReqBodyType("formData").SetBodyType("json")
		if _, err := client.CallApi(params, &openapi.OpenApiRequest{Query: req.query}, &dara.RuntimeOptions{}); err == nil || theirs.sent == nil {
			t.Fatalf("%s: the SDK's client sent nothing: %v", name, err)
		}

		if ours, theirs := ours.sent, theirs.sent; ours.Method != theirs.Method || ours.URL.String() != theirs.URL.String() || ours.Host != theirs.Host {
			t.Errorf("%s: %s %s to %s is sent, the SDK's client sends %s %s to %s", name, ours.Method, ours.URL, ours.Host, theirs.Method, theirs.URL, theirs.Host)
		}
		if ours, theirs := withoutNews(t, ours.sent.Header), withoutNews(t, theirs.sent.Header); !maps.Equal(ours, theirs) {
			t.Errorf("%s: the headers are\n%v\nthe SDK's client sends\n%v", name, ours, theirs)
		}
	}
}

// withoutNews returns the headers without what is new in each request: its time,
// its nonce and its signature, of which it returns the length.
func withoutNews(t *testing.T, header http.Header) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, values := range header {
		value := strings.Join(values, "\n")
		switch key {
		case "x-acs-date":
			if _, err := time.Parse("2006-01-02T15:04:05Z", value); err != nil {
				t.Error(err)
			}
			value = ""
		case "x-acs-signature-nonce":
			if len(value) < 26 { // 128 bits
				t.Errorf("the nonce %q is short", value)
			}
			value = ""
		case "x-acs-credentials-provider": // tells where the SDK had its keys from
			continue
		case "Authorization":
			signed, signature, _ := strings.Cut(value, "Signature=")
			value = strings.Replace(signed, "x-acs-credentials-provider;", "", 1) + strings.Repeat("x", len(signature))
		}
		out[key] = value
	}
	return out
}
