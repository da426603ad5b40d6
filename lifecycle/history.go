package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/policy/catalog"
)

// Deletion is one transaction that deleted rows.
type Deletion struct {
	ID          uint64    `json:"id"` // pg_current_xact_id()
	At          time.Time `json:"at"`
	Role        string    `json:"role"`
	Login       string    `json:"login"` // who logged in, and may have said SET ROLE; "" if that was not written down
	Actor       string    `json:"actor"`
	Reason      string    `json:"reason"`
	Application string    `json:"application"` // application_name
	Client      string    `json:"client"`      // address and port
	Tables      []Count   `json:"tables"`      // what of it is still deleted
}

// Count is how many rows of a table.
type Count struct {
	Name  string `json:"name"` // as in SQL
	Count int64  `json:"count"`
}

// Filter says which deletions are wanted: zero values all.
type Filter struct {
	Table string // as in SQL
	Since time.Time
	Role  string // or who logged in
	ID    uint64
	Limit int
}

// ErrUnprepared is a database in which deletions are not written down.
var ErrUnprepared = errors.New("deletions are not recorded in this database; tombstone prepare makes what is needed")

// ErrRemoved is a database that has its record of deletions, and not what reads it.
var ErrRemoved = errors.New("the record of deletions is there, but tombstone prepare --remove has taken out what reads it; tombstone prepare --apply puts that back")

// History lists deletions, the newest first.
func History(ctx context.Context, conn *pgx.Conn, f Filter) ([]Deletion, error) {
	var there, readable, allowed bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tombstone' AND c.relname = 'deletions'),
EXISTS (SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tombstone' AND p.proname = 'counts'),
(SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'tombstone' AND c.relname = 'deletions') IS NOT FALSE`).Scan(&there, &readable, &allowed); err != nil {
		return nil, err
	}
	switch {
	case !there:
		return nil, ErrUnprepared
	case !readable:
		return nil, ErrRemoved
	case !allowed:
		return nil, lacking(ctx, conn, "the schema tombstone")
	}
	var table uint32
	if f.Table != "" {
		err := conn.QueryRow(ctx, `SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND ($1 IN (n.nspname || '.' || c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)) OR $1 IN (c.relname, pg_catalog.quote_ident(c.relname)) AND pg_catalog.pg_table_is_visible(c.oid)) LIMIT 1`, f.Table).Scan(&table)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("there is no table %s in this database", f.Table)
		}
		if err != nil {
			return nil, err
		}
	}
	// Deletions are counted together, which reads each table once. Whether one took rows of a table is known only then.
	rows, err := conn.Query(ctx, `
WITH found AS MATERIALIZED (
	SELECT d.* FROM tombstone.deletions d
	WHERE ($1::pg_catalog.oid = 0 OR $1::pg_catalog.oid = ANY (d.tables)) AND d.at >= $2 AND ($3 = '' OR $3 IN (d.role, to_jsonb(d) ->> 'login')) AND ($4 = '0' OR d.id = $4::xid8)
	ORDER BY d.at DESC, d.id DESC LIMIT CASE WHEN $1::pg_catalog.oid = 0 THEN $5::pg_catalog.int8 END),
counted AS MATERIALIZED (
	SELECT c.id, c.at, n.nspname, r.relname, sum(c.count)::pg_catalog.int8 AS count, bool_or(c.relation = $1::pg_catalog.oid) AS asked
	FROM tombstone.counts((SELECT array_agg(id) FROM found), (SELECT array_agg(at) FROM found)) c
	JOIN pg_catalog.pg_class r ON r.oid = c.relation JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace GROUP BY 1, 2, 3, 4),
gathered AS (
	SELECT c.id, c.at, bool_or(c.asked) AS asked, array_agg(ARRAY[c.nspname, c.relname]::text[] ORDER BY c.nspname || '.' || c.relname) AS names,
		array_agg(c.count ORDER BY c.nspname || '.' || c.relname) AS counts FROM counted c GROUP BY 1, 2)
SELECT d.id::text::numeric::bigint, d.at, d.role, COALESCE(to_jsonb(d) ->> 'login', ''), COALESCE(d.actor, ''), COALESCE(d.reason, ''), COALESCE(d.application_name, ''), COALESCE(d.client, ''),
	COALESCE(g.names, '{}'), COALESCE(g.counts, '{}')
FROM found d LEFT JOIN gathered g ON g.id = d.id AND g.at = d.at WHERE $1::pg_catalog.oid = 0 OR g.asked
ORDER BY d.at DESC, d.id DESC LIMIT $5`, table, f.Since, f.Role, strconv.FormatUint(f.ID, 10), f.limit())
	if err != nil {
		return nil, err
	}
	list := []Deletion{}
	var d Deletion
	var id int64
	var names [][]string // a schema and a name each
	var counts []int64
	_, err = pgx.ForEachRow(rows, []any{&id, &d.At, &d.Role, &d.Login, &d.Actor, &d.Reason, &d.Application, &d.Client, &names, &counts}, func() error {
		one := d
		one.ID, one.At, one.Tables = uint64(id), d.At.UTC(), []Count{}
		for i, name := range names {
			one.Tables = append(one.Tables, Count{shown(catalog.Name{Schema: name[0], Relation: name[1]}), counts[i]})
		}
		list = append(list, one)
		return nil
	})
	return list, err
}

func (f *Filter) limit() any {
	if f.Limit <= 0 {
		return nil
	}
	return f.Limit
}
