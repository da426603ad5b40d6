package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module fetches a Go module, tests and all, and returns a folder with a copy of it that may be written to. A module's
// own go.mod decides what its tests need.
func module(ctx context.Context, b *Bench, path, version string) (string, error) {
	dir := filepath.Join(b.scratch, "modules", path)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", path+"@"+version)
	cmd.Dir = b.scratch // outside of this module, which must not gain a requirement
	out, err := cmd.Output()
	var found struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &found); jsonErr != nil || found.Dir == "" {
		return "", fmt.Errorf("fetch %s@%s: %w\n%s", path, version, errors.Join(err, jsonErr), found.Error)
	}
	if err := os.CopyFS(dir, os.DirFS(found.Dir)); err != nil {
		return "", fmt.Errorf("copy %s: %w", path, err)
	}
	return dir, filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Chmod(file, 0o755)
		}
		return os.Chmod(file, 0o644)
	})
}

// chance is the number that makes the name of a test's temporary folder, by which some tests are named, its own.
var chance = regexp.MustCompile(`(/Test[A-Za-z_]+)\d+`)

// goTests runs the tests of a module's packages, one package after the other, and returns each test's verdict. What is asked
// for are packages, as ./folder; what comes back is named `./folder Test/sub`.
func goTests(ctx context.Context, dir, module string, packages []string, env []string, flags ...string) (Results, error) {
	args := append([]string{"test", "-json", "-p", "1", "-count=1", "-timeout", "10m"}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir, cmd.Env = dir, environment(env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Results{}, fmt.Errorf("go test in %s: %w", dir, err)
	}
	if ctx.Err() != nil {
		return Results{}, ctx.Err()
	}
	r := Results{Outputs: map[string]string{}, Expected: map[string]bool{}}
	said := map[string]*strings.Builder{}
	for line := bufio.NewScanner(bytes.NewReader(out)); line.Scan(); {
		var event struct{ Action, Package, Test, Output string }
		if err := json.Unmarshal(line.Bytes(), &event); err != nil {
			return r, fmt.Errorf("go test in %s: %w: %s%s", dir, err, line.Text(), stderr.String())
		}
		name := "." + strings.TrimPrefix(event.Package, module) + " " + chance.ReplaceAllString(event.Test, "$1")
		if event.Test == "" {
			continue // the package as a whole says what its tests say
		}
		switch event.Action {
		case "build-fail":
			return r, fmt.Errorf("the tests of %s cannot be built:\n%s", event.Package, out[:min(len(out), 4000)])
		case "output":
			if said[name] == nil {
				said[name] = &strings.Builder{}
			}
			said[name].WriteString(event.Output)
		case "pass", "fail", "skip":
			r.Outputs[name] = event.Action
			r.Expected[name] = event.Action != "fail"
		}
	}
	r.Notes = map[string]string{}
	for name, verdict := range r.Outputs {
		if verdict == "fail" && said[name] != nil {
			r.Notes[name] = said[name].String()
		}
	}
	if len(r.Outputs) == 0 {
		return r, fmt.Errorf("go test in %s ran nothing: %s", dir, stderr.String())
	}
	return r, nil
}

// packagesOf are the packages of a module that have tests, as ./folder.
func packagesOf(dir string) ([]string, error) {
	var packages []string
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(file))
		if strings.Contains(rel, "testdata") {
			return err
		}
		if name := "./" + filepath.ToSlash(rel); !slices.Contains(packages, name) {
			packages = append(packages, name)
		}
		return err
	})
	return packages, err
}
