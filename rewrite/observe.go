package rewrite

import (
	"slices"
	"sync/atomic"

	"tombstone/policy"
)

// Observed is what would be done to a text if the tables that are only observed
// were protected. It changes nothing of what is done: it is there to be counted
// and shown.
type Observed struct {
	Plan     *Plan     // what would become of the text
	Outcomes []Outcome // in the order of the statements

	shown atomic.Bool
}

// Outcome is what would be done to one statement about one observed table.
type Outcome struct {
	Stmt    int    // which statement of the text, the first being 0
	Table   string // schema.table, or AnyTable
	Action  Action
	Rules   []string // that would fire, by name; of a refusal its row in the table of refusals
	Warning *Rule    // one of the rules of which an operator should hear, nil if there is none
	Refusal *Refusal // set if Action is Refused
}

// AnyTable stands for the table of a statement that would be refused since it
// could be about any.
const AnyTable = "(any)"

// First reports true once: to whoever is to show it.
func (o *Observed) First() bool { return !o.shown.Load() && o.shown.CompareAndSwap(false, true) }

// Observe plans a text as [Rewrite] does, and tells beside it what would be done
// if the tables that are only observed were protected.
func Observe(sql string, env *Env) *Plan {
	plan := Rewrite(sql, env)
	set := env.Set.Observing()
	if set == nil || env.Stale || plan.whole || plan.Probe {
		return plan // refused, all of it; or it depends on no name
	}
	as := *env
	as.Set, as.Key = set, ""
	would := Rewrite(sql, &as)
	// What the text's literals decide of the one plan they decide of both.
	plan.literal = plan.literal || !cacheable(would)
	if list := would.outcomes(sql, plan, set); len(list) > 0 {
		plan.Observed = &Observed{Plan: would, Outcomes: list}
	}
	return plan
}

// outcomes lists what a plan of observed tables would do that the one in force
// does not.
func (p *Plan) outcomes(sql string, inForce *Plan, set *policy.Set) []Outcome {
	if p.Probe {
		return refusedFor(observedIn(sql, set), 0, p.Refusal)
	}
	var list []Outcome
	for i := range p.Stmts {
		st := &p.Stmts[i]
		if i < len(inForce.Stmts) && inForce.Stmts[i].Action == Refused {
			continue // it does not run
		}
		if st.Refusal == nil {
			list = append(list, st.outcomes(i)...)
			continue
		}
		var tables []string
		for _, t := range st.Touched {
			if t.observed && !slices.Contains(tables, t.Table) {
				tables = append(tables, t.Table)
			}
		}
		if len(tables) == 0 {
			tables = observedIn(sql[st.start:st.end], set)
		}
		list = append(list, refusedFor(tables, i, st.Refusal)...)
	}
	return list
}

// outcomes lists what would be done to a statement that is not refused, by table.
func (s *Stmt) outcomes(number int) []Outcome {
	var list []Outcome
	for _, t := range s.Touched {
		if !t.observed {
			continue
		}
		i := slices.IndexFunc(list, func(w Outcome) bool { return w.Table == t.Table })
		if i < 0 {
			i = len(list)
			list = append(list, Outcome{Stmt: number, Table: t.Table})
		}
		w := &list[i]
		w.Action = max(w.Action, t.Action)
		if t.Rule.Warn {
			w.Warning = t.Rule
		}
		if !slices.Contains(w.Rules, t.Rule.Name) {
			w.Rules = append(w.Rules, t.Rule.Name)
		}
	}
	return list
}

func refusedFor(tables []string, number int, why *Refusal) []Outcome {
	list := make([]Outcome, len(tables))
	for i, table := range tables {
		list[i] = Outcome{Stmt: number, Table: table, Action: Refused, Rules: []string{why.Rule}, Refusal: why}
	}
	return list
}

// observedIn lists the observed tables that a text names, as far as its words
// tell.
func observedIn(text string, set *policy.Set) []string {
	var tables []string
	for _, t := range set.NamedIn(text) {
		if t.Observed {
			tables = append(tables, t.String())
		}
	}
	if len(tables) == 0 {
		return []string{AnyTable}
	}
	return tables
}

// size estimates the memory that it takes.
func (o *Observed) size() int {
	n := o.Plan.size()
	for i := range o.Outcomes {
		n += outcomeSize + len(o.Outcomes[i].Rules)*16
	}
	return n
}

const outcomeSize = 112
