package lifecycle

import (
	"fmt"
	"strings"
)

// deferred is the check of a key that may be left to the end of the transaction. It has the key's own name, so that SET CONSTRAINTS
// finds it, unless the table has another constraint of that name.
func (d *Database) deferred(k *ForeignKey) *function {
	name := k.Name
	if k.taken {
		name = named("tombstone.restrict", k.Name)
	}
	body := k.stillReferred()
	if group := d.group(k.Parent); d.entangled(group) {
		body = fmt.Sprintf("IF pg_catalog.current_setting(%s, true) OPERATOR(pg_catalog.=) %s THEN\n\tPERFORM pg_catalog.set_config(%s, 'yes', true); -- see hold\n\tRETURN NULL;\nEND IF;\n",
			literal(setting("following", group)), lessDeep, literal(k.due())) + body
	}
	return &function{
		name: dotted(k.Child.Schema, k.Child.Relation, k.Name, "restrict"), result: "NULL",
		body:     body,
		about:    fmt.Sprintf("After a row of %s is deleted: no row of %s may refer to it (%s).", k.Parent.Name, k.Child.Name, k.Name),
		triggers: []trigger{{name, k.referred(), "AFTER UPDATE OF " + ident(k.Parent.Protected.Marker), burying(k.Parent), k.deferrable(), false}},
	}
}

// stillReferred writes the error of a deferrable key whose row OLD is still referred to.
func (k *ForeignKey) stillReferred() string {
	where := k.matches("OLD.", "c.")
	if k.Child.Protected != nil {
		where += " AND " + live(k.Child.Protected, "c.")
	}
	return k.check(where) + "IF " + aboveReadCommitted + " THEN\n" + indent(probe(literal(ident(k.Child.Schema)+"."+ident(k.Name)))) + "END IF;\n"
}

// due is the setting that says that a deferrable key is to be looked at before the end of the statement.
func (k *ForeignKey) due() string {
	return "tombstone.due_" + hash(k.Child.Name.String()+" "+k.Name)
}

// hold looks at the deferrable keys to rows that others have taken along, on their level: nil if there can be none.
//
// The trigger of the key itself is called when the UPDATE that takes a row along ends, which is too early: what refers to the row may be taken along
// on the same level, because of another row or key. Whether the key is deferred in this session only that trigger can tell, by being called.
func (d *Database) hold(t *Table) *function {
	var body strings.Builder
	for _, k := range d.Keys {
		if k.Parent == t && !k.acts() {
			fmt.Fprintf(&body, "IF pg_catalog.current_setting(%s, true) OPERATOR(pg_catalog.=) 'yes' THEN\n%sEND IF;\n", literal(k.due()), indent(remark(k.Name, k.Child.Name.String())+"\n"+k.stillReferred()))
		}
	}
	group := d.group(t)
	if body.Len() == 0 || !d.entangled(group) {
		return nil
	}
	condition := fmt.Sprintf("%s AND pg_catalog.current_setting(%s, true) OPERATOR(pg_catalog.=) %s", burying(t), literal(setting("following", group)), depth)
	return &function{
		name: dotted(t.Schema, t.Relation, "hold"), result: "NULL", body: body.String(),
		about:    "After a row of " + t.Name.String() + " is taken along: no row may refer to it by a deferrable key.",
		triggers: []trigger{{ofGroup(holding, group), t, "AFTER UPDATE OF " + ident(t.Protected.Marker), condition, initiallyDeferred, false}},
	}
}

// holding is the name of the trigger that does so. It comes after the one that follows keys.
const holding = "First_tombstone_hold"

func (k *ForeignKey) deferrable() string {
	switch {
	case k.Deferred:
		return initiallyDeferred
	case k.Deferrable:
		return "DEFERRABLE INITIALLY IMMEDIATE"
	}
	return ""
}
