package policy

import (
	"fmt"
	"strings"
	"testing"

	"tombstone/config/configtest"
	"tombstone/policy/catalog"
)

// stamp is the columns of a table that has a marker.
func stamp(typ string) []catalog.Column {
	return []catalog.Column{{Name: "id", Type: "integer"}, {Name: "deleted_at", Type: typ}}
}

func resolve(t *testing.T, tables string, relations ...catalog.Relation) *Set {
	t.Helper()
	c := configtest.Parse(t, "tables:\n"+tables)
	for i := range relations {
		if relations[i].OID == 0 {
			relations[i].OID = uint32(100 + i)
		}
	}
	cat, err := catalog.New("shop", relations)
	if err != nil {
		t.Fatal(err)
	}
	return New(c.Tables, c.Bodies).Resolve(cat)
}

func rel(name string, kind byte, columns []catalog.Column) catalog.Relation {
	schema, relation, _ := strings.Cut(name, ".")
	return catalog.Relation{Name: catalog.Name{Schema: schema, Relation: relation}, Kind: kind, Columns: columns}
}

const tz = "timestamp with time zone"

// found says in a word what a name stands for.
func found(s *Set, name string) string {
	schema, relation, _ := strings.Cut(name, ".")
	switch t, i := s.Find(schema, relation); {
	case t != nil && t.Problem != "":
		return "problem"
	case t != nil:
		return "protected by " + t.Marker
	case i != nil:
		if i.View() {
			return "view over " + i.Over.String()
		}
		return "table over " + i.Over.String()
	}
	return "-"
}

func TestResolve(t *testing.T) {
	view := rel("public.active", 'v', nil)
	view.Reads = []uint32{1}
	viewOfView := rel("public.twice", 'v', nil)
	viewOfView.Reads = []uint32{2}
	whole, halved, otherType := rel("public.whole", 'v', stamp(tz)), rel("public.halved", 'm', stamp("timestamp(3) with time zone")), rel("public.other_type", 'v', stamp("date"))
	whole.OID, whole.Reads, halved.Reads, otherType.Reads = 20, []uint32{2, 1}, []uint32{20}, []uint32{1}
	users := rel("public.users", 'r', stamp(tz))
	users.OID, view.OID = 1, 2
	child := rel("public.users_old", 'r', stamp(tz))
	child.OID, child.Parents = 3, []uint32{1}
	grandchild := rel("public.users_older", 'r', stamp(tz))
	grandchild.Parents = []uint32{3}
	parent := rel("public.everybody", 'r', nil)
	parent.OID = 9
	users.Parents = []uint32{9}
	overParent := rel("public.over_parent", 'v', stamp(tz))
	overParent.Reads = []uint32{9}
	s := resolve(t, "  - name: public.users\n  - name: public.not_there\n  - {name: archive.*, marker: deleted_at}\n",
		overParent, halved, viewOfView, view, whole, otherType, users, grandchild, child, parent,
		rel("other.users", 'r', stamp(tz)), rel("public.plain", 'r', nil),
		rel("archive.a", 'r', stamp("date")), rel("archive.without", 'r', nil), rel("archive.flag", 'r', stamp("boolean")), rel("archive.text", 'r', stamp("text")),
		rel("archive.v", 'v', stamp(tz)))
	for name, want := range map[string]string{
		"public.users":       "protected by deleted_at",
		"other.users":        "-",
		"public.plain":       "-",
		"public.active":      "view over public.users",
		"public.twice":       "view over public.users",
		"public.whole":       "protected by deleted_at", // it shows the marker
		"public.halved":      "protected by deleted_at",
		"public.other_type":  "view over public.users",
		"public.users_old":   "protected by deleted_at",
		"public.users_older": "protected by deleted_at",
		"public.everybody":   "table over public.users", // a parent shows its children's rows
		"public.over_parent": "view over public.users",  // its marker is also other children's
		"public.not_there":   "protected by deleted_at", // named outright, so before it exists
		"archive.a":          "protected by deleted_at",
		"archive.without":    "-", // a wildcard means tables that have the marker
		"archive.flag":       "protected by deleted_at",
		"archive.text":       "problem",
		"archive.v":          "-", // its own column, not a protected table's
	} {
		if got := found(s, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if !s.Named("users") || s.Named("plain") || !s.Covers("anything") {
		t.Error("Named or Covers is wrong")
	}
}

func TestAnExactNameBeatsAWildcard(t *testing.T) {
	for _, tables := range []string{
		"  - {name: \"*.*\", marker: gone}\n  - name: public.users\n",
		"  - name: public.users\n  - {name: \"*.*\", marker: gone}\n",
	} {
		columns := append(stamp(tz), catalog.Column{Name: "gone", Type: tz})
		s := resolve(t, tables, rel("public.users", 'r', columns), rel("public.others", 'r', columns))
		if a, b := found(s, "public.users"), found(s, "public.others"); a != "protected by deleted_at" || b != "protected by gone" {
			t.Errorf("%s: %s, %s", tables, a, b)
		}
	}
}

func TestMentions(t *testing.T) {
	s := resolve(t, "  - name: public.users\n  - name: 'public.\"a\"\"b\"'\n")
	for text, want := range map[string]bool{
		"select * from users":     true,
		"SELECT * FROM USERS":     true,
		"select 'users'":          true, // errs towards yes
		"select * from my_usersx": true,
		`select * from "a""b"`:    true,
		"select * from orders":    false,
		"":                        false,
	} {
		if got := s.Mentions(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAssume(t *testing.T) {
	c := configtest.Parse(t, "tables: [{name: \"*.*\"}]\n")
	s := New(c.Tables, c.Bodies).Assume()
	if got := found(s, "public.whatever"); got != "protected by deleted_at" {
		t.Error(got)
	}
	if got := found(s, "public.pg_class"); got != "-" {
		t.Errorf("pg_class: %s", got)
	}
	if !s.Exists("public", "whatever") || !s.Mentions("anything") {
		t.Error("an assumed table is not taken to exist")
	}
}

func TestWarnings(t *testing.T) {
	countries, users, orders := rel("public.countries", 'r', nil), rel("public.users", 'r', stamp(tz)), rel("public.orders", 'r', nil)
	countries.OID, users.OID, orders.OID = 1, 2, 3
	countries.CascadesTo, users.CascadesTo, users.ReferencedBy = []uint32{2}, []uint32{3}, []uint32{3}
	s := resolve(t, "  - name: public.users\n  - name: public.orders\n", countries, users, orders)
	w := s.Warnings()
	if len(w) != 2 || !strings.Contains(w[0].Problem, `"public.orders" has no column "deleted_at"`) ||
		!strings.Contains(w[1].Problem, `"public.countries", which is not protected`) || w[1].Fix != "Protect public.countries as well." {
		t.Errorf("%+v", w)
	}
	if fmt.Sprint(s.Unfollowed()) != "map[public.users:[public.orders]]" {
		t.Errorf("%v", s.Unfollowed())
	}
}

func TestReferencing(t *testing.T) {
	countries, users, orders := rel("public.countries", 'r', nil), rel("public.users", 'r', stamp(tz)), rel("public.orders", 'r', stamp(tz))
	countries.OID, users.OID, orders.OID = 1, 2, 3
	countries.ReferencedBy, users.ReferencedBy, orders.ReferencedBy = []uint32{2}, []uint32{3}, []uint32{2}
	s := resolve(t, "  - name: public.users\n  - name: public.orders\n", countries, users, orders)
	var names []string
	for _, table := range s.Referencing("public", "countries") {
		names = append(names, table.String())
	}
	if fmt.Sprint(names) != "[public.users public.orders]" {
		t.Errorf("%v", names)
	}
	table, _ := s.Find("public", "users")
	if fmt.Sprint(table.ReferencedBy) != "[public.orders]" {
		t.Errorf("%v", table.ReferencedBy)
	}
}
