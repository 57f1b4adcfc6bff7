package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/shenscan/shenscan/internal/ecs/ecssim"
)

// TestMisspeltValuesAreNamed gives every flag with words of its own one that is
// misspelt: each names the one that was meant, and nothing is done.
func TestMisspeltValuesAreNamed(t *testing.T) {
	t.Parallel()
	sim := simulator(t, ecssim.Options{Seed: 4, Instances: 60, Regions: 2, Accounts: 2})
	dir := filepath.Join(t.TempDir(), "store")
	if r := run(t, env(), "scan", "--endpoint", sim.URL, "--store", dir, "--region", "cn-hangzhou"); r.code != 0 {
		t.Fatal(r.stderr)
	}
	for line, meant := range map[string]string{
		"scan --endpoint URL --region cn-hangzuo":                   "cn-hangzhou",
		"scan --endpoint URL --account 1234567890123455":            "1234567890123456",
		"scan --endpoint URL --target shenlog-6":                    "shenlong-6",
		"scan --endpoint URL --output htlm":                         "html",
		"scan --endpoint URL --fail-on incompatibel":                "incompatible",
		"scan --endpoint URL --log-level wran":                      "warn",
		"scan --endpoint URL --log-format jsno":                     "json",
		"scan --endpoint URL --owner-fallback acount":               "account",
		"scan --endpoint URL --verdict unkown":                      "unknown",
		"scan --endpoint URL --confidence lwo":                      "low",
		"report --region cn-hangzho":                                "cn-hangzhou",
		"report --account 1234567890123455":                         "1234567890123456",
		"report --tag taem=core":                                    "team",
		"report --exclude regoin=x":                                 "region",
		"report --output cvs":                                       "csv",
		"plan --target shenlong8":                                   "shenlong-8",
		"plan --availability --charge-type PostPayd":                "PostPaid",
		"rules show el5.realease":                                   "el5.release",
		"rules list --output jsno":                                  "json",
		"rules explain --target shenlong-66 x":                      "shenlong-6",
		"classify --target kmv x":                                   "kvm",
		"classify --output jsno x":                                  "json",
		"classify --target ecs.g8ii x":                              "ecs.g8i",
		"check i-bp67acfmxazb4p0001 --target ecs.g8i --output jsno": "json",
		"doctor --output jsno":                                      "json",
		"doctor --endpoint URL --region cn-hangzuo":                 "cn-hangzhou",
		"rescan i-bp67acfmxazb4p0001 --output jsno":                 "json",
		"dead list --output tabel":                                  "table",
		"simulate --contradict list-ct":                             "list-cut",
		"simulate --fault kind=throtle":                             "throttle",
		"version --output jsno":                                     "json",
		"config chekc":                                              "check",
		"repotr":                                                    "report",
		"report --stroe x":                                          "store",
	} {
		t.Run(line, func(t *testing.T) {
			args := strings.Fields(strings.ReplaceAll(line, "URL", sim.URL))
			switch args[0] {
			case "scan":
				args = append(args, "--store", filepath.Join(t.TempDir(), "other"))
			case "report", "plan", "doctor":
				args = append(args, "--store", dir)
			}
			r := run(t, env(), args...)
			if !strings.Contains(r.stderr, `did you mean "`+meant+`"?`) {
				t.Errorf("exit %d: %q is not what it names", r.code, meant)
			}
			if r.code == 0 && !strings.Contains(line, "ecs.g8ii") {
				t.Errorf("exit %d", r.code)
			}
		})
	}
}
