package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// function is a trigger function of a table and the triggers that call it.
type function struct {
	name     string // in the schema tombstone
	declare  string // its variables
	body     string // of PL/pgSQL, without BEGIN and END
	result   string // what it returns: NEW before a change, NULL after it
	about    string // the comment on it
	set      string // the search_path that it runs under, "" for the session's; names of columns come before its variables then
	triggers []trigger
}

type trigger struct {
	name       string
	table      *Table
	when       string // BEFORE or AFTER, and the events
	condition  string // "" for always
	deferrable string // what is said of it, "" for an ordinary trigger
	statement  bool   // once for a statement
}

// sql writes the statements that make the function and its triggers, and that replace them.
//
// A function runs as its owner, under the search_path of whoever changed the row. Hence every name and operator in it has its schema: SET
// search_path would do as well, but costs as much as the rest.
func (f *function) sql() []string {
	declare, set := "", ""
	if f.declare != "" {
		declare = "DECLARE\n" + indent(f.declare)
	}
	if f.set != "" {
		declare, set = "#variable_conflict use_column\n"+declare, " SET search_path = "+f.set
	}
	list := []string{fmt.Sprintf("CREATE OR REPLACE FUNCTION %s.%s() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER%s AS %s",
		house, ident(f.name), set, dollars(fmt.Sprintf("\n%sBEGIN\n%s\tRETURN %s;\nEND\n", declare, indent(f.body), f.result)))}
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
		each := "ROW"
		if t.statement {
			each = "STATEMENT"
		}
		list = append(list, fmt.Sprintf("CREATE %sTRIGGER %s %s ON %s %sFOR EACH %s %sEXECUTE FUNCTION %s.%s()",
			constraint, ident(t.name), t.when, full(t.table.Name), deferrable, each, condition, house, ident(f.name)))
	}
	return list
}

// comment tells this state of the function and its triggers from others.
func (f *function) comment() string {
	all := f.declare + f.body
	for _, t := range f.triggers {
		all += fmt.Sprint(t.name, t.table.Name, t.when, t.condition, t.deferrable, t.statement)
	}
	return f.about + print(all)
}

// print is the end of a comment that tells a state from others.
func print(text string) string {
	sum := sha256.Sum256([]byte(text))
	return " [" + hex.EncodeToString(sum[:6]) + "]"
}

// setting is a setting of the transaction about a group of tables. noted says that rows of them which it deletes are noted: those whose marker is its
// time. following is the depth of the function that follows keys to them, followed that of the last one whose level is not over.
func setting(what string, group []*Table) string {
	return "tombstone." + what + "_" + hash(relations(group))
}

// hash is a part of a name that tells one thing from others.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// relations writes tables as an array.
func relations(group []*Table) string {
	list := make([]string, len(group))
	for i, t := range group {
		list[i] = regclass(t)
	}
	return "ARRAY[" + strings.Join(list, ", ") + "]"
}

// burying is the condition that an UPDATE makes a tombstone.
func burying(t *Table) string {
	return live(t.Protected, "OLD.") + " AND " + dead(t.Protected, "NEW.")
}

// unless ends a function that its trigger has called for more than it is about. The server reads the condition of a trigger anew in each
// statement, which takes longer than what the function of a row does: so triggers of each deletion have short ones, and functions ask the rest.
func unless(condition, result string) string {
	return "IF (" + condition + ") IS NOT TRUE THEN\n\tRETURN " + result + ";\nEND IF;\n"
}

// record writes deletions down, and locks the row as a DELETE would.
//
// Without the lock, a row that refers to this one could come in while it is buried: an UPDATE that leaves keys alone does not wait for
// those who hold a key, nor they for it.
func (d *Database) record(t *Table) *function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "note"), result: "NEW",
		about: "Before a row of " + t.Name.String() + " is deleted: notes the deletion, and locks the row as a DELETE does.",
	}
	group := d.group(t)
	tables := relations(group)
	note := fmt.Sprintf("PERFORM tombstone.note(%s, %s, %s);\n", tables, regclass(t), t.noted(d.identity(t)))
	condition, rest := dead(t.Protected, "NEW."), live(t.Protected, "OLD.")
	locks := d.locks(t)
	if tells(t.Protected) {
		// The cheaper test is first: this is asked for each row. Assignments instead of PERFORM, since the language evaluates an expression itself.
		marker := "NEW." + ident(t.Protected.Marker)
		first := fmt.Sprintf("(pg_catalog.current_setting(%s, true) OPERATOR(pg_catalog.=) 'yes') IS NOT TRUE OR %s OPERATOR(pg_catalog.<>) pg_catalog.now()", literal(setting("noted", group)), marker)
		note = fmt.Sprintf("IF %s OPERATOR(pg_catalog.=) pg_catalog.now() AND tombstone.deletion(%s) THEN\n\tnoted := pg_catalog.set_config(%s, 'yes', true); -- so that nothing is called for the next row\nELSE\n%sEND IF;\n",
			marker, tables, literal(setting("noted", group)), indent(note))
		f.declare = "noted pg_catalog.text;\n"
		if locks {
			note = "IF " + first + " THEN\n" + indent(note) + "END IF;\n"
		} else {
			condition, rest = first, burying(t)
		}
	}
	f.body = note
	if locks {
		where := "x.ctid OPERATOR(pg_catalog.=) OLD.ctid"
		if t.Kind == 'p' {
			where += " AND x.tableoid OPERATOR(pg_catalog.=) OLD.tableoid"
		}
		f.body = "PERFORM FROM " + t.only() + " x WHERE " + where + " FOR UPDATE;\n" + f.body
	}
	f.body = unless(rest, f.result) + f.body
	f.triggers = []trigger{{"tombstone_note", t, "BEFORE UPDATE OF " + ident(t.Protected.Marker), condition, "", false}}
	return f
}

// locks reports whether a deletion of the table's rows has to lock them as a DELETE does: foreign keys refer to them, or cut their references.
func (d *Database) locks(t *Table) bool {
	return slices.ContainsFunc(d.Keys, func(k *ForeignKey) bool { return k.Parent == t || k.Child == t && k.OnDelete != 'c' })
}

// group lists the protected tables that ON DELETE CASCADE joins to a table, itself included: rows that one transaction deletes from them are
// noted once.
func (d *Database) group(t *Table) []*Table {
	group := []*Table{t}
	for i := 0; i < len(group); i++ {
		for _, k := range d.Keys {
			if k.OnDelete != 'c' || k.Child.Protected == nil || k.Parent.Protected == nil || k.Child != group[i] && k.Parent != group[i] {
				continue
			}
			for _, other := range []*Table{k.Child, k.Parent} {
				if !slices.Contains(group, other) {
					group = append(group, other)
				}
			}
		}
	}
	slices.SortFunc(group, func(a, b *Table) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	return group
}
