package docker

import (
	"context"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The builder stage, carried out. It compiles the parser's C code unless the build cache has it.
func TestBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole program; left out with -short")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the image is built on Linux")
	}
	if libc, err := exec.Command("gcc", "-print-file-name=libc.a").Output(); err != nil || !strings.Contains(string(libc), "/") {
		t.Skip("this machine has no static C library, which the golang image has")
	}
	builder, image := stages(t)
	s := stage{t: t, disk: t.TempDir(), dir: "/", env: append(os.Environ(), "GOTOOLCHAIN=local")}
	for _, i := range builder.Instructions {
		s.carryOut(i)
	}

	binary := ""
	for _, i := range image.Instructions {
		if words := strings.Fields(i.Rest); i.Verb == "COPY" && i.Flags["from"] == builder.Name && words[1] == "/tombstone" {
			binary = s.onDisk(words[0])
		}
	}
	out, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil {
		t.Fatalf("%s version: %v\n%s", binary, err, out)
	}
	if got, want := string(out), "tombstone dev (unknown)\n"; got != want {
		t.Errorf("version prints %q, want %q: the build arguments' defaults did not arrive", got, want)
	}
	if image.Base == "scratch" {
		needsNothing(t, binary)
	}
}

// stage is the state of a stage between two instructions.
type stage struct {
	t    *testing.T
	disk string   // the folder that stands for the stage's /
	dir  string   // WORKDIR
	env  []string // for RUN
}

func (s *stage) onDisk(name string) string {
	if !path.IsAbs(name) {
		name = path.Join(s.dir, name)
	}
	return filepath.Join(s.disk, filepath.FromSlash(name))
}

func (s *stage) carryOut(i Instruction) {
	s.t.Helper()
	switch i.Verb {
	case "WORKDIR":
		s.dir = path.Join(s.dir, i.Rest)
		if err := os.MkdirAll(s.onDisk("."), 0o755); err != nil {
			s.t.Fatal(err)
		}
	case "ARG", "ENV":
		s.env = append(s.env, i.Rest)
	case "COPY":
		words := strings.Fields(i.Rest)
		s.copy(words[:len(words)-1], words[len(words)-1])
	case "RUN":
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if end, ok := s.t.Deadline(); ok {
			ctx, cancel = context.WithDeadline(ctx, end)
			defer cancel()
		}
		c := exec.CommandContext(ctx, "/bin/sh", "-c", i.Rest)
		c.Dir, c.Env = s.onDisk("."), s.env
		if out, err := c.CombinedOutput(); err != nil {
			s.t.Fatalf("Dockerfile:%d: RUN %s: %v\n%s", i.Line, i.Rest, err, out)
		}
	default:
		s.t.Fatalf("Dockerfile:%d: this test cannot carry out %s yet", i.Line, i.Verb)
	}
}

// copy takes files or whole folders out of the build context.
func (s *stage) copy(sources []string, target string) {
	s.t.Helper()
	files, err := Context(root)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, source := range sources {
		found := false
		for _, file := range files {
			to := path.Join(target, path.Base(file))
			switch {
			case source == ".":
				to = path.Join(target, file)
			case source != file:
				continue
			}
			found = true
			copyFile(s.t, filepath.Join(root, file), s.onDisk(to))
		}
		if !found {
			s.t.Fatalf("COPY %s: no such file in the build context; see .dockerignore", source)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

// needsNothing fails when the binary asks for a loader or a shared library, neither of which an empty image has.
func needsNothing(t *testing.T, binary string) {
	t.Helper()
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary wants a loader; it is not linked statically")
		}
	}
	if libraries, err := f.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary wants %v", libraries)
	}
}
