package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Asking is a question for the names in scope of a session: one row, one column of JSON, which [DecodeNames] reads.
type Asking struct {
	// First leaves the temporary relations out, which a server process that was started a moment ago does not have:
	// [Names.Unlisted] says if it does. Reading pg_class for the first time would be a quarter of all that the process does
	// for a client that connects, asks one thing, and leaves.
	First bool

	// Client is the client's address, which the server is told on this occasion as the setting tombstone.client; "" for nothing.
	// For the server itself all clients come from the proxy.
	Client string

	Rights string // also ask for these, see [Rights]; "" for not
}

// SQL is the question's text. current_schemas(true) leaves out schemas that do not exist or may not be used and puts pg_catalog
// and the temporary schema where the server looks for them. Settings that nobody has set are NULL, or empty once they were set.
func (a Asking) SQL() string {
	var b strings.Builder
	b.WriteString(namesBegin)
	if a.Client != "" {
		client := literal(a.Client)
		// Not again if it is there: that would begin a transaction's list of settings to be put back.
		b.WriteString(`, 'client', CASE WHEN COALESCE(pg_catalog.current_setting('tombstone.client', true) OPERATOR(pg_catalog.=) ` + client +
			`, false) THEN NULL ELSE pg_catalog.set_config('tombstone.client', ` + client + `, false) END`)
	}
	b.WriteString(a.Rights)
	if !a.First {
		b.WriteString(temporary)
	}
	b.WriteString(`)` + asASCIIEnd)
	return b.String()
}

const (
	namesBegin = `SELECT ` + asASCIIBegin + `pg_catalog.json_build_object(` +
		`'database', pg_catalog.current_database(), ` +
		`'path', pg_catalog.current_schemas(true), ` +
		`'isolation', pg_catalog.current_setting('transaction_isolation'), ` +
		`'asked', ARRAY[pg_catalog.current_setting('tombstone.visibility', true), pg_catalog.current_setting('tombstone.delete', true), ` +
		`pg_catalog.current_setting('tombstone.as_of', true)]`
	temporary = `, 'temp', ARRAY(SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,p,f,S}'::pg_catalog."char"[]))`
)

// Rights is the part of a question that asks what the current role may, being one of those that are listed or having their
// privileges: a member that does not inherit them has to SET ROLE first, as for any other privilege. A superuser has those of
// every role that is listed; where none is, nobody may. The role public stands for everybody. One that does not exist has
// no members. It returns "" if nobody may anything.
func Rights(see, restore, purge []string) string {
	if len(see)+len(restore)+len(purge) == 0 {
		return ""
	}
	return `, 'role', CURRENT_USER, 'may', ARRAY[` + anyOf(see) + `, ` + anyOf(restore) + `, ` + anyOf(purge) + `]`
}

// anyOf writes whether the current role has the privileges of one of these.
func anyOf(roles []string) string {
	if slices.Contains(roles, "public") {
		return `true`
	}
	if len(roles) == 0 {
		return `false`
	}
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = `(` + literal(`"`+strings.ReplaceAll(role, `"`, `""`)+`"`) + `)`
	}
	return `COALESCE((SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(pg_catalog.to_regrole(r.name)::pg_catalog.oid, 'USAGE')) FROM (VALUES ` +
		strings.Join(names, `, `) + `) AS r (name)), false)`
}

// literal writes a text that reads the same whatever client_encoding and standard_conforming_strings are.
func literal(text string) string {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '\\' || c == '\'' {
			return fmt.Sprintf(`pg_catalog.convert_from(pg_catalog.decode('%x', 'hex'), 'UTF8')`, text)
		}
	}
	return `'` + text + `'::pg_catalog.text`
}

// Names is the answer to an [Asking].
type Names struct {
	Database string   `json:"database"`
	Path     []string `json:"path"` // schemas in the order the server searches them
	Temp     []string `json:"temp"` // the session's temporary relations

	// Isolation is the transaction's. Above read committed what is read of
	// pg_catalog is as old as the transaction's snapshot, while the server
	// itself goes by what is there now.
	Isolation string `json:"isolation"`

	Asked Asked  `json:"asked"`
	Role  string `json:"role"` // the current one, if rights were asked for
	May   []bool `json:"may"`  // see, restore, purge; nil if that was not asked for
}

// Asked is what the session's settings tombstone.* hold, in the order of the constants below; "" where nothing is set.
type Asked [3]string

// Places in Asked.
const (
	Visibility = iota
	Delete
	AsOf
)

// Unlisted reports whether there may be temporary relations that Temp does not have, in the answer to a first question:
// the session has a schema for them. Behind a pool of server connections somebody may have made some before.
func (n *Names) Unlisted() bool {
	return n.Temp == nil && slices.ContainsFunc(n.Path, func(schema string) bool { return strings.HasPrefix(schema, "pg_temp_") })
}

// DecodeNames reads the one field of the row that answers an Asking.
func DecodeNames(field []byte) (*Names, error) {
	n := new(Names)
	if err := decode(field, n); err != nil {
		return nil, fmt.Errorf("catalog: the server's answer about names in scope: %w", err)
	}
	switch {
	case n.Path == nil: // an empty search_path still has pg_catalog
		return nil, errors.New("catalog: the server's answer about names in scope has no path")
	case n.May != nil && len(n.May) != 3:
		return nil, errors.New("catalog: the server's answer about names in scope does not say what the role may")
	}
	return n, nil
}
