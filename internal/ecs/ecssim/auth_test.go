package ecssim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// The vectors were made by the SDK's own signers.
func TestSignatureVectors(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := New(Options{Instances: 10, Regions: 1, Keys: []Account{{ID: DemoAccountID, AccessKeyID: "AKIDEXAMPLE", AccessKeySecret: "SECRETEXAMPLE"}}, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"RegionId": {"cn-hangzhou"}, "MaxResults": {"100"}, "InstanceIds": {`["i-1","i-2"]`}, "NextToken": {"tok=="}, "Tag.1.Value": {"a b*~+/"}}
	r := httptest.NewRequest(http.MethodPost, "http://ecs.cn-beijing.aliyuncs.com/?"+q.Encode(), nil)
	for k, v := range map[string]string{
		"x-acs-action": "DescribeInstances", "x-acs-version": "2014-05-26", "x-acs-date": "2026-01-02T03:04:05Z", "x-acs-signature-nonce": "0123456789abcdef0123456789abcdef",
		"x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"Authorization": "ACS3-HMAC-SHA256 Credential=AKIDEXAMPLE,SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version," +
			"Signature=ba0f389ed6bfa0b0bcc2622a5983acda2c77e09a62b76a3ec192a469e254b563",
	} {
		r.Header.Set(k, v)
	}
	if who, err := s.authenticate(&call{req: r, params: params(q)}); err != nil || who.account.ID != DemoAccountID {
		t.Errorf("ACS3 vector: %+v, %+v", who, err)
	}
	p := params{
		"Action": {"AssumeRole"}, "Version": {"2015-04-01"}, "Format": {"JSON"}, "Timestamp": {"2026-01-02T03:04:05Z"}, "SignatureMethod": {"HMAC-SHA1"}, "SignatureVersion": {"1.0"},
		"SignatureNonce": {"n1"}, "AccessKeyId": {"AKIDEXAMPLE"}, "RoleArn": {"acs:ram::123456789012****:role/shenscan"}, "RoleSessionName": {"shenscan"}, "DurationSeconds": {"3600"},
	}
	if got := rpcSignature(http.MethodPost, p, "SECRETEXAMPLE"); got != "kMoGjS8bQOIGtiqkvjSGiMU6i50=" {
		t.Errorf("RPC vector: %s", got)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	s := start(t, Options{Instances: 200, Regions: 2})
	region := url.Values{"RegionId": {"cn-hangzhou"}}
	good := func() *http.Request { return signed(t, s.URL, "2014-05-26", "DescribeInstances", demoKeys(), region) }
	replayed := good()
	do(replayed)
	tampered := good()
	tampered.URL.RawQuery = "RegionId=cn-shanghai"
	old := good()
	old.Header.Set("x-acs-date", "2020-01-01T00:00:00Z")
	plain, _ := http.NewRequest(http.MethodGet, s.URL+"/?Action=DescribeInstances", nil)
	odd, _ := http.NewRequest(http.MethodGet, s.URL+"/", nil)
	odd.Header.Set("Authorization", "Bearer x")
	put, _ := http.NewRequest(http.MethodPut, s.URL+"/", nil)
	tests := []struct {
		name   string
		req    *http.Request
		status int
		code   string
	}{
		{"good, ACS3", good(), 200, ""},
		{"good, RPC and GET", rpc(t, s.URL, "2014-05-26", "DescribeInstances", demoKeys(), region), 200, ""},
		{"unknown key", signed(t, s.URL, "2014-05-26", "DescribeInstances", keys{id: "LTAInobody", secret: "x"}, region), 404, "InvalidAccessKeyId.NotFound"},
		{"wrong secret", signed(t, s.URL, "2014-05-26", "DescribeInstances", keys{id: DemoAccessKeyID, secret: "x"}, region), 400, "SignatureDoesNotMatch"},
		{"wrong secret, RPC", rpc(t, s.URL, "2014-05-26", "DescribeInstances", keys{id: DemoAccessKeyID, secret: "x"}, region), 400, "SignatureDoesNotMatch"},
		{"changed after signing", tampered, 400, "SignatureDoesNotMatch"},
		{"date changed after signing", old, 400, "SignatureDoesNotMatch"},
		{"sent twice", replayed, 400, "SignatureNonceUsed"},
		{"not signed", plain, 400, "MissingAccessKeyId"},
		{"not ACS3", odd, 400, "IncompleteSignature"},
		{"method", put, 405, "UnsupportedHTTPMethod"},
		{"session key without token", signed(t, s.URL, "2014-05-26", "DescribeInstances", keys{id: "STS.x", secret: "x"}, region), 400, "MissingSecurityToken"},
		{"forged token", signed(t, s.URL, "2014-05-26", "DescribeInstances", keys{id: "STS.x", secret: "x", token: "CAISAAAA"}, region), 400, "InvalidSecurityToken.Malformed"},
		{"an action that changes something", signed(t, s.URL, "2014-05-26", "StopInstance", demoKeys(), region), 403, "Forbidden.RAM"},
		{"an action that nobody knows", signed(t, s.URL, "2014-05-26", "DescribeNothing", demoKeys(), region), 404, "InvalidAction.NotFound"},
		{"version of another API", signed(t, s.URL, "2015-04-01", "DescribeInstances", demoKeys(), region), 400, "InvalidVersion"},
		{"no region", signed(t, s.URL, "2014-05-26", "DescribeInstances", demoKeys(), nil), 400, "MissingParameter"},
		{"no such region", signed(t, s.URL, "2014-05-26", "DescribeInstances", demoKeys(), url.Values{"RegionId": {"cn-atlantis"}}), 404, "InvalidRegionId.NotFound"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r := do(tt.req); r.status != tt.status || r.code() != tt.code {
				t.Errorf("%d %q, want %d %q: %.200s %v", r.status, r.code(), tt.status, tt.code, r.body, r.err)
			}
		})
	}
}

func TestStaleRequestIsRefused(t *testing.T) {
	s := start(t, Options{Instances: 10, Regions: 1, Now: func() time.Time { return time.Now().Add(16 * time.Minute) }})
	if r := ask(t, s, "DescribeRegions"); r.code() != "InvalidTimeStamp.Expired" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// assume is AssumeRole in the RPC style.
func assume(t *testing.T, s *Server, kv ...string) (result, keys) {
	t.Helper()
	r := do(rpc(t, s.URL, "2015-04-01", "AssumeRole", demoKeys(), pairs(kv)))
	var v struct {
		Credentials struct{ AccessKeyId, AccessKeySecret, SecurityToken string }
	}
	_ = json.Unmarshal(r.body, &v) // an error has no credentials
	return r, keys{v.Credentials.AccessKeyId, v.Credentials.AccessKeySecret, v.Credentials.SecurityToken}
}

func TestAssumedRoleSeesItsAccountUntilItExpires(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Instances: 1000, Regions: 2, Accounts: 3, RoleName: "shenscan", ExternalID: "x1", SessionTTL: 5 * time.Second, Now: func() time.Time { return now }})
	member := s.Accounts()[2]
	arn := "acs:ram::" + member.ID + ":role/shenscan"
	for _, tt := range []struct {
		name string
		kv   []string
		code string
	}{
		{"no external id", []string{"RoleArn", arn, "RoleSessionName", "tt"}, "NoPermission"},
		{"unknown role", []string{"RoleArn", arn + "x", "RoleSessionName", "tt", "ExternalId", "x1"}, "EntityNotExist.Role"},
		{"bad arn", []string{"RoleArn", "role", "RoleSessionName", "tt", "ExternalId", "x1"}, "InvalidParameter.RoleArn"},
		{"bad session name", []string{"RoleArn", arn, "RoleSessionName", "a b", "ExternalId", "x1"}, "InvalidParameter.RoleSessionName"},
		{"too short a life", []string{"RoleArn", arn, "RoleSessionName", "tt", "ExternalId", "x1", "DurationSeconds", "60"}, "InvalidParameter.DurationSeconds"},
	} {
		if r, _ := assume(t, s, tt.kv...); r.code() != tt.code {
			t.Errorf("%s: %q, want %q", tt.name, r.code(), tt.code)
		}
	}
	_, k := assume(t, s, "RoleArn", arn, "RoleSessionName", "tt", "ExternalId", "x1")
	list := func() result {
		return do(signed(t, s.URL, "2014-05-26", "DescribeInstances", k, url.Values{"RegionId": {"cn-hangzhou"}, "MaxResults": {"100"}}))
	}
	got := list().page(t).Instances.Instance
	if len(got) == 0 {
		t.Fatal("nothing listed")
	}
	if shown, err := s.Show(got[0].InstanceId); err != nil || shown.Truth.Account != member.ID {
		t.Errorf("%+v, %v: want an instance of %s", shown, err, member.ID)
	}
	who := do(signed(t, s.URL, "2015-04-01", "GetCallerIdentity", k, nil))
	var id struct{ AccountId, IdentityType string }
	if err := json.Unmarshal(who.body, &id); err != nil || id.AccountId != member.ID || id.IdentityType != "AssumedRoleUser" {
		t.Errorf("identity %s", who.body)
	}
	now = now.Add(6 * time.Second)
	if r := list(); r.code() != "InvalidSecurityToken.Expired" {
		t.Errorf("after its life: %d %s", r.status, r.body)
	}
	_, k = assume(t, s, "RoleArn", arn, "RoleSessionName", "tt", "ExternalId", "x1")
	s.ExpireSessions()
	if r := list(); r.code() != "InvalidSecurityToken.Expired" {
		t.Errorf("after sessions were expired: %d %s", r.status, r.body)
	}
}

func TestResourceDirectoryListsMembers(t *testing.T) {
	s := start(t, Options{Instances: 100, Regions: 1, Accounts: 3})
	r := do(signed(t, s.URL, "2020-03-31", "ListAccounts", demoKeys(), url.Values{"PageNumber": {"2"}, "PageSize": {"1"}}))
	var v struct {
		TotalCount int
		Accounts   struct{ Account []struct{ AccountId string } }
	}
	if err := json.Unmarshal(r.body, &v); err != nil || v.TotalCount != 2 || len(v.Accounts.Account) != 1 || v.Accounts.Account[0].AccountId != s.Accounts()[2].ID {
		t.Errorf("%v: %s", err, r.body)
	}
}
