package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"tombstone/policy/catalog"
)

// house is the schema of everything that the database's half needs and that is not a table's own.
const house = "tombstone"

// ident writes a name as SQL.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// plain writes a name for a person to read: without quotes where it needs none.
func plain(name string) string {
	for i, c := range name {
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return ident(name)
		}
	}
	if name == "" {
		return ident(name)
	}
	return name
}

// shown writes the name of a relation as a person has to write it: it can be fed back.
func shown(n catalog.Name) string { return plain(n.Schema) + "." + plain(n.Relation) }

func full(n catalog.Name) string { return ident(n.Schema) + "." + ident(n.Relation) }

// remark writes a line of comment in code. A name may have a new line in it, and SQL behind that.
func remark(parts ...string) string {
	return "-- " + strings.Join(strings.Fields(strings.Map(printable, strings.Join(parts, " of "))), " ")
}

// regclass writes a table as a value.
func regclass(t *Table) string { return literal(full(t.Name)) + "::pg_catalog.regclass" }

// idents writes names with a prefix before each, such as an alias, separated by commas.
func idents(prefix string, names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = prefix + ident(n)
	}
	return strings.Join(list, ", ")
}

// literal writes a string as SQL, whatever standard_conforming_strings says.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// maxName is the length of the longest name, in bytes: NAMEDATALEN - 1 of a server as it is usually built.
const maxName = 63

// named joins parts to the name of a thing of ours that is a table's. One that is too long ends in a hash of the whole.
func named(parts ...string) string { return short(strings.Join(parts, "_")) }

// dotted joins parts to the name of a function, so that no others give the same.
//
// Without the dots, app.user_roles and app_user.roles share theirs, and what is prepared last is called for both.
func dotted(parts ...string) string {
	list := make([]string, len(parts))
	for i, p := range parts {
		list[i] = strings.ReplaceAll(p, ".", "..")
	}
	return short(strings.Join(list, "."))
}

func short(name string) string {
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	end := "_" + hex.EncodeToString(sum[:4])
	cut := maxName - len(end)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + end
}

// dollars quotes a body of code. Names in it may have been chosen to end it early.
func dollars(body string) string {
	tag := "$tombstone$"
	for i := 1; strings.Contains(body, tag); i++ {
		tag = fmt.Sprintf("$tombstone%d$", i)
	}
	return tag + body + tag
}
