package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// covering is an index of a protected table that is not unique, as far as is looked at.
type covering struct {
	first string // the first column, "" for an expression
	where string
	valid bool
	name  string
}

// readCovering reads what indexes there are, unique or not.
func (r *reader) readCovering(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `SELECT i.indrelid, x.relname, COALESCE(a.attname, ''), COALESCE(pg_get_expr(i.indpred, i.indrelid), ''), i.indisvalid
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam AND m.amname = 'btree'
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = ANY ($1) ORDER BY 1, 2`, r.oids())
	if err != nil {
		return err
	}
	var table uint32
	var c covering
	_, err = pgx.ForEachRow(rows, []any{&table, &c.name, &c.first, &c.where, &c.valid}, func() error {
		r.byOID[table].covering = append(r.byOID[table].covering, c)
		return nil
	})
	return err
}

// tombstones makes the index by which a table's tombstones are found: those of one deletion, and the oldest.
//
// Without it history, undo and purge read the whole table, so who has a large one asks for it. With it a row is never marked in its place (HOT),
// since an index has the marker: each of the table's indexes gets an entry more, and a deletion costs a third more.
func (t *Table) tombstones() Step {
	p := t.Protected
	name := named(t.Relation, "tombstones")
	there := slices.ContainsFunc(t.covering, func(c covering) bool { return c.name == name })
	if !p.Indexed {
		concurrently := "CONCURRENTLY "
		if t.Kind == 'p' {
			concurrently = ""
		}
		return Step{
			Object: "table " + t.Name.String(), Why: "The policy does not have index: true: deletions cost less.", Done: !there, Alone: t.Kind != 'p',
			SQL: []string{fmt.Sprintf("DROP INDEX %sIF EXISTS %s.%s", concurrently, ident(t.Schema), ident(name))},
		}
	}
	done := there && slices.ContainsFunc(t.covering, func(c covering) bool { return c.name == name && c.valid })
	return t.index(name, fmt.Sprintf("%s (%s) WHERE %s", full(t.Name), ident(p.Marker), dead(p, "")), done,
		"Without it, to list what one deletion took and to purge what is old reads the whole table.")
}

// referring makes an index on the columns of a foreign key, where there is none that begins with the first of them.
//
// Without it each deletion of a row of the parent reads the whole table.
func (k *ForeignKey) referring() (Step, bool) {
	if slices.ContainsFunc(k.Child.covering, func(c covering) bool { return c.valid && c.where == "" && slices.Contains(k.Columns, c.first) }) {
		return Step{}, false
	}
	name := named(k.Child.Relation, strings.Join(k.Columns, "_"), "reference")
	return k.Child.index(name, fmt.Sprintf("%s (%s)", full(k.Child.Name), idents("", k.Columns)), false,
		fmt.Sprintf("Without it, each deletion of a row of %s reads the whole table (%s).", k.Parent.Name, k.Name)), true
}

// index makes an index while others go on, where the server can.
func (t *Table) index(name, definition string, done bool, why string) Step {
	step := Step{Object: "table " + t.Name.String(), Why: why, Done: done, Alone: t.Kind != 'p'}
	concurrently := "CONCURRENTLY "
	if t.Kind == 'p' {
		concurrently = ""
	}
	step.SQL = []string{t.dropInvalid(name), fmt.Sprintf("CREATE INDEX %sIF NOT EXISTS %s ON %s", concurrently, ident(name), definition)}
	return step
}

// dropInvalid drops what a build that was cut short has left.
func (t *Table) dropInvalid(name string) string {
	return "DO " + dollars(fmt.Sprintf(` BEGIN -- what a build that was cut short has left
	IF EXISTS (SELECT FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass(%[1]s) AND NOT indisvalid) THEN
		DROP INDEX %[2]s.%[3]s;
	END IF;
END `, literal(ident(t.Schema)+"."+ident(name)), ident(t.Schema), ident(name)))
}
