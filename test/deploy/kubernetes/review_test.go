package kubernetes

import (
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const sidecar = "../../../deploy/kubernetes/sidecar.yaml"

func read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(sidecar)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSidecarIsAccepted(t *testing.T) {
	for _, problem := range Review([]byte(read(t))) {
		t.Error(problem)
	}
}

// A reviewer that finds nothing proves nothing, so each kind of mistake is planted in the real manifest.
func TestMistakesAreFound(t *testing.T) {
	for _, c := range []struct {
		mistake, old, new, want string
	}{
		{"misspelt field", "readinessProbe:", "readynessProbe:", `unknown field "spec.template.spec.initContainers[0].readynessProbe"`},
		{"misspelt field at the top", "minAvailable: 1", "minAvailible: 1", `unknown field "spec.minAvailible"`},
		{"field of another object", "  replicas: 2", "  replicas: 2\n  type: ClusterIP", `unknown field "spec.type"`},
		{"field written twice", "  replicas: 2", "  replicas: 2\n  replicas: 3", `key "replicas" already set`},
		{"string where a number is needed", "containerPort: 6432", "containerPort: \"6432\"", "cannot unmarshal string"},
		{"number where a string is needed", `prometheus.io/port: "9464"`, "prometheus.io/port: 9464", "cannot unmarshal number"},
		{"list where a map is needed", "      labels:\n        app.kubernetes.io/name: shop\n      annotations", "      labels: [shop]\n      annotations", "cannot unmarshal array"},
		{"selector missing", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: shop\n  template:", "  template:", "spec.selector: Required value"},
		{"selector does not match", "        app.kubernetes.io/name: shop\n      annotations", "        app.kubernetes.io/name: other\n      annotations", "`selector` does not match template `labels`"},
		{"container without a name", "        - name: shop\n          image", "        - image", "spec.template.spec.containers[0].name: Required value"},
		{"container without an image", "          image: registry.example.com/tombstone:0.1.0\n", "", "spec.template.spec.initContainers[0].image: Required value"},
		{"misspelt value", "restartPolicy: Always", "restartPolicy: always", `Unsupported value: "always"`},
		{"probe on an init container that ends", "          restartPolicy: Always # this is what makes an init container a sidecar\n", "", "initContainers[0].readinessProbe: Forbidden"},
		{"probe with two handlers", "          readinessProbe:\n", "          readinessProbe:\n            tcpSocket:\n              port: 6432\n", "may not specify more than 1 handler type"},
		{"port out of range", "containerPort: 9464", "containerPort: 94640", "must be between 1 and 65535"},
		{"port name too long", "- name: postgres\n", "- name: postgres-protocol\n", "must be no more than 15 characters"},
		{"volume that is not declared", "      volumes:\n        - name: tombstone", "      volumes:\n        - name: tombstones", `Not found: "tombstone"`},
		{"request above the limit", "memory: 64Mi", "memory: 640Mi", "must be less than or equal to memory limit"},
		{"not a quantity", "memory: 64Mi", "memory: 64MB!", "quantities must match"},
		{"name that DNS cannot hold", "  name: shop-tombstone\n", "  name: shop_tombstone\n", "metadata.name: Invalid value"},
		{"budget without a number", "minAvailable: 1", "minAvailable: -1", "must be greater than or equal to 0"},
		{"kind that does not exist", "kind: Deployment", "kind: Deploymint", `no kind "Deploymint"`},
		{"version that does not exist", "apiVersion: policy/v1", "apiVersion: policy/v7", `no kind "PodDisruptionBudget" is registered for version "policy/v7"`},
		{"root", "        runAsNonRoot: true\n", "", "runAsNonRoot"},
		{"privileges", "              drop: [ALL]\n          volumeMounts", "              add: [NET_ADMIN]\n          volumeMounts", "NET_ADMIN"},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			text := read(t)
			if !strings.Contains(text, c.old) {
				t.Fatalf("the manifest has no %q any more; plant the mistake elsewhere", c.old)
			}
			problems := strings.Join(Review([]byte(strings.Replace(text, c.old, c.new, 1))), "\n")
			if !strings.Contains(problems, c.want) {
				t.Errorf("want a problem with %q, got:\n%s", c.want, problems)
			}
		})
	}
}

// An API server accepts names of things that are not there, so the references inside the file are checked here.
func TestPiecesFitTogether(t *testing.T) {
	objects, problems := decode([]byte(read(t)))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	configMaps := make(map[string]*corev1.ConfigMap)
	var deployment *appsv1.Deployment
	var budget *policyv1.PodDisruptionBudget
	for _, object := range objects {
		switch o := object.(type) {
		case *corev1.ConfigMap:
			configMaps[o.Name] = o
		case *appsv1.Deployment:
			deployment = o
		case *policyv1.PodDisruptionBudget:
			budget = o
		}
	}
	if deployment == nil || budget == nil {
		t.Fatal("the manifest has no Deployment or no PodDisruptionBudget")
	}

	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.ConfigMap != nil && configMaps[volume.ConfigMap.Name] == nil {
			t.Errorf("volume %s wants ConfigMap %s, which is not in the file", volume.Name, volume.ConfigMap.Name)
		}
	}
	selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	if !selector.Matches(labels.Set(deployment.Spec.Template.Labels)) {
		t.Errorf("the disruption budget selects %s, which does not match the pods' labels", selector)
	}
	for _, c := range deployment.Spec.Template.Spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			t.Errorf("init container %s is no sidecar: restartPolicy is not Always", c.Name)
		}
	}
}
