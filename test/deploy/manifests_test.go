package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	yaml "go.yaml.in/yaml/v3"

	"github.com/stagedoor/stagedoor/gateway"
	"github.com/stagedoor/stagedoor/internal/config"
)

var folder = filepath.Join("..", "..", "deploy", "kubernetes")

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// kustomization is the part of kustomization.yaml that we use.
type kustomization struct {
	APIVersion         string `yaml:"apiVersion"`
	Kind, Namespace    string
	Resources          []string
	GeneratorOptions   map[string]bool `yaml:"generatorOptions"`
	ConfigMapGenerator []struct {
		Name  string
		Files []string
	} `yaml:"configMapGenerator"`
	Images []struct {
		Name   string
		NewTag string `yaml:"newTag"`
	}
}

func readKustomization(t *testing.T) kustomization {
	t.Helper()
	var k kustomization
	decoder := yaml.NewDecoder(strings.NewReader(string(read(t, "kustomization.yaml"))))
	decoder.KnownFields(true)
	if err := decoder.Decode(&k); err != nil {
		t.Fatal(err)
	}
	return k
}

// TestManifests: each object is what Kubernetes's schemas say, and all files
// are named by the kustomization, but for the example of a secret.
func TestManifests(t *testing.T) {
	v, k := newValidator(t), readKustomization(t)
	named := []string{"kustomization.yaml", "secret.example.yaml"}
	named = append(named, k.Resources...)
	for _, m := range k.ConfigMapGenerator {
		named = append(named, m.Files...)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(named, e.Name()) {
			t.Errorf("%s is not in kustomization.yaml", e.Name())
		}
	}
	for _, name := range append([]string{"secret.example.yaml"}, k.Resources...) {
		all, err := objects(read(t, name))
		if err != nil || len(all) == 0 {
			t.Fatalf("%s: %d objects, %v", name, len(all), err)
		}
		for _, object := range all {
			if err := v.check(object); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// TestTypos: the validator finds what people get wrong.
func TestTypos(t *testing.T) {
	v := newValidator(t)
	for _, typo := range []struct{ file, right, wrong string }{
		{"deployment.yaml", "readinessProbe:", "readynessProbe:"},
		{"deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFileSystem: true"},
		{"deployment.yaml", "terminationGracePeriodSeconds: 50", `terminationGracePeriodSeconds: "50"`},
		{"deployment.yaml", "failureThreshold: 180", "failureThreshold: many"},
		{"deployment.yaml", "  selector:\n", "  selectors:\n"},
		{"deployment.yaml", "apps/v1", "apps/v1beta1"},
		{"deployment.yaml", "name: stagedoor\n", "name: Stage_Door\n"},
		{"deployment.yaml", "      containers:\n", "      container:\n"},
		{"service.yaml", "targetPort", "targetport"},
		{"ingress.yaml", "pathType: Prefix\n", "\n"},
		{"ingress.yaml", `"3600"`, "3600"}, // an annotation is text
		{"networkpolicy.yaml", "podSelector:", "podselector:"},
		{"horizontalpodautoscaler.yaml", "maxReplicas: 5\n", "\n"},
		{"poddisruptionbudget.yaml", "maxUnavailable: 1\n", "maxUnavailable: 1\n  maxUnavailable: 2\n"},
		{"namespace.yaml", "kind: Namespace", "kind: NameSpace"},
		{"secret.example.yaml", "stringData", "stringdata"},
	} {
		text := string(read(t, typo.file))
		if !strings.Contains(text, typo.right) {
			t.Errorf("%s has no %q", typo.file, typo.right)
			continue
		}
		all, err := objects([]byte(strings.Replace(text, typo.right, typo.wrong, 1)))
		for _, object := range all {
			if err == nil {
				err = v.check(object)
			}
		}
		if err == nil {
			t.Errorf("%s: %q is taken", typo.file, typo.wrong)
		}
	}
}

// loadConfig reads the config of the ConfigMap as the pod does, with a database
// that is here.
func loadConfig(t *testing.T) gateway.Config {
	t.Helper()
	dir := t.TempDir()
	secret, path := filepath.Join(dir, "database-url"), filepath.Join(dir, "config.yaml")
	text := strings.ReplaceAll(string(read(t, "config.yaml")), "/etc/stagedoor-secret/", dir+"/")
	for name, text := range map[string]string{path: text, secret: "sqlite::memory:", filepath.Join(dir, "prometheus-token"): "a-token-of-some-length"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Config
}

// TestConfig: the gateway takes the config of the ConfigMap, completely.
func TestConfig(t *testing.T) {
	g, err := gateway.New(t.Context(), loadConfig(t), gateway.Offline())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}

// pod is what of the Deployment has to fit to the config and to the rest.
type pod struct {
	TerminationGracePeriodSeconds int               `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               map[string]any    `yaml:"securityContext"`
	Containers                    []container       `yaml:"containers"`
	Volumes                       []map[string]any  `yaml:"volumes"`
	Labels                        map[string]string `yaml:"-"`
}

type container struct {
	Name  string
	Image string
	Args  []string
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	SecurityContext map[string]any   `yaml:"securityContext"`
	StartupProbe    map[string]any   `yaml:"startupProbe"`
	VolumeMounts    []map[string]any `yaml:"volumeMounts"`
}

func readPod(t *testing.T) pod {
	t.Helper()
	var deployment struct {
		Spec struct {
			Selector struct {
				MatchLabels map[string]string `yaml:"matchLabels"`
			}
			Template struct {
				Metadata struct{ Labels map[string]string }
				Spec     pod
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "deployment.yaml"), &deployment); err != nil {
		t.Fatal(err)
	}
	p := deployment.Spec.Template.Spec
	p.Labels = deployment.Spec.Template.Metadata.Labels
	if fmt.Sprint(p.Labels) != fmt.Sprint(deployment.Spec.Selector.MatchLabels) {
		t.Errorf("pods are labelled %v and selected by %v", p.Labels, deployment.Spec.Selector.MatchLabels)
	}
	return p
}

// TestPod: what the files say of each other is true.
func TestPod(t *testing.T) {
	cfg, p, k := loadConfig(t), readPod(t), readKustomization(t)
	grace := time.Duration(p.TerminationGracePeriodSeconds) * time.Second
	if end := cfg.Shutdown.Delay + cfg.Shutdown.Timeout; grace < end+5*time.Second {
		t.Errorf("Kubernetes kills after %v, and stopping takes up to %v", grace, end)
	}
	gate := p.Containers[0]
	seconds := gate.StartupProbe["periodSeconds"].(int) * gate.StartupProbe["failureThreshold"].(int)
	wait := time.Duration(seconds) * time.Second
	if wait < cfg.Database.Wait+30*time.Second {
		t.Errorf("Kubernetes waits %v for the start, and the gateway %v for its database", wait, cfg.Database.Wait)
	}
	if want := fmt.Sprintf("0.0.0.0:%d", gate.Ports[0].ContainerPort); cfg.Listen != want {
		t.Errorf("the gateway listens on %s, and requests go to %s", cfg.Listen, want)
	}
	if k.Images[0].Name != gate.Image || k.Images[0].NewTag != gateway.Version {
		t.Errorf("image %+v for %s, version %s", k.Images[0], gate.Image, gateway.Version)
	}
	if k.ConfigMapGenerator[0].Name != p.Volumes[0]["configMap"].(map[string]any)["name"] {
		t.Error("the pod mounts another ConfigMap than is made")
	}
	for _, name := range []string{"service.yaml", "networkpolicy.yaml", "poddisruptionbudget.yaml"} {
		for key, value := range p.Labels {
			if !strings.Contains(string(read(t, name)), key+": "+value) {
				t.Errorf("%s does not select %s: %s", name, key, value)
			}
		}
	}
}

// TestRestricted: pods are what the Pod Security Standard "restricted" asks for,
// and write nowhere.
func TestRestricted(t *testing.T) {
	p := readPod(t)
	if p.SecurityContext["runAsNonRoot"] != true || fmt.Sprint(p.SecurityContext["seccompProfile"]) != "map[type:RuntimeDefault]" {
		t.Errorf("pod: %v", p.SecurityContext)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if s["allowPrivilegeEscalation"] != false || s["readOnlyRootFilesystem"] != true || fmt.Sprint(s["capabilities"]) != "map[drop:[ALL]]" {
			t.Errorf("%s: %v", c.Name, s)
		}
		for _, m := range c.VolumeMounts {
			if m["readOnly"] != true || m["subPath"] != nil {
				t.Errorf("%s: %v", c.Name, m)
			}
		}
	}
}
