package lifecycle

import (
	"fmt"
	"strings"
)

// present holds that a row does not refer to a tombstone. That there is such a row at all the server's own key sees to.
func (k *ForeignKey) present(d *Database) []*function {
	given := make([]string, len(k.Columns))
	changed := make([]string, len(k.Columns))
	for i, name := range k.Columns {
		given[i] = "NEW." + ident(name) + " IS NOT NULL"
		typ := k.Child.typeOf(name)
		changed[i] = text("OLD."+ident(name), typ) + " OPERATOR(pg_catalog.=) " + text("NEW."+ident(name), typ)
		if wavers(typ) { // to write it would take a call
			changed[i] = fmt.Sprintf("pg_catalog.record_image_eq(ROW(OLD.%[1]s), ROW(NEW.%[1]s))", ident(name))
		}
	}
	condition, revived, marker := strings.Join(given, " AND "), "", ""
	if p := k.Child.Protected; p != nil {
		condition += " AND " + live(p, "NEW.")
		revived = " AND " + live(p, "OLD.")
		marker = ", " + ident(p.Marker)
	}
	parent := fmt.Sprintf("%s p WHERE %s AND %s", k.referred().only(), k.matches("p.", "NEW."), live(k.Parent.Protected, "p."))
	about := fmt.Sprintf("the row of %s that it refers to must not be deleted (%s).", k.Parent.Name, k.Name)

	insert := &function{
		name: dotted(k.Child.Schema, k.Child.Relation, k.Name, "inserted"), result: "NULL",
		about:    fmt.Sprintf("After a row of %s is inserted: %s", k.Child.Name, about),
		body:     "PERFORM FROM " + parent + k.share() + ";\nIF NOT FOUND THEN\n" + indent(k.absent(d)) + "END IF;\n",
		triggers: []trigger{{named("tombstone", k.Name), k.Child, "AFTER INSERT", condition, k.deferrable(), false}},
	}
	update := &function{
		name: dotted(k.Child.Schema, k.Child.Relation, k.Name, "present"), result: "NULL",
		about: fmt.Sprintf("After a row of %s is written: %s", k.Child.Name, about),
		body: fmt.Sprintf(`IF %s%s THEN
	RETURN NULL; -- it is the reference that it was
END IF;
PERFORM FROM %s FOR KEY SHARE OF p;
IF NOT FOUND THEN
%sEND IF;
`, strings.Join(changed, " AND "), revived, parent, indent(k.absent(d))),
		triggers: []trigger{{named("tombstone.update", k.Name), k.Child, "AFTER UPDATE OF " + idents("", k.Columns) + marker, condition, k.deferrable(), false}},
	}
	return []*function{insert, update}
}

// share locks what a new row refers to, where the server's own key has not done so a moment before: its trigger comes first by name, and
// holds FOR KEY SHARE, which a burial waits for. A deferred key is looked at later. And in a partitioned table, it sees a row as it is now also above
// READ COMMITTED: without a lock, ours would see one live that has been deleted since the transaction's snapshot, and both would let it pass.
func (k *ForeignKey) share() string {
	if k.Deferrable || k.referred().Kind == 'p' {
		return " FOR KEY SHARE OF p"
	}
	return ""
}

// absent writes the error of a row that refers to none.
//
// A row that has changed since is gone, by its own deletion or by what a foreign key says of it, and is told nothing. Two are told all the same. One is
// a row that is there in another version, and refers as it did: a trigger of the application has touched it, and what it changed is nobody else's to
// look at. The other has gone by what cascades themselves have started: the server looks at this reference before. Not if that may wait: then nothing
// says which statement it was that started it.
func (k *ForeignKey) absent(d *Database) string {
	key := k.matches("p.", "NEW.")
	gone := fmt.Sprintf("NOT EXISTS (SELECT FROM %s x WHERE x.tableoid OPERATOR(pg_catalog.=) NEW.tableoid AND x.ctid OPERATOR(pg_catalog.=) NEW.ctid)", k.Child.only())
	if x := d.key(k.Child); x != nil {
		var same []string
		for i, name := range x.Columns {
			same = append(same, fmt.Sprintf("x.%s %s NEW.%[1]s", ident(name), x.Equal[i]))
		}
		for _, name := range k.Columns {
			typ := k.Child.typeOf(name)
			same = append(same, text("x."+ident(name), typ)+" OPERATOR(pg_catalog.=) "+text("NEW."+ident(name), typ))
		}
		if k.Child.Protected != nil {
			same = append(same, live(k.Child.Protected, "x."))
		}
		gone += fmt.Sprintf("\n\tAND NOT EXISTS (SELECT FROM %s x WHERE %s)", k.Child.only(), strings.Join(same, " AND "))
	}
	if !k.Deferrable {
		gone += "\n\tAND COALESCE(pg_catalog.current_setting('tombstone.deeper', true), '') OPERATOR(pg_catalog.<>) pg_catalog.statement_timestamp()::pg_catalog.text"
	}
	return fmt.Sprintf(`IF %[7]s
THEN
	RETURN NULL; -- it is gone since
END IF;
IF NOT EXISTS (SELECT FROM %[1]s p WHERE %[2]s) THEN
	RETURN NULL; -- there is none: that the server's own key says, now or when it is due
END IF;
IF EXISTS (SELECT FROM tombstone.undoing u WHERE u.by OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id() AND NOT u.back) THEN
	RETURN NULL; -- the row that it refers to is still to be restored
END IF;
RAISE foreign_key_violation USING
	MESSAGE = pg_catalog.format('insert or update on table "%%s" violates foreign key constraint "%%s"', TG_TABLE_NAME, %[3]s),
	DETAIL = pg_catalog.format('Key (%%s)=(%%s) is not present in table "%%s".', %[4]s, pg_catalog.concat_ws(', ', %[5]s), %[6]s),
	SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = %[3]s;
`,
		k.referred().only(), key, literal(k.Name), literal(strings.Join(k.Columns, ", ")), idents("NEW.", k.Columns), literal(k.referred().Relation), gone)
}
