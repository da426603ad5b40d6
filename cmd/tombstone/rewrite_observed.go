package main

import (
	"fmt"
	"strings"

	"tombstone/rewrite"
)

// printObserved says what would be done if the tables that are only observed were protected.
func printObserved(s stdio, sql string, o *rewrite.Observed) {
	if o == nil {
		return
	}
	refused := false
	for i := range o.Outcomes {
		w := &o.Outcomes[i]
		fmt.Fprintf(s.err, "--   %s is only observed; enforced, the statement would be %s (%s)\n", w.Table, w.Action, strings.Join(w.Rules, ", "))
		if r := w.Refusal; r != nil {
			refused = true
			fmt.Fprintf(s.err, "--     %s (SQLSTATE %s)\n", r.Message, r.Code)
			if r.Hint != "" {
				fmt.Fprintf(s.err, "--     hint: %s\n", r.Hint)
			}
		}
	}
	if !refused && o.Plan.Edited() {
		fmt.Fprintf(s.err, "--   it would become: %s\n", o.Plan.Apply(sql))
	}
}

// What would be done, for programs. The field names are an interface: add, do not change.
type (
	observedJSON struct {
		SQL      string        `json:"sql,omitempty"`
		Outcomes []outcomeJSON `json:"outcomes"`
	}
	outcomeJSON struct {
		Statement int          `json:"statement"`
		Table     string       `json:"table"`
		Action    string       `json:"action"`
		Rules     []string     `json:"rules"`
		Refusal   *refusalJSON `json:"refusal,omitempty"`
	}
)

func observedOf(sql string, o *rewrite.Observed) *observedJSON {
	if o == nil {
		return nil
	}
	out, refused := &observedJSON{}, false
	for i := range o.Outcomes {
		w := &o.Outcomes[i]
		j := outcomeJSON{Statement: w.Stmt, Table: w.Table, Action: w.Action.String(), Rules: w.Rules}
		if r := w.Refusal; r != nil {
			refused = true
			j.Refusal = &refusalJSON{r.Rule, r.Code, r.Message, r.Detail, r.Hint}
		}
		out.Outcomes = append(out.Outcomes, j)
	}
	if !refused {
		out.SQL = o.Plan.Apply(sql)
	}
	return out
}
