package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"tombstone/policy/catalog"
)

// Shown is one deletion with its rows.
type Shown struct {
	Deletion
	Rows []Row `json:"rows"`
	More bool  `json:"more"` // there are more rows than were asked for
	Cut  []Cut `json:"cut"`
}

// Row is a row that was deleted.
type Row struct {
	Table    string            `json:"table"`
	Values   map[string]string `json:"values"`   // of all columns, as text; NULL is left out
	Archived bool              `json:"archived"` // it is in tombstone.archive, since its key was used again or its table is not protected
}

// Cut is a reference that ON DELETE SET NULL or SET DEFAULT took from a row that stayed.
type Cut struct {
	Table      string   `json:"table"`
	Constraint string   `json:"constraint"`
	Key        []string `json:"key"`
	Was        []string `json:"was"`
}

// ErrNoDeletion is a number that no deletion has.
var ErrNoDeletion = errors.New("there is no such deletion; tombstone history lists them")

// Show returns what a deletion took and is still deleted, at most limit rows, 0 for all.
func Show(ctx context.Context, conn *pgx.Conn, d *Database, id uint64, limit int) (*Shown, error) {
	list, err := History(ctx, conn, Filter{ID: id})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNoDeletion
	}
	found := &Shown{Deletion: list[0], Rows: []Row{}, Cut: []Cut{}}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog, pg_temp"); err != nil {
		return nil, err
	}
	number := strconv.FormatUint(id, 10)
	for _, t := range d.known() {
		if t.Protected != nil {
			var where string
			err := tx.QueryRow(ctx, `SELECT tombstone.rows_of(d, t) FROM tombstone.deletions d, tombstone.tables t
WHERE d.id = $1::text::xid8 AND t.relation = $2::oid AND t.relation = ANY (d.tables) LIMIT 1`, number, t.OID).Scan(&where)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return nil, err
			}
			if err == nil {
				rows := fmt.Sprintf("SELECT tombstone.whole(x.*) FROM %s x WHERE %s ORDER BY %s", t.only(), where, t.texts("x.", d.identity(t)))
				if !tells(t.Protected) && d.key(t) == nil { // of equal rows, as many as it took
					rows = fmt.Sprintf(`SELECT q.whole FROM (SELECT tombstone.whole(x.*), %[3]s AS key, row_number() OVER (PARTITION BY %[3]s) AS n FROM %[1]s x WHERE %[2]s) q
WHERE q.n <= (SELECT count(*) FROM tombstone.keyed k WHERE k.deletion = %[4]s::xid8 AND k.relation = %[5]s AND k.key = q.key) ORDER BY q.key`,
						t.only(), where, t.texts("x.", d.identity(t)), literal(number), regclass(t))
				}
				if err := found.add(ctx, tx, t, false, limit, rows); err != nil {
					return nil, err
				}
			}
		}
		if err := found.add(ctx, tx, t, true, limit, fmt.Sprintf("SELECT a.row FROM tombstone.archive a WHERE a.deletion = %s::xid8 AND a.relation = %s ORDER BY a.id", literal(number), regclass(t))); err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query(ctx, `SELECT n.nspname, c.relname, s.constraint_name::text, s.key, s.was FROM tombstone.severed s
JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace WHERE s.deletion = $1::text::xid8 ORDER BY n.nspname || '.' || c.relname, 3, 4`, number)
	if err != nil {
		return nil, err
	}
	var name catalog.Name
	var cut Cut
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Relation, &cut.Constraint, &cut.Key, &cut.Was}, func() error {
		one := cut
		one.Table, cut.Key, cut.Was = shown(name), nil, nil // the next row's are other arrays
		found.Cut = append(found.Cut, one)
		return nil
	})
	return found, err
}

// add adds the rows that a query finds, each a JSON object of text.
func (s *Shown) add(ctx context.Context, tx pgx.Tx, t *Table, archived bool, limit int, query string) error {
	if limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", limit-len(s.Rows)+1)
	}
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	var values map[string]*string
	_, err = pgx.ForEachRow(rows, []any{&values}, func() error {
		if limit > 0 && len(s.Rows) == limit {
			s.More = true
			return nil
		}
		row := Row{Table: shown(t.Name), Values: map[string]string{}, Archived: archived}
		for name, v := range values {
			if v != nil {
				row.Values[name] = *v
			}
		}
		values = nil
		s.Rows = append(s.Rows, row)
		return nil
	})
	return err
}
