package catalog

import (
	"encoding/base64"
	"strings"
	"testing"
)

// answer writes a text as the server sends it.
func answer(text string) []byte { return []byte(base64.StdEncoding.EncodeToString([]byte(text))) }

func TestDecode(t *testing.T) {
	c, err := Decode(answer(`{"database": "shop", "relations": [
		{"oid": 7, "schema": "public", "name": "users", "kind": "r", "columns": [["id", "integer", false, true, "identity"], ["n", "integer", true, false, null]], "uniques": [["u", ["id", ""], null, true, false, true], ["w", ["n"], "(n > 1)", false, true, false]], "parents": [1], "reads": null, "referenced_by": [8, 9]},
		{"oid": 4294967295, "schema": "x", "name": "Odd \"Name\"", "kind": "v", "columns": null, "reads": [7]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Find(Name{"public", "users"})
	if u == nil || u.OID != 7 || u.Kind != 'r' || len(u.Columns) != 2 || !u.Columns[1].Generated || u.Column("n") != 1 || u.Columns[0].Default != Identity || !u.Columns[0].NotNull || len(u.Uniques) != 2 || u.Uniques[1].Where != "(n > 1)" || u.Column("x") != -1 || len(u.ReferencedBy) != 2 {
		t.Errorf("%+v", u)
	}
	if v := c.ByOID(1<<32 - 1); v == nil || v.Relation != `Odd "Name"` || v.Reads[0] != 7 {
		t.Errorf("%+v", v)
	}
	if empty, err := Decode(answer(`{"database": "shop", "relations": null}`)); err != nil || empty.Database != "shop" {
		t.Errorf("%+v %v", empty, err)
	}
}

// A half-read catalog must not come to be.
func TestDecodeRefuses(t *testing.T) {
	for _, field := range []string{
		"", "null row", `{"relations": [{"kind": ""}]}`, `{"relations": [{"kind": "rr"}]}`, `{"relations": [{"kind": "r", "columns": [[1, 2, 3]]}]}`,
		`{"relations": [{"kind": "r", "name": "a"}, {"kind": "r", "name": "a"}]}`, `{"relations": [{"kind": "r", "oid": -1}]}`,
	} {
		if c, err := Decode(answer(field)); err == nil {
			t.Errorf("%q: %+v", field, c)
		}
	}
	if _, err := DecodeNames(answer("{")); err == nil {
		t.Error("half an answer about names is taken")
	}
}

// Whatever the search_path of the session, the questions mean the same: every
// function, type and operator carries its schema.
func TestQueriesAreQualified(t *testing.T) {
	for _, sql := range []string{Asking{Client: "a", Rights: Rights([]string{"a"}, []string{"b", `it's`}, nil)}.SQL(), Asking{First: true}.SQL(), Query([]string{"deleted_at", "it's"})} {
		for _, bare := range []string{" = ", " <> ", " > ", "::text", " json_agg(", " current_schemas("} {
			if strings.Contains(sql, bare) {
				t.Errorf("%q is not qualified in %s", bare, sql)
			}
		}
	}
	if !strings.Contains(Query([]string{"it's"}), "'it''s'") {
		t.Error("a marker's quote is not doubled")
	}
}
