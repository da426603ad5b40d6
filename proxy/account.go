package proxy

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"tombstone/rewrite"
)

// note keeps what later statements must know of this one, which is about to
// be sent.
func (s *Session) note(plan *rewrite.Plan, sql string) {
	if plan.Unparsed {
		s.Observer.ParseFailure()
	}
	for i := range plan.Stmts {
		if plan.Stmts[i].Kind == "declare" {
			s.cursors |= plan.Changes
		}
	}
	if s.Root.Enabled(context.Background(), slog.LevelDebug) {
		s.logPlan(plan, sql)
	}
	if plan.Observed != nil {
		s.showObserved(plan.Observed, sql)
	}
	for i := range plan.Stmts {
		s.warn(&plan.Stmts[i])
		if d := plan.Stmts[i].Denied; d != nil {
			s.logSetting(*d, "", s.databaseNow())
		}
		if r := plan.Stmts[i].Refusal; r != nil {
			s.Log.Warn("statement refused", "rule", r.Rule, "sqlstate", r.Code, "reason", r.Message, "sql", s.loggable(sql))
		}
	}
}

// warn logs what the promise may not hold for: each body that runs unseen, and
// anything else once.
func (s *Session) warn(st *rewrite.Stmt) {
	for i := range st.Touched {
		t := &st.Touched[i]
		if t.Rule.Warn && (t.Rule == rewrite.BodyUnseen || s.Snapshots.firstTime(s.env.Set.Database, t.Rule.Name+" "+t.Table)) {
			s.Log.Warn("deleted rows may show, or rows may really be deleted", "table", t.Table, "rule", t.Rule.Name, "reason", t.Rule.Why)
		}
	}
}

func (s *Session) logPlan(plan *rewrite.Plan, sql string) {
	attrs := []any{"sql", s.loggable(sql)}
	if plan.Edited() {
		attrs = append(attrs, "sent", s.loggable(plan.Apply(sql)))
	}
	for i := range plan.Stmts {
		attrs = append(attrs, "action", plan.Stmts[i].Action.String())
	}
	s.Log.Debug("statement", attrs...)
}

// loggable returns a text as it may be logged. It is a copy: whoever takes the log may keep it.
func (s *Session) loggable(sql string) string {
	sql = strings.Clone(sql)
	if s.Literals {
		return sql
	}
	return rewrite.Redact(sql)
}

// count tells the observer of a text's statements.
func (s *Session) count(plan *rewrite.Plan) {
	if len(plan.Stmts) == 0 { // not parsed, or empty
		action := rewrite.Passed
		if plan.Probe {
			action = rewrite.Refused
		}
		s.Observer.Statement("unknown", action.String())
	}
	for i := range plan.Stmts {
		s.countOne(&plan.Stmts[i])
	}
	if s.Policy.Observes() {
		s.countObserved(plan)
	}
}

func (s *Session) countOne(st *rewrite.Stmt) {
	s.Observer.Statement(st.Kind, st.Action.String())
	if st.Asked != 0 {
		st.Asked.Each(s.Observer.Asked)
	}
	for i := range st.Touched {
		t := &st.Touched[i]
		same := func(o rewrite.Touch) bool { return o.Table == t.Table && o.Action == t.Action }
		if !slices.ContainsFunc(st.Touched[:i], same) {
			s.Observer.Table(t.Table, t.Action.String())
		}
	}
}
