package main

import "fmt"

// goal is what tombstone is to reach in every cell of some kinds.
type goal struct {
	what    string // in a sentence: "throughput"
	kinds   []*Kind
	metric  Metric
	against string // the target that it is a ratio to; "" if the figure itself counts
	limit   float64
	atMost  bool // else at least
}

// goals. PgBouncer is no measure for connect, where it keeps its server connections and so does not do the work.
var goals = []goal{
	{"throughput", []*Kind{pgbenchKind, bulkKind}, Rate, pgbouncer, 1, false},
	{"CPU", []*Kind{pgbenchKind, bulkKind}, CPU, pgbouncer, 1.1, true},
	{"throughput", []*Kind{bulkKind}, Rate, direct, 0.9, false},
	{"sessions per second", []*Kind{connectKind}, Rate, "", 1000, false},
	{"KiB per idle connection", []*Kind{idleKind}, Memory, "", 12, true},
}

// Verdict is what the goals say of a run.
type Verdict struct {
	Reached int
	Missed  []string // a sentence each
	Unknown int      // there is no figure to hold against the goal
}

// judge holds tombstone's figures against the goals.
func judge(r *Results) Verdict {
	var v Verdict
	for _, c := range r.Cells {
		for _, g := range goals {
			if g.holdsFor(c.Kind) {
				g.judge(c, r.Figures[c.Name], &v)
			}
		}
	}
	return v
}

func (g goal) holdsFor(k *Kind) bool {
	for _, one := range g.kinds {
		if one == k {
			return true
		}
	}
	return false
}

func (g goal) judge(c *Cell, figures map[string][]Figures, v *Verdict) {
	var figure float64
	var is bool
	var shown string
	if g.against == "" {
		figure, is = middle(figures[tombstone], g.metric)
		shown = fmt.Sprintf("%s: %s %s", c.Name, number(figure), g.what)
	} else {
		var r Ratio
		r, is = compare(figures[tombstone], figures[g.against], g.metric)
		figure = r.Median
		shown = fmt.Sprintf("%s: %s is %.2f of %s", c.Name, g.what, figure, possessive(g.against))
		if r.Rounds > 1 {
			shown += fmt.Sprintf(" (%.2f to %.2f in %d rounds)", r.Min, r.Max, r.Rounds)
		}
	}
	bound, reached := "at least", figure >= g.limit
	if g.atMost {
		bound, reached = "at most", figure <= g.limit
	}
	switch {
	case !is:
		v.Unknown++
	case reached:
		v.Reached++
	default:
		v.Missed = append(v.Missed, fmt.Sprintf("%s; the goal is %s %v", shown, bound, g.limit))
	}
}

func possessive(target string) string {
	if target == direct {
		return target
	}
	return target + "'s"
}
