package doctor

import (
	"context"
	"fmt"
	"slices"

	"tombstone/lifecycle"
)

// publications looks at logical replication: subscribers are told of an UPDATE where there was a DELETE.
func (p *patient) publications(ctx context.Context) error {
	columns, filter := "NULL::text[]", "NULL::text"
	if p.version >= 150000 {
		columns, filter = "t.attnames::text[]", "t.rowfilter"
	}
	var name, schema, relation string
	var all, inserts, updates, deletes, truncates bool
	var sent []string
	var where *string
	told := map[string]bool{}
	record := map[string]bool{}
	err := p.each(ctx, `
SELECT t.pubname, t.schemaname, t.tablename, b.puballtables, b.pubinsert, b.pubupdate, b.pubdelete, b.pubtruncate, `+columns+`, `+filter+`
FROM pg_publication_tables t JOIN pg_publication b ON b.pubname = t.pubname ORDER BY 1, 2, 3`, nil,
		[]any{&name, &schema, &relation, &all, &inserts, &updates, &deletes, &truncates, &sent, &where}, func() {
			columns, filter := sent, where
			sent, where = nil, nil
			if schema == "tombstone" && !record[name] {
				record[name] = true
				p.find(Finding{
					Severity: Info, Check: "record-published", Object: "publication " + name,
					Why:    "It is of the tables of the schema tombstone, too: a subscriber that does not have these stops at the first deletion until it does.",
					Advice: "Copy their structure to each subscriber: pg_dump --schema-only --schema=tombstone.",
				})
			}
			table, _ := p.Set.Find(schema, relation)
			if table == nil {
				return
			}
			r := p.byName(schema, relation)
			if r == nil || r.Ordinal < 0 {
				return
			}
			f := Finding{Object: fmt.Sprintf("publication %s of %s", name, r.Name)}
			if deletes && !updates {
				if told[name] {
					return
				}
				told[name] = true
				publish := "delete, update"
				if inserts {
					publish = "insert, " + publish
				}
				if truncates {
					publish += ", truncate"
				}
				f.Severity, f.Check, f.Object = Error, "publication-without-updates", "publication "+name
				f.Why = fmt.Sprintf("It publishes deletes and no updates, and a deletion is an UPDATE now: subscribers keep rows of %s that are deleted here.", r.Name)
				f.SQL = []string{fmt.Sprintf("ALTER PUBLICATION %s SET (publish = '%s')", lifecycle.Ident(name), publish)}
				p.find(f)
				return
			}
			if !updates {
				return
			}
			if r.Kind != 'p' && (r.identity == 'n' || r.identity == 'd' && !r.primary) {
				p.find(Finding{
					Severity: Error, Check: "no-replica-identity", Object: r.object(),
					Why: fmt.Sprintf("Publication %s publishes its updates, and it has no replica identity: the server refuses to mark a row (55000).", name),
					SQL: []string{"ALTER TABLE " + r.full() + " REPLICA IDENTITY FULL"},
				})
				return
			}
			if p.version >= 150000 && !slices.Contains(columns, r.Marker) {
				f.Severity, f.Check = Warning, "publication-without-marker"
				f.Why = fmt.Sprintf("Its list of columns leaves out %s: subscribers get an update in which nothing has changed, and go on showing the row.", r.Marker)
				f.Advice = "Add the marker to the list of columns."
				if !all {
					add := fmt.Sprintf("ALTER PUBLICATION %s ADD TABLE %s (%s)", lifecycle.Ident(name), r.full(), idents(append(columns, r.Marker)))
					if filter != nil {
						add += " WHERE (" + *filter + ")"
					}
					f.SQL = []string{fmt.Sprintf("ALTER PUBLICATION %s DROP TABLE %s", lifecycle.Ident(name), r.full()), add}
				}
				p.find(f)
				return
			}
			f.Severity, f.Check = Info, "published"
			f.Why = "Subscribers get an update that sets " + r.Marker + " where they got a delete. They have to hide tombstones as well; a purge reaches them as a delete."
			p.find(f)
		})
	if err == nil && len(p.relations) > 0 {
		p.find(Finding{
			Severity: Info, Check: "backup", Object: "database " + p.report.Database,
			Why: "Deleted rows are in every pg_dump and base backup, and what is purged stays in those made before. " +
				"A dump of single tables leaves out the schema tombstone, and with it what tombstone undo knows; pg_restore --data-only --clean meets the guard.",
		})
	}
	return err
}

func (p *patient) byName(schema, name string) *relation {
	for _, r := range p.relations {
		if r.Schema == schema && r.Relation == name {
			return r
		}
	}
	return nil
}
