package source

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Source is a folder with the parts of PostgreSQL's source, as they lie there: src/test/regress and so on.
type Source struct {
	Dir     string
	Version string // of Debian's package, 15.18-0+deb12u1
}

// parts of the source that are unpacked.
var parts = []string{"src/test/regress", "src/test/isolation", "src/test/modules/libpq_pipeline"}

// Regress is the folder with sql, data, expected and parallel_schedule.
func (s Source) Regress() string { return filepath.Join(s.Dir, "src/test/regress") }

// Isolation is the folder with specs, expected and isolation_schedule.
func (s Source) Isolation() string { return filepath.Join(s.Dir, "src/test/isolation") }

// Pipeline is the folder with libpq_pipeline, if it could be compiled, and its traces.
func (s Source) Pipeline() string { return filepath.Join(s.Dir, "src/test/modules/libpq_pipeline") }

// Fetch returns the source of a major version, from the cache if it is there. Of several versions that Debian has, the
// server's own is taken: a test of a mistake that was corrected later may crash an older server. The system's apt configuration is read, not changed.
func Fetch(ctx context.Context, w io.Writer, major int, version string) (Source, error) {
	cache, err := cacheDir()
	if err != nil {
		return Source{}, err
	}
	pattern := fmt.Sprintf("source-%d.*", major)
	if found, _ := filepath.Glob(filepath.Join(cache, "source-"+version+"-*")); len(found) > 0 { // the only error is a bad pattern
		return at(found[0]), nil
	}
	source, err := fetchAPT(ctx, w, cache, major, version)
	if err == nil {
		return source, nil
	}
	if found, _ := filepath.Glob(filepath.Join(cache, pattern)); len(found) > 0 {
		return at(found[len(found)-1]), nil
	}
	return Source{}, fmt.Errorf("PostgreSQL's source could not be fetched: %w\nit is Debian's source package postgresql-%d; "+
		"put its folder at %s to do without apt-get", err, major, filepath.Join(cache, "source-"+version+"-local"))
}

func at(dir string) Source {
	return Source{Dir: dir, Version: strings.TrimPrefix(filepath.Base(dir), "source-")}
}

// cacheDir is the folder that package cluster uses too: the server, which is not root, must be able to read it.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/tombstone", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder for PostgreSQL's source: %w", err)
	}
	return filepath.Join(dir, "tombstone"), nil
}

func fetchAPT(ctx context.Context, w io.Writer, cache string, major int, version string) (Source, error) {
	a, err := newApt(ctx, cache)
	if err != nil {
		return Source{}, err
	}
	defer os.RemoveAll(a.work)
	source := fmt.Sprintf("postgresql-%d", major)
	found, err := a.version(ctx, source, version)
	if err != nil {
		return Source{}, err
	}
	target := filepath.Join(cache, "source-"+found)
	fmt.Fprintf(w, "fetching Debian's source package %s %s into %s\n", source, found, target)
	if _, err := a.run(ctx, "apt-get", "source", "--download-only", "--tar-only", source+"="+found); err != nil {
		return Source{}, err
	}
	archives, _ := filepath.Glob(filepath.Join(a.work, source+"_*.orig.tar.bz2"))
	if len(archives) != 1 {
		return Source{}, fmt.Errorf("apt-get source left %d archives, want one .orig.tar.bz2", len(archives))
	}
	unpacked := at(filepath.Join(a.work, "source-"+found))
	if err := unpack(archives[0], unpacked.Dir); err != nil {
		return Source{}, fmt.Errorf("unpack %s: %w", filepath.Base(archives[0]), err)
	}
	if err := build(ctx, a, unpacked, major); err != nil {
		fmt.Fprintf(w, "PostgreSQL's source is used without what is compiled of it: %v\n", err)
	}
	if err := os.RemoveAll(target); err != nil {
		return Source{}, err
	}
	if err := os.Rename(unpacked.Dir, target); err != nil {
		return Source{}, fmt.Errorf("put PostgreSQL's source in place: %w", err)
	}
	return at(target), nil
}
