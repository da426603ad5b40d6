package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

var errReadOnly = errors.New("the login has default_transaction_read_only = on, so nothing is written with it; use another one, or say so for this command: PGOPTIONS='-c default_transaction_read_only=off'")

var errStandby = errors.New("this server is a standby, where nothing is written, and nothing can be tried; name the primary, e.g. with target_session_attrs=read-write")

// mayWrite says no to a login that is meant for reading, or to a database that somebody has closed to changes in this way. A dry run
// changes nothing.
//
// Without it, a command whose transactions say READ WRITE, and have to where they were tested, steps over that in silence.
func mayWrite(ctx context.Context, conn *pgx.Conn, dry bool) error {
	var standby, readOnly bool
	err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::pg_catalog.bool").Scan(&standby, &readOnly)
	switch {
	case err == nil && standby: // a dry run takes locks
		err = errStandby
	case err == nil && readOnly && !dry:
		err = errReadOnly
	}
	return err
}
