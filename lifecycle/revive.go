package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// revived does what has to be done when a tombstone becomes live again: what the same deletion took because of it comes back, and nothing that
// was deleted before or after.
func revived(t *Table, keys []*ForeignKey, identity func(*Table) []string) *function {
	f := &function{
		name: dotted(t.Schema, t.Relation, "revive"), result: "NULL", declare: "d tombstone.deletions;\n",
		about: "After a row of " + t.Name.String() + " is restored: restores what the same deletion took with it.",
	}
	p := t.Protected
	relation := literal(full(t.Name)) + "::pg_catalog.regclass"
	key := t.texts("NEW.", identity(t))
	var body strings.Builder
	body.WriteString(unless(live(p, "NEW."), f.result))
	body.WriteString("IF EXISTS (SELECT FROM tombstone.undoing u WHERE u.by OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()) THEN\n\tRETURN NULL; -- whoever restores does the rest too\nEND IF;\n")
	fmt.Fprintf(&body, "d := tombstone.deletion_of(%s, %s, %s);\n", relation, strings.Replace(instant(p), "NEW.", "OLD.", 1), key)
	body.WriteString("IF d.id IS NULL THEN\n\tRETURN NULL; -- from before there was a record\nEND IF;\n")
	fmt.Fprintf(&body, "DELETE FROM tombstone.keyed k WHERE k.relation OPERATOR(pg_catalog.=) %s AND k.key OPERATOR(pg_catalog.=) %s;\n", relation, key)
	for _, k := range keys {
		if k.Parent != t {
			continue
		}
		child := literal(full(k.Child.Name)) + "::pg_catalog.regclass"
		childKey := k.Child.texts("c.", identity(k.Child))
		switch {
		case k.OnDelete == 'c' && k.Child.Protected != nil:
			c := k.Child.Protected
			same := fmt.Sprintf("EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation OPERATOR(pg_catalog.=) %s AND k.key OPERATOR(pg_catalog.=) %s AND k.deletion OPERATOR(pg_catalog.=) d.id AND k.at OPERATOR(pg_catalog.=) d.at)", child, childKey)
			if tells(c) {
				same = fmt.Sprintf("(%s OR d.exact AND c.%s OPERATOR(pg_catalog.=) d.at AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation OPERATOR(pg_catalog.=) %s AND k.key OPERATOR(pg_catalog.=) %s))",
					same, ident(c.Marker), child, childKey)
			}
			fmt.Fprintf(&body, "%s\nUPDATE %s c SET %s\nWHERE %s AND %s AND %s;\n", remark(k.Name, k.Child.Name.String()), k.Child.only(), revive(c), k.matches("NEW.", "c."), dead(c, "c."), same)
		case k.OnDelete == 'c':
			fmt.Fprintf(&body, "%s\nPERFORM tombstone.unarchive(ARRAY(%s), pg_catalog.current_setting('search_path'));\n", remark(k.Name, k.Child.Name.String()),
				archivedUnder(k, keys, func(column string) string { return "NEW." + ident(column) }, "", nil))
		case k.OnDelete == 'n', k.OnDelete == 'd':
			set := make([]string, len(k.SetColumns))
			was := make([]string, len(k.SetColumns))
			for i, name := range k.SetColumns {
				set[i] = ident(name) + " = NEW." + ident(k.refOf(name))
				was[i] = k.refOf(name)
			}
			fmt.Fprintf(&body, `%s
WITH mended AS (
	DELETE FROM tombstone.severed s WHERE s.deletion OPERATOR(pg_catalog.=) d.id AND s.at OPERATOR(pg_catalog.=) d.at
		AND s.relation OPERATOR(pg_catalog.=) %s AND s.constraint_name OPERATOR(pg_catalog.=) %s AND s.was OPERATOR(pg_catalog.=) %s RETURNING s.key, s.became, %s AS replaced)
UPDATE %s c SET %s FROM mended m
WHERE NOT m.replaced AND m.key OPERATOR(pg_catalog.=) %s AND m.became OPERATOR(pg_catalog.=) %s;
`, remark(k.Name, k.Child.Name.String()), child, literal(k.Name), t.texts("NEW.", was), replaced(k.Child, identity(k.Child)), k.Child.only(), strings.Join(set, ", "), childKey, k.Child.texts("c.", k.SetColumns))
		}
	}
	f.body = body.String()
	f.triggers = []trigger{{"tombstone_revive", t, "AFTER UPDATE OF " + ident(p.Marker), dead(p, "OLD."), "", false}}
	return f
}

// archivedUnder writes a query for the rows in the archive that the deletion d took from a table that is not protected because of a key, and from
// those that cascade from it. reference tells a column of the parent's row. Values are compared as the key compares them: 1.0 refers to 1.00, and a
// date to a date, however the session writes it.
func archivedUnder(k *ForeignKey, keys []*ForeignKey, reference func(column string) string, from string, above []*ForeignKey) string {
	a := fmt.Sprintf("a%d", len(above))
	match := make([]string, len(k.Columns))
	for i, name := range k.Columns {
		match[i] = fmt.Sprintf("%s %s (%s.row OPERATOR(pg_catalog.->>) %s)::%s", reference(k.Refs[i]), k.Equal[i], a, literal(name), k.Child.typeOf(name))
	}
	// CASE, since rows of other tables may have what is not of the type.
	where := fmt.Sprintf("%[1]s.deletion OPERATOR(pg_catalog.=) d.id AND %[1]s.at OPERATOR(pg_catalog.=) d.at AND %[1]s.relation OPERATOR(pg_catalog.=) %[2]s AND CASE WHEN %[1]s.relation OPERATOR(pg_catalog.=) %[2]s THEN %[3]s END",
		a, regclass(k.Child), strings.Join(match, " AND "))
	if from == "" {
		from = fmt.Sprintf("tombstone.archive %s WHERE %s", a, where)
	} else {
		from = fmt.Sprintf("tombstone.archive %s, %s AND %s", a, from, where)
	}
	query := fmt.Sprintf("SELECT %s.id FROM %s", a, from)
	above = append(slices.Clone(above), k)
	for _, below := range keys {
		if below.Parent == k.Child && below.OnDelete == 'c' && !slices.Contains(above, below) {
			query += "\nUNION " + archivedUnder(below, keys, func(column string) string {
				return fmt.Sprintf("(%s.row OPERATOR(pg_catalog.->>) %s)::%s", a, literal(column), k.Child.typeOf(column))
			}, from, above)
		}
	}
	return query
}
