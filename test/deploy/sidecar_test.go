package deploy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"tombstone/config"
)

// documents returns the manifest's documents by kind.
func documents(t *testing.T) map[string]*yaml.Node {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/sidecar.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]*yaml.Node)
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var n yaml.Node
		if err := d.Decode(&n); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found[at(t, &n, "kind").Value] = &n
	}
}

// at walks down a YAML tree. A step is a field's name, or name=VALUE for the item of a list with that name.
func at(t *testing.T, n *yaml.Node, steps ...string) *yaml.Node {
	t.Helper()
	if n.Kind == yaml.DocumentNode {
		n = n.Content[0]
	}
next:
	for _, step := range steps {
		if name, ok := strings.CutPrefix(step, "name="); ok {
			for _, item := range n.Content {
				if at(t, item, "name").Value == name {
					n = item
					continue next
				}
			}
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				n = n.Content[i+1]
				continue next
			}
		}
		t.Fatalf("line %d: there is no %s", n.Line, step)
	}
	return n
}

func load(t *testing.T, docs map[string]*yaml.Node) *config.Config {
	t.Helper()
	t.Setenv("POSTGRES_HOST", "postgres.internal")
	c, err := config.Parse("tombstone.yaml", []byte(at(t, docs["ConfigMap"], "data", "tombstone.yaml").Value))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigLoads(t *testing.T) {
	c := load(t, documents(t))
	if c.Upstream.Address != "postgres.internal:5432" {
		t.Errorf("upstream is %s; the variable from the Secret did not arrive", c.Upstream.Address)
	}
	if len(c.Tables) == 0 {
		t.Error("the example protects no table")
	}
}

// The same ports stand in the config, the container, the annotations and the application's URL.
func TestPortsAgree(t *testing.T) {
	docs := documents(t)
	c := load(t, docs)
	template := at(t, docs["Deployment"], "spec", "template")
	sidecar := at(t, template, "spec", "initContainers", "name=tombstone")

	adminHost, adminPort, err := net.SplitHostPort(c.Admin)
	if err != nil {
		t.Fatal(err)
	}
	if adminHost != "" && !net.ParseIP(adminHost).IsUnspecified() {
		t.Errorf("admin listens on %s only, where probes and Prometheus cannot reach it", adminHost)
	}
	if got := at(t, sidecar, "ports", "name=metrics", "containerPort").Value; got != adminPort {
		t.Errorf("port metrics is %s, and the config says %s", got, adminPort)
	}
	if got := at(t, template, "metadata", "annotations", "prometheus.io/port").Value; got != adminPort {
		t.Errorf("prometheus.io/port is %s, and the config says %s", got, adminPort)
	}
	for probe, path := range map[string]string{"startupProbe": "/healthz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"} {
		get := at(t, sidecar, probe, "httpGet")
		if at(t, get, "port").Value != "metrics" || at(t, get, "path").Value != path {
			t.Errorf("%s does not ask %s on port metrics", probe, path)
		}
	}

	listenHost, listenPort, err := net.SplitHostPort(c.Listen.Address)
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(listenHost); ip == nil || !ip.IsLoopback() {
		t.Errorf("listen is %s; in a sidecar only the pod itself should reach it", c.Listen.Address)
	}
	if got := at(t, sidecar, "ports", "name=postgres", "containerPort").Value; got != listenPort {
		t.Errorf("port postgres is %s, and the config says %s", got, listenPort)
	}
	url := at(t, template, "spec", "containers", "name=shop", "env", "name=DATABASE_URL", "value").Value
	if !strings.HasPrefix(url, "postgres://"+c.Listen.Address+"/") {
		t.Errorf("DATABASE_URL is %s, and the config listens on %s", url, c.Listen.Address)
	}
}
