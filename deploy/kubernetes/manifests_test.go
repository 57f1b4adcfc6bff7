package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// kustomization is the part of kustomization.yaml that is used here.
type kustomization struct {
	metav1.TypeMeta    `json:",inline"`
	Namespace          string      `json:"namespace"`
	Resources          []string    `json:"resources"`
	ConfigMapGenerator []generated `json:"configMapGenerator"`
	SecretGenerator    []generated `json:"secretGenerator"`
}

type generated struct {
	Name  string   `json:"name"`
	Files []string `json:"files"`
}

// decode reads one manifest, refusing every field that its kind does not have.
func decode(text []byte) (metav1.TypeMeta, any, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(text, &meta); err != nil {
		return meta, nil, err
	}
	kinds := map[string]any{
		"v1/Namespace": &corev1.Namespace{}, "v1/Service": &corev1.Service{}, "v1/Secret": &corev1.Secret{},
		"apps/v1/Deployment": &appsv1.Deployment{}, "apps/v1/StatefulSet": &appsv1.StatefulSet{},
		"networking.k8s.io/v1/NetworkPolicy": &networkingv1.NetworkPolicy{},
	}
	object := kinds[meta.APIVersion+"/"+meta.Kind]
	if object == nil {
		return meta, nil, fmt.Errorf("kind %s/%s is not expected here", meta.APIVersion, meta.Kind)
	}
	return meta, object, yaml.UnmarshalStrict(text, object)
}

func read(t *testing.T) (k kustomization, objects map[string]any) {
	t.Helper()
	text, err := os.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &k); err != nil {
		t.Fatalf("kustomization.yaml: %v", err)
	}
	objects = map[string]any{}
	for _, file := range append(slices.Clone(k.Resources), "secrets.example.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, doc := range strings.Split(string(text), "\n---\n") {
			meta, object, err := decode([]byte(doc))
			if err != nil {
				t.Errorf("%s, document %d: %v", file, i+1, err)
				continue
			}
			objects[fmt.Sprintf("%s %s %d", file, meta.Kind, i)] = object
		}
	}
	return k, objects
}

// pods returns the pod template of each workload with its selector.
func pods(objects map[string]any) map[string]workload {
	found := map[string]workload{}
	for name, object := range objects {
		switch o := object.(type) {
		case *appsv1.Deployment:
			found[name] = workload{o.Spec.Selector, &o.Spec.Template, nil}
		case *appsv1.StatefulSet:
			found[name] = workload{o.Spec.Selector, &o.Spec.Template, o.Spec.VolumeClaimTemplates}
		}
	}
	return found
}

type workload struct {
	selector *metav1.LabelSelector
	pod      *corev1.PodTemplateSpec
	claims   []corev1.PersistentVolumeClaim
}

func TestManifestsAreRead(t *testing.T) {
	k, objects := read(t)
	listed := append([]string{"kustomization.yaml", "secrets.example.yaml", "shenscan.yaml"}, k.Resources...)
	files, _ := filepath.Glob("*.yaml")
	for _, f := range files {
		if !slices.Contains(listed, f) {
			t.Errorf("%s is not in kustomization.yaml", f)
		}
	}
	if len(pods(objects)) != 4 {
		t.Errorf("%d workloads, want NATS and three roles", len(pods(objects)))
	}
	for _, bad := range []string{
		"apiVersion: v1\nkind: Service\nspec:\n  portts: []\n",
		"apiVersion: v1\nkind: Servise\n",
	} {
		if _, _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a manifest", bad)
		}
	}
}

func TestPodsAreConfined(t *testing.T) {
	_, objects := read(t)
	for name, w := range pods(objects) {
		spec := w.pod.Spec
		for label, value := range w.selector.MatchLabels {
			if w.pod.Labels[label] != value {
				t.Errorf("%s: the selector does not match its own pods", name)
			}
		}
		if s := spec.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil {
			t.Errorf("%s: may run as root or without seccomp", name)
		}
		if spec.AutomountServiceAccountToken == nil || *spec.AutomountServiceAccountToken {
			t.Errorf("%s: gets a token of the cluster, which it does not need", name)
		}
		if g := spec.TerminationGracePeriodSeconds; g == nil || *g < 15 {
			t.Errorf("%s: less time to stop than the 10 s that the process takes", name)
		}
		for _, c := range spec.Containers {
			s := c.SecurityContext
			if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") ||
				s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
				t.Errorf("%s: container %s is not confined", name, c.Name)
			}
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s: container %s has no bounds", name, c.Name)
			}
			if c.ReadinessProbe == nil || c.LivenessProbe == nil {
				t.Errorf("%s: container %s has no probes", name, c.Name)
			}
		}
	}
}

// Whether the port is open says nothing of a stream that is closed: every probe
// asks a path, on a port that the container names.
func TestProbesSeeMoreThanAPort(t *testing.T) {
	_, objects := read(t)
	for name, w := range pods(objects) {
		for _, c := range w.pod.Spec.Containers {
			ports := map[string]bool{}
			for _, p := range c.Ports {
				ports[p.Name] = true
			}
			for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if p == nil || p.HTTPGet == nil || !ports[p.HTTPGet.Port.String()] {
					t.Errorf("%s: a probe is missing, or asks no path of a port that is there: %+v", name, p)
				}
			}
		}
	}
	conf, err := os.ReadFile("nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(conf), `http: "0.0.0.0:8222"`) {
		t.Error("nats-server.conf answers the kubelet's probes on loopback alone")
	}
}

// Every volume that is mounted is there, and what it is made of too.
func TestReferencesResolve(t *testing.T) {
	k, objects := read(t)
	made := map[string][]string{}
	for _, g := range append(slices.Clone(k.ConfigMapGenerator), k.SecretGenerator...) {
		for _, f := range g.Files {
			made[g.Name] = append(made[g.Name], filepath.Base(f))
		}
	}
	for name, w := range pods(objects) {
		volumes := map[string]bool{}
		for _, c := range w.claims {
			volumes[c.Name] = true
		}
		for _, v := range w.pod.Spec.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil && made[v.ConfigMap.Name] == nil {
				t.Errorf("%s: nobody makes the ConfigMap %s", name, v.ConfigMap.Name)
			}
			if v.Secret != nil {
				for _, item := range v.Secret.Items {
					if !slices.Contains(made[v.Secret.SecretName], item.Key) {
						t.Errorf("%s: the Secret %s has no key %s", name, v.Secret.SecretName, item.Key)
					}
				}
			}
		}
		for _, c := range w.pod.Spec.Containers {
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s: no volume %s", name, m.Name)
				}
				if m.SubPath != "" && !slices.Contains(made["nats"], m.SubPath) {
					t.Errorf("%s: no file %s to mount", name, m.SubPath)
				}
			}
		}
	}
	for name, object := range objects {
		service, ok := object.(*corev1.Service)
		if !ok {
			continue
		}
		matched := false
		for _, w := range pods(objects) {
			all := true
			for label, value := range service.Spec.Selector {
				all = all && w.pod.Labels[label] == value
			}
			matched = matched || all
		}
		if !matched {
			t.Errorf("%s: selects no pod", name)
		}
	}
}
