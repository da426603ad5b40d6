package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
)

func restore(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "restore", "--config FILE [--dsn URL] (--key VALUE[,VALUE..] | --where CONDITION) [--dry-run] [--json] TABLE",
		`Restores deleted rows of a table, and what the same deletion took with them: all of it, or nothing if that cannot be, since a unique key has been used
again or a row that one of them refers to is deleted. Nothing that was deleted before or after comes back.`)
	w := whereFlags(f)
	key := f.String("key", "", "the row whose key is `VALUE`; of several columns as in CSV, in the order of the primary key")
	where := f.String("where", "", "the deleted rows that meet a `CONDITION` on their columns, in SQL: \"email = 'a@example.org'\"")
	dry := f.Bool("dry-run", false, "show what would be restored and what would collide, and restore nothing")
	asJSON := f.Bool("json", false, "print JSON instead")
	if err := w.parse(s, f, options(f, args), 1); err != nil {
		return err
	}
	if (*key == "") == (*where == "") {
		fmt.Fprintln(s.err, "tombstone restore: write either --key or --where")
		return errUsage
	}
	return w.read(ctx, s, func(conn *pgx.Conn, d *lifecycle.Database) error {
		table, err := d.Find(f.Arg(0))
		if err != nil {
			return err
		}
		condition := *where
		if *key != "" {
			values, err := csv.NewReader(strings.NewReader(*key)).Read()
			if err != nil {
				return fmt.Errorf("--key: %w", err)
			}
			if condition, err = d.Key(table, values); err != nil {
				return fmt.Errorf("--key: %w", err)
			}
		}
		if err := mayWrite(ctx, conn, *dry); err != nil {
			return err
		}
		r, err := lifecycle.Restore(ctx, conn, d, table, condition, *dry)
		if err == nil && len(r.Restored) == 0 {
			err = fmt.Errorf("no deleted row of %s is meant", table.Name)
		}
		return restored(s, r, err, *dry, *asJSON, nil)
	})
}

func undo(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "undo", "--config FILE [--dsn URL] [--dry-run] [--json] ID",
		`Restores everything that one deletion took, or nothing if that cannot be: a unique key has been used again, or a row that one of them
refers to stays deleted.`)
	w := whereFlags(f)
	dry := f.Bool("dry-run", false, "show what would be restored and what would collide, and restore nothing")
	asJSON := f.Bool("json", false, "print JSON instead")
	if err := w.parse(s, f, options(f, args), 1); err != nil {
		return err
	}
	id, err := parseID(s, f.Name(), f.Arg(0))
	if err != nil {
		return err
	}
	return w.read(ctx, s, func(conn *pgx.Conn, d *lifecycle.Database) error {
		if err := mayWrite(ctx, conn, *dry); err != nil {
			return err
		}
		r, err := lifecycle.Undo(ctx, conn, d, id, *dry)
		return restored(s, r, err, *dry, *asJSON, &id)
	})
}

// parseID reads the number of a deletion.
func parseID(s stdio, command, text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 63)
	if err != nil || id == 0 {
		fmt.Fprintf(s.err, "tombstone %s: %q is no number of a deletion; tombstone history lists them\n", command, text)
		return 0, errUsage
	}
	return id, nil
}

// restored tells what came of a restoration.
func restored(s stdio, r *lifecycle.Restoration, err error, dry, asJSON bool, id *uint64) error {
	var collision *lifecycle.CollisionError
	if asJSON && errors.As(err, &collision) {
		r = &lifecycle.Restoration{Restored: []lifecycle.Count{}, Collisions: collision.Collisions, Changed: []lifecycle.Collision{}}
	} else if err != nil {
		return err
	}
	if asJSON {
		out := struct {
			ID     *uint64 `json:"id,omitempty"`
			DryRun bool    `json:"dry_run"`
			*lifecycle.Restoration
		}{id, dry, r}
		if err := encode(s.out, out); err != nil {
			return err
		}
	} else {
		tell(s.out, r, dry)
	}
	if len(r.Collisions) > 0 {
		return errSilent
	}
	return nil
}

// tell writes for a person what came of a restoration.
func tell(w io.Writer, r *lifecycle.Restoration, dry bool) {
	verb := "restored"
	switch {
	case len(r.Collisions) > 0:
		verb = "cannot be restored"
	case dry:
		verb = "would be restored"
	}
	links := ""
	if r.Links > 0 {
		links = fmt.Sprintf(", and %d reference(s) to them set again", r.Links)
	}
	fmt.Fprintf(w, "%s: %s%s\n", verb, counted(r.Restored), links)
	for _, c := range r.Collisions {
		fmt.Fprintf(w, "  in the way: %s\n", c)
	}
	for _, c := range r.Changed {
		fmt.Fprintf(w, "  note: %s\n", c)
	}
}
