package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// library is the file name of the C functions that the regression scripts load.
const library = "regress.so"

// Library is the file with the C functions that the regression scripts load. Without a compiler it is not there.
func (s Source) Library() string { return filepath.Join(s.Regress(), library) }

// PipelineProgram is the client libpq_pipeline. Without a compiler it is not there.
func (s Source) PipelineProgram() string { return filepath.Join(s.Pipeline(), "libpq_pipeline") }

// build compiles what Debian does not package: regress.c and libpq_pipeline.c, with the headers and static libraries of
// Debian's packages postgresql-server-dev and libpq-dev, unpacked beside them and not installed.
func build(ctx context.Context, a *apt, s Source, major int) error {
	if runtime.GOOS != "linux" {
		return errors.New("it is built on Linux only")
	}
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		return errors.New("gcc is not installed")
	}
	files := filepath.Join(a.work, "files")
	for _, name := range []string{fmt.Sprintf("postgresql-server-dev-%d", major), "libpq-dev"} {
		if err := a.unpackPackage(ctx, name, s.Version, files); err != nil {
			return err
		}
	}
	include := filepath.Join(files, "usr/include/postgresql")
	server := filepath.Join(include, fmt.Sprint(major), "server")
	lib := filepath.Join(files, fmt.Sprintf("usr/lib/postgresql/%d/lib", major))
	for output, args := range map[string][]string{
		s.Library(): {"-shared", "-fPIC", "-I", server, "regress.c"},
		// libpq itself is the one that psql uses: libpq-dev's link points to a file of the package libpq5.
		s.PipelineProgram(): {"-I", include, "-I", server, "-I", filepath.Join(include, "internal"), "libpq_pipeline.c",
			"-L", lib, "-l:libpq.so.5", "-lpgcommon", "-lpgport"},
	} {
		cmd := exec.CommandContext(ctx, compiler, append([]string{"-O1", "-w", "-o", output}, args...)...)
		cmd.Dir = filepath.Dir(output)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile %s: %w\n%s", filepath.Base(output), err, out)
		}
		if err := os.Chmod(output, 0o755); err != nil { // the server is another user than root
			return err
		}
	}
	return nil
}

// unpackPackage downloads a binary package and unpacks its files into dir.
func (a *apt) unpackPackage(ctx context.Context, name, version, dir string) error {
	if _, err := a.run(ctx, "apt-get", "download", name+"="+version); err != nil {
		return err
	}
	packages, _ := filepath.Glob(filepath.Join(a.work, name+"_*.deb")) // the only error is a bad pattern
	if len(packages) != 1 {
		return fmt.Errorf("apt-get download left %d packages of %s, want 1", len(packages), name)
	}
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", packages[0], dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w\n%s", name, err, out)
	}
	return nil
}

// LinkLibraries makes the folder that the regression scripts know as PG_LIBDIR: our library, and two that are the server's own.
func (s Source) LinkLibraries(bin, dir string) error {
	out, err := exec.Command(filepath.Join(bin, "pg_config"), "--pkglibdir").Output()
	pkglib := filepath.Clean(string(trimNewline(out)))
	if err != nil {
		pkglib = filepath.Join(filepath.Dir(bin), "lib")
	}
	for name, from := range map[string]string{library: s.Regress(), "refint.so": pkglib, "autoinc.so": pkglib} {
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
