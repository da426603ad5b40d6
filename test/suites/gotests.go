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
// for are packages, as ./folder; what comes back is named `./folder Test/sub`. A test that panics, as lib/pq's do when something takes
// longer than they allow, ends those that would come after it: it and they are run again.
func goTests(ctx context.Context, dir, module string, packages []string, env []string, flags ...string) (Results, error) {
	g := &goRun{dir: dir, module: module, env: env, flags: flags, said: map[string]*strings.Builder{}, r: Results{Outputs: map[string]string{}, Expected: map[string]bool{}, Notes: map[string]string{}}}
	if err := g.test(ctx, packages); err != nil {
		return g.r, err
	}
	if len(g.r.Outputs) == 0 {
		return g.r, fmt.Errorf("go test in %s ran nothing", dir)
	}
	if len(flags) == 0 { // else not all are wanted
		for _, p := range packages {
			if err := g.again(ctx, p); err != nil {
				return g.r, err
			}
		}
	}
	for name, verdict := range g.r.Outputs {
		if verdict == "fail" && g.said[name] != nil {
			g.r.Notes[name] = g.said[name].String()
		}
	}
	return g.r, nil
}

var topLevel = regexp.MustCompile(`^(Test|Example|Fuzz)\w*$`)

var panicked = regexp.MustCompile(`(?m)^panic: `)

// goRun is the tests of one module, run in several goes.
type goRun struct {
	dir, module string
	env, flags  []string
	said        map[string]*strings.Builder // by tests
	r           Results
}

// tries is how often tests are run again that a panic has ended.
const tries = 4

// again runs those of a package's tests that have no verdict, or a panic for one.
func (g *goRun) again(ctx context.Context, pkg string) error {
	listed, err := g.run(ctx, "-list", ".", pkg)
	if err != nil {
		return err
	}
	for range tries {
		var lost []string
		for _, e := range listed {
			test := strings.TrimSpace(e.Output)
			if !topLevel.MatchString(test) {
				continue // the line about the package
			}
			name := g.name(e.Package, test)
			if said := g.said[name]; g.r.Outputs[name] == "" || said != nil && panicked.MatchString(said.String()) {
				lost = append(lost, regexp.QuoteMeta(test))
				delete(g.said, name)
			}
		}
		if len(lost) == 0 {
			return nil
		}
		if err := g.test(ctx, []string{pkg}, "-run", "^("+strings.Join(lost, "|")+")$"); err != nil {
			return err
		}
	}
	return nil
}

// name is how a test is called in the results.
func (g *goRun) name(pkg, test string) string {
	return "." + strings.TrimPrefix(pkg, g.module) + " " + chance.ReplaceAllString(test, "$1")
}

// event is a line of what go test -json says.
type event struct{ Action, Package, Test, Output string }

// test runs tests and takes in what becomes of them.
func (g *goRun) test(ctx context.Context, packages []string, flags ...string) error {
	events, err := g.run(ctx, append(slices.Concat(flags, g.flags), packages...)...)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e.Test == "" {
			continue // the package as a whole says what its tests say
		}
		name := g.name(e.Package, e.Test)
		switch e.Action {
		case "output":
			if g.said[name] == nil {
				g.said[name] = &strings.Builder{}
			}
			g.said[name].WriteString(e.Output)
		case "pass", "fail", "skip":
			g.r.Outputs[name] = e.Action
			g.r.Expected[name] = e.Action != "fail"
		}
	}
	return nil
}

func (g *goRun) run(ctx context.Context, args ...string) (events []event, err error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json", "-p", "1", "-count=1", "-timeout", "10m"}, args...)...)
	cmd.Dir, cmd.Env = g.dir, environment(g.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("go test in %s: %w", g.dir, err)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for line := bufio.NewScanner(bytes.NewReader(out)); line.Scan(); {
		var e event
		if err := json.Unmarshal(line.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("go test in %s: %w: %s%s", g.dir, err, line.Text(), stderr.String())
		}
		if e.Action == "build-fail" {
			return nil, fmt.Errorf("the tests of %s cannot be built:\n%s", e.Package, out[:min(len(out), 4000)])
		}
		events = append(events, e)
	}
	return events, nil
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
