package e2e

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What others change while a session is idle is older than the snapshot of the transaction that it begins then: nothing
// has to be refused. What they change after that is newer, and the proxy cannot see it in that transaction.
func TestChangesBeforeATransaction(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	reader, changer := open(t, f.dsn(db)), open(t, f.dsn(db))
	show(t, reader, "SELECT 1") // since when it is idle
	show(t, changer, "CREATE TABLE made (id int)")
	show(t, reader, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	if got := show(t, reader, "SELECT count(*) FROM made"); got != "0" {
		t.Errorf("a table made before the transaction: %s rows", got)
	}
	// Who has changed a table reads what became of it at once, and others go by that.
	show(t, changer, "ALTER TABLE archive.users ADD COLUMN u text")
	if got := show(t, reader, "SELECT count(*) FROM made"); got != "0" {
		t.Errorf("after a change that has been read: %s rows", got)
	}
	show(t, changer, "BEGIN; ALTER TABLE archive.users ADD COLUMN v text")
	var refused *pgconn.PgError
	_, err := reader.Exec(within(t), "SELECT count(*) FROM audit_log")
	if !errors.As(err, &refused) || refused.Code != "40001" {
		t.Errorf("a table that is being changed: %v, want 40001", err)
	}
	show(t, reader, "ROLLBACK")
	show(t, changer, "COMMIT")

	// A batch without Sync is a transaction too, even before anything says so.
	w := dialWire(t, f.dsn(db)+" default_transaction_isolation=serializable")
	if _, err := w.run([]turn{until('C', parse("", "SELECT count(*) FROM made"), bind("", ""), execute("", 0), flush())}); err != nil {
		t.Fatal(err)
	}
	show(t, changer, "BEGIN; ALTER TABLE archive.users ADD COLUMN more text")
	told, err := w.run([]turn{until('E', parse("", "SELECT count(*) FROM audit_log"), bind("", ""), execute("", 0), flush())})
	if err != nil {
		t.Errorf("a batch without Sync: %v\n%s", err, told)
	}
}
