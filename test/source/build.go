package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// library is the file name of the C functions that the scripts load.
const library = "regress.so"

// buildLibrary compiles regress.c, which Debian does not package, with the headers of Debian's package
// postgresql-server-dev, unpacked beside it and not installed. Without a compiler or the headers the functions are missing in both twins.
func buildLibrary(ctx context.Context, a *apt, dir string, major int, version string) error {
	if runtime.GOOS != "linux" {
		return errors.New("they are built on Linux only")
	}
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		return errors.New("gcc is not installed")
	}
	name := fmt.Sprintf("postgresql-server-dev-%d", major)
	if _, err := a.run(ctx, "apt-get", "download", name+"="+version); err != nil {
		return err
	}
	packages, _ := filepath.Glob(filepath.Join(a.work, name+"_*.deb")) // the only error is a bad pattern
	if len(packages) != 1 {
		return fmt.Errorf("apt-get download left %d packages, want 1", len(packages))
	}
	headers := filepath.Join(a.work, "headers")
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", packages[0], headers).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack the server's headers: %w\n%s", err, out)
	}
	include := filepath.Join(headers, "usr/include/postgresql", fmt.Sprint(major), "server")
	cmd := exec.CommandContext(ctx, compiler, "-shared", "-fPIC", "-O1", "-w", "-I", include, "-o", library, "regress.c")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile regress.c: %w\n%s", err, out)
	}
	return os.Chmod(filepath.Join(dir, library), 0o755)
}

// linkLibraries makes the folder that the scripts know as PG_LIBDIR: our library, and two that are the server's own.
func linkLibraries(suite Suite, bin, dir string) error {
	out, err := exec.Command(filepath.Join(bin, "pg_config"), "--pkglibdir").Output()
	pkglib := filepath.Clean(string(trimNewline(out)))
	if err != nil {
		pkglib = filepath.Join(filepath.Dir(bin), "lib")
	}
	for name, from := range map[string]string{library: suite.Dir, "refint.so": pkglib, "autoinc.so": pkglib} {
		if err := os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("folder of the C functions: %w", err)
		}
	}
	return nil
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}
