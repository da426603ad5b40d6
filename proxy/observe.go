package proxy

import (
	"hash/maphash"
	"slices"
	"strings"
	gosync "sync"

	"tombstone/rewrite"
)

// Tables that are only observed: what would be done to statements is counted each time that they run, and logged once
// for each shape and outcome. The statements themselves go on as they came.

// countObserved counts what would have been done to the statements of a text that runs. A PREPARE runs nothing; an
// EXECUTE runs what it names.
func (s *Session) countObserved(plan *rewrite.Plan) {
	if o := plan.Observed; o != nil {
		for i := range o.Outcomes {
			w := &o.Outcomes[i]
			if w.Stmt >= len(plan.Stmts) || plan.Stmts[w.Stmt].Prepare == "" {
				s.countOutcome(w)
			}
		}
	}
	for i := range plan.Stmts {
		name := plan.Stmts[i].Execute
		if name == "" {
			continue
		}
		if p := s.statement(keyOf(name)); p != nil {
			s.countMade(p.whole, keyOf(name))
		}
	}
}

// countObservedExecute does the same for what an Execute message runs.
func (s *Session) countObservedExecute(p *prepared) {
	if p.plan != nil {
		s.countObserved(p.plan)
	} else if p.whole != nil && len(p.whole.Stmts) == 1 { // it was made by PREPARE
		s.countMade(p.whole, keyOf(p.whole.Stmts[0].Prepare))
	}
}

// countMade counts what would have been done to the statement that a text prepares under that name.
func (s *Session) countMade(plan *rewrite.Plan, name string) {
	if plan == nil || plan.Observed == nil {
		return
	}
	for i := range plan.Observed.Outcomes {
		w := &plan.Observed.Outcomes[i]
		if w.Stmt < len(plan.Stmts) && keyOf(plan.Stmts[w.Stmt].Prepare) == name {
			s.countOutcome(w)
		}
	}
}

func (s *Session) countOutcome(w *rewrite.Outcome) {
	s.Observer.Observed(w.Table, w.Action.String())
	for _, rule := range w.Rules {
		s.Observer.ObservedRule(w.Table, rule)
	}
}

// observed takes in what would be done to a prepared statement under names that have changed. What is done has not.
func (p *prepared) observed(plan *rewrite.Plan) {
	if plan.Observed == p.whole.Observed {
		return
	}
	if p.plan == p.whole {
		p.plan = plan
	}
	p.whole = plan
}

// observeCall counts and logs a FunctionCall that would be refused.
func (s *Session) observeCall() {
	if !s.looks() {
		return
	}
	refusal := rewrite.FunctionCall()
	w := rewrite.Outcome{Table: rewrite.AnyTable, Action: rewrite.Refused, Rules: []string{refusal.Rule}, Refusal: refusal}
	s.countOutcome(&w)
	s.showOutcome(&w, "", "")
}

// showObserved logs what would be done to a text, unless it was logged before for one like it.
func (s *Session) showObserved(o *rewrite.Observed, sql string) {
	if !o.First() {
		return
	}
	gist := rewrite.Gist(sql)
	var tables, rules []string
	action := rewrite.Passed
	for i := range o.Outcomes {
		w := &o.Outcomes[i]
		if w.Refusal != nil || w.Warning != nil {
			s.showOutcome(w, gist, sql)
		}
		if w.Action != rewrite.Hidden && w.Action != rewrite.Buried {
			continue
		}
		action = max(action, w.Action)
		if !slices.Contains(tables, w.Table) {
			tables = append(tables, w.Table)
		}
		for _, r := range w.Rules {
			if !slices.Contains(rules, r) {
				rules = append(rules, r)
			}
		}
	}
	if len(tables) == 0 {
		return
	}
	table, rule := strings.Join(tables, ","), strings.Join(rules, ",")
	if s.firstShape(gist, table, rule) {
		s.Log.Info("an observed statement would be edited", "table", table, "would_be", action.String(), "rules", rule,
			"sql", s.loggable(sql), "would_send", s.loggable(o.Plan.Apply(sql)))
	}
}

// showOutcome logs what could not be kept to: a statement that would be refused, or one that would show deleted rows.
func (s *Session) showOutcome(w *rewrite.Outcome, gist, sql string) {
	switch r := w.Refusal; {
	case r != nil && s.firstShape(gist, w.Table, r.Rule):
		attrs := []any{"table", w.Table, "rule", r.Rule, "sqlstate", r.Code, "reason", r.Message, "hint", r.Hint}
		s.Log.Warn("an observed statement would be refused", append(attrs, "sql", s.loggable(sql))...)
	case w.Warning != nil && s.firstShape(gist, w.Table, w.Warning.Name):
		s.Log.Warn("an observed statement would show deleted rows, or really delete", "table", w.Table, "rule", w.Warning.Name,
			"reason", w.Warning.Why, "sql", s.loggable(sql))
	}
}

// firstShape reports whether an outcome of texts with that gist has not been logged, and can be.
func (s *Session) firstShape(gist, table, rule string) bool {
	first, last := s.Snapshots.shapes.first(s.env.Set.Database, gist, table, rule)
	if last {
		s.Log.Warn("no more shapes of observed statements are logged until the configuration changes; all are still counted", "logged", maxShapes)
	}
	return first
}

// maxShapes bounds what is logged, and the memory for it: an application that puts each statement together anew could
// fill a disk with them.
const maxShapes = 10_000

// shapes remembers what of observed statements was logged, in all sessions.
type shapes struct {
	mu   gosync.Mutex
	seed maphash.Seed
	seen map[uint64]struct{}
}

// first reports whether these parts have not come before, and whether they are the last for which it says so.
func (h *shapes) first(parts ...string) (first, last bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen == nil {
		h.seen, h.seed = map[uint64]struct{}{}, maphash.MakeSeed()
	}
	sum := maphash.Comparable(h.seed, [4]string(parts))
	if _, there := h.seen[sum]; there || len(h.seen) == maxShapes {
		return false, false
	}
	h.seen[sum] = struct{}{}
	return true, len(h.seen) == maxShapes
}
