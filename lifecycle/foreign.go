package lifecycle

import (
	"fmt"
	"slices"
	"strings"
)

// matches writes that a row of the child refers to a row of the parent: parent and child are aliases with a point. OLD and NEW are rows of a
// trigger.
func (k *ForeignKey) matches(parent, child string) string {
	list := make([]string, len(k.Columns))
	for i := range k.Columns {
		list[i] = parent + ident(k.Refs[i]) + " " + k.Equal[i] + " " + child + ident(k.Columns[i])
	}
	if k.Part != nil && (parent == "OLD." || parent == "NEW.") {
		list = append(list, "TG_RELID OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT t.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree("+regclass(k.Part)+") t))")
	}
	return strings.Join(list, " AND ")
}

// referred is what it refers to.
func (k *ForeignKey) referred() *Table {
	if k.Part != nil {
		return k.Part
	}
	return k.Parent
}

// acts reports whether the key has something to do when a row of its parent is buried at once. The rest is done at the end of the
// transaction, if the session says so.
func (k *ForeignKey) acts() bool {
	return k.Parent.Protected != nil && !(k.OnDelete == 'a' && k.Deferrable)
}

// action writes what the key does when the row OLD of its parent is buried, as PL/pgSQL. It is what ON DELETE says, on live rows.
// then is what is done when it has changed some.
func (k *ForeignKey) action(identity []string, then string) string {
	child := k.Child
	where := k.matches("OLD.", "c.")
	if child.Protected != nil {
		where += " AND " + live(child.Protected, "c.")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", remark(k.Name, child.Name.String()))
	switch {
	case k.OnDelete == 'c' && child.Protected != nil:
		fmt.Fprintf(&b, "UPDATE %s c SET %s\nWHERE %s;\n", child.only(), stamp(child.Protected), where)
		b.WriteString(then)
	case k.OnDelete == 'c':
		fmt.Fprintf(&b, `PERFORM pg_catalog.set_config('tombstone.parting', `+thisMessage+`, true); -- its rows move to the archive
DELETE FROM %s c WHERE %s;
PERFORM pg_catalog.set_config('tombstone.parting', COALESCE(parting, ''), true);
`, child.only(), where)
	case k.OnDelete == 'n', k.OnDelete == 'd':
		value := map[byte]string{'n': "NULL", 'd': "DEFAULT"}[k.OnDelete]
		set, was := make([]string, len(k.SetColumns)), make([]string, len(k.SetColumns))
		for i, name := range k.SetColumns {
			set[i] = ident(name) + " = " + value
			was[i] = k.refOf(name)
		}
		// What an earlier deletion cut of the same reference has been changed since.
		b.WriteString(byIndex(k.forget(identity, where)))
		fmt.Fprintf(&b, `WITH cut AS (UPDATE %s c SET %s WHERE %s RETURNING %s AS key, %s AS became)
INSERT INTO tombstone.severed (deletion, at, relation, constraint_name, key, was, became)
SELECT pg_catalog.pg_current_xact_id(), pg_catalog.now(), %[6]s::pg_catalog.regclass, %[7]s, cut.key, %[8]s, cut.became FROM cut;
`, child.only(), strings.Join(set, ", "), where, child.texts("c.", identity), child.texts("c.", k.SetColumns), literal(full(child.Name)), literal(k.Name), k.Parent.texts("OLD.", was))
		b.WriteString(then)
		if k.OnDelete == 'd' { // the default may be the key that went: then nothing has changed, and nothing is looked at
			b.WriteString(k.check(where))
		}
	default:
		b.WriteString(k.check(where))
	}
	return b.String()
}

// unchanged is the condition that a row c refers to the row OLD by a key of SET DEFAULT, and still does when that has acted.
func (k *ForeignKey) unchanged() string {
	where := k.matches("OLD.", "c.")
	if k.Child.Protected != nil {
		where += " AND " + live(k.Child.Protected, "c.")
	}
	for _, name := range k.SetColumns {
		i := slices.Index(k.Columns, name)
		where += fmt.Sprintf(" AND OLD.%s %s (%s)", ident(k.Refs[i]), k.Equal[i], k.Child.defaultOf(name))
	}
	return where
}

// forget takes out what is noted of the references of rows c that are about to be cut: one at a time, by their keys. A join may go through all that is
// noted of the table first, and so may an index that begins with it, hence COALESCE.
func (k *ForeignKey) forget(identity []string, where string) string {
	return fmt.Sprintf(`FOR reference IN SELECT %[1]s FROM %[2]s c WHERE %[3]s LOOP
	DELETE FROM tombstone.severed s WHERE s.key OPERATOR(pg_catalog.=) reference
		AND COALESCE(s.relation OPERATOR(pg_catalog.=) %[4]s AND s.constraint_name OPERATOR(pg_catalog.=) %[5]s, false);
END LOOP;
`, k.Child.texts("c.", identity), k.Child.only(), where, regclass(k.Child), literal(k.Name))
}

// cuts reports whether ON DELETE takes the reference from rows that stay.
func (k *ForeignKey) cuts() bool { return k.OnDelete == 'n' || k.OnDelete == 'd' }

// refOf is the column of the parent that one of the child refers to.
func (k *ForeignKey) refOf(column string) string {
	for i, name := range k.Columns {
		if name == column {
			return k.Refs[i]
		}
	}
	return ""
}

// check writes the error of a key that does not let the row OLD go.
func (k *ForeignKey) check(where string) string {
	again := ""
	if k.OnDelete != 'r' { // another row may have its key by now
		again = fmt.Sprintf(" AND NOT EXISTS (SELECT FROM %s p WHERE %s AND %s)", k.referred().only(), k.sameKey(), live(k.Parent.Protected, "p."))
	}
	name := literal(k.Name)
	if k.Parent.Kind == 'p' {
		name = k.ofPartition()
	}
	return fmt.Sprintf(`PERFORM FROM %s c WHERE %s FOR KEY SHARE OF c;
IF FOUND%s THEN
	IF %s THEN
		PERFORM tombstone.outrun(NEW.tableoid::pg_catalog.regclass, NEW.ctid, pg_catalog.current_setting('search_path'));
	END IF;
	RAISE foreign_key_violation USING
		MESSAGE = pg_catalog.format('update or delete on table "%%s" violates foreign key constraint "%%s" on table "%%s"', TG_TABLE_NAME, %s, %s),
		DETAIL = pg_catalog.format('Key (%%s)=(%%s) is still referenced from table "%%s".', %s, pg_catalog.concat_ws(', ', %s), %s),
		SCHEMA = %s, TABLE = %s, CONSTRAINT = %s;
END IF;
`, k.Child.only(), where, again, aboveReadCommitted,
		name, literal(k.Child.Relation),
		literal(strings.Join(k.Refs, ", ")), idents("OLD.", k.Refs), literal(k.Child.Relation),
		literal(k.Child.Schema), literal(k.Child.Relation), name)
}

// ofPartition writes the name that the key has for the partition of the parent that the row OLD is in: there is one for each, and the server's
// error names that.
func (k *ForeignKey) ofPartition() string {
	return fmt.Sprintf(`COALESCE((WITH RECURSIVE own AS (
		SELECT o.oid, o.conname, o.confrelid FROM pg_catalog.pg_constraint o
		WHERE o.conrelid OPERATOR(pg_catalog.=) %[1]s::pg_catalog.regclass AND o.conname OPERATOR(pg_catalog.=) %[2]s AND o.contype OPERATOR(pg_catalog.=) 'f'
		UNION ALL SELECT o.oid, o.conname, o.confrelid FROM own JOIN pg_catalog.pg_constraint o ON o.conparentid OPERATOR(pg_catalog.=) own.oid
		WHERE o.conrelid OPERATOR(pg_catalog.=) %[1]s::pg_catalog.regclass
	) SELECT own.conname FROM own WHERE own.confrelid OPERATOR(pg_catalog.=) TG_RELID), %[2]s)`, literal(full(k.Child.Name)), literal(k.Name))
}

// sameKey writes that a row p of the parent has the key of OLD.
func (k *ForeignKey) sameKey() string {
	list := make([]string, len(k.Refs))
	for i, name := range k.Refs {
		list[i] = "p." + ident(name) + " " + k.Same[i] + " OLD." + ident(name)
	}
	return strings.Join(list, " AND ")
}

// only is the table as the server's own foreign keys name it: a partitioned one with its partitions, any other alone.
func (t *Table) only() string {
	if t.Kind == 'p' {
		return full(t.Name)
	}
	return "ONLY " + full(t.Name)
}
