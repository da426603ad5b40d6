package e2e

import (
	"errors"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// Who may not have a setting that a role's or a database's own settings give it can go on by what the hint says. RESET would bring it back.
func TestHintsLeadOut(t *testing.T) {
	a := newAsking(t)
	for setting, value := range map[string]string{"tombstone.visibility": "all", "tombstone.as_of": "2024-01-01", "tombstone.delete": "purge"} {
		ask(t, a.db, "ALTER ROLE nobody IN DATABASE "+a.db+" SET "+setting+" = '"+value+"'")
		conn := a.as(t, "nobody")
		const sql = "DELETE FROM users WHERE id = 99"
		_, err := conn.Exec(within(t), sql)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "42501" {
			t.Fatalf("%s: %v", setting, err)
		}
		way := regexp.MustCompile(`SET tombstone\.\w+ = \S+`).FindString(e.Hint)
		if way == "" {
			t.Errorf("%s: the hint shows no way: %s", setting, e.Hint)
			continue
		}
		if got := does(t, conn, way); got != "SET" {
			t.Errorf("%s: %s", way, got)
		}
		if got := does(t, conn, sql); got != "DELETE 0" {
			t.Errorf("after %s: %s", way, got)
		}
		ask(t, a.db, "ALTER ROLE nobody IN DATABASE "+a.db+" RESET "+setting)
	}
}
