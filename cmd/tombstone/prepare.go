package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
	"tombstone/policy"
)

func prepare(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "prepare", "--config FILE [--dsn URL] [--apply | --check | --remove]",
		`Prints the SQL that a database needs so that it keeps the policy by itself: marker columns, unique indexes of live rows, what foreign
keys do when a row is deleted, a guard against real DELETEs, and a record of deletions. The script may be run again. Log in as the owner of
the tables, or as a superuser.`)
	w := whereFlags(f)
	apply := f.Bool("apply", false, "run what is missing, and show it; after a failure, run it again and it goes on")
	check := f.Bool("check", false, "list what is missing, and exit with status 1 if anything is")
	remove := f.Bool("remove", false, "take out the functions and triggers; deleted rows and the record of deletions stay")
	if err := w.parse(s, f, args, 0); err != nil {
		return err
	}
	if *apply && *check || *apply && *remove || *check && *remove {
		fmt.Fprintln(s.err, "tombstone prepare: --apply, --check and --remove are one or the other")
		return errUsage
	}
	return w.on(ctx, s, func(conn *pgx.Conn, p *policy.Policy) error {
		if *apply || *remove {
			if err := mayWrite(ctx, conn, false); err != nil {
				return err
			}
			if err := lifecycle.Alone(ctx, conn, s.out); err != nil {
				return err
			}
		}
		d, err := lifecycle.Read(ctx, conn, p)
		if err != nil {
			return err
		}
		script := lifecycle.Prepare(d)
		var beyond []string
		if !*remove {
			beyond = d.Beyond()
			for _, t := range d.Alike() {
				fmt.Fprintf(s.err, "note: no key tells a row of %s from another, and its marker does not tell their deletions apart: of several deletions of equal rows, undo brings back as many as one took and not necessarily those; give it a primary key, or a marker of type timestamptz\n", t.Name)
			}
		}
		for _, why := range beyond {
			fmt.Fprintf(s.err, "not prepared: %s\n", why)
		}
		switch {
		case *check:
			missing := script.Missing()
			for _, step := range missing {
				fmt.Fprintf(s.out, "%s: %s\n", step.Object, step.Why)
			}
			if len(missing) > 0 {
				fmt.Fprintf(s.err, "%d of %d steps are missing; tombstone prepare --apply takes them\n", len(missing), len(script))
				return errSilent
			}
			if len(beyond) > 0 {
				return errSilent
			}
			_, err := fmt.Fprintln(s.out, "nothing is missing")
			return err
		case *remove:
			return lifecycle.Remove(d).Apply(ctx, conn, s.out)
		case *apply:
			missing := script.Missing()
			if len(missing) == 0 {
				_, err := fmt.Fprintln(s.out, "nothing is missing")
				return err
			}
			err := missing.Apply(ctx, conn, s.out)
			if err != nil && errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("stopped; run it again to go on: %w", err)
			}
			return err
		}
		return script.Write(s.out)
	})
}
