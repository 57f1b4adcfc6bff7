package helm

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load("shenscan")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// render returns the documents of the chart with the values of a file.
func render(t *testing.T, values string) ([]string, error) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + values)
	if err != nil {
		t.Fatal(err)
	}
	own, err := chartutil.ReadValues(text)
	if err != nil {
		t.Fatal(err)
	}
	return renderWith(t, own)
}

func renderWith(t *testing.T, own chartutil.Values) (documents []string, err error) {
	t.Helper()
	c := load(t)
	all, err := chartutil.ToRenderValues(c, own, chartutil.ReleaseOptions{Name: "prod", Namespace: "shenscan", IsInstall: true}, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(c, all)
	for _, text := range files {
		for _, doc := range strings.Split(text, "\n---\n") {
			if strings.TrimSpace(withoutComments(doc)) != "" {
				documents = append(documents, doc)
			}
		}
	}
	slices.Sort(documents)
	return documents, err
}

func withoutComments(doc string) string {
	var left strings.Builder
	for line := range strings.Lines(doc) {
		if trimmed := strings.TrimSpace(line); !strings.HasPrefix(trimmed, "#") && trimmed != "---" {
			left.WriteString(line)
		}
	}
	return left.String()
}

// decode reads one document, refusing every field that its kind does not have.
func decode(doc string) (metav1.TypeMeta, any, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal([]byte(doc), &meta); err != nil {
		return meta, nil, err
	}
	kinds := map[string]any{
		"v1/ConfigMap": &corev1.ConfigMap{}, "v1/Service": &corev1.Service{}, "v1/ServiceAccount": &corev1.ServiceAccount{},
		"apps/v1/Deployment": &appsv1.Deployment{}, "apps/v1/StatefulSet": &appsv1.StatefulSet{},
		"policy/v1/PodDisruptionBudget":          &policyv1.PodDisruptionBudget{},
		"autoscaling/v2/HorizontalPodAutoscaler": &autoscalingv2.HorizontalPodAutoscaler{},
		"networking.k8s.io/v1/NetworkPolicy":     &networkingv1.NetworkPolicy{},
		"monitoring.coreos.com/v1/PodMonitor":    &monitoringv1.PodMonitor{}, "monitoring.coreos.com/v1/PrometheusRule": &monitoringv1.PrometheusRule{},
	}
	object := kinds[meta.APIVersion+"/"+meta.Kind]
	if object == nil {
		return meta, nil, fmt.Errorf("kind %s/%s is not expected here", meta.APIVersion, meta.Kind)
	}
	return meta, object, yaml.UnmarshalStrict([]byte(doc), object)
}

// objects renders and decodes everything.
func objects(t *testing.T, values string) (all []any, kinds map[string]int) {
	t.Helper()
	documents, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	kinds = map[string]int{}
	for _, doc := range documents {
		meta, object, err := decode(doc)
		if err != nil {
			t.Errorf("%s: %v\n%s", values, err, doc)
			continue
		}
		kinds[meta.Kind]++
		all = append(all, object)
	}
	return all, kinds
}

// pods returns the pod template of each workload, with its selector, by role.
func pods(all []any) map[string]workload {
	found := map[string]workload{}
	for _, object := range all {
		switch o := object.(type) {
		case *appsv1.Deployment:
			found[o.Spec.Template.Labels["app.kubernetes.io/component"]] = workload{o.Spec.Selector, &o.Spec.Template, nil}
		case *appsv1.StatefulSet:
			found[o.Spec.Template.Labels["app.kubernetes.io/component"]] = workload{o.Spec.Selector, &o.Spec.Template, o.Spec.VolumeClaimTemplates}
		}
	}
	return found
}

type workload struct {
	selector *metav1.LabelSelector
	pod      *corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

func TestChartRendersWhatAClusterTakes(t *testing.T) {
	for values, want := range map[string]map[string]int{
		"small.yaml": {"ConfigMap": 1, "ServiceAccount": 1, "Deployment": 2, "StatefulSet": 1, "Service": 2, "PodDisruptionBudget": 3, "NetworkPolicy": 3},
		"large.yaml": {
			"ConfigMap": 1, "ServiceAccount": 1, "Deployment": 2, "StatefulSet": 1, "Service": 2, "PodDisruptionBudget": 3, "NetworkPolicy": 3,
			"HorizontalPodAutoscaler": 1, "PodMonitor": 1, "PrometheusRule": 1,
		},
	} {
		_, kinds := objects(t, values)
		if fmt.Sprint(kinds) != fmt.Sprint(want) {
			t.Errorf("%s renders %v, want %v", values, kinds, want)
		}
	}
	if _, err := renderWith(t, chartutil.Values{}); err == nil || !strings.Contains(err.Error(), "nats.url is the address of NATS") {
		t.Errorf("without an address of NATS: %v", err)
	}
	if _, _, err := decode("apiVersion: v1\nkind: Service\nspec:\n  portts: []\n"); err == nil {
		t.Error("a field that no Service has was taken")
	}
}

func TestPodsAreConfined(t *testing.T) {
	for _, values := range []string{"small.yaml", "large.yaml"} {
		all, _ := objects(t, values)
		workloads := pods(all)
		if len(workloads) != 3 {
			t.Fatalf("%s: %d roles", values, len(workloads))
		}
		for role, w := range workloads {
			name, spec := values+" "+role, w.pod.Spec
			for label, value := range w.selector.MatchLabels {
				if w.pod.Labels[label] != value {
					t.Errorf("%s: the selector does not match its own pods", name)
				}
			}
			if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
				t.Errorf("%s: may run as root or without seccomp", name)
			}
			if len(spec.TopologySpreadConstraints) != 2 || spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken ||
				spec.TerminationGracePeriodSeconds == nil || *spec.TerminationGracePeriodSeconds < 15 {
				t.Errorf("%s: is not spread, gets a token, or has less time to stop than the process takes", name)
			}
			c := spec.Containers[0]
			if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") ||
				s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
				t.Errorf("%s: is not confined", name)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.ReadinessProbe == nil || c.LivenessProbe == nil {
				t.Errorf("%s: has no bounds or no probes", name)
			}
			volumes := map[string]bool{}
			for _, v := range spec.Volumes {
				volumes[v.Name] = true
			}
			for _, v := range w.claims {
				volumes[v.Name] = true
			}
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s: no volume %s", name, m.Name)
				}
				delete(volumes, m.Name)
			}
			for left := range volumes {
				t.Errorf("%s: the volume %s is not mounted", name, left)
			}
		}
	}
}

// Every policy, budget, scaler and service speaks of pods that are there.
func TestSelectorsMatchPods(t *testing.T) {
	all, _ := objects(t, "large.yaml")
	workloads := pods(all)
	matches := func(labels map[string]string) int {
		n := 0
		for _, w := range workloads {
			hit := len(labels) > 0
			for label, value := range labels {
				hit = hit && w.pod.Labels[label] == value
			}
			if hit {
				n++
			}
		}
		return n
	}
	for _, object := range all {
		switch o := object.(type) {
		case *corev1.Service:
			if matches(o.Spec.Selector) != 1 {
				t.Errorf("Service %s selects %d roles", o.Name, matches(o.Spec.Selector))
			}
		case *policyv1.PodDisruptionBudget:
			if matches(o.Spec.Selector.MatchLabels) != 1 {
				t.Errorf("PodDisruptionBudget %s selects %d roles", o.Name, matches(o.Spec.Selector.MatchLabels))
			}
		case *monitoringv1.PodMonitor:
			if matches(o.Spec.Selector.MatchLabels) != 3 || o.Spec.JobLabel != "app.kubernetes.io/name" {
				t.Errorf("PodMonitor %s selects %d roles under the job of %q", o.Name, matches(o.Spec.Selector.MatchLabels), o.Spec.JobLabel)
			}
			for role, w := range workloads { // the alerts ask for job="shenscan"
				if w.pod.Labels[o.Spec.JobLabel] != "shenscan" {
					t.Errorf("%s is scraped as the job %q", role, w.pod.Labels[o.Spec.JobLabel])
				}
			}
		case *networkingv1.NetworkPolicy:
			if matches(o.Spec.PodSelector.MatchLabels) != 1 || len(o.Spec.PolicyTypes) != 2 {
				t.Errorf("NetworkPolicy %s selects %d roles, in %v", o.Name, matches(o.Spec.PodSelector.MatchLabels), o.Spec.PolicyTypes)
			}
			sink := o.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"] == "sink"
			for _, rule := range o.Spec.Egress {
				for _, port := range rule.Ports {
					if sink && port.Port.IntValue() == 443 {
						t.Error("sinks may reach the cloud, and need not")
					}
				}
			}
		case *autoscalingv2.HorizontalPodAutoscaler:
			metric := o.Spec.Metrics[0].External.Metric
			if metric.Name != "shenscan_consumer_pending_messages" || metric.Selector.MatchLabels["consumer"] != "pages-bulk" {
				t.Errorf("workers are scaled by %+v", metric)
			}
			for _, d := range all {
				if d, ok := d.(*appsv1.Deployment); ok && d.Name == o.Spec.ScaleTargetRef.Name && d.Spec.Replicas != nil {
					t.Error("the Deployment sets the replicas that the autoscaler does")
				}
			}
		case *monitoringv1.PrometheusRule:
			rules := 0
			for _, g := range o.Spec.Groups {
				rules += len(g.Rules)
			}
			if rules < 20 {
				t.Errorf("PrometheusRule has %d rules", rules)
			}
		case *corev1.ServiceAccount:
			if o.Annotations["pod-identity.alibabacloud.com/role-name"] != "shenscan" {
				t.Errorf("the ServiceAccount has no role: %v", o.Annotations)
			}
		}
	}
}
