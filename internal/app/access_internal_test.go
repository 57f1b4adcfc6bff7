package app

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// webConfig writes a web configuration with two users, or one that wants
// certificates.
func webConfig(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	twoUsers  = "basic_auth_users:\n  ann: $2y$10$x\n  bob: $2y$10$x\n"
	certsOnly = "tls_server_config:\n  client_auth_type: RequireAndVerifyClientCert\n"
)

func TestWhoIsAnOperator(t *testing.T) {
	t.Parallel()
	users, certs := webConfig(t, twoUsers), webConfig(t, certsOnly)
	as := func(user string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
		if user != "" {
			r.SetBasicAuth(user, "checked already")
		}
		return r
	}
	cert := func(name string) *http.Request {
		r := as("")
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: name}}}}}
		return r
	}
	for name, tc := range map[string]struct {
		o    HTTPOptions
		r    *http.Request
		want bool
	}{
		"anybody on loopback":                   {HTTPOptions{Listen: "127.0.0.1:0"}, as(""), true},
		"a name means nothing there":            {HTTPOptions{Listen: "127.0.0.1:0"}, as("ann"), true},
		"anybody on an insecure listener":       {HTTPOptions{Listen: "0.0.0.0:0", Insecure: true}, as(""), false},
		"a claimed name on an insecure one":     {HTTPOptions{Listen: "0.0.0.0:0", Insecure: true}, as("ann"), false},
		"a user that is named":                  {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: users, Operators: []string{"ann"}}, as("ann"), true},
		"a user that is not":                    {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: users, Operators: []string{"ann"}}, as("bob"), false},
		"users where none is named":             {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: users}, as("ann"), false},
		"users on loopback":                     {HTTPOptions{Listen: "127.0.0.1:0", WebConfig: users}, as("ann"), false},
		"a certificate that is named":           {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: certs, Operators: []string{"ann"}}, cert("ann"), true},
		"a certificate that is not":             {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: certs, Operators: []string{"ann"}}, cert("eve"), false},
		"a claimed name beside the certificate": {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: certs, Operators: []string{"ann"}}, as("ann"), false},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := tc.o.check()
			if err != nil {
				t.Fatal(err)
			}
			if got := a.operator(tc.r); got != tc.want {
				t.Errorf("operator %v, want %v", got, tc.want)
			}
		})
	}
	_, err := (HTTPOptions{Listen: "127.0.0.1:0", WebConfig: users, Operators: []string{"eve"}}).check()
	if _, ok := errors.AsType[*ConfigError](err); !ok || !strings.Contains(err.Error(), "eve") {
		t.Errorf("an operator who is no user: %v", err)
	}
}

// TestAnotherHostsPageIsNotThisOne: a web site that a browser on this machine
// shows has its name point here, and would be an operator.
func TestAnotherHostsPageIsNotThisOne(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	users := webConfig(t, twoUsers)
	for name, tc := range map[string]struct {
		o    HTTPOptions
		host string
		want int
	}{
		"loopback":            {HTTPOptions{Listen: "127.0.0.1:0"}, "127.0.0.1:10470", 200},
		"loopback of v6":      {HTTPOptions{Listen: "127.0.0.1:0"}, "[::1]:10470", 200},
		"localhost":           {HTTPOptions{Listen: "127.0.0.1:0"}, "localhost", 200},
		"another host":        {HTTPOptions{Listen: "127.0.0.1:0"}, "evil.example:10470", 421},
		"one that begins so":  {HTTPOptions{Listen: "127.0.0.1:0"}, "127.0.0.1.evil.example", 421},
		"one that is allowed": {HTTPOptions{Listen: "127.0.0.1:0", Hosts: []string{"fleet.example"}}, "Fleet.example", 200},
		"where users are":     {HTTPOptions{Listen: "127.0.0.1:0", WebConfig: users}, "fleet.example", 200},
		"on the network":      {HTTPOptions{Listen: "0.0.0.0:0", WebConfig: users}, "fleet.example", 200},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := tc.o.check()
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/api/v1/instances", http.NoBody)
			r.Host = tc.host
			rec := httptest.NewRecorder()
			a.knownHost(page).ServeHTTP(rec, r)
			if rec.Code != tc.want {
				t.Errorf("status %d, want %d", rec.Code, tc.want)
			}
		})
	}
}
