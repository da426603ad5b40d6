package config

import "testing"

// A proxy that is its own server is told so, however the two addresses are written.
func TestReaches(t *testing.T) {
	for _, c := range []struct {
		address, listen string
		want            bool
	}{
		{"127.0.0.1:6432", "127.0.0.1:6432", true}, {"localhost:6432", "0.0.0.0:6432", true}, {"localhost:6432", ":6432", true}, {"[::1]:6432", "[::]:6432", true},
		{"localhost:6432", "127.0.0.1:6432", true}, {"127.0.0.1:5432", "127.0.0.1:6432", false}, {"db.example:6432", "0.0.0.0:6432", false},
		{"10.0.0.7:6432", "127.0.0.1:6432", false}, {"/run/postgresql/.s.PGSQL.5432", "/run/postgresql/.s.PGSQL.5432", true},
	} {
		if got := reaches(c.address, c.listen); got != c.want {
			t.Errorf("%s to %s: %t", c.address, c.listen, got)
		}
	}
}
