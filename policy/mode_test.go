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
