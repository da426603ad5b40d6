package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/config"
)

// entries looks at the entries of the policy that are about nothing, or about something else than they seem.
//
// Without it, name: public.user, where the table is called users, protects nothing, and nobody hears of it.
func (p *patient) entries(ctx context.Context) error {
	kinds := map[string]string{} // every relation to its relkind
	var schema, name, kind string
	err := p.each(ctx, `SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c') AND n.nspname <> 'pg_toast' ORDER BY 1, 2`, nil, []any{&schema, &name, (*char)(&kind)}, func() {
		kinds[schema+"\x00"+name] = kind
	})
	if err != nil {
		return err
	}
	for i := range p.config.Tables {
		e := &p.config.Tables[i]
		object := fmt.Sprintf("%s, line %d: %s", p.config.File, e.Line, e.Name)
		switch {
		case e.Mode == "off":
		case e.Glob():
			p.pattern(e, object, kinds)
		default:
			p.exactly(e, object, kinds[e.Schema+"\x00"+e.Relation])
		}
		if e.Mode == "observe" {
			p.find(Finding{Severity: Info, Check: "observed", Object: object, Why: "It is only observed: its deletes are real. What is found of it will be wrong once it is enforced."})
		}
	}
	return nil
}

// exactly is about an entry without a wildcard.
func (p *patient) exactly(e *config.Table, object, kind string) {
	switch kind {
	case "r", "p", "f":
	case "":
		p.find(Finding{
			Severity: Warning, Check: "unknown-table", Object: object,
			Why:    "This database has no table of that name: the entry protects nothing until there is one.",
			Advice: "Correct the name, or take the entry out, in " + p.config.File + ".",
		})
	default:
		p.find(Finding{
			Severity: Warning, Check: "not-a-table", Object: object,
			Why:    "It is no table but " + map[string]string{"v": "a view", "m": "a materialized view", "S": "a sequence", "c": "a type"}[kind] + ": the entry protects nothing.",
			Advice: "Name the table behind it in " + p.config.File + ".",
		})
	}
	if r := p.byName(e.Schema, e.Relation); r != nil && e.Created != "" && e.Mode != "observe" {
		for _, c := range r.Columns {
			if c.Name == e.Created {
				return
			}
		}
		if len(r.Columns) == 0 { // they are read only where there is a marker
			return
		}
		p.find(Finding{
			Severity: Error, Check: "missing-created", Object: r.object(),
			Why:    fmt.Sprintf("It has no column %s, by which the policy says since when a row exists: tombstone.as_of cannot be answered.", e.Created),
			Advice: "Correct created in " + p.config.File + ", or add the column.",
		})
	}
}

// pattern is about an entry with a wildcard: it means the tables that have the marker.
func (p *patient) pattern(e *config.Table, object string, kinds map[string]string) {
	var without []string
	covered := 0
	for both, kind := range kinds {
		schema, name, _ := strings.Cut(both, "\x00")
		if kind != "r" && kind != "p" && kind != "f" || !e.Matches(schema, name) || schema == "tombstone" {
			continue
		}
		if table, _ := p.Set.Find(schema, name); table != nil {
			covered++
		} else if e.Mode != "observe" && p.config.Match(schema, name) == e {
			without = append(without, schema+"."+name)
		}
	}
	if covered == 0 && e.Mode != "observe" {
		p.find(Finding{Severity: Info, Check: "idle-pattern", Object: object, Why: "No table that it covers has the marker " + e.Marker + ": the entry protects nothing."})
		return
	}
	if len(without) > 0 {
		p.find(Finding{
			Severity: Info, Check: "unmarked-tables", Object: object,
			Why: fmt.Sprintf("It also covers tables that have not the marker %s, and so are not protected: %s.", e.Marker, some(without)),
		})
	}
}

// some lists the first of many.
func some(list []string) string {
	const first = 10
	slices.Sort(list)
	if len(list) > first {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:first], ", "), len(list)-first)
	}
	return strings.Join(list, ", ")
}

// roles looks for roles that the policy gives something to and that do not exist.
func (p *patient) roles(ctx context.Context) error {
	there := map[string]bool{}
	var name string
	if err := p.each(ctx, "SELECT rolname FROM pg_roles", nil, []any{&name}, func() { there[name] = true }); err != nil {
		return err
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"roles.see", p.config.Roles.See}, {"roles.restore", p.config.Roles.Restore}, {"roles.purge", p.config.Roles.Purge}} {
		for _, name := range list.names {
			if !there[name] && name != "public" {
				p.find(Finding{
					Severity: Warning, Check: "unknown-role", Object: "role " + name,
					Why:    "The policy lists it in " + list.field + ", and the server has no such role.",
					Advice: "Correct " + list.field + " in " + p.config.File + ", or create the role.",
				})
			}
		}
	}
	return nil
}
