package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// alone are the flags that mean something whatever else is given. A new flag
// stands here, or says which one it means nothing without.
var alone = strings.Fields(`
	account account-rate accounts all api-contract availability compact concurrency confidence console-share contract contradict debug-listen disks
	duplicates endpoint excel exclude external-id fail-on failed-starts fake-ip family fault from gzip heartbeat-share home-region html image images
	insecure-listen instances keep-gone keep-history keep-os keep-scans latency launch-templates limit listen nats-ca nats-creds nats-listen nats-nkey
	nats-replicas nats-sync nats-url no-platform no-wait odd-answers of-scan offered offline-agents os otlp-endpoint out outcomes output owner-fallback
	owner-tag platform-evidence probe progress quota quota-action rate reason region regions results-age role rules scan-idle scans seed serve server
	session-ttl settle since sink-name split-by-owner start-rate status store store-max-mib sts-endpoint tag target throttle-wait token-refuse token-ttl
	truth up verdict vpc wait waived wrong-names
`)

// mentions are flags whose explanation names another one though they mean
// something without it.
var mentions = map[string]string{
	"account": "all", "region": "all", // one each of named instances
	"sts-endpoint": "endpoint", "vpc": "home-region", "output": "out", "confidence": "verdict", "waived": "verdict", "server": "store",
	"operator":      "web.config.file", // refused where it names no users
	"throttle-wait": "scan-idle", "no-platform": "truth", "wrong-names": "truth",
}

// Every flag of every command is known to mean something by itself, or says with
// the flag which other one it means nothing without.
func TestEveryFlagSaysWhatItMeansNothingWithout(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`--([a-z][a-z.-]*[a-z])`)
	var seen []string
	walk(newRoot(&settings{}), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			seen = append(seen, flag.Name)
			needed := len(flag.Annotations[meansWithout]) > 0
			if !needed && !slices.Contains(alone, flag.Name) {
				t.Errorf("%s --%s: what does it mean without the others? Say it with needs, or add it to the list", cmd.CommandPath(), flag.Name)
			}
			for _, match := range named.FindAllStringSubmatch(flag.Usage, -1) {
				other := match[1]
				if cmd.Flags().Lookup(other) == nil || related(cmd.Flags(), flag.Name, other) || strings.Contains(" "+mentions[flag.Name]+" ", " "+other+" ") {
					continue
				}
				t.Errorf("%s --%s names --%s: does it mean nothing without, or beside it?", cmd.CommandPath(), flag.Name, other)
			}
		})
	})
	for _, name := range alone {
		if !slices.Contains(seen, name) {
			t.Errorf("no command has --%s", name)
		}
	}
}

// related says whether one of two flags is said to mean nothing without the other,
// or beside it.
func related(set *pflag.FlagSet, a, b string) bool {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		for _, key := range []string{meansWithout, meansBeside} {
			for _, entry := range set.Lookup(pair[0]).Annotations[key] {
				if slices.Contains(strings.Fields(entry), pair[1]) {
					return true
				}
			}
		}
	}
	return false
}

// typed gives a command flags as the command line does, with values that ask for
// something.
func typed(t *testing.T, path string, names ...string) *cobra.Command {
	t.Helper()
	cmd, _, err := newRoot(&settings{}).Find(strings.Fields(path)[1:])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		flag := cmd.Flags().Lookup(name)
		if flag == nil {
			t.Fatalf("%s has no --%s", path, name)
		}
		value := map[string]string{"bool": "true", "int": "2", "float64": "2", "duration": "2h"}[flag.Value.Type()]
		if value == "" {
			value = "account" // one of the words of owner-fallback, and any text
		}
		if err := cmd.Flags().Set(name, value); err != nil {
			t.Fatalf("%s --%s %s: %v", path, name, value, err)
		}
	}
	return cmd
}

// refuses says whether a message refuses a flag for want of, or beside another.
func refuses(err error, flag, how, other string) bool {
	return err != nil && slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "--"+flag+" means nothing "+how) && strings.Contains(line, "--"+other)
	})
}

// A flag that is typed without the one that it is for, or beside one that leaves
// it idle, is refused, and the message names both; with it, it is taken.
func TestAFlagThatMeansNothingIsRefused(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		t.Setenv(name, "")
	}
	without, beside := 0, 0
	walk(newRoot(&settings{}), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		cmd.Flags().VisitAll(func(flag *pflag.Flag) {
			for _, entry := range flag.Annotations[meansWithout] {
				without++
				others := strings.Fields(entry)
				lone := typed(t, path, flag.Name)
				for _, other := range others { // those that ask for something by default
					if lone.Flags().Lookup(other) != nil && inForce(lone.Flags(), other) {
						if err := lone.Flags().Set(other, ""); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := checkMeant(lone); !refuses(err, flag.Name, "without", others[0]) {
					t.Errorf("%s --%s without %v: %v", path, flag.Name, others, err)
				}
				for _, other := range others {
					if strings.HasPrefix(other, "$") {
						continue
					}
					if err := checkMeant(typed(t, path, flag.Name, other)); refuses(err, flag.Name, "without", other) {
						t.Errorf("%s --%s --%s: %v", path, flag.Name, other, err)
					}
				}
			}
			for _, entry := range flag.Annotations[meansBeside] {
				beside++
				other, why, _ := strings.Cut(entry, " ")
				err := checkMeant(typed(t, path, flag.Name, other))
				if !refuses(err, flag.Name, "beside", other) || why == "" {
					t.Errorf("%s --%s --%s: %v", path, flag.Name, other, err)
				}
				if err := checkMeant(typed(t, path, flag.Name)); refuses(err, flag.Name, "beside", other) {
					t.Errorf("%s --%s: %v", path, flag.Name, err)
				}
			}
		})
	})
	if without < 20 || beside < 20 {
		t.Errorf("%d flags mean nothing without others, %d beside them", without, beside)
	}
}
