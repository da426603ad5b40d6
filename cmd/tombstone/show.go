package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
)

func show(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "show", "--config FILE [--dsn URL] [--limit N] [--json] ID", "Shows one deletion: who, when and why, and the rows that it took and that are still deleted.")
	w := whereFlags(f)
	limit := f.Int("limit", 100, "`N` rows at most; 0 for all")
	asJSON := f.Bool("json", false, "print JSON instead")
	if err := w.parse(s, f, options(f, args), 1); err != nil {
		return err
	}
	id, err := parseID(s, f.Name(), f.Arg(0))
	if err != nil {
		return err
	}
	return w.read(ctx, s, func(conn *pgx.Conn, d *lifecycle.Database) error {
		shown, err := lifecycle.Show(ctx, conn, d, id, *limit)
		if err != nil {
			return err
		}
		if *asJSON {
			return encode(s.out, shown)
		}
		_, err = fmt.Fprint(s.out, printed(shown))
		return err
	})
}

// printed writes a deletion for a person.
func printed(shown *lifecycle.Shown) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-8s %s\n", name, oneLine(value))
		}
	}
	line("deletion", fmt.Sprint(shown.ID))
	line("at", shown.At.Format(time.RFC3339Nano))
	line("role", shown.Role)
	if shown.Login != shown.Role {
		line("login", shown.Login)
	}
	line("actor", shown.Actor)
	line("reason", shown.Reason)
	line("program", shown.Application)
	line("client", shown.Client)
	line("rows", counted(shown.Tables))
	for _, row := range shown.Rows {
		place := ""
		if row.Archived {
			place = " (in the archive)"
		}
		fmt.Fprintf(&b, "\n%s%s\n", oneLine(row.Table), place)
		for _, name := range slices.Sorted(maps.Keys(row.Values)) {
			lines := strings.Split(row.Values[name], "\n")
			for i := range lines {
				lines[i] = oneLine(lines[i])
			}
			fmt.Fprintf(&b, "  %s: %s\n", oneLine(name), strings.Join(lines, "\n    "))
		}
	}
	if shown.More {
		b.WriteString("\n.. and more; --limit 0 shows all\n")
	}
	for _, cut := range shown.Cut {
		fmt.Fprintf(&b, "\n%s (%s): its reference %s to (%s) was cut\n", cut.Table, strings.Join(cut.Key, ", "), cut.Constraint, strings.Join(cut.Was, ", "))
	}
	return b.String()
}
