package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/shenscan/shenscan/internal/config"
)

type flags struct {
	set     *pflag.FlagSet
	store   string
	rate    float64
	regions []string
	web     string
}

func newFlags() *flags {
	f := &flags{set: pflag.NewFlagSet("x", pflag.ContinueOnError)}
	f.set.StringVar(&f.store, "store-dir", "default", "")
	f.set.Float64Var(&f.rate, "rate", 1, "")
	f.set.StringSliceVar(&f.regions, "region", nil, "")
	f.set.StringVar(&f.web, "web.config.file", "", "")
	return f
}

// known are the keys of flags, one of them another command's.
func known() []string {
	return []string{"store_dir", "rate", "region", "web_config_file", "other_command"}
}

func TestEnvironmentNobodyReads(t *testing.T) {
	names := []string{"RATE", "NATS_URL", "STORE", "CONFIG"}
	for entry, want := range map[string]string{
		"SHENSCAN_RATE=3": "", "SHENSCAN_CONFIG=x.yaml": "", "PATH=/bin": "", "SHENSCAN=1": "",
		"SHENSCAN_SERVICE_HOST=10.0.0.1": "", "SHENSCAN_SERVICE_PORT=10470": "", "SHENSCAN_SERVICE_PORT_HTTP=10470": "", "SHENSCAN_PORT=tcp://10.0.0.1:10470": "",
		"SHENSCAN_PORT_10470_TCP=tcp://10.0.0.1:10470": "", "SHENSCAN_PORT_10470_TCP_PORT=10470": "", "SHENSCAN_PORT_10470_TCP_ADDR=10.0.0.1": "",
		"SHENSCAN_SINK_SERVICE_HOST=10.0.0.1": "", "SHENSCAN_SINK_PORT=tcp://10.0.0.1:10470": "",
		"SHENSCAN_RATES=3":       `did you mean "SHENSCAN_RATE"`,
		"SHENSCAN_NATS_ULR=x":    `did you mean "SHENSCAN_NATS_URL"`,
		"SHENSCAN_STROE=":        `did you mean "SHENSCAN_STORE"`,
		"SHENSCAN_WEB_PORT=8080": "SHENSCAN_WEB_PORT",
	} {
		err := config.CheckEnv([]string{"HOME=/", entry}, names)
		if (err != nil) != (want != "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", entry, err, want)
		}
	}
}

func file(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shenscan.yaml")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func env(vars map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

func TestFlagOverEnvironmentOverFile(t *testing.T) {
	path := file(t, "store_dir: file\nrate: 2\nregion: [a, b]\nweb_config_file: w.yml\nother_command: 1\n")
	f := newFlags()
	if err := f.set.Parse([]string{"--store-dir", "flag"}); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Apply(f.set, known(), path, env(map[string]string{"SHENSCAN_STORE_DIR": "env", "SHENSCAN_RATE": "3"})); err != nil {
		t.Fatal(err)
	}
	got := []any{f.store, f.rate, f.regions, f.web}
	if diff := cmp.Diff([]any{"flag", 3.0, []string{"a", "b"}, "w.yml"}, got); diff != "" {
		t.Error(diff)
	}
	for name, typed := range map[string]bool{"store-dir": true, "rate": false, "region": false, "web.config.file": false, "nobody": false} {
		if config.Typed(f.set, name) != typed {
			t.Errorf("--%s was typed: %v, want %v", name, !typed, typed)
		}
	}
}

func TestStructuredSettings(t *testing.T) {
	path := file(t, `
accounts:
  - name: prod
    role_arn: acs:ram::1234567890123456:role/shenscan
    external_id: x
schedules:
  - {name: daily, cron: "0 0 3 * * *", zone: Asia/Shanghai, regions: [cn-hangzhou]}
resource_directory: {role_name: shenscan}
`)
	got, err := config.Apply(newFlags().set, known(), path, env(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := &config.File{
		Accounts:  config.Accounts{List: []config.Account{{Name: "prod", RoleARN: "acs:ram::1234567890123456:role/shenscan", ExternalID: "x"}}},
		Schedules: []config.Schedule{{Name: "daily", Cron: "0 0 3 * * *", Zone: "Asia/Shanghai", Regions: []string{"cn-hangzhou"}}},
		Directory: config.Directory{RoleName: "shenscan"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAccountsMayBeLeftAlone(t *testing.T) {
	got, err := config.Apply(newFlags().set, known(), file(t, `
accounts:
  list:
    - name: prod
      role_arn: acs:ram::1234567890123456:role/shenscan
  exclude: ["2345678901234567", sandbox]
`), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Accounts{
		List:    []config.Account{{Name: "prod", RoleARN: "acs:ram::1234567890123456:role/shenscan"}},
		Exclude: []string{"2345678901234567", "sandbox"},
	}
	if diff := cmp.Diff(want, got.Accounts); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMistakeIsNamedWithItsPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		body string
		env  map[string]string
		want []string
	}{
		"not yaml":                  {"a: [", nil, []string{"shenscan.yaml"}},
		"not a map":                 {"- a\n", nil, []string{"shenscan.yaml:1"}},
		"two unknown keys":          {"x: 1\nstore_dir: y\nz: 2\n", nil, []string{"shenscan.yaml:1", `"x"`, "shenscan.yaml:3", `"z"`}},
		"flag spelling":             {"store-dir: x\n", nil, []string{"store-dir", "_"}},
		"no value":                  {"rate:\n", nil, []string{"shenscan.yaml:1", "rate"}},
		"wrong type":                {"rate: fast\n", nil, []string{"rate", "fast"}},
		"list for one value":        {"rate: [1, 2]\n", nil, []string{"rate", "one value"}},
		"map for a value":           {"rate: {a: 1}\n", nil, []string{"shenscan.yaml:1", "rate"}},
		"unknown inside":            {"accounts:\n  - nmae: x\n", nil, []string{"accounts", "nmae"}},
		"unknown beside the list":   {"accounts:\n  exclued: [x]\n", nil, []string{"accounts", "exclued"}},
		"unknown inside the object": {"accounts:\n  list: [{nmae: x}]\n", nil, []string{"accounts", "nmae"}},
		"environment":               {"", map[string]string{"SHENSCAN_RATE": "much"}, []string{"SHENSCAN_RATE"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Apply(newFlags().set, known(), file(t, tc.body), env(tc.env))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
		})
	}
	if _, err := config.Apply(newFlags().set, known(), "/nonexistent/x.yaml", env(nil)); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("missing file: %v", err)
	}
}

func TestWebUsers(t *testing.T) {
	for body, want := range map[string]bool{
		"":                                    false,
		"tls_server_config: {cert_file: a}\n": false,
		"basic_auth_users: {a: b}\n":          true,
		"tls_server_config: {client_auth_type: RequireAndVerifyClientCert}\n": true,
	} {
		if got, err := config.ReadWebAccess(file(t, body)); err != nil || got.Asks() != want {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
	if _, err := config.ReadWebAccess("/nonexistent"); err == nil {
		t.Error("no error for a missing file")
	}
}

func FuzzFile(f *testing.F) {
	f.Add("store_dir: x\nrate: 2\nregion: [a]\naccounts:\n  - {name: x}\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, body string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := config.Apply(newFlags().set, known(), path, env(nil)); err == nil && got == nil {
			t.Error("neither settings nor an error")
		}
	})
}
