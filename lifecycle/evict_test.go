package lifecycle

import (
	"fmt"
	"testing"
	"time"
)

// A tombstone moves to the archive with those that refer to it, as they are when it goes. One that is written to between looking for them and taking
// them would be lost to the server's own ON DELETE CASCADE.
func TestWrittenWhileItMoves(t *testing.T) {
	_, soft := twins(t, "written", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, user_id int REFERENCES users ON DELETE SET NULL, deleted_at timestamptz)`)
	// Whoever moves rows waits here, after looking.
	if _, err := soft.Exec(within(t), `ALTER FUNCTION tombstone.closure RENAME TO looks;
CREATE FUNCTION tombstone.closure(leaf regclass, place tid, OUT leaves regclass[], OUT places tid[], OUT held boolean) LANGUAGE plpgsql AS $$
BEGIN
	SELECT l.* INTO leaves, places, held FROM tombstone.looks(leaf, place) l;
	PERFORM pg_advisory_xact_lock(1);
END $$`); err != nil {
		t.Fatal(err)
	}
	mover, other := &twin{Conn: connect(t, "written_soft"), set: soft.set}, connect(t, "written_soft")
	settled := func(pid uint32, said chan string) (what string, waits bool) { // what a session is told, or that it waits
		t.Helper()
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			select {
			case what := <-said:
				return what, false
			default:
			}
			if soft.do(t, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'", pid)) == "[1]\n1;" {
				return "", true
			}
		}
		t.Fatal("nothing happens")
		return "", false
	}
	for _, level := range []string{"READ COMMITTED", "REPEATABLE READ"} {
		for _, sql := range []string{"TRUNCATE items, orders, users, tombstone.archive, tombstone.deletions, tombstone.severed",
			"INSERT INTO users VALUES (1); INSERT INTO orders VALUES (1); INSERT INTO items VALUES (1, 1, 1)"} {
			if got := soft.raw(t, "SET tombstone.delete = purge; "+sql+"; RESET tombstone.delete"); got != "" {
				t.Fatal(got)
			}
		}
		for _, sql := range []string{"DELETE FROM users", "DELETE FROM orders", "SELECT pg_advisory_lock(1)"} {
			soft.do(t, sql)
		}
		moved, revived := make(chan string, 1), make(chan string, 1)
		go func() {
			said := mover.do(t, "BEGIN ISOLATION LEVEL "+level+"; INSERT INTO orders VALUES (1); COMMIT")
			mover.do(t, "ROLLBACK")
			moved <- said
		}()
		if said, waits := settled(mover.PgConn().PID(), moved); !waits {
			t.Fatalf("%s: it does not wait: %s", level, said)
		}
		// The user comes back, and with it the reference that its deletion cut.
		go func() {
			if _, err := other.Exec(within(t), "UPDATE users SET deleted_at = NULL"); err != nil {
				revived <- err.Error()
			} else {
				revived <- ""
			}
		}()
		said, waits := settled(other.PgConn().PID(), revived)
		soft.do(t, "SELECT pg_advisory_unlock(1)")
		if waits {
			said = <-revived
		}
		if said != "" {
			t.Errorf("%s: the restoration is told %s", level, said)
		}
		if said := <-moved; said != ";0 1;;" {
			t.Errorf("%s: the move is told %s", level, said)
		}
		if got := soft.raw(t, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM items) AND NOT EXISTS (SELECT FROM tombstone.archive WHERE relation = 'items'::regclass AND row ->> 'id' = '1') THEN RAISE EXCEPTION 'lost'; END IF; END $$"); got != "" {
			t.Errorf("%s: the item is %s", level, got)
		}
	}
}

// What goes because of a row that moves to the archive, and not with it, would be lost: that is refused.
func TestLostWithAMove(t *testing.T) {
	_, soft := twins(t, "lost_with_a_move", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE notes (user_id int, deleted_at timestamptz);
CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM notes WHERE user_id = OLD.id; RETURN NULL; END $$;
CREATE TRIGGER forget AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION forget();
INSERT INTO users VALUES (1); INSERT INTO notes VALUES (1)`)
	soft.do(t, "DELETE FROM users")
	const want = `40001|a row of table "notes" would be lost with a deleted row that moves to the archive||notes|`
	if got := soft.do(t, "INSERT INTO users VALUES (1)"); got != want {
		t.Errorf("told is %s, want %s", got, want)
	}
	if got := soft.do(t, "SELECT FROM notes"); got != "[]\n1;" {
		t.Errorf("notes are %s", got)
	}
}
