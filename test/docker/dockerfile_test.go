package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// stages returns the builder stage and the image.
func stages(t *testing.T) (builder, image Stage) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Fatalf("%d stages, want a builder and the image", len(all))
	}
	return all[0], all[1]
}

func TestImage(t *testing.T) {
	_, image := stages(t)
	find := func(verb string) string {
		i, ok := image.Find(verb)
		if !ok {
			t.Errorf("no %s", verb)
		}
		return i.Rest
	}
	list := func(verb, text string) (words []string) {
		if err := json.Unmarshal([]byte(text), &words); err != nil {
			t.Errorf("%s %s is not a JSON list, so it would need a shell: %v", verb, text, err)
		}
		return words
	}

	user, _, _ := strings.Cut(find("USER"), ":")
	if id, err := strconv.Atoi(user); err != nil || id == 0 {
		t.Errorf("USER %s is not a number other than 0", user)
	}
	if ports := strings.Fields(find("EXPOSE")); !slices.Equal(ports, []string{"6432", "9464"}) {
		t.Errorf("EXPOSE %v", ports)
	}
	if entry := list("ENTRYPOINT", find("ENTRYPOINT")); !slices.Equal(entry, []string{"/tombstone"}) {
		t.Errorf("ENTRYPOINT %v", entry)
	}
	if cmd := list("CMD", find("CMD")); !slices.Equal(cmd, []string{"serve", "--config", "/etc/tombstone/tombstone.yaml"}) {
		t.Errorf("CMD %v", cmd)
	}
	check, ok := strings.CutPrefix(find("HEALTHCHECK"), "CMD ")
	if words := list("HEALTHCHECK", check); !ok || !slices.Equal(words, []string{"/tombstone", "health", "--admin", "127.0.0.1:9464"}) {
		t.Errorf("HEALTHCHECK %v", words)
	}
}

// The golang image builds with its own Go and does not fetch another.
func TestBuilderHasTheGoThatTheModuleWants(t *testing.T) {
	builder, _ := stages(t)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	if want == nil {
		t.Fatal("go.mod has no go line")
	}
	if prefix := "golang:" + string(want[1]) + "-"; !strings.HasPrefix(builder.Base, prefix) {
		t.Errorf("the builder is %s, and go.mod wants %s..", builder.Base, prefix)
	}
}

func TestParse(t *testing.T) {
	got, err := Parse("# c\nFROM a AS b\nCOPY --from=x --chown=1 /p \\\n# inside\n  q\nrun one \\\n  two\n\nFROM scratch\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Base != "a" || got[0].Name != "b" || got[1].Base != "scratch" {
		t.Fatalf("%+v", got)
	}
	i := got[0].Instructions
	if len(i) != 2 || i[0].Rest != "/p q" || i[0].Flags["from"] != "x" || i[1].Verb != "RUN" || i[1].Rest != "one two" || i[1].Line != 6 {
		t.Errorf("%+v", i)
	}
	if _, err := Parse("RUN x\nFROM a"); err == nil {
		t.Error("an instruction before FROM was accepted")
	}
}

func TestIgnored(t *testing.T) {
	rules := ignoreRules("# c\n*\n!go.mod\n!cmd\n**/testdata\n**/*_test.go\n")
	for name, want := range map[string]bool{
		"go.mod":               false,
		"README.md":            true,
		".git/config":          true,
		"cmd/tombstone/a.go":   false,
		"cmdx/a.go":            true,
		"cmd/a_test.go":        true,
		"cmd/testdata/x/y.sql": true,
		"x/go.mod":             true,
	} {
		if got := ignored(rules, name); got != want {
			t.Errorf("%s: ignored %v, want %v", name, got, want)
		}
	}
}
