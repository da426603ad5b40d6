package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

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
		return nil, fmt.Errorf("folder for PostgreSQL's source: %w", err)
	}
	work, err := os.MkdirTemp(cache, ".source-")
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
