package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"tombstone/cluster/clustertest"
)

var shared *stage

func TestMain(m *testing.M) {
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		if shared, err = newStage(s, io.Discard); err == nil {
			s.Finally(shared.close)
		}
		return err
	})
}

// A sample of the program.
func TestNothingIsLost(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var out strings.Builder
	kept, err := rounds(ctx, shared, 12, 12, 6, &out)
	if err != nil || !kept {
		t.Fatalf("%v\n%s", err, out.String())
	}
}

// Whatever goes wrong with a row is found.
func TestAudit(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := newRound(ctx, shared, 0, 0, newTally())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(ctx); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct{ about, sql, want string }{
		{"nothing", "SELECT", ""},
		{"a live row goes", "SET tombstone.delete = purge; DELETE FROM bills WHERE id = 4711", "it was no purge that took it"},
		{"a purge takes a live row", "SET application_name = 'purge-1'; SET tombstone.delete = purge; DELETE FROM bills WHERE id = 4711", "it was live"},
		{"a purge takes a young row", "UPDATE bills SET deleted_at = now() WHERE id = 4711; SET application_name = 'purge-1'; SET tombstone.delete = purge; DELETE FROM bills WHERE id = 4711", "s before; last event"},
		{"a purge takes a held row", "UPDATE bills SET held = true, deleted_at = now() - interval '1 day' WHERE id = 4711; SET application_name = 'purge-1'; SET tombstone.delete = purge; DELETE FROM bills WHERE id = 4711", "it was held"},
		{"no receipt", "SET application_name = 'purge-1'; SET tombstone.delete = purge; DELETE FROM bills WHERE id = 4711", "the receipts say 0"},
		{"triggers are off", "SET session_replication_role = replica; DELETE FROM users WHERE id = (SELECT min(id) FROM users)", "it was no purge that took it"},
		{"an unprotected row goes with its parent, and is not kept", "SET session_replication_role = replica; DELETE FROM loose", "without a copy"},
		{"a column changes", "UPDATE bills SET amount = 77 WHERE id = 4711", "amount was written as"},
		{"a row is there twice", "INSERT INTO tombstone.archive (relation, row) SELECT 'bills'::regclass, tombstone.whole(x.*) FROM bills x WHERE id = 4711", "is there 2 times"},
		{"a tombstone of no deletion", "UPDATE bills SET deleted_at = now() WHERE id = 4711; DELETE FROM tombstone.deletions", "took it; found in its table"},
		{"recorded twice", "INSERT INTO tombstone.deletions SELECT '7', now() + n, false, 'x', NULL, NULL, NULL, NULL, '{}' FROM (VALUES ('1 s'::interval), ('2 s')) v (n)", "recorded twice"},
		{"a reference to a tombstone", "UPDATE bills SET user_id = (SELECT min(id) FROM users) WHERE id = 4711; SET session_replication_role = replica; UPDATE users SET deleted_at = now()", "a live row of bills refers to no live row of users"},
		{"a key twice", "ALTER TABLE tree DROP CONSTRAINT tree_parent_fkey, DROP CONSTRAINT tree_pkey; INSERT INTO tree (id, uid, tok) SELECT id, uid + 1000000, 'new' FROM tree", "have the same id"},
		{"an undo has not ended", "INSERT INTO tombstone.undoing VALUES ('7')", "undoing is not empty"},
	} {
		t.Run(strings.ReplaceAll(c.about, " ", "_"), func(t *testing.T) {
			r.book, r.tally = newBook(), newTally()
			sql := "BEGIN; INSERT INTO bills (id, uid, tok) VALUES (4711, 999999, 'mine'); "
			if _, err := r.db.PgConn().Exec(ctx, sql+c.sql+"; SET session_replication_role = origin").ReadAll(); err != nil {
				t.Fatal(err)
			}
			if err := r.look(ctx); err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(r.tally.wrong, "\n"); !strings.Contains(all, c.want) || (c.want == "") != (all == "") {
				t.Errorf("want %q, got %s", c.want, all)
			}
			if _, err := r.db.Exec(ctx, "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What a client was told is compared with what is there.
func TestLedger(t *testing.T) {
	bills := called("bills")
	for _, c := range []struct {
		about string
		t     transaction
		want  string
	}{
		{"all is so", transaction{verdict: committed, restored: -1, statements: []*statement{{tok: "two", kind: "insert", rows: 2}, {tok: "none", kind: "insert", void: true}, {table: bills, kind: "delete", rows: 1}}}, ""},
		{"too few rows", transaction{verdict: committed, restored: -1, statements: []*statement{{tok: "two", kind: "insert", rows: 3}}}, "committed with 3 row(s), and 2"},
		{"lost", transaction{verdict: committed, restored: -1, statements: []*statement{{tok: "none", kind: "update", rows: 1}}}, "committed with 1 row(s), and 0"},
		{"refused and done", transaction{verdict: refused, restored: -1, statements: []*statement{{tok: "two", kind: "insert"}}}, "it was refused"},
		{"failed and done", transaction{verdict: committed, restored: -1, statements: []*statement{{tok: "two", kind: "insert", void: true}}}, "a statement that failed"},
		{"half of it", transaction{verdict: doubtful, restored: -1, statements: []*statement{{tok: "two", kind: "insert", rows: 2}, {tok: "none", kind: "insert", rows: 1}}}, "half done"},
		{"all, in doubt", transaction{verdict: doubtful, restored: -1, statements: []*statement{{tok: "two", kind: "insert", rows: 2}}}, ""},
		{"more deleted than is gone", transaction{verdict: committed, restored: -1, statements: []*statement{{table: bills, kind: "delete", rows: 2}}}, "1 became tombstones"},
		{"restored and not live", transaction{verdict: committed, restored: 3}, "it restored 3"},
	} {
		t.Run(strings.ReplaceAll(c.about, " ", "_"), func(t *testing.T) {
			b := newBook()
			b.written["two"] = 2
			if c.t.name = "t"; c.t.verdict == committed {
				b.buried["t"], b.records["t"] = 1, 1
			}
			err := c.t.verify(b)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}
