package login

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"tombstone/cluster"
)

// programsOf finds another major version, or skips the test where there is none. With TOMBSTONE_TEST_MAJORS=1 it is fetched.
func programsOf(t testing.TB, major int) cluster.Programs {
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

// major is a server of another major version, with TLS.
func major(t testing.TB, version int) *cluster.Cluster {
	t.Helper()
	c, err := secured(within(t), programsOf(t, version), hba)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
