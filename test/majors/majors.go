// Package majors finds PostgreSQL's other major versions for tests.
package majors

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"tombstone/cluster"
)

// Programs finds a major version, or skips the test where there is none. With TOMBSTONE_TEST_MAJORS=1, as in CI, it is fetched.
func Programs(t testing.TB, major int) cluster.Programs {
	t.Helper()
	p, err := cluster.FindMajor(major)
	if errors.Is(err, cluster.ErrNotFound) && os.Getenv("TOMBSTONE_TEST_MAJORS") != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		p, err = cluster.Fetch(ctx, os.Stderr, major)
	}
	if errors.Is(err, cluster.ErrNotFound) {
		t.Skipf("PostgreSQL %d is not on this machine", major)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}
