package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// function is a trigger function of a table and the triggers that call it.
type function struct {
	name     string // in the schema tombstone
	declare  string // its variables
	body     string // of PL/pgSQL, without BEGIN and END
	result   string // what it returns: NEW before a change, NULL after it
	about    string // the comment on it
	triggers []trigger
}

type trigger struct {
	name       string
	table      *Table
	when       string // BEFORE or AFTER, and the events
	condition  string // "" for always
	deferrable string // what is said of it, "" for an ordinary trigger
}

// sql writes the statements that make the function and its triggers, and that replace them.
//
// A function runs as its owner, under the search_path of whoever changed the row. Hence every name and operator in it has its schema: SET
// search_path would do as well, but costs as much as the rest.
func (f *function) sql() []string {
	declare := ""
	if f.declare != "" {
		declare = "DECLARE\n" + indent(f.declare)
	}
	list := []string{fmt.Sprintf("CREATE OR REPLACE FUNCTION %s.%s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $tombstone$\n%sBEGIN\n%s\tRETURN %s;\nEND\n$tombstone$",
		house, ident(f.name), declare, indent(f.body), f.result)}
	list = append(list, fmt.Sprintf("COMMENT ON FUNCTION %s.%s() IS %s", house, ident(f.name), literal(f.comment())))
	for _, t := range f.triggers {
		list = append(list, fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", ident(t.name), full(t.table.Name)))
		constraint, deferrable, condition := "", "", ""
		if t.deferrable != "" {
			constraint, deferrable = "CONSTRAINT ", t.deferrable+" "
		}
		if t.condition != "" {
			condition = "WHEN (" + t.condition + ") "
		}
		list = append(list, fmt.Sprintf("CREATE %sTRIGGER %s %s ON %s %sFOR EACH ROW %sEXECUTE FUNCTION %s.%s()",
			constraint, ident(t.name), t.when, full(t.table.Name), deferrable, condition, house, ident(f.name)))
	}
	return list
}

// comment tells this state of the function and its triggers from others.
func (f *function) comment() string {
	all := f.declare + f.body
	for _, t := range f.triggers {
		all += fmt.Sprint(t.name, t.table.Name, t.when, t.condition, t.deferrable)
	}
	return f.about + print(all)
}

// print is the end of a comment that tells a state from others.
func print(text string) string {
	sum := sha256.Sum256([]byte(text))
	return " [" + hex.EncodeToString(sum[:6]) + "]"
}

// setting is the session setting that holds the marker of the rows of a table that the current transaction deletes.
func setting(t *Table) string {
	sum := sha256.Sum256([]byte(t.Name.String()))
	return "tombstone.noted_" + hex.EncodeToString(sum[:4])
}

// burying is the condition that an UPDATE makes a tombstone.
func burying(t *Table) string {
	return live(t.Protected, "OLD.") + " AND " + dead(t.Protected, "NEW.")
}

// record writes deletions down, and locks the row as a DELETE would.
//
// Without the lock, a row that refers to this one could come in while it is buried: an UPDATE that leaves keys alone does not wait for
// those who hold a key, nor they for it.
func record(t *Table, keys []*ForeignKey, identity []string) *function {
	f := &function{
		name: named(t.Schema, t.Relation, "note"), result: "NEW",
		about: "Before a row of " + t.Name.String() + " is deleted: notes the deletion, and locks the row as a DELETE does.",
	}
	noted := fmt.Sprintf("COALESCE(pg_catalog.current_setting(%s, true), '') OPERATOR(pg_catalog.<>) NEW.%s::pg_catalog.text",
		literal(setting(t)), ident(t.Protected.Marker))
	note := fmt.Sprintf("PERFORM tombstone.note(%s::pg_catalog.regclass, %s, %s, %s);\n",
		literal(full(t.Name)), literal(setting(t)), instant(t.Protected), texts("NEW.", identity))
	condition := burying(t)
	locks := false
	for _, k := range keys {
		locks = locks || k.Parent == t || k.Child == t && k.OnDelete != 'c'
	}
	switch {
	case tells(t.Protected) && locks:
		note = "IF " + noted + " THEN\n" + indent(note) + "END IF;\n"
	case tells(t.Protected):
		condition += " AND " + noted
	}
	f.body = note
	if locks {
		where := "x.ctid OPERATOR(pg_catalog.=) OLD.ctid"
		if t.Kind == 'p' {
			where += " AND x.tableoid OPERATOR(pg_catalog.=) OLD.tableoid"
		}
		f.body = "PERFORM FROM " + t.only() + " x WHERE " + where + " FOR UPDATE;\n" + f.body
	}
	f.triggers = []trigger{{"tombstone_note", t, "BEFORE UPDATE OF " + ident(t.Protected.Marker), condition, ""}}
	return f
}

// follow does what foreign keys say ON DELETE when a row of the table is buried, nil if none says anything.
func follow(t *Table, keys []*ForeignKey, identity func(*Table) []string) *function {
	var body strings.Builder
	for _, k := range keys {
		if k.Parent == t && k.acts() {
			body.WriteString(k.action(identity(k.Child)))
		}
	}
	if body.Len() == 0 {
		return nil
	}
	return &function{
		name: named(t.Schema, t.Relation, "follow"), body: body.String(), result: "NULL",
		about:    "After a row of " + t.Name.String() + " is deleted: does what foreign keys to it say ON DELETE.",
		triggers: []trigger{{"tombstone_follow", t, "AFTER UPDATE OF " + ident(t.Protected.Marker), burying(t), ""}},
	}
}

// deferred is the check of a key that may be left to the end of the transaction. It has the key's own name, so that SET CONSTRAINTS finds it.
func (k *ForeignKey) deferred() *function {
	where := k.matches("OLD.", "c.")
	if k.Child.Protected != nil {
		where += " AND " + live(k.Child.Protected, "c.")
	}
	return &function{
		name: named(k.Child.Schema, k.Child.Relation, k.Name, "restrict"), body: k.check(where), result: "NULL",
		about:    fmt.Sprintf("After a row of %s is deleted: no row of %s may refer to it (%s).", k.Parent.Name, k.Child.Name, k.Name),
		triggers: []trigger{{k.Name, k.Parent, "AFTER UPDATE OF " + ident(k.Parent.Protected.Marker), burying(k.Parent), k.deferrable()}},
	}
}

func (k *ForeignKey) deferrable() string {
	switch {
	case k.Deferred:
		return "DEFERRABLE INITIALLY DEFERRED"
	case k.Deferrable:
		return "DEFERRABLE INITIALLY IMMEDIATE"
	}
	return ""
}

// present holds that a row does not refer to a tombstone. That there is such a row at all the server's own key sees to.
func (k *ForeignKey) present() *function {
	given := make([]string, len(k.Columns))
	changed := make([]string, len(k.Columns))
	for i, name := range k.Columns {
		given[i] = "NEW." + ident(name) + " IS NOT NULL"
		changed[i] = fmt.Sprintf("OLD.%s::pg_catalog.text OPERATOR(pg_catalog.=) NEW.%s::pg_catalog.text", ident(name), ident(name))
	}
	condition, revived, marker := strings.Join(given, " AND "), "", ""
	if p := k.Child.Protected; p != nil {
		condition += " AND " + live(p, "NEW.")
		revived = " AND " + live(p, "OLD.")
		marker = ", " + ident(p.Marker)
	}
	body := fmt.Sprintf(`IF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
	IF %s%s THEN
		RETURN NULL; -- it is the reference that it was
	END IF;
END IF;
PERFORM FROM %s p WHERE %s AND %s FOR KEY SHARE OF p;
IF NOT FOUND THEN
	IF EXISTS (SELECT FROM tombstone.undoing u WHERE u.by OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()) THEN
		RETURN NULL; -- the row that it refers to is still to be restored
	END IF;
	RAISE foreign_key_violation USING
		MESSAGE = %s,
		DETAIL = pg_catalog.format('Key (%%s)=(%%s) is not present in table "%%s".', %s, pg_catalog.concat_ws(', ', %s), %s),
		SCHEMA = %s, TABLE = %s, CONSTRAINT = %s;
END IF;
`, strings.Join(changed, " AND "), revived, k.Parent.only(), k.matches("p.", "NEW."), live(k.Parent.Protected, "p."),
		literal(fmt.Sprintf(`insert or update on table "%s" violates foreign key constraint "%s"`, k.Child.Relation, k.Name)),
		literal(strings.Join(k.Columns, ", ")), idents("NEW.", k.Columns), literal(k.Parent.Relation),
		literal(k.Child.Schema), literal(k.Child.Relation), literal(k.Name))
	return &function{
		name: named(k.Child.Schema, k.Child.Relation, k.Name, "present"), body: body, result: "NULL",
		about: fmt.Sprintf("After a row of %s is written: the row of %s that it refers to must not be deleted (%s).", k.Child.Name, k.Parent.Name, k.Name),
		triggers: []trigger{{
			named("tombstone", k.Name), k.Child, "AFTER INSERT OR UPDATE OF " + idents("", k.Columns) + marker, condition, k.deferrable(),
		}},
	}
}
