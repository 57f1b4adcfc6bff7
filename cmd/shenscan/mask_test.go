package main_test

import (
	"strings"
	"testing"
)

// User and password of an address are shown nowhere, whatever is wrong with it.
func TestSecretsInAddressesAreMasked(t *testing.T) {
	t.Parallel()
	const secret = "s3cretpw"
	good, bad := "//user:"+secret+"@127.0.0.1:1", "//user:"+secret+"@127.0.0.1:bad"
	for _, args := range [][]string{
		{"scan", "--endpoint", "http:" + good},
		{"scan", "--endpoint", "http:" + bad},
		{"scan", "--sts-endpoint", "http:" + bad},
		{"rescan", "i-abc1234567", "--nats-url", "nats:" + good},
		{"rescan", "i-abc1234567", "--nats-url", "nats:" + bad},
		{"rescan", "i-abc1234567", "--nats-url", "nats://user:" + secret + "/x@127.0.0.1:1"},
		{"report", "--server", "http:" + good},
		{"report", "--server", "http:" + bad},
		{"doctor", "--endpoint", "http:" + good, "--nats-url", "nats:" + bad},
		{"serve", "--listen", "http:" + good},
		{"serve", "--nats-listen", "nats:" + good},
		{"worker", "--nats-url", "nats:" + good, "--otlp-endpoint", "http:" + bad, "--log-level", "debug"},
	} {
		store := []string{"--store", t.TempDir()}
		if args[0] == "worker" {
			store = nil
		}
		r := run(t, env(), append(args, store...)...)
		if r.code == 0 || strings.Contains(r.stdout+r.stderr, secret) {
			t.Errorf("%v: exit code %d\n%s%s", args, r.code, r.stdout, r.stderr)
		}
	}
}
