package config

import "testing"

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		name, schema, relation string
		want                   bool
	}{
		{"public.users", "public", "users", true},
		{"Public.USERS", "public", "users", true},
		{"public.users", "public", "Users", false},
		{"public.users", "shop", "users", false},
		{`public."Users"`, "public", "Users", true},
		{`public."Users"`, "public", "users", false},
		{`"a.b"."c""d"`, "a.b", `c"d`, true},
		{`public."*"`, "public", "*", true},
		{`public."*"`, "public", "users", false},
		{"*.*", "shop", "Users", true},
		{"*.users", "shop", "users", true},
		{"*.users", "shop", "users2", false},
		{"*.users", "pg_temp_3", "users", false},
		{"*.*", "pg_catalog", "pg_class", false},
		{"?nformation_schema.*", "information_schema", "tables", false},
		{"public.user_?", "public", "user_1", true},
		{"public.user_?", "public", "user_é", true},
		{"public.user_?", "public", "user_", false},
		{"public.*_log", "public", "a_log_log", true},
		{"public.*_log", "public", "_log", true},
		{"public.*_log", "public", "a_logs", false},
		{"public.a*b*c", "public", "aXbYbZc", true},
		{"public.a*b*c", "public", "aXcYb", false},
		{"public.Ünit$1", "public", "Ünit$1", true},
		{"public.Ünit$1", "public", "ünit$1", false},
		{"tenant_*.users", "tenant_a", "users", true},
	} {
		var table Table
		table, err := table.parseName(plainValue(c.name))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := table.Matches(c.schema, c.relation); got != c.want {
			t.Errorf("%s matches %s.%s: %v, want %v", c.name, c.schema, c.relation, got, c.want)
		}
	}
}

func TestGlob(t *testing.T) {
	for name, want := range map[string]bool{
		"public.users": false, `"*"."?"`: false, "*.users": true, "public.user?": true, `*."Users"`: true,
	} {
		table, err := Table{}.parseName(plainValue(name))
		if err != nil || table.Glob() != want {
			t.Errorf("%s: %v, %v; want %v", name, table.Glob(), err, want)
		}
	}
}

// The entry that names a table wins over any wildcard, wherever it stands.
func TestMatch(t *testing.T) {
	c := mustParse(t, smallest+`
tables:
  - name: "*.users"
  - name: public.*
  - name: public.users
`)
	for relation, line := range map[[2]string]int{
		{"public", "users"}: 7, {"shop", "users"}: 5, {"public", "orders"}: 6, {"shop", "orders"}: 0,
	} {
		got := c.Match(relation[0], relation[1])
		if got == nil && line != 0 || got != nil && got.Line != line {
			t.Errorf("%v goes by %+v, want line %d", relation, got, line)
		}
	}
}
