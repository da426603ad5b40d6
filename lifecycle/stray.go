package lifecycle

import (
	"fmt"
	"strings"
)

// stray moves to the archive what cannot stay as a tombstone since the server looks at it again at the end of the transaction, nil if nothing
// of the table is looked at so late.
//
// Without it a row that is inserted and deleted in one transaction would have to keep a deferred constraint that nobody asks it to keep any more:
// to refer to a row that never came, or to have a key that no other row has.
func (d *Database) stray(t *Table) *function {
	var reasons []string
	for _, k := range d.Keys {
		if k.Child == t && k.Deferrable {
			given := make([]string, len(k.Columns))
			for i, name := range k.Columns {
				given[i] = "NEW." + ident(name) + " IS NOT NULL"
			}
			reasons = append(reasons, fmt.Sprintf("%s AND NOT EXISTS (SELECT FROM %s p WHERE %s) %s",
				strings.Join(given, " AND "), k.referred().only(), k.matches("p.", "NEW."), remark(k.Name)))
		}
	}
	for _, x := range d.Indexes {
		if x.Table == t && x.Deferrable && !x.Exclusion && len(x.Equal) == len(x.Columns) {
			same := make([]string, len(x.Columns))
			for i, name := range x.Columns {
				same[i] = "x." + ident(name) + " " + x.Equal[i] + " NEW." + ident(name)
			}
			reasons = append(reasons, fmt.Sprintf("EXISTS (SELECT FROM %s x WHERE %s AND (x.ctid OPERATOR(pg_catalog.<>) NEW.ctid OR x.tableoid OPERATOR(pg_catalog.<>) NEW.tableoid)) %s",
				t.only(), strings.Join(same, " AND "), remark(x.Name)))
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	f := &function{
		name: dotted(t.Schema, t.Relation, "stray"), result: "NULL",
		about:    "After a row of " + t.Name.String() + " is deleted: moves it to the archive if a deferred constraint would not let it stay.",
		body:     "IF " + strings.Join(reasons, "\n\tOR ") + "\nTHEN\n\tPERFORM tombstone.evict(NEW.tableoid::pg_catalog.regclass, NEW.ctid, pg_catalog.current_setting('search_path'));\nEND IF;\n",
		triggers: []trigger{{"tombstone_stray", t, "AFTER UPDATE OF " + ident(t.Protected.Marker), burying(t), "", false}}, // by its name after what follows keys
	}
	if d.flushed(t) {
		f.triggers[0].name, f.triggers[0].deferrable = ofGroup("tombstone_stray", d.group(t)), initiallyDeferred
	}
	return f
}

// cleared moves a tombstone that a new row refers to out of the way of a key that may be left to the end of the transaction: the server's own key
// tells then that there is no such row, and when, whatever SET CONSTRAINTS says of it. Its trigger is called RI_ConstraintTrigger, ours comes before.
func (k *ForeignKey) cleared() *function {
	given, changed := make([]string, len(k.Columns)), make([]string, len(k.Columns))
	for i, name := range k.Columns {
		given[i] = "NEW." + ident(name) + " IS NOT NULL"
		changed[i] = fmt.Sprintf("pg_catalog.record_image_ne(ROW(OLD.%[1]s), ROW(NEW.%[1]s))", ident(name))
	}
	condition := strings.Join(given, " AND ")
	if p := k.Child.Protected; p != nil {
		condition += " AND " + live(p, "NEW.")
	}
	return &function{
		name: dotted(k.Child.Schema, k.Child.Relation, k.Name, "cleared"), result: "NULL", declare: "leaf pg_catalog.oid;\nplace pg_catalog.tid;\n",
		about: fmt.Sprintf("After a row of %s is written: a deleted row of %s that it refers to moves to the archive (%s).", k.Child.Name, k.Parent.Name, k.Name),
		body: fmt.Sprintf(`SELECT p.tableoid, p.ctid INTO leaf, place FROM %[1]s p WHERE %[2]s AND %[3]s FOR UPDATE;
IF FOUND AND EXISTS (SELECT FROM %[4]s x WHERE x.tableoid OPERATOR(pg_catalog.=) NEW.tableoid AND x.ctid OPERATOR(pg_catalog.=) NEW.ctid)
	AND NOT EXISTS (SELECT FROM tombstone.undoing u WHERE u.by OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id() AND NOT u.back)
THEN
	PERFORM tombstone.evict(leaf::pg_catalog.regclass, place, pg_catalog.current_setting('search_path'));
END IF;
`, k.referred().only(), k.matches("p.", "NEW."), dead(k.Parent.Protected, "p."), k.Child.only()),
		triggers: []trigger{
			{named("First_tombstone", k.Name), k.Child, "AFTER INSERT", condition, "", false},
			{named("First_tombstone.update", k.Name), k.Child, "AFTER UPDATE OF " + idents("", k.Columns), condition + " AND (" + strings.Join(changed, " OR ") + ")", "", false},
		},
	}
}
