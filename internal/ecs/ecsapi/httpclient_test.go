package ecsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs"
)

func TestAddressesWhereNoEndpointIsAreRefused(t *testing.T) {
	for _, tc := range []struct {
		ip     string
		policy dialPolicy
		ok     bool
	}{
		{"47.88.1.2", dialPolicy{}, true},
		{"2400:3200::1", dialPolicy{}, true},
		{"198.18.0.7", dialPolicy{}, false},
		{"198.18.0.7", dialPolicy{private: true}, false},
		{"198.19.255.1", dialPolicy{fakeIP: true}, true},
		{"127.0.0.1", dialPolicy{}, false},
		{"127.8.8.8", dialPolicy{}, false},
		{"::1", dialPolicy{}, false},
		{"::ffff:127.0.0.1", dialPolicy{}, false},
		{"::ffff:100.100.100.200", dialPolicy{}, false},
		{"100.100.100.200", dialPolicy{}, false},
		{"100.100.100.200", dialPolicy{private: true}, false},
		{"100.100.2.136", dialPolicy{private: true}, true},
		{"100.64.1.1", dialPolicy{}, false},
		{"169.254.169.254", dialPolicy{private: true}, false},
		{"fe80::1", dialPolicy{}, false},
		{"10.1.2.3", dialPolicy{}, false},
		{"172.16.0.1", dialPolicy{}, false},
		{"192.168.1.1", dialPolicy{}, false},
		{"fd00::1", dialPolicy{}, false},
		{"10.1.2.3", dialPolicy{private: true}, true},
		{"10.1.2.3", dialPolicy{loopback: true}, false},
		{"0.0.0.0", dialPolicy{private: true, loopback: true}, false},
		{"::", dialPolicy{}, false},
		{"255.255.255.255", dialPolicy{}, false},
		{"224.0.0.1", dialPolicy{}, false},
		{"64:ff9b::7f00:1", dialPolicy{}, false},
		{"2002:7f00:1::", dialPolicy{}, false},
		{"127.0.0.1", dialPolicy{loopback: true}, true},
		{"::1", dialPolicy{loopback: true}, true},
	} {
		err := tc.policy.check(netip.MustParseAddr(tc.ip))
		if (err == nil) != tc.ok || (err != nil && !errors.Is(err, errAddress)) {
			t.Errorf("%s with %+v: %v", tc.ip, tc.policy, err)
		}
	}
	for _, network := range []string{"udp", "unix"} {
		if err := (dialPolicy{}).control(t.Context(), network, "47.88.1.2:443", nil); err == nil {
			t.Errorf("%s was let through", network)
		}
	}
}

// However an endpoint is spelled, no connection reaches a listener on
// loopback that is not configured as plain loopback.
func TestNoSpellingOfAnEndpointReachesLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var reached atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{
		"127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.1.", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
		"0.0.0.0", "[::]", "0", "localhost.", "LOCALHOST.", "[::1%25lo]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "ip6-localhost", "127.0.0.1.nip.io", "①②⑦.0.0.1",
	} {
		for _, scheme := range []string{"http", "https"} {
			c, err := New(Options{
				Endpoint: scheme + "://" + host + ":" + port, Base: &Keys{AccessKeyID: NewSecret("a"), AccessKeySecret: NewSecret("b")},
				Accounts: []Account{{Name: "a"}}, MaxAttempts: 1, BackoffBase: 1, Timeout: 1e9,
			})
			if err != nil {
				continue // refused at once
			}
			if c.fixed.loopback { // said so plainly
				c.Close()
				continue
			}
			if _, err := c.Instances(t.Context(), ecs.Scope{Account: "a", Region: "r"}, ecs.Query{}); err == nil {
				t.Errorf("%s://%s answered", scheme, host)
			}
			c.Close()
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d connections reached loopback", n)
	}
}

func TestEndpoints(t *testing.T) {
	for raw, want := range map[string]string{
		"https://ecs.cn-hangzhou.aliyuncs.com": "", "ecs.aliyuncs.com": "", "http://127.0.0.1:8080": "", "http://[::1]:1/": "", "http://localhost:9": "",
		"http://ecs.aliyuncs.com": "plain http", "ftp://x": "neither https", "https://u:p@x": "scheme, host", "https://x/path": "scheme, host", "": "scheme, host", "https://": "scheme, host",
	} {
		_, err := parseEndpoint(raw)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	for host, want := range map[string]bool{
		"ecs.cn-hangzhou.aliyuncs.com": true, "ECS.aliyuncs.com": true, "aliyuncs.com": false, ".aliyuncs.com": false, "evilaliyuncs.com": false,
		"ecs.aliyuncs.com.evil.example": false, "ecs.aliyuncs.com:8080": false, "a/b.aliyuncs.com": false, "user@ecs.aliyuncs.com": false, "extra.example": true,
	} {
		if cloudHost(host, []string{"extra.example"}) != want {
			t.Errorf("%s: not %v", host, want)
		}
	}
}

func TestAnEndpointThatTheCloudNamesIsChecked(t *testing.T) {
	c, err := New(Options{Base: &Keys{AccessKeyID: NewSecret("a"), AccessKeySecret: NewSecret("b")}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := ecs.Scope{Account: "a", Region: "cn-beijing"}
	ep, err := c.endpointOf(s)
	if err != nil || ep.host != "ecs.cn-beijing.aliyuncs.com" || ep.insecure {
		t.Errorf("%+v, %v", ep, err)
	}
	c.endpoints[s] = "ecs.cn-beijing-x.aliyuncs.com"
	if ep, err = c.endpointOf(s); err != nil || ep.host != "ecs.cn-beijing-x.aliyuncs.com" {
		t.Errorf("%+v, %v", ep, err)
	}
	c.endpoints[s] = "169.254.169.254"
	if ep, err = c.endpointOf(s); err == nil {
		t.Errorf("%+v", ep)
	}
	_, err = c.Instances(t.Context(), ecs.Scope{Account: "a", Region: "x.evil.example/"}, ecs.Query{})
	mustClass(t, err, ecs.BadRequest)
	vpc, err := New(Options{VPC: true, Base: &Keys{AccessKeyID: NewSecret("a"), AccessKeySecret: NewSecret("b")}})
	if err != nil {
		t.Fatal(err)
	}
	defer vpc.Close()
	if ep, err = vpc.endpointOf(s); err != nil || ep.host != "ecs-vpc.cn-beijing.aliyuncs.com" {
		t.Errorf("%+v, %v", ep, err)
	}
}

func TestNewRefusesTheDebugSwitch(t *testing.T) {
	for _, v := range []string{"dara", "x,dara", "tea", "credential", " dara "} {
		t.Setenv("DEBUG", v)
		if _, err := New(Options{}); !errors.Is(err, ErrDebug) {
			t.Errorf("DEBUG=%q: %v", v, err)
		}
	}
	t.Setenv("DEBUG", "other")
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestNewChecksFilesAndProxyFirst(t *testing.T) {
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		o    Options
		env  string
		want string
	}{
		"CA file absent":      {Options{CAFile: filepath.Join(t.TempDir(), "none")}, "", "CA file"},
		"CA file no PEM":      {Options{CAFile: notPEM}, "", "no PEM"},
		"proxy":               {Options{Proxy: "gopher://x"}, "", "proxy"},
		"proxy of the env":    {Options{}, "http://user:hunter2@[bad", "HTTPS_PROXY"},
		"endpoint":            {Options{Endpoint: "http://ecs.aliyuncs.com"}, "", "plain http"},
		"role":                {Options{Accounts: []Account{{Name: "a", RoleARN: "acs:ram::12:role/x"}}}, "", "role_arn"},
		"session":             {Options{Accounts: []Account{{Name: "a", SessionName: "a b"}}}, "", "session name"},
		"twice":               {Options{Accounts: []Account{{Name: "a"}, {Name: "a"}}}, "", "twice"},
		"nameless":            {Options{Accounts: []Account{{}}}, "", "name"},
		"slash in a name":     {Options{Accounts: []Account{{Name: "a/b"}}}, "", "character"},
		"session duration":    {Options{SessionDuration: 1}, "", "duration"},
		"home region":         {Options{HomeRegion: "x.y"}, "", "home region"},
		"negative rate":       {Options{MaxRate: -1}, "", "rates"},
		"role of a directory": {Options{Directory: Directory{RoleName: "a/b"}}, "", "directory role"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HTTPS_PROXY", tc.env)
			_, err := New(tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the proxy's password: %v", err)
			}
		})
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	k := Keys{AccessKeyID: NewSecret("LTAIcanary"), AccessKeySecret: NewSecret("canarysecret"), SecurityToken: NewSecret("canarytoken")}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "keys", k, "ptr", &k, "secret", k.AccessKeySecret)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "keys", k, "secret", k.AccessKeySecret)
	out := fmt.Sprintf("%v %+v %#v %s %q %x", k, k, k, k.AccessKeySecret, k.AccessKeySecret, "") + log.String()
	out += fmt.Sprint(Options{Base: &k, Accounts: []Account{{Name: "x"}}}) + fmt.Sprintf("%+v", lease{keys: k})
	for _, canary := range []string{"LTAIcanary", "canarysecret", "canarytoken"} {
		if strings.Contains(out, canary) {
			t.Errorf("%s shows in %s", canary, out)
		}
	}
}

func FuzzErrorBody(f *testing.F) {
	for _, body := range responses(f, "Error.") {
		f.Add(body, 400)
	}
	f.Add([]byte(`<?xml version='1.0'?><Error><Code>Throttling</Code><Message>m</Message></Error>`), 503)
	f.Add([]byte(`{"Code":400,"Message":{"a":1},"requestId":true}`), 400)
	f.Add([]byte("<html>"), 502)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		x := &exchange{status: status, failed: body, header: http.Header{}, err: statusError(status)}
		e := toError(newRequest(ecsVersion, actInstances), testScope, x, x.err, testNow)
		if int(e.Class) > int(ecs.BadAnswer) || e.Err == nil {
			t.Fatalf("%+v", e)
		}
		s := e.Error()
		if len(s) > 4000 || strings.ContainsAny(s, "\n\r\x1b\x00") {
			t.Fatalf("%q", s)
		}
		if e.Code == "" && e.Class != ecs.Transient {
			t.Fatalf("class %s without a code", e.Class)
		}
	})
}

func TestOnlyAnEndpointOnLoopbackServesWhatIsNotECS(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Options)
		sts    string
		member string
	}{
		"nothing is configured":   {func(*Options) {}, "sts.aliyuncs.com", "resourcemanager.aliyuncs.com"},
		"a region's own endpoint": {func(o *Options) { o.Endpoint = "https://ecs.cn-hangzhou.aliyuncs.com" }, "sts.aliyuncs.com", "resourcemanager.aliyuncs.com"},
		"a simulator":             {func(o *Options) { o.Endpoint = "http://127.0.0.1:10480" }, "127.0.0.1:10480", "127.0.0.1:10480"},
		"a network without Internet": {
			func(o *Options) { o.VPC, o.HomeRegion = true, "cn-beijing" }, "sts-vpc.cn-beijing.aliyuncs.com", "resourcemanager.aliyuncs.com",
		},
		"what is named counts": {func(o *Options) { o.VPC, o.STSEndpoint = true, "sts.cn-shanghai.aliyuncs.com" }, "sts.cn-shanghai.aliyuncs.com", "resourcemanager.aliyuncs.com"},
	} {
		t.Run(name, func(t *testing.T) {
			o := DefaultOptions()
			o.Base = &Keys{NewSecret("a"), NewSecret("b"), NewSecret("")}
			tc.change(&o)
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			member, err := c.serviceEndpoint(o.Directory.Endpoint, "resourcemanager.aliyuncs.com")
			if err != nil || c.sts.host != tc.sts || member.host != tc.member {
				t.Errorf("STS at %s, directory at %s, %v", c.sts.host, member.host, err)
			}
		})
	}
}
