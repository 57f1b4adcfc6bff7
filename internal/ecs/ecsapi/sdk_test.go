package ecsapi

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	sdk "github.com/alibabacloud-go/ecs-20140526/v4/client"
	"github.com/alibabacloud-go/tea/dara"
)

// What arrives is what the SDK's own client sends for the same call: the same URL,
// the same headers, and a signature over the same ones.
func TestRequestsAreThoseOfTheSDKsClient(t *testing.T) {
	server := newFake(t, nil)
	defer http.DefaultClient.CloseIdleConnections() // of plainClient
	host := strings.TrimPrefix(server.URL, "http://")
	for name, token := range map[string]string{"long-lived keys": "", "temporary keys": "token+/="} {
		c, err := New(Options{
			Endpoint: server.URL, UserAgent: "shenscan/test", Gzip: true, Accounts: []Account{{Name: "a"}},
			Base: &Keys{AccessKeyID: NewSecret("testid"), AccessKeySecret: NewSecret("testsecret"), SecurityToken: NewSecret(token)},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		req := ecsRequest(actInstances, "RegionId", "cn-hangzhou", "Filter.1.Value", "2020-01-02T03:04Z", "NextToken", "a+b/c=* ~é", "InstanceIds", `["i-1","i-2"]`)
		if _, err := ask(t.Context(), c, testScope, req, unread); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ours := server.request()

		cfg := new(openapi.Config).SetEndpoint(host).SetProtocol("HTTP").SetRegionId("cn-hangzhou").SetUserAgent("shenscan/test").
			SetAccessKeyId("testid").SetAccessKeySecret("testsecret").SetNoProxy(host)
		if token != "" {
			cfg.SetSecurityToken(token).SetType("sts")
		}
		cfg.HttpClient = plainClient{}
		client, err := sdk.NewClient(cfg)
		if err != nil {
			t.Fatal(err)
		}
		params := new(openapi.Params).SetAction(actInstances).SetVersion(ecsVersion).SetProtocol("HTTPS").SetPathname("/").SetMethod("POST").
			SetAuthType("AK").SetStyle("RPC").SetReqBodyType("formData").SetBodyType("json")
		if _, err := client.CallApi(params, &openapi.OpenApiRequest{Query: pointers(req.query)}, &dara.RuntimeOptions{}); err != nil {
			t.Fatalf("%s: the SDK's client: %v", name, err)
		}

		theirs := server.request()
		if ours.Method != theirs.Method || ours.RequestURI != theirs.RequestURI || ours.Host != theirs.Host {
			t.Errorf("%s: %s %s to %s is sent, the SDK's client sends %s %s to %s", name, ours.Method, ours.RequestURI, ours.Host, theirs.Method, theirs.RequestURI, theirs.Host)
		}
		if sent, right := withoutNews(t, ours.Header), withoutNews(t, theirs.Header); !maps.Equal(sent, right) {
			t.Errorf("%s: the headers are\n%v\nthe SDK's client sends\n%v", name, sent, right)
		}
	}
}

// pointers is a query as the SDK takes one.
func pointers(query map[string]string) map[string]*string {
	out := map[string]*string{}
	for key, value := range query {
		out[key] = &value
	}
	return out
}

// withoutNews returns the headers without what is new in each request: its time,
// its nonce and its signature, of which it tells the length. The SDK's client also
// says where it has its keys from.
func withoutNews(t *testing.T, header http.Header) map[string]string {
	t.Helper()
	out := map[string]string{}
	for key, values := range header {
		value := strings.Join(values, "\n")
		switch key {
		case "X-Acs-Date":
			if _, err := time.Parse("2006-01-02T15:04:05Z", value); err != nil {
				t.Error(err)
			}
			value = ""
		case "X-Acs-Signature-Nonce":
			if len(value) < 26 { // 128 bits
				t.Errorf("the nonce %q is short", value)
			}
			value = ""
		case "X-Acs-Credentials-Provider":
			continue
		case "Authorization":
			signed, signature, _ := strings.Cut(value, "Signature=")
			value = strings.Replace(signed, "x-acs-credentials-provider;", "", 1) + strings.Repeat("x", len(signature))
		}
		out[key] = value
	}
	return out
}
