package e2e

import (
	"fmt"
	"testing"

	"tombstone/cluster"
	"tombstone/test/majors"
)

// The main path on every other major version: those on this machine, and with
// TOMBSTONE_TEST_MAJORS=1, as in .ci/run, those that have to be fetched too.
func TestOtherMajors(t *testing.T) {
	for major := 13; major <= 18; major++ {
		if major == installed.Major {
			continue
		}
		t.Run(fmt.Sprint(major), func(t *testing.T) {
			c := majorServer(t, major)
			conn := open(t, startBefore(t, c, shopTables, nil).dsn("shop"))
			for _, x := range []struct{ sql, want string }{
				{"DELETE FROM users WHERE id < 4", "DELETE 3"},
				{"DELETE FROM users WHERE id < 4", "DELETE 0"},
				{"SELECT * FROM users", "SELECT 27"},
				{"SELECT * FROM orders o LEFT JOIN users u ON u.id = o.user_id", "SELECT 80"},
				{"WITH d AS (DELETE FROM users WHERE id = 4 RETURNING *) SELECT * FROM d", "SELECT 1"},
				{"SET search_path = archive", "SET"},
				{"DELETE FROM users", "DELETE 6"},
				{"SET search_path = public", "SET"},
				{"TRUNCATE orders", "TRUNCATE TABLE"},
				{"SELECT * FROM orders", "SELECT 0"},
			} {
				tag, err := conn.Exec(within(t), x.sql)
				if err != nil || tag.String() != x.want {
					t.Errorf("%s: %s, %v, want %s", x.sql, tag, err, x.want)
				}
			}
			out, err := c.Psql(within(t), "shop", "SELECT count(*), count(deleted_at) FROM users; SELECT count(*) FROM orders; SELECT count(*) FROM archive.users")
			if err != nil || out != "30|4\n80\n0" {
				t.Errorf("behind the proxy: %q, %v", out, err)
			}
		})
	}
}

// majorServer starts a server of that major version with the shop in it, or
// skips the test where there is none.
func majorServer(t *testing.T, major int) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{Programs: majors.Programs(t, major)}) // which has a limit of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := loadShop(within(t), c); err != nil {
		t.Fatal(err)
	}
	return c
}
