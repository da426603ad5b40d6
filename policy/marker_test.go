package policy

import (
	"strings"
	"testing"

	"tombstone/policy/catalog"
)

// What tells a live row follows from the marker's type, its default and
// whether it may be NULL.
func TestLive(t *testing.T) {
	for _, c := range []struct {
		column catalog.Column
		live   string
		want   Live
	}{
		{catalog.Column{Type: tz}, "auto", Live{Null, true}},
		{catalog.Column{Type: "timestamp(3) without time zone"}, "auto", Live{Null, true}},
		{catalog.Column{Type: "date", NotNull: true, Default: "'infinity'::date"}, "auto", Live{Infinity, false}},
		{catalog.Column{Type: tz}, "infinity", Live{Infinity, true}},
		{catalog.Column{Type: "boolean", NotNull: true, Default: "false"}, "auto", Live{False, false}},
		{catalog.Column{Type: "boolean"}, "auto", Live{False, true}},
		{catalog.Column{Type: "bigint", NotNull: true}, "auto", Live{Zero, false}},
		{catalog.Column{Type: "integer"}, "auto", Live{Zero, true}},
	} {
		c.column.Name = "deleted_at"
		child := rel("public.child", 'r', []catalog.Column{c.column})
		child.Parents = []uint32{100}
		s := resolve(t, "  - {name: public.t, live: "+c.live+"}\n", rel("public.t", 'r', []catalog.Column{c.column}), child)
		for _, name := range []string{"t", "child"} {
			if table, _ := s.Find("public", name); table.Problem != "" || table.Live != c.want {
				t.Errorf("%s %+v: %+v, want %+v", name, c.column, table.Live, c.want)
			}
		}
	}
}

// A deletion that cannot be recorded as the policy says is not made; reads go
// on as they were.
func TestAudit(t *testing.T) {
	columns := append(stamp(tz), catalog.Column{Name: "who", Type: "character varying(30)"}, catalog.Column{Name: "id8", Type: "xid8"})
	for _, c := range []struct{ fields, problem string }{
		{"deleted_by: who, deletion_id: id8", ""},
		{"deletion_id: id", "is of type integer"},
		{"deleted_by: nobody", "has no column"},
	} {
		s := resolve(t, "  - {name: public.t, "+c.fields+"}\n", rel("public.t", 'r', columns))
		table, _ := s.Find("public", "t")
		if table.Unmarked || table.Unreadable || (table.Problem == "") != (c.problem == "") || !strings.Contains(table.Problem, c.problem) {
			t.Errorf("%s: %q", c.fields, table.Problem)
		}
		if c.problem == "" && (len(table.Audit) != 2 || table.Audit[0].Type != "character varying(30)" || table.Audit[1].What != Deletion) {
			t.Errorf("%s: %+v", c.fields, table.Audit)
		}
	}
}
