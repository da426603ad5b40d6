package policy

import (
	"testing"

	"tombstone/config"
	"tombstone/policy/catalog"
)

// A table that is off, or only observed, is not protected, though a wildcard means it too.
func TestModes(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte(`
listen: 127.0.0.1:6432
upstream: postgres://127.0.0.1:5432
tables:
  - {name: public.off, mode: "off"}
  - {name: public.observed, mode: observe}
  - name: "public.*"
`))
	if err != nil {
		t.Fatal(err)
	}
	column := []catalog.Column{{Name: "deleted_at", Type: "timestamp with time zone"}}
	var relations []catalog.Relation
	for i, name := range []string{"off", "observed", "on"} {
		relations = append(relations, catalog.Relation{OID: uint32(i + 1), Name: catalog.Name{Schema: "public", Relation: name}, Kind: 'r', Columns: column})
	}
	known, err := catalog.New("db", relations)
	if err != nil {
		t.Fatal(err)
	}
	p := New(c.Tables, c.Bodies)
	if !p.Observes() {
		t.Error("nothing is observed")
	}
	for _, try := range []struct {
		p                 *Policy
		off, observed, on bool
	}{{p, false, false, true}, {p.Observing(), false, true, true}} {
		set := try.p.Resolve(known)
		for name, want := range map[string]bool{"off": try.off, "observed": try.observed, "on": try.on} {
			table, _ := set.Find("public", name)
			if (table != nil) != want {
				t.Errorf("%s: protected %t", name, table != nil)
			}
			if table != nil && table.Observed != (name == "observed") {
				t.Errorf("%s: observed %t", name, table.Observed)
			}
		}
	}
}

// What is said outright of a table goes for its partitions, before a wildcard that matches them too.
func TestPartitionsGoByTheirTable(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte(`
listen: 127.0.0.1:6432
upstream: postgres://127.0.0.1:5432
tables:
  - {name: "*.*", retention: 30d}
  - {name: public.kept, retention: forever, hold: "true"}
  - {name: public.off, mode: "off"}
`))
	if err != nil {
		t.Fatal(err)
	}
	column := []catalog.Column{{Name: "deleted_at", Type: "timestamp with time zone"}}
	relation := func(oid uint32, name string, parents ...uint32) catalog.Relation {
		return catalog.Relation{OID: oid, Name: catalog.Name{Schema: "public", Relation: name}, Kind: 'p', Columns: column, Parents: parents}
	}
	known, err := catalog.New("db", []catalog.Relation{
		relation(1, "kept"), relation(2, "kept_a", 1), relation(3, "kept_a_b", 2), relation(4, "off"), relation(5, "off_a", 4), relation(6, "other"), relation(7, "other_a", 6),
	})
	if err != nil {
		t.Fatal(err)
	}
	set := New(c.Tables, c.Bodies).Resolve(known)
	for name, want := range map[string]string{"kept": "0s true", "kept_a": "0s true", "kept_a_b": "0s true", "off": "", "off_a": "", "other": "720h0m0s ", "other_a": "720h0m0s "} {
		got := ""
		if table, _ := set.Find("public", name); table != nil {
			got = table.Retention.String() + " " + table.Hold
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A view that shows the marker of one table, and rows of another that is protected too, is told of.
func TestHalfShown(t *testing.T) {
	c, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:6432\nupstream: postgres://127.0.0.1:5432\ntables: [{name: public.a}, {name: public.b}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	column := []catalog.Column{{Name: "deleted_at", Type: "timestamp with time zone"}}
	name := func(n string) catalog.Name { return catalog.Name{Schema: "public", Relation: n} }
	known, err := catalog.New("db", []catalog.Relation{
		{OID: 1, Name: name("a"), Kind: 'r', Columns: column}, {OID: 2, Name: name("b"), Kind: 'r', Columns: column},
		{OID: 3, Name: name("half"), Kind: 'v', Columns: column, Reads: []uint32{1, 2}, Shows: []uint32{1}},
		{OID: 4, Name: name("tested"), Kind: 'v', Columns: column, Reads: []uint32{1, 2}, Shows: []uint32{1}, Tests: []uint32{2}},
		{OID: 5, Name: name("one"), Kind: 'v', Columns: column, Reads: []uint32{1}, Shows: []uint32{1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list := New(c.Tables, c.Bodies).Resolve(known).Warnings()
	if len(list) != 1 || list[0].Table != "public.b" {
		t.Errorf("%+v", list)
	}
}
