package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// fake is a folder with programs that say they are PostgreSQL's.
func fake(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + " (Some 1)'\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	p, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	same, err := FindMajor(p.Major)
	if err != nil || same.Major != p.Major || p.Major < 10 || p.Version == "" {
		t.Errorf("Find: %+v; FindMajor: %+v, %v", p, same, err)
	}
	if _, err := FindMajor(7); !errors.Is(err, ErrNotFound) {
		t.Errorf("FindMajor(7): %v", err)
	}
}

func TestFindByVariable(t *testing.T) {
	dir := fake(t, t.TempDir(), "93beta2")
	t.Setenv(binVariable, dir)
	if p, err := Find(); err != nil || p != (Programs{dir, 93, "93beta2"}) {
		t.Errorf("%+v, %v", p, err)
	}
	t.Setenv(binVariable, t.TempDir())
	if _, err := Find(); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Ensure(t.Context(), t.Output(), 0); err == nil {
		t.Error("Ensure fetched in spite of a wrong " + binVariable)
	}
}

func TestFindInPath(t *testing.T) {
	dir := fake(t, t.TempDir(), "94.1")
	path := t.TempDir()
	// As distributions do: one program linked into PATH, the rest elsewhere.
	if err := os.Symlink(filepath.Join(dir, "postgres"), filepath.Join(path, "postgres")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(binVariable, "")
	t.Setenv("PATH", path)
	want, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := FindMajor(94); err != nil || p.Bin != want {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestNewestFirst(t *testing.T) {
	top := t.TempDir()
	for _, name := range []string{"9.6", "17", "9", "latest", "16"} {
		fake(t, filepath.Join(top, "pg", name, "bin"), name)
	}
	var got []string
	for _, dir := range newestFirst(filepath.Join(top, "pg", "*", "bin")) {
		got = append(got, filepath.Base(filepath.Dir(dir)))
	}
	if len(got) != 5 || !slices.Equal(got[:2], []string{"17", "16"}) {
		t.Errorf("%v", got)
	}
}
