package doctor

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
	"tombstone/policy"
)

// relation is a protected table, a partition of one, or a view that shows the marker of one.
type relation struct {
	*policy.Table
	oid, parent        uint32 // parent is that of a partition, else 0
	owner              string
	pages              int64   // of 8 KiB as a rule, by the last VACUUM or ANALYZE
	rows               float64 // by the same, -1 if neither has been
	partition          bool
	rowSecurity, force bool
	identity           byte // pg_class.relreplident
	primary            bool // it has a primary key
	granted            bool // others than its owner have rights
}

func (r *relation) object() string {
	kind := "table "
	if r.View() {
		kind = "view "
	}
	return kind + r.Name.String()
}

func (r *relation) full() string { return lifecycle.Full(r.Name) }

// columns are the marker and the audit columns: those that a deletion sets.
func (r *relation) columns() []string {
	list := []string{r.Marker}
	for _, a := range r.Audit {
		list = append(list, a.Column)
	}
	return list
}

func (p *patient) readRelations(ctx context.Context) error {
	rows, err := p.tx.Query(ctx, `
SELECT n.nspname, c.relname, c.oid, pg_get_userbyid(c.relowner), c.relpages::bigint, c.reltuples::float8, c.relispartition, c.relrowsecurity, c.relforcerowsecurity,
	c.relreplident, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), c.relacl IS NOT NULL,
	CASE WHEN c.relispartition THEN COALESCE((SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1), 0) ELSE 0 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND n.nspname <> 'pg_toast' ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	var schema, name string
	var identity string
	var r relation
	_, err = pgx.ForEachRow(rows, []any{
		&schema, &name, &r.oid, &r.owner, &r.pages, &r.rows, &r.partition, &r.rowSecurity, &r.force, (*char)(&identity), &r.primary, &r.granted, &r.parent,
	}, func() error {
		table, _ := p.Set.Find(schema, name)
		if table == nil {
			return nil
		}
		one := r
		one.Table, one.identity = table, identity[0]
		p.relations = append(p.relations, &one)
		p.byOID[one.oid] = &one
		if !table.View() {
			p.report.Looked["tables"]++
		}
		return nil
	})
	return err
}

// char scans a value of PostgreSQL's type "char".
type char string

func (c *char) ScanText(v string) error {
	if v == "" {
		return errors.New("an empty character")
	}
	*c = char(v)
	return nil
}

// relation returns the protected relation with that oid, or nil.
func (p *patient) relation(oid uint32) *relation {
	return p.byOID[oid]
}

func (p *patient) oids() []uint32 {
	oids := make([]uint32, len(p.relations))
	for i, r := range p.relations {
		oids[i] = r.oid
	}
	return oids
}
