package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// marker is the column that every protected table of a twin has.
const marker = "deleted_at"

// tablesSQL lists what has rows. Partitions are listed, their parents are not,
// so each row is seen once and in its place.
const tablesSQL = `SELECT format('%I.%I', n.nspname, c.relname)
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname !~ '^pg_|^information_schema$|^guard$'`

// protectedSQL lists what of it holds tombstones: soft has the guard's triggers
// there, or the policy names it and it was made by the statements themselves.
const protectedSQL = `SELECT format('%I.%I', n.nspname, c.relname)
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'r' AND (EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'watch_delete')
		OR n.nspname IN ('public', 'app', 'scratch') AND c.relname LIKE 'p%' AND EXISTS (
			SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'deleted_at' AND NOT a.attisdropped))`

// compareContents compares the live rows of all tables and the state of all
// sequences, and asks the guard. nil: all agree.
func (t *Twin) compareContents(ctx context.Context) (*Difference, error) {
	lost, err := t.soft.lost(ctx)
	if err != nil {
		return nil, err
	}
	if len(lost) > 0 {
		return &Difference{Stage: "LOST", Class: "something that was deleted is gone or changed", Lines: lost}, nil
	}
	softTables, err := t.soft.Ask(ctx, tablesSQL+";"+protectedSQL)
	if err != nil {
		return nil, err
	}
	hardTables, err := t.hard.Ask(ctx, tablesSQL)
	if err != nil {
		return nil, err
	}
	if d := differ(hardTables[0], softTables[0]); d != nil {
		d.Stage, d.Class = "contents", "tables"
		d.SQL, d.How = []string{"-- which tables there are"}, "directly, when all was done"
		return d, nil
	}
	names := softTables[0]
	var hardSQL, softSQL strings.Builder
	for _, name := range names {
		fmt.Fprintf(&hardSQL, "SELECT x::text FROM ONLY %s x;", name)
		fmt.Fprintf(&softSQL, "SELECT x::text FROM ONLY %s x", name)
		if slices.Contains(softTables[1], name) {
			fmt.Fprintf(&softSQL, " WHERE %s IS NULL", marker)
		}
		softSQL.WriteByte(';')
	}
	const sequences = "SELECT schemaname, sequencename, last_value FROM pg_catalog.pg_sequences WHERE schemaname !~ '^pg_'"
	names = append(names, "(sequences)")
	hard, err := t.hard.Ask(ctx, hardSQL.String()+sequences)
	if err != nil {
		return nil, err
	}
	soft, err := t.soft.Ask(ctx, softSQL.String()+sequences)
	if err != nil {
		return nil, err
	}
	for i := range names {
		if d := differ(hard[i], soft[i]); d != nil {
			d.Stage, d.Class = "contents", "live rows"
			d.SQL, d.How = []string{"-- what is live in " + names[i]}, "directly, when all was done"
			return d, nil
		}
	}
	return nil, nil
}
