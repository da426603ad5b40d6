package policy

import (
	"slices"
	"strings"
	"testing"
)

// The columns of what is only observed have to be known before anything can be said of it.
func TestMarkersOfObserved(t *testing.T) {
	s := resolve(t, `
  - {name: public.users}
  - {name: public.orders, mode: observe, marker: removed}
  - {name: public.items, mode: "off", marker: gone}
`)
	if got := s.policy.Markers(); !slices.Equal(got, []string{"deleted_at", "removed"}) {
		t.Error(got)
	}
}

// What is not ready to be enforced is told beside the warnings, and does not keep anybody from learning what would be done.
func TestMissing(t *testing.T) {
	audit := rel("public.audited", 'r', stamp(tz))
	wrong := rel("public.wrong", 'r', stamp("text"))
	s := resolve(t, `
  - {name: public.bare, mode: observe}
  - {name: public.audited, mode: observe, deleted_by: who}
  - {name: public.wrong, mode: observe}
  - {name: public.enforced}
`, rel("public.bare", 'r', nil), audit, wrong, rel("public.enforced", 'r', nil))
	var got []string
	for _, w := range s.Missing() {
		got = append(got, w.Table+": "+w.Fix)
	}
	want := []string{
		"public.audited: Add it: ALTER TABLE public.audited ADD COLUMN who text;",
		"public.bare: Add it: ALTER TABLE public.bare ADD COLUMN deleted_at timestamptz;",
		"public.wrong: Use a marker of type timestamptz, timestamp, date, boolean, integer or bigint.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("missing:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if list := s.Warnings(); len(list) != 1 || list[0].Table != "public.enforced" {
		t.Errorf("warnings: %v", list)
	}
	for name, want := range map[string]string{"public.bare": "protected by deleted_at", "public.audited": "protected by deleted_at", "public.wrong": "problem", "public.enforced": "problem"} {
		if got := found(s.Observing(), name); got != want {
			t.Errorf("observing, %s: %s, want %s", name, got, want)
		}
	}
	if resolve(t, "  - {name: public.users}\n").Observing() != nil {
		t.Error("a Set that observes nothing has another beside it")
	}
}

// A child of a protected table is protected, whatever is said of it; so there is nothing to observe.
func TestObservedChildOfProtected(t *testing.T) {
	parent, child := rel("public.events", 'p', stamp(tz)), rel("public.events_1", 'r', stamp(tz))
	parent.OID, child.OID, child.Parents = 1, 2, []uint32{1}
	s := resolve(t, "  - {name: public.events}\n  - {name: public.events_1, mode: observe}\n", parent, child)
	if found(s, "public.events_1") != "protected by deleted_at" {
		t.Error("the child is not protected")
	}
	if table, _ := s.Observing().Find("public", "events_1"); table == nil || table.Observed {
		t.Errorf("%+v", table)
	}
	s = resolve(t, "  - {name: public.events, mode: observe}\n", parent, child)
	if table, _ := s.Observing().Find("public", "events_1"); table == nil || !table.Observed {
		t.Errorf("of an observed parent: %+v", table)
	}
}
