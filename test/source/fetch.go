package main

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Suite is the folder with PostgreSQL's src/test/regress: sql, data, parallel_schedule.
type Suite struct {
	Dir     string
	Version string // of Debian's package, 15.18-0+deb12u1
}

// Fetch returns the suite of a major version, from the cache if it is there. Of several versions that Debian has, the
// server's own is taken: a test of a mistake that was corrected later may crash an older server. The system's apt configuration is read, not changed.
func Fetch(ctx context.Context, w io.Writer, major int, version string) (Suite, error) {
	cache, err := cacheDir()
	if err != nil {
		return Suite{}, err
	}
	pattern := fmt.Sprintf("regress-%d.*", major)
	if found, _ := filepath.Glob(filepath.Join(cache, "regress-"+version+"-*")); len(found) > 0 { // the only error is a bad pattern
		return suiteIn(found[0]), nil
	}
	suite, err := fetchAPT(ctx, w, cache, major, version)
	if err == nil {
		return suite, nil
	}
	if found, _ := filepath.Glob(filepath.Join(cache, pattern)); len(found) > 0 {
		return suiteIn(found[len(found)-1]), nil
	}
	return Suite{}, fmt.Errorf("PostgreSQL's regression scripts could not be fetched: %w\nthey are src/test/regress of Debian's source package postgresql-%d; "+
		"put that folder at %s to do without apt-get", err, major, filepath.Join(cache, "regress-"+version+"-local"))
}

func suiteIn(dir string) Suite {
	return Suite{Dir: dir, Version: strings.TrimPrefix(filepath.Base(dir), "regress-")}
}

// cacheDir is the folder that package cluster uses too: the server, which is not root, must be able to read it.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/tombstone", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder for the regression scripts: %w", err)
	}
	return filepath.Join(dir, "tombstone"), nil
}

func fetchAPT(ctx context.Context, w io.Writer, cache string, major int, version string) (Suite, error) {
	a, err := newApt(ctx, cache)
	if err != nil {
		return Suite{}, err
	}
	defer os.RemoveAll(a.work)
	source := fmt.Sprintf("postgresql-%d", major)
	found, err := a.version(ctx, source, version)
	if err != nil {
		return Suite{}, err
	}
	target := filepath.Join(cache, "regress-"+found)
	fmt.Fprintf(w, "fetching Debian's source package %s %s into %s\n", source, found, target)
	if _, err := a.run(ctx, "apt-get", "source", "--download-only", "--tar-only", source+"="+found); err != nil {
		return Suite{}, err
	}
	archives, _ := filepath.Glob(filepath.Join(a.work, source+"_*.orig.tar.bz2"))
	if len(archives) != 1 {
		return Suite{}, fmt.Errorf("apt-get source left %d archives, want one .orig.tar.bz2", len(archives))
	}
	unpacked := filepath.Join(a.work, "regress")
	if err := unpack(archives[0], unpacked); err != nil {
		return Suite{}, fmt.Errorf("unpack %s: %w", filepath.Base(archives[0]), err)
	}
	if err := buildLibrary(ctx, a, unpacked, major, found); err != nil {
		fmt.Fprintf(w, "the C functions of the regression scripts are left out of both twins: %v\n", err)
	}
	if err := os.RemoveAll(target); err != nil {
		return Suite{}, err
	}
	if err := os.Rename(unpacked, target); err != nil {
		return Suite{}, fmt.Errorf("put the regression scripts in place: %w", err)
	}
	return suiteIn(target), nil
}

// apt runs apt's programs on package lists of its own, for the system's own sources.
type apt struct {
	work    string
	options []string
}

func newApt(ctx context.Context, cache string) (*apt, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, errors.New("this system has no apt-get")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, fmt.Errorf("folder for the regression scripts: %w", err)
	}
	work, err := os.MkdirTemp(cache, ".regress-")
	if err != nil {
		return nil, fmt.Errorf("folder for the download: %w", err)
	}
	a := &apt{work: work}
	parts, lists := filepath.Join(work, "sources"), filepath.Join(work, "lists")
	err = errors.Join(os.MkdirAll(parts, 0o755), os.MkdirAll(filepath.Join(lists, "partial"), 0o755), copySources(parts))
	if err == nil {
		a.options = []string{"-o", "Dir::Etc::SourceList=/dev/null", "-o", "Dir::Etc::SourceParts=" + parts,
			"-o", "Dir::State::Lists=" + lists, "-o", "Dir::Cache=" + work, "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
			"-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"}
		// A source without source packages is not Debian's; what is missing shows when the package is asked for.
		_, _ = a.run(ctx, "apt-get", "-q", "update")
		return a, nil
	}
	return nil, errors.Join(err, os.RemoveAll(work))
}

var (
	oneLine = regexp.MustCompile(`(?m)^deb\s.*$`)
	typesOf = regexp.MustCompile(`(?m)^Types:.*$`)
)

// copySources writes the system's package sources into dir, source packages added.
func copySources(dir string) error {
	files := []string{"/etc/apt/sources.list"}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, _ := filepath.Glob(filepath.Join("/etc/apt/sources.list.d", pattern))
		files = append(files, more...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read apt's sources: %w", err)
		}
		if path.Ext(file) == ".sources" {
			text = typesOf.ReplaceAll(text, []byte("Types: deb deb-src"))
		} else {
			text = oneLine.ReplaceAllFunc(text, func(line []byte) []byte {
				return bytes.Join([][]byte{line, bytes.Replace(line, []byte("deb"), []byte("deb-src"), 1)}, []byte("\n"))
			})
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var versionField = regexp.MustCompile(`(?m)^Version: (\S+)$`)

// version picks the source package's version that is the server's, else the newest.
func (a *apt) version(ctx context.Context, source, server string) (string, error) {
	out, err := a.run(ctx, "apt-cache", "showsrc", source)
	if err != nil {
		return "", err
	}
	versions := versionField.FindAllStringSubmatch(out, -1)
	if len(versions) == 0 {
		return "", fmt.Errorf("apt knows no source package %s; its sources are the system's, with deb-src", source)
	}
	for _, v := range versions {
		if strings.HasPrefix(v[1], server+"-") {
			return v[1], nil
		}
	}
	return versions[len(versions)-1][1], nil
}

// run runs one of apt's programs in the work folder. It writes nowhere else.
func (a *apt) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append(a.options[:len(a.options):len(a.options)], args...)...)
	cmd.Dir = a.work
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// unpack writes what is below src/test/regress of a source archive into dir. os.Root keeps every name inside.
func unpack(archive, dir string) error {
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
	for files := tar.NewReader(bzip2.NewReader(file)); ; {
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, inside := strings.Cut(path.Clean(header.Name), "/src/test/regress/")
		if !inside || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		to, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, files)
		if err := errors.Join(err, to.Close()); err != nil {
			return err
		}
	}
}
