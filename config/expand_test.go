package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	environment := map[string]string{"HOST": "db", "EMPTY": "", "NESTED": "${HOST}", "_x1": "y"}
	lookup := func(name string) (string, bool) { s, ok := environment[name]; return s, ok }
	for in, want := range map[string]string{
		"":                       "",
		"plain $HOST $$ }":       "plain $HOST $$ }",
		"${HOST}":                "db",
		"a${HOST}b${_x1}c":       "adbbyc",
		"${EMPTY}":               "",
		"${EMPTY:-x}":            "x",
		"${UNSET:-}":             "",
		"${UNSET:-a:-b c}d":      "a:-b cd",
		"${HOST:-x}":             "db",
		"$${HOST}":               "${HOST}",
		"$$${HOST}":              "$${HOST}",
		"$${${HOST}}":            "${db}",
		"${NESTED}":              "${HOST}",
		"${UNSET:-$HOST} ${_x1}": "$HOST y",
	} {
		if got, err := expand(in, lookup, nil); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"${", "${HOST", "${}", "${1}", "${A B}", "${A-b}", "${A:b}", "${UNSET}", "${UNSET:-${HOST}}", "${ü}"} {
		if got, err := expand(in, lookup, nil); err == nil {
			t.Errorf("%s was accepted as %q", in, got)
		}
	}
}

// A variable gives one value. It adds no fields, whatever it holds.
func TestVariablesCannotInjectYAML(t *testing.T) {
	t.Setenv("TOMBSTONE_TEST", "127.0.0.1:1\nlog: {literals: true}")
	_, err := Parse("test.yaml", []byte(smallest+"admin: ${TOMBSTONE_TEST}\n"))
	if err == nil || strings.Contains(err.Error(), "literals") {
		t.Errorf("error %v", err)
	}
}

func TestVariablesInTypedFields(t *testing.T) {
	for name, content := range map[string]string{"B": "true", "N": "7", "S": "1MiB", "D": "2w", "T": "shop.items", "L": "warn"} {
		t.Setenv("TOMBSTONE_TEST_"+name, content)
	}
	c := mustParse(t, smallest+`
tables:
  - name: ${TOMBSTONE_TEST_T}
    retention: ${TOMBSTONE_TEST_D}
    truncate: ${TOMBSTONE_TEST_UNSET:-deny}
log: {literals: "${TOMBSTONE_TEST_B}", level: "${TOMBSTONE_TEST_L}"}
limits: {connections: "${TOMBSTONE_TEST_N}", statement_bytes: "${TOMBSTONE_TEST_S}"}
`)
	table := c.Tables[0]
	if table.Name != "shop.items" || !table.Matches("shop", "items") || table.Retention.Hours() != 14*24 || table.Truncate != "deny" ||
		!c.Log.Literals || c.Log.Level.String() != "WARN" || c.Limits.StatementBytes != 1<<20 || c.Limits.Connections != 7 {
		t.Errorf("%+v", c)
	}
}

// In the user part of the URL a variable is literal: no character of a password moves the @ or the host.
func TestVariablesInUpstream(t *testing.T) {
	const password = `p@ss/w:o#r?d%zz +${X}`
	t.Setenv("TOMBSTONE_TEST_PW", password)
	t.Setenv("TOMBSTONE_TEST_HOST", "db.example:6000")
	t.Setenv("TOMBSTONE_TEST_URL", "postgres://app:p%40ss@db.example/shop")
	db, example, usual := tcp("db", "db:5432"), tcp("db.example", "db.example:6000"), tcp("db.example", "db.example:5432")
	for in, want := range map[string]Upstream{
		"postgres://app:${TOMBSTONE_TEST_PW}@db/shop":                     upstream(login("app", password, "shop"), db),
		"postgres://app:${TOMBSTONE_TEST_PW}@${TOMBSTONE_TEST_HOST}/shop": upstream(login("app", password, "shop"), example),
		"postgres://app:${TOMBSTONE_TEST_PW}@db,${TOMBSTONE_TEST_HOST}":   upstream(login("app", password, ""), db, example),
		"postgres://app:${TOMBSTONE_TEST_UNSET:-a@b/c}@db":                upstream(login("app", "a@b/c", ""), db),
		"postgres://${TOMBSTONE_TEST_HOST}/shop":                          upstream(login("", "", "shop"), example),
		"${TOMBSTONE_TEST_URL}":                                           upstream(login("app", "p@ss", "shop"), usual),
		"postgres:///${TOMBSTONE_TEST_UNSET:-shop}?host=/s":               upstream(localLogin("", "", "shop"), unix("/s/.s.PGSQL.5432")),
	} {
		c := mustParse(t, "listen: :6432\nupstream: "+in+"\n")
		if !reflect.DeepEqual(c.Upstream, want) {
			t.Errorf("%s: %s, password %q; want %s", in, c.Upstream, c.Upstream.Password, want)
		}
	}
}
