package main_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestShellsCompleteValues asks what a shell is offered, as the scripts of bash,
// zsh and fish do.
func TestShellsCompleteValues(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	if r := run(t, nil, "demo", "--instances", "60", "--regions", "2", "--store", dir, "--html", "", "--out", filepath.Join(t.TempDir(), "r.json")); r.code != 0 {
		t.Fatalf("demo: %d %s", r.code, r.stderr)
	}
	offered := func(args ...string) []string {
		r := run(t, nil, append([]string{"__complete"}, args...)...)
		lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
		if r.code != 0 || !strings.HasPrefix(lines[len(lines)-1], ":") {
			t.Fatalf("%v: %d %s %s", args, r.code, r.stdout, r.stderr)
		}
		return lines[:len(lines)-1]
	}
	for name, c := range map[string]struct {
		args []string
		want string // is offered
		not  string // is not
	}{
		"outputs of a report":    {[]string{"report", "--output", ""}, "jsonl", "xlsx"},
		"outputs of a plan":      {[]string{"plan", "--output", ""}, "html", "jsonl"},
		"targets":                {[]string{"plan", "--target", "shen"}, "shenlong-7", "kvm"},
		"the second target":      {[]string{"report", "--target", "kvm,shenlong-6,"}, "kvm,shenlong-6,shenlong-7", "kvm,shenlong-6,kvm"},
		"verdicts":               {[]string{"report", "--fail-on", ""}, "incompatible", "kvm"},
		"regions of the store":   {[]string{"report", "--store", dir, "--region", "cn-"}, "cn-hangzhou", "us-east-1"},
		"accounts of the store":  {[]string{"report", "--store", dir, "--account", ""}, "1234567890123456", ""},
		"tags of the store":      {[]string{"plan", "--store", dir, "--owner-tag", "te"}, "team", "env"},
		"rules":                  {[]string{"rules", "show", "debian."}, "debian.6-early", "el5.release"},
		"no store, no regions":   {[]string{"report", "--store", dir + "-none", "--region", ""}, "", "cn-hangzhou"},
		"how long before, since": {[]string{"report", "--store", dir, "--since", ""}, "7d", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := offered(c.args...)
			if c.want != "" && !slices.Contains(got, c.want) {
				t.Errorf("%q is not offered: %q", c.want, got)
			}
			if c.not != "" && slices.Contains(got, c.not) {
				t.Errorf("%q is offered: %q", c.not, got)
			}
		})
	}
}
