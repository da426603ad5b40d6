package main

import (
	"fmt"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/rewrite"
)

// edited says what the proxy makes of the statements that differ, as far as that
// can be told from the tables alone.
func edited(c *Case, d *Difference) []string {
	if d.Stage != "reply" || d.Step >= len(c.Steps) {
		return nil
	}
	cfg, err := config.Parse("parity.yaml", []byte("listen: 127.0.0.1:6432\nupstream: postgres://127.0.0.1\ntables:\n"+protects))
	if err != nil {
		return []string{err.Error()}
	}
	sql := c.World.DDL(true)
	for _, v := range c.World.Views {
		sql += v.ddl() + ";\n"
	}
	known, err := rewrite.Schema(sql)
	if err != nil {
		return []string{err.Error()}
	}
	env := &rewrite.Env{Set: policy.New(cfg.Tables, cfg.Bodies).Resolve(known), Path: []string{"pg_catalog", "public"}}
	var out []string
	for _, st := range c.Steps[d.Step].Statements {
		sql, _ := c.Steps[d.Step].write(st)
		switch plan := rewrite.Rewrite(sql, env); {
		case plan.Probe || plan.Refusal != nil:
			out = append(out, "(it is not sent)")
		case plan.Edited():
			out = append(out, plan.Apply(sql))
		default:
			out = append(out, fmt.Sprintf("the same (%d statements)", len(plan.Stmts)))
		}
	}
	return out
}
