package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// part takes tombstones out of the way that refer to a row whose key changes, or that goes for good since its table is not protected, nil if
// there can be none.
//
// Without it, NO ACTION refuses for the sake of rows that nobody sees, and a row that is purged by tombstone.delete takes such rows along by CASCADE,
// held ones too.
func part(t *Table, keys []*ForeignKey) *function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "part"), result: "COALESCE(NEW, OLD)", declare: "leaf pg_catalog.oid;\nplace pg_catalog.tid;\n",
		about: "When a key in " + t.Name.String() + " changes, or is gone: deleted rows that refer to it move to the archive.",
	}
	var body strings.Builder
	var changes []string
	var columns []string
	for _, k := range keys {
		p := k.Child.Protected
		if k.Parent != t || p == nil {
			continue
		}
		follows := k.OnUpdate == 'c' // the reference follows the key, and a deleted row's with it
		for i, name := range k.Refs {
			if !slices.Contains(columns, name) && !(follows && t.Protected != nil) {
				columns = append(columns, name)
				changes = append(changes, differs(name, k.Same[i]))
			}
		}
		fmt.Fprintf(&body, "%s\n", remark(k.Name, k.Child.Name.String()))
		condition := ""
		if follows {
			condition = "TG_OP OPERATOR(pg_catalog.=) 'DELETE' AND "
		}
		// Who is deleting such a row is waited for, as the server's own key does a moment later: then the row is a tombstone, or is not.
		fmt.Fprintf(&body, "PERFORM FROM %s c WHERE %s%s FOR KEY SHARE OF c;\n", k.Child.only(), condition, k.matches("OLD.", "c."))
		fmt.Fprintf(&body, "FOR leaf, place IN SELECT c.tableoid, c.ctid FROM %s c WHERE %s%s AND %s LOOP\n\tPERFORM tombstone.evict(leaf::pg_catalog.regclass, place, pg_catalog.current_setting('search_path'));\nEND LOOP;\n",
			k.Child.only(), condition, k.matches("OLD.", "c."), dead(p, "c."))
	}
	if body.Len() == 0 {
		return nil
	}
	if t.Protected == nil {
		body.WriteString("IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN\n\tPERFORM pg_catalog.set_config('tombstone.parting', " + thisMessage + ", true);\nEND IF;\n")
	}
	f.body = body.String()
	if len(columns) > 0 {
		f.triggers = []trigger{{"tombstone_part", t, "BEFORE UPDATE OF " + idents("", columns), t.early(changes, columns), "", false}}
	}
	gone := ""
	if t.Protected != nil {
		f.body = sighted + f.body
		gone = live(t.Protected, "OLD.") // a tombstone goes with those that refer to it, or is held by them: that is for whoever purges it to judge
	}
	// Not before the row goes: what refers to it may be deleted by the same statement, and is no tombstone yet. Of all that is done after it,
	// this comes first by its name: the server's own checks are called RI_ConstraintTrigger.
	f.triggers = append(f.triggers, trigger{"First_tombstone_part", t, "AFTER DELETE", gone, "", false})
	return f
}

// thisMessage is the time of what the client has sent: what the server deletes because of it goes to the archive, and nobody tells when that is over.
// What a trigger of the application deletes for good in a later statement of the transaction is its own doing.
const thisMessage = "pg_catalog.statement_timestamp()::pg_catalog.text"

// sighted leaves the tombstones that refer to a live row where they are if it does not go, as the guard says; if it goes to another partition; and
// if whoever deletes it sees them: a session that looks at all rows, tombstone purge and erase.
const sighted = `IF TG_OP OPERATOR(pg_catalog.=) 'DELETE' AND (
	COALESCE(pg_catalog.current_setting('tombstone.delete', true), '') OPERATOR(pg_catalog.<>) 'purge'
	OR COALESCE(pg_catalog.current_setting(` + mover + `, true), '') OPERATOR(pg_catalog.=) ` + moves + `
	OR pg_catalog.lower(COALESCE(pg_catalog.current_setting('tombstone.visibility', true), '')) OPERATOR(pg_catalog.=) 'all'
	OR COALESCE(pg_catalog.current_setting('tombstone.sighted', true), '') OPERATOR(pg_catalog.=) 'yes')
THEN
	RETURN OLD;
END IF;
`

// departs reports whether the server itself deletes rows of a table for good, by ON DELETE CASCADE: from a protected table whose parent is not, or
// from one that is not with a row of one that is.
func (d *Database) departs(t *Table) bool {
	var reached []*Table
	for i := -1; i < len(reached); i++ {
		for _, k := range d.Keys {
			from := i < 0 && (k.Parent.Protected == nil) != (k.Child.Protected == nil) || i >= 0 && k.Parent == reached[i]
			if from && k.OnDelete == 'c' && !slices.Contains(reached, k.Child) {
				reached = append(reached, k.Child)
			}
		}
	}
	return slices.Contains(reached, t)
}

// depart keeps in the archive what the server itself deletes: it cannot stay, since what it refers to is gone, or it has no marker.
//
// Without it, rows that ON DELETE CASCADE takes along with a deletion are lost.
func (d *Database) depart(t *Table) *function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "depart"), result: "OLD", declare: "d tombstone.deletions;\nleaf pg_catalog.oid;\nplace pg_catalog.tid;\n" + seqscan,
		about: "Before a row of " + t.Name.String() + " goes by ON DELETE CASCADE: the row moves to the archive.",
	}
	var body strings.Builder
	body.WriteString(`IF COALESCE(pg_catalog.current_setting('tombstone.parting', true), '') OPERATOR(pg_catalog.<>) ` + thisMessage + `
	OR pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.<) 2 THEN
	RETURN OLD; -- that is for the guard to judge
END IF;
`)
	tables := "'{}'::pg_catalog.regclass[]" // what is in the archive needs no table to be looked into
	if t.Protected != nil {
		tables = relations(d.group(t))
	}
	now := fmt.Sprintf("PERFORM tombstone.deletion(%s);\nd.id := pg_catalog.pg_current_xact_id();\nd.at := pg_catalog.now();\n%s", tables, d.cuts(t))
	if p := t.Protected; p != nil {
		key := t.texts("OLD.", d.identity(t))
		fmt.Fprintf(&body, `IF %[1]s THEN
%[2]sELSE
	d := tombstone.deletion_of(%[3]s, %[4]s, %[5]s);
	DELETE FROM tombstone.keyed k WHERE k.relation OPERATOR(pg_catalog.=) %[3]s AND k.key OPERATOR(pg_catalog.=) %[5]s; -- another row may have the key
END IF;
`, live(p, "OLD."), indent(now), regclass(t), strings.Replace(instant(p), "NEW.", "OLD.", 1), key)
	} else {
		body.WriteString(now)
	}
	fmt.Fprintf(&body, `INSERT INTO tombstone.archive (deletion, at, relation, row)
SELECT d.id, d.at, %s, tombstone.whole(x.*) FROM %s x WHERE x.tableoid OPERATOR(pg_catalog.=) OLD.tableoid AND x.ctid OPERATOR(pg_catalog.=) OLD.ctid;
IF NOT FOUND THEN
	RAISE serialization_failure USING MESSAGE = pg_catalog.format('a row of "%%s" that is deleted could not be kept', TG_TABLE_NAME);
END IF;
`, regclass(t), t.only())
	for _, k := range d.Keys {
		if k.Parent == t && k.OnDelete != 'c' && k.Child.Protected != nil {
			fmt.Fprintf(&body, "%s\nFOR leaf, place IN SELECT c.tableoid, c.ctid FROM %s c WHERE %s AND %s LOOP\n\tPERFORM tombstone.evict(leaf::pg_catalog.regclass, place, pg_catalog.current_setting('search_path'));\nEND LOOP;\n",
				remark(k.Name, k.Child.Name.String()), k.Child.only(), k.matches("OLD.", "c."), dead(k.Child.Protected, "c."))
		}
	}
	body.WriteString("PERFORM pg_catalog.set_config(" + mover + ", " + moves + ", true);\n")
	f.body = body.String()
	f.triggers = []trigger{{"tombstone_depart", t, "BEFORE DELETE", "", "", false}}
	return f
}

// cuts writes down the references to OLD that the server is about to cut.
func (d *Database) cuts(t *Table) string {
	var b strings.Builder
	for _, k := range d.Keys {
		if k.Parent != t || !k.cuts() {
			continue
		}
		became := make([]string, len(k.SetColumns))
		was := make([]string, len(k.SetColumns))
		for i, name := range k.SetColumns {
			became[i] = "NULL::pg_catalog.text"
			if k.OnDelete == 'd' {
				became[i] = "(" + k.Child.defaultOf(name) + ")::pg_catalog.text"
			}
			was[i] = k.refOf(name)
		}
		where := k.matches("OLD.", "c.")
		if p := k.Child.Protected; p != nil {
			where += " AND " + live(p, "c.")
		}
		b.WriteString(byIndex(k.forget(d.identity(k.Child), where)))
		fmt.Fprintf(&b, `INSERT INTO tombstone.severed (deletion, at, relation, constraint_name, key, was, became)
SELECT d.id, d.at, %[1]s, %[2]s, %[3]s, %[4]s, ARRAY[%[5]s] FROM %[6]s c WHERE %[7]s;
`, regclass(k.Child), literal(k.Name), k.Child.texts("c.", d.identity(k.Child)), t.texts("OLD.", was), strings.Join(became, ", "), k.Child.only(), where)
	}
	return b.String()
}

// defaultOf is the default of a column as SQL.
func (t *Table) defaultOf(name string) string {
	for _, c := range t.Columns {
		if c.Name == name && c.Default != "" {
			return c.Default
		}
	}
	return "NULL"
}
