package login

import (
	"testing"

	"tombstone/cluster"
	"tombstone/test/majors"
)

// major is a server of another major version, with TLS.
func major(t testing.TB, version int) *cluster.Cluster {
	t.Helper()
	c, err := secured(within(t), majors.Programs(t, version), hba)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
