package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/policy/catalog"
	"tombstone/rewrite"
)

// everything is the policy where no configuration is given: all tables.
var everything = "listen: 127.0.0.1:6432\nupstream: postgres://127.0.0.1\ntables: [{name: \"*.*\"}]\n"

func rewriteSQL(_ context.Context, s stdio, args []string) error {
	f := flags(s, "rewrite", "[--config FILE] [--schema FILE.sql] [--search-path SCHEMAS] [--visibility V] [--as-of TIME] [--delete D] [--json] ['SQL' | -]",
		`Prints the SQL that the proxy would send to the server, and on standard error what was touched and why.
The statement comes from the argument or from standard input. A refused one exits with status 1 and the reason.

Without --config every table is taken to be protected. Without --schema nothing is known of the database, so every
table that the policy covers is taken to exist and to have its marker column.`)
	file := f.String("config", "", "read the policy from `FILE`")
	schema := f.String("schema", "", "CREATE TABLE statements in `FILE.sql` stand in for the database's catalog")
	path := f.String("search-path", "public", "comma-separated `SCHEMAS` in which names without a schema are looked up")
	visibility := f.String("visibility", "live", "as in a session whose tombstone.visibility is `live`, all or deleted, and that may see and restore")
	asOf := f.String("as-of", "", "as in a session whose tombstone.as_of is that `TIME`, as in 2026-01-31 12:00:00+00")
	deletes := f.String("delete", "bury", "as in a session whose tombstone.delete is `bury` or purge, and that may purge")
	asJSON := f.Bool("json", false, "print one JSON object instead")
	if err := parse(s, f, args); err != nil {
		return err
	}
	sql := f.Arg(0)
	switch {
	case f.NArg() > 1:
		fmt.Fprintf(s.err, "tombstone rewrite: %d arguments; put the whole statement into one pair of quotes\n", f.NArg())
		return errUsage
	case f.NArg() == 0 || sql == "-":
		text, err := io.ReadAll(s.in)
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		sql = string(text)
	}
	set, err := resolve(*file, *schema)
	if err != nil {
		return plainly(s, err)
	}
	all := rewrite.Rights{Known: true, See: true, Restore: true, Purge: true}
	said := catalog.Asked{catalog.Visibility: *visibility, catalog.Delete: *deletes, catalog.AsOf: *asOf}
	if why := rewrite.Invalid(said); why != nil {
		fmt.Fprintf(s.err, "tombstone rewrite: %s. %s\n", why.Message, why.Hint)
		return errUsage
	}
	env := &rewrite.Env{Set: set, Path: []string{"pg_catalog"}, Asks: rewrite.Ask(said, all), Rights: all}
	for _, p := range strings.Split(*path, ",") {
		env.Path = append(env.Path, strings.TrimSpace(p))
	}
	plan := rewrite.Observe(sql, env)
	if *asJSON {
		return printJSON(s, sql, plan)
	}
	return printPlan(s, sql, plan)
}

// resolve makes a Set of a configuration and a schema, both optional.
func resolve(file, schema string) (*policy.Set, error) {
	c, err := config.Parse("", []byte(everything))
	if file != "" {
		c, err = config.Load(file)
	}
	if err != nil {
		return nil, err
	}
	p := policy.New(c.Tables, c.Bodies)
	if schema == "" {
		return p.Assume(), nil
	}
	text, err := os.ReadFile(schema)
	if err != nil {
		return nil, fmt.Errorf("--schema: %w", err)
	}
	var known *catalog.Catalog
	if known, err = rewrite.Schema(string(text)); err != nil {
		return nil, fmt.Errorf("--schema %s: %w", schema, err)
	}
	return p.Resolve(known), nil
}

func printPlan(s stdio, sql string, plan *rewrite.Plan) error {
	if plan.Probe {
		fmt.Fprintf(s.err, "refused: %s\n", plan.Fault)
		fmt.Fprintf(s.err, "It names a protected table, so the proxy only asks the server for its own error. If the server has none, the answer is:\n%s (SQLSTATE %s)\n",
			plan.Refusal.Message, plan.Refusal.Code)
		return errSilent
	}
	if why := refusalOf(plan); why != nil {
		fmt.Fprintf(s.err, "refused: %s (SQLSTATE %s)\n", why.Message, why.Code)
		if why.Detail != "" {
			fmt.Fprintf(s.err, "detail: %s\n", why.Detail)
		}
		if why.Hint != "" {
			fmt.Fprintf(s.err, "hint: %s\n", why.Hint)
		}
		return errSilent
	}
	fmt.Fprintln(s.out, strings.TrimSuffix(plan.Apply(sql), "\n"))
	if plan.Unparsed {
		fmt.Fprintf(s.err, "-- %s: the server's own error would come back\n", plan.Fault)
	}
	for i := range plan.Stmts {
		st := &plan.Stmts[i]
		tag := ""
		switch st.Tag {
		case rewrite.TagDelete:
			tag = `, its reply says DELETE`
		case rewrite.TagTruncate:
			tag = `, its reply says TRUNCATE TABLE`
		case rewrite.TagShow:
			tag = `, its reply says SHOW`
		}
		fmt.Fprintf(s.err, "-- %s: %s%s\n", st.Kind, st.Action, tag)
		for _, t := range st.Touched {
			fmt.Fprintf(s.err, "--   %s: %s (%s)\n", t.Table, t.Rule.Why, t.Rule.Name)
		}
	}
	printObserved(s, sql, plan.Observed)
	return nil
}

// refusalOf returns why a text would be refused, or nil.
func refusalOf(plan *rewrite.Plan) *rewrite.Refusal {
	for i := range plan.Stmts {
		if r := plan.Stmts[i].Refusal; r != nil {
			return r
		}
	}
	return plan.Refusal
}

// JSON output. The field names are an interface: add, do not change.
type (
	planJSON struct {
		SQL        string          `json:"sql,omitempty"`
		Edited     bool            `json:"edited"`
		Unparsed   bool            `json:"unparsed,omitempty"`
		Fault      string          `json:"fault,omitempty"`
		Statements []statementJSON `json:"statements"`
		Refusal    *refusalJSON    `json:"refusal,omitempty"`
		Observed   *observedJSON   `json:"observed,omitempty"`
	}
	statementJSON struct {
		Kind    string      `json:"kind"`
		Action  string      `json:"action"`
		Tag     string      `json:"tag,omitempty"`
		Touched []touchJSON `json:"touched,omitempty"`
	}
	touchJSON struct {
		Table  string `json:"table"`
		Rule   string `json:"rule"`
		Why    string `json:"why"`
		Offset int    `json:"offset"`
	}
	refusalJSON struct {
		Rule     string `json:"rule"`
		SQLState string `json:"sqlstate"`
		Message  string `json:"message"`
		Detail   string `json:"detail,omitempty"`
		Hint     string `json:"hint,omitempty"`
	}
)

func printJSON(s stdio, sql string, plan *rewrite.Plan) error {
	out := planJSON{Edited: plan.Edited(), Unparsed: plan.Unparsed, Fault: plan.Fault, Statements: []statementJSON{}}
	for i := range plan.Stmts {
		st := &plan.Stmts[i]
		j := statementJSON{Kind: st.Kind, Action: st.Action.String(), Tag: [...]string{"", "DELETE", "TRUNCATE TABLE", "SHOW"}[st.Tag]}
		for _, t := range st.Touched {
			j.Touched = append(j.Touched, touchJSON{t.Table, t.Rule.Name, t.Rule.Why, t.Offset})
		}
		out.Statements = append(out.Statements, j)
	}
	why := refusalOf(plan)
	if why != nil {
		out.Refusal = &refusalJSON{why.Rule, why.Code, why.Message, why.Detail, why.Hint}
	} else {
		out.SQL = plan.Apply(sql)
	}
	out.Observed = observedOf(sql, plan.Observed)
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	if why != nil {
		return errSilent
	}
	return nil
}
