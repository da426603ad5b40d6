package lifecycle

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// lacking is what a login hears that may not see what is known of deletions. Often it owns the tables, and a superuser has run prepare.
func lacking(ctx context.Context, conn interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, what string) error {
	var me, owner string
	if err := conn.QueryRow(ctx, "SELECT current_user::text, pg_catalog.pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace WHERE nspname = 'tombstone'").Scan(&me, &owner); err != nil {
		return err
	}
	return fmt.Errorf("no right to read %s, which belongs to %s, who has run tombstone prepare; log in as that role, or let it run: "+
		"GRANT USAGE ON SCHEMA tombstone TO %s; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tombstone TO %[3]s; whoever has that reads the archived rows of all tables",
		what, plain(owner), ident(me))
}
