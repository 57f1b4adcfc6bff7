package helm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestTheChartOfNATSTakesOurValues renders the NATS project's chart with the
// values that stand beside nats-server.conf, and has the server check the
// configuration that comes of it.
func TestTheChartOfNATSTakesOurValues(t *testing.T) {
	chart, err := loader.Load("testdata/nats-chart")
	if err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.ReadValuesFile("../nats/chart-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for key := range values {
		if _, known := chart.Values[key]; !known {
			t.Errorf("the chart has no value %s", key)
		}
	}
	all, err := chartutil.ToRenderValues(chart, values, chartutil.ReleaseOptions{Name: "nats", Namespace: "nats", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		t.Fatal(err)
	}
	var servers appsv1.StatefulSet
	if err := yaml.UnmarshalStrict([]byte(files["nats/templates/stateful-set.yaml"]), &servers); err != nil {
		t.Fatal(err)
	}
	pod := servers.Spec.Template.Spec
	if servers.Spec.Replicas == nil || *servers.Spec.Replicas != 3 || len(pod.TopologySpreadConstraints) != 1 {
		t.Errorf("replicas %v, spread %v: want three, each on a node of its own", servers.Spec.Replicas, pod.TopologySpreadConstraints)
	}
	c := pod.Containers[0]
	for what, path := range map[string]string{
		"liveness": c.LivenessProbe.HTTPGet.Path, "startup": c.StartupProbe.HTTPGet.Path,
	} {
		if path != "/healthz" { // which alone sees a stream that is closed
			t.Errorf("%s asks %s", what, path)
		}
	}
	mounted := false
	for _, v := range pod.Volumes {
		mounted = mounted || v.Name == "accounts" && v.Secret != nil && v.Secret.SecretName == "shenscan-nats-accounts"
	}
	if last := c.VolumeMounts[len(c.VolumeMounts)-1]; !mounted || last.Name != "accounts" || last.MountPath != "/etc/nats-accounts" {
		t.Errorf("the accounts are not mounted: %+v", c.VolumeMounts)
	}

	var config corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(files["nats/templates/config-map.yaml"]), &config); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	conf := config.Data["nats.conf"]
	for _, want := range []string{`"sync_interval": "always"`, `"max_payload": 2MB`, "include ../nats-accounts/accounts.conf"} {
		if !strings.Contains(conf, want) {
			t.Errorf("no %s in\n%s", want, conf)
		}
	}
	write("nats-config/nats.conf", conf)
	accounts, err := os.ReadFile("../nats/accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	write("nats-accounts/accounts.conf", string(accounts))
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "SERVER_NAME=nats-0", "GOFLAGS=-trimpath")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	run(filepath.Join(root, "deploy/nats/keys.sh"), filepath.Join(dir, "nats-accounts"))
	run("go", "run", "github.com/nats-io/nats-server/v2", "-t", "-c", filepath.Join(dir, "nats-config/nats.conf"))
}
