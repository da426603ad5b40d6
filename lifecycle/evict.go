package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// evict makes room for rows whose key a tombstone holds, nil if every unique index of the table is of live rows only.
//
// Without it, a natural key cannot be used again once its row is deleted (23505).
func (d *Database) evict(t *Table) *function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "evict"), result: "NEW",
		about: "Before a row of " + t.Name.String() + " is written: a deleted row that holds its key moves to the archive.",
	}
	var columns, changes []string
	var body strings.Builder
	for _, x := range d.Indexes {
		if x.Table != t || !x.stays() || x.Exclusion || strings.Contains(" "+strings.Join(x.Columns, " ")+" ", "  ") {
			continue
		}
		same := make([]string, len(x.Columns))
		for i, name := range x.Columns {
			same[i] = "x." + ident(name) + " " + x.Equal[i] + " " + t.coming(name)
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
				changes = append(changes, differs(name, x.Equal[i]))
			}
			if t.generated(name) != "" { // its expression is a stranger's, without schemas before its operators
				f.set = "pg_catalog, pg_temp"
			}
		}
		look := fmt.Sprintf("SELECT %s, x.xmax::pg_catalog.text OPERATOR(pg_catalog.<>) '0' INTO gone, busy FROM %s x WHERE %s;\n",
			dead(t.Protected, "x."), t.only(), strings.Join(same, " AND "))
		fmt.Fprintf(&body, `%[1]s
%[5]sIF FOUND THEN
	IF busy AND NOT gone AND TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
		BEGIN -- it may be about to be deleted: the server waits for the end of that, and so is to be done here, without holding the row
			PERFORM FROM %[3]s x WHERE %[4]s FOR SHARE;
			RAISE EXCEPTION USING ERRCODE = 'TOMB0';
		EXCEPTION WHEN SQLSTATE 'TOMB0' THEN
			NULL;
		END;
	END IF;
	SELECT x.tableoid, x.ctid INTO leaf, place FROM %[3]s x WHERE %[4]s AND %[2]s FOR UPDATE;
	IF FOUND THEN
		PERFORM tombstone.evict(leaf::pg_catalog.regclass, place, pg_catalog.current_setting('search_path'));
	END IF;
END IF;
`, remark(x.Name), dead(t.Protected, "x."), t.only(), strings.Join(same, " AND "), planByIndex(look))
	}
	if len(columns) == 0 {
		return nil
	}
	changed := ""
	if early := t.early(changes, columns); early != "" {
		changed = " AND (" + early + ")"
	}
	f.declare = "leaf pg_catalog.oid;\nplace pg_catalog.tid;\ngone boolean;\nbusy boolean;\n" + planned
	f.body = firstPlans(t) + body.String()
	f.triggers = []trigger{
		{"tombstone_evict", t, "BEFORE INSERT", live(t.Protected, "NEW."), "", false},
		{"tombstone_evict_update", t, "BEFORE UPDATE OF " + idents("", columns), live(t.Protected, "NEW.") + changed, "", false},
	}
	return f
}

// register tells the functions in the schema tombstone about the table.
func (d *Database) register(t *Table, identity []string) Step {
	p := t.Protected
	list := make([]string, len(identity))
	for i, name := range identity {
		list[i] = literal(name)
	}
	said := strings.Join([]string{p.Marker, map[bool]string{true: "t", false: "f"}[tells(p)], dead(p, "x."), alive(p), array(identity), t.texts("x.", identity)}, "|")
	return Step{
		Done:   d.rows[t.OID] == said || len(d.Unseen) > 0,
		Object: "table " + t.Name.String(), Why: "What undo, restore and purge have to know of the table.",
		SQL: []string{fmt.Sprintf(`INSERT INTO tombstone.tables (relation, marker, tells, dead, alive, key, texts)
VALUES (%s::pg_catalog.regclass, %s, %t, %s, %s::pg_catalog.jsonb, ARRAY[%s]::pg_catalog.name[], %s)
ON CONFLICT (relation) DO UPDATE SET marker = excluded.marker, tells = excluded.tells, dead = excluded.dead, alive = excluded.alive, key = excluded.key, texts = excluded.texts`,
			literal(full(t.Name)), literal(p.Marker), tells(p), literal(dead(p, "x.")), literal(alive(p)), strings.Join(list, ", "), literal(t.texts("x.", identity)))},
	}
}
