package doctor

import (
	"context"
	"fmt"
	"strings"

	"tombstone/lifecycle"
	"tombstone/policy"
)

// markers looks at the columns that a deletion sets.
func (p *patient) markers(context.Context) error {
	for _, r := range p.relations {
		if r.View() || r.Unmarked || r.partition { // a partition has the columns of its parent
			continue
		}
		if r.Problem != "" {
			p.wrongType(r)
			continue
		}
		p.bornDeleted(r)
	}
	for _, t := range p.Alike() {
		p.find(Finding{
			Severity: Warning, Check: "no-identity", Object: "table " + t.Name.String(),
			Why:    fmt.Sprintf("No key tells a row from another, and the marker %s does not tell which deletion a row is of: where equal rows went in several deletions, which of them an undo brings back is left to chance, and with it what audit columns say.", t.Protected.Marker),
			Advice: fmt.Sprintf("Give it a primary key, such as ALTER TABLE %s ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, or a marker of type timestamptz.", lifecycle.Full(t.Name)),
		})
	}
	for _, r := range p.relations {
		if r.Kind == 'f' {
			p.find(Finding{
				Severity: Info, Check: "foreign-table", Object: r.object(),
				Why:    "It is a foreign table: nothing here can keep others from really deleting its rows, and foreign keys to it are not followed.",
				Advice: "Protect the table on its own server as well.",
			})
		}
	}
	return nil
}

// wrongType proposes another type for a marker or an audit column.
//
// Without it, a DELETE is refused (0A000), and where the marker cannot be told so is every read.
func (p *patient) wrongType(r *relation) {
	add := func(check, column, to, using string) {
		f := Finding{Severity: Error, Check: check, Object: r.object(), Why: sentence(r.Problem) + ". A DELETE is refused.", Advice: r.Fix}
		if to != "" {
			f.SQL = []string{fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s TYPE %s USING %s", r.full(), lifecycle.Ident(column), to, using)}
		}
		p.find(f)
	}
	if r.Unreadable {
		c := r.Columns[r.Ordinal]
		to, using := "", lifecycle.Ident(c.Name)
		switch name, _, _ := strings.Cut(c.Type, "("); {
		case c.Default != "" || c.Generated: // what a live row has is not known
		case name == "text", name == "character varying":
			to, using = "timestamptz", "NULLIF("+using+", '')::timestamptz"
		case name == "smallint":
			to = "integer"
		}
		add("wrong-marker-type", c.Name, to, using)
		return
	}
	for _, a := range r.Audit {
		for _, c := range r.Columns {
			if c.Name != a.Column || a.Type == "" || !strings.Contains(r.Problem, fmt.Sprintf("%q", a.Column)) {
				continue
			}
			to := "text"
			if a.What == policy.Deletion && c.Type == "integer" {
				to = "bigint"
			}
			using := lifecycle.Ident(c.Name) + "::" + to
			if c.Default != "" || c.Generated {
				to = ""
			}
			add("wrong-audit-type", c.Name, to, using)
			return
		}
	}
}

// bornDeleted finds markers whose default is a tombstone's, and those that a live row cannot have.
//
// Without it, deleted_at timestamptz DEFAULT now() hides every row as soon as it is written.
func (p *patient) bornDeleted(r *relation) {
	c := r.Columns[r.Ordinal]
	live, wanted := map[policy.LiveValue]string{policy.Null: "NULL", policy.False: "false", policy.Zero: "0", policy.Infinity: "'infinity'"}[r.Live.Value], false
	var sql []string
	alter := "ALTER TABLE " + r.full() + " ALTER COLUMN " + lifecycle.Ident(c.Name) + " "
	why := ""
	switch {
	case c.Generated:
		why = "The marker is generated: nothing can set it, and a DELETE fails (428C9)."
	case r.Live.Value == policy.Null && c.NotNull:
		why = "NULL in the marker means live, and it is NOT NULL: no row is ever live."
		sql = []string{alter + "DROP NOT NULL"}
		if c.Default != "" {
			sql = append(sql, alter+"DROP DEFAULT")
		}
	case r.Live.Value == policy.Null:
		wanted = c.Default == "" || strings.HasPrefix(c.Default, "NULL")
		sql = []string{alter + "DROP DEFAULT"}
	default:
		plain := strings.TrimPrefix(c.Default, "(")
		wanted = c.Default == "" && r.Live.Nullable || strings.HasPrefix(c.Default, "NULL") && r.Live.Nullable ||
			strings.HasPrefix(plain, strings.Trim(live, "'")) || strings.HasPrefix(plain, "'"+strings.Trim(live, "'")+"'")
		sql = []string{alter + "SET DEFAULT " + live}
	}
	switch {
	case wanted:
		return
	case why == "" && c.Default == "":
		why = "The marker is NOT NULL and has no default: an INSERT that does not know of it fails (23502)."
	case why == "":
		why = fmt.Sprintf("The marker's default is %s, and %s means live: a new row is hidden as soon as it is written.", c.Default, live)
	}
	f := Finding{Severity: Error, Check: "born-deleted", Object: r.object(), Why: why, SQL: sql}
	if sql == nil {
		f.Advice = "Use a column of its own for the marker."
	}
	p.find(f)
}

// sentence begins a text with a capital.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
