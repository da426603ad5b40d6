package main

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Shrinker makes a case smaller for as long as the same kind of difference
// stays: steps first, for most have nothing to do with it, then rows, tables and
// columns, then the clauses of what is left.
type Shrinker struct {
	twin   *Twin
	c      *Case
	found  *Difference // of the smallest case so far
	until  time.Time
	trials int

	built bool // the twin has the case's tables; only their rows may be others
}

// Run shrinks until nothing more can go or the time is over. A difference that
// does not come again is left as it was found.
func (s *Shrinker) Run(ctx context.Context) error {
	d, err := s.play(ctx)
	if err != nil {
		return err
	}
	if !s.same(d) {
		s.found.Class += " (did not come again on fresh databases)"
		return nil
	}
	s.found = d
	for before := -1; before != s.size() && s.time(ctx); {
		before = s.size()
		for _, pass := range []func(context.Context) error{s.steps, s.rows, s.tables, s.columns, s.forms, s.clauses} {
			if err := pass(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Shrinker) time(ctx context.Context) bool {
	return ctx.Err() == nil && time.Now().Before(s.until)
}

// size measures a case, so that a round without progress is seen.
func (s *Shrinker) size() int {
	n := 0
	for _, step := range s.c.Steps {
		n += 1 + int(step.Mode)
		for _, sql := range step.SQL() {
			n += len(sql)
		}
	}
	for _, t := range s.c.World.Tables {
		n += 1 + len(t.Rows) + len(t.Columns)
	}
	return n + len(s.c.World.Views)
}

func (s *Shrinker) same(d *Difference) bool {
	return d != nil && d.Stage == s.found.Stage && d.Class == s.found.Class
}

// play runs the case from the start.
func (s *Shrinker) play(ctx context.Context) (*Difference, error) {
	s.trials++
	if !s.built {
		if _, err := s.twin.Build(ctx, s.c.World); err != nil {
			return nil, err
		}
		s.built = true
	}
	if err := s.twin.Reset(ctx, s.c.World, true); err != nil {
		return nil, err
	}
	return s.twin.PlayCase(ctx, s.c, nil)
}

// try makes a change, and takes it back when the difference is gone. What the
// change makes of the world may be nonsense: then it is taken back too.
func (s *Shrinker) try(ctx context.Context, undo func()) bool {
	wasBuilt := s.built
	d, err := s.play(ctx)
	if err == nil && s.same(d) {
		s.found = d
		return true
	}
	undo()
	if err != nil || !wasBuilt {
		s.built = false
	}
	return false
}

// without drops runs of a list, halves first, then ever smaller ones.
func without[T any](list []T, try func(rest []T) bool, more func() bool) {
	for size := (len(list) + 1) / 2; size > 0 && len(list) > 0; size /= 2 {
		for at := 0; at < len(list) && more(); {
			rest := append(append([]T(nil), list[:at]...), list[min(at+size, len(list)):]...)
			if try(rest) {
				list = rest
			} else {
				at += size
			}
		}
	}
}

func (s *Shrinker) steps(ctx context.Context) error {
	without(s.c.Steps, func(rest []*Step) bool {
		old := s.c.Steps
		s.c.Steps = rest
		return s.try(ctx, func() { s.c.Steps = old })
	}, func() bool { return s.time(ctx) })
	for _, step := range s.c.Steps {
		if len(step.Statements) < 2 {
			continue
		}
		without(step.Statements, func(rest []*Statement) bool {
			old := step.Statements
			if len(rest) == 0 {
				return false
			}
			step.Statements = rest
			return s.try(ctx, func() { step.Statements = old })
		}, func() bool { return s.time(ctx) })
	}
	return nil
}

func (s *Shrinker) rows(ctx context.Context) error {
	for _, t := range s.c.World.Tables {
		without(t.Rows, func(rest []*Row) bool {
			old := t.Rows
			t.Rows = rest
			return s.try(ctx, func() { t.Rows = old })
		}, func() bool { return s.time(ctx) })
	}
	return nil
}

// tables drops views and tables. What another is made of stays.
func (s *Shrinker) tables(ctx context.Context) error {
	w := s.c.World
	for i := len(w.Views) - 1; i >= 0 && s.time(ctx); i-- {
		old := w.Views
		w.Views = slices.Delete(slices.Clone(w.Views), i, i+1)
		s.built = false
		s.try(ctx, func() { w.Views, s.built = old, false })
	}
	for i := len(w.Tables) - 1; i >= 0 && s.time(ctx); i-- {
		if s.needed(w.Tables[i]) {
			continue
		}
		old := w.Tables
		w.Tables = slices.Delete(slices.Clone(w.Tables), i, i+1)
		s.built = false
		s.try(ctx, func() { w.Tables, s.built = old, false })
	}
	return nil
}

func (s *Shrinker) needed(t *Relation) bool {
	for _, o := range s.c.World.Tables {
		if o.Inherits == t {
			return true
		}
	}
	for _, v := range s.c.World.Views {
		if v.Base == t || strings.Contains(v.Query, t.sql()) {
			return true
		}
	}
	return false
}

// columns drops columns that no key needs.
func (s *Shrinker) columns(ctx context.Context) error {
	for _, t := range s.c.World.Tables {
		if s.needed(t) || t.Inherits != nil || t.Parts != nil {
			continue
		}
		for i := len(t.Columns) - 1; i > 0 && s.time(ctx); i-- {
			if contains(t.Key, i) || contains(t.Unique, i) || t.Columns[i].Marker && t.Protected || strings.Contains(computed(t), t.Columns[i].Name) {
				continue
			}
			old, oldRows := *t, t.Rows
			t.Columns = slices.Delete(slices.Clone(t.Columns), i, i+1)
			t.Key, t.Unique = shifted(t.Key, i), shifted(t.Unique, i)
			t.Rows = nil
			for _, row := range oldRows {
				t.Rows = append(t.Rows, &Row{Values: slices.Delete(slices.Clone(row.Values), i, i+1), Tombstone: row.Tombstone})
			}
			s.built = false
			s.try(ctx, func() { *t, s.built = old, false })
		}
	}
	return nil
}

func computed(t *Relation) string {
	all := ""
	for _, c := range t.Columns {
		all += c.Computed
	}
	return all
}

// shifted moves the places behind one that is gone.
func shifted(places []int, gone int) []int {
	if places == nil {
		return nil
	}
	out := make([]int, len(places))
	for i, p := range places {
		if out[i] = p; p > gone {
			out[i]--
		}
	}
	return out
}

// forms sends each step in the plainest way.
func (s *Shrinker) forms(ctx context.Context) error {
	for _, step := range s.c.Steps {
		for _, change := range []func(*Step){
			func(p *Step) { p.Mode, p.Twice, p.Binary, p.Rows, p.Parameters = Simple, false, false, 0, false },
			func(p *Step) { p.Mode, p.Twice = Unnamed, false },
			func(p *Step) { p.Twice = false },
			func(p *Step) { p.Binary = false },
			func(p *Step) { p.Rows = 0 },
			func(p *Step) { p.Parameters = false },
		} {
			old := *step
			change(step)
			if !s.time(ctx) || step.Mode == old.Mode && step.Twice == old.Twice && step.Binary == old.Binary && step.Rows == old.Rows && step.Parameters == old.Parameters {
				continue
			}
			s.try(ctx, func() { *step = old })
		}
	}
	return nil
}

// clauses prunes the trees, from the top down: what goes as a whole need not be
// looked into.
func (s *Shrinker) clauses(ctx context.Context) error {
	for _, step := range s.c.Steps {
		for _, st := range step.Statements {
			s.prune(ctx, st.Node)
		}
	}
	return nil
}

func (s *Shrinker) prune(ctx context.Context, n *Node) {
	if !s.time(ctx) || n.fate != nil && n.fate.gone {
		return
	}
	for i := range n.or {
		if n.pick > 0 {
			break
		}
		n.pick = i + 1
		s.try(ctx, func() { n.pick = 0 })
	}
	if n.pick > 0 {
		s.prune(ctx, n.or[n.pick-1])
		return
	}
	for _, p := range n.parts {
		c, ok := p.(*Node)
		if !ok {
			continue
		}
		if c.fate != nil && !c.fate.gone && (!n.list || n.left() > n.min) && c.SQL() != "" {
			c.fate.gone = true
			if s.try(ctx, func() { c.fate.gone = false }) {
				continue
			}
		}
		s.prune(ctx, c)
	}
}
