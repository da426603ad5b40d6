package main

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"time"
)

// Shrinker makes a script smaller for as long as the same kind of difference stays: steps first, then clauses, then what is said of keys,
// then keys and tables.
type Shrinker struct {
	stage  *Stage
	twin   *Twin // of the graph as it is now; nil if that has changed
	script *Script
	found  *Difference // of the smallest script so far
	until  time.Time
	trials int
}

func (s *Shrinker) close() {
	if s.twin != nil {
		s.twin.Close()
		s.twin = nil
	}
}

// Run shrinks until nothing more can go or the time is over. A difference that does not come again is left as it was found.
func (s *Shrinker) Run(ctx context.Context) error {
	d, err := s.play(ctx)
	if err != nil {
		return err
	}
	if d == nil || d.key() != s.found.key() {
		s.found.Class += " (did not come again on fresh databases)"
		return nil
	}
	s.found = d
	for before := -1; before != s.size() && s.more(ctx); {
		before = s.size()
		s.steps(ctx)
		s.keys(ctx)
		s.clauses(ctx)
		s.steps(ctx)
		s.plainer(ctx)
	}
	return ctx.Err()
}

func (s *Shrinker) more(ctx context.Context) bool {
	return ctx.Err() == nil && time.Now().Before(s.until)
}

// size measures a script, so that a round without progress is seen.
func (s *Shrinker) size() int {
	n := len(s.script.Graph.DDL())
	for _, step := range slices.Concat(s.script.Steps, s.script.Deletions) {
		n += len(step.SQL())
	}
	return n
}

func (s *Shrinker) play(ctx context.Context) (*Difference, error) {
	s.trials++
	if s.twin == nil {
		var err error
		if s.twin, err = s.stage.NewTwin(ctx, s.script.Graph, s.script.Sessions); err != nil {
			s.twin = nil
			if bad := (*unprepared)(nil); errors.As(err, &bad) {
				return bad.difference(), nil
			}
			return nil, err
		}
	}
	o, err := s.twin.Play(ctx, s.script)
	if err != nil {
		s.close() // whatever state it is in
		return nil, err
	}
	if d := o.Difference; d != nil && d.broken() {
		s.close()
	}
	return o.Difference, nil
}

// try plays what a change has made, and takes the change back when the difference is gone or the change is nonsense.
func (s *Shrinker) try(ctx context.Context, undo func()) bool {
	if s.more(ctx) {
		if d, err := s.play(ctx); err == nil && d != nil && d.key() == s.found.key() {
			s.found = d
			return true
		}
	}
	undo()
	return false
}

// without drops runs of a list, halves first, then ever smaller ones.
func without[T any](list []T, try func(rest []T) bool, more func() bool) {
	for size := (len(list) + 1) / 2; size > 0 && len(list) > 0; size /= 2 {
		for at := 0; at < len(list) && more(); {
			rest := slices.Concat(list[:at], list[min(at+size, len(list)):])
			if try(rest) {
				list = rest
			} else {
				at += size
			}
		}
	}
}

func (s *Shrinker) steps(ctx context.Context) {
	for _, list := range []*[]*Step{&s.script.Deletions, &s.script.Steps} {
		without(*list, func(rest []*Step) bool {
			old := *list
			*list = rest
			return s.try(ctx, func() { *list = old })
		}, func() bool { return s.more(ctx) })
	}
	if s.script.Shuffled {
		s.script.Shuffled = false
		s.try(ctx, func() { s.script.Shuffled = true })
	}
}

func (s *Shrinker) clauses(ctx context.Context) {
	for _, step := range slices.Concat(s.script.Steps, s.script.Deletions) {
		for _, p := range step.Parts {
			if p.Optional && !p.Gone {
				p.Gone = true
				s.try(ctx, func() { p.Gone = false })
			}
		}
	}
}

// change plays on databases of its own.
func (s *Shrinker) change(ctx context.Context, undo func()) bool {
	s.close()
	return s.try(ctx, func() { undo(); s.close() })
}

// keys drops keys and tables.
func (s *Shrinker) keys(ctx context.Context) {
	g := s.script.Graph
	without(g.Keys, func(rest []*Key) bool {
		old := g.Keys
		g.Keys = rest
		return s.change(ctx, func() { g.Keys = old })
	}, func() bool { return s.more(ctx) })
	for i := len(g.Tables) - 1; i >= 0; i-- {
		t := g.Tables[i]
		if len(g.to(t))+len(g.from(t)) > 0 || len(g.Tables) == 1 {
			continue
		}
		tables, steps, deletions := g.Tables, s.script.Steps, s.script.Deletions
		named := regexp.MustCompile(`\b` + t.Name + `\b`)
		about := func(step *Step) bool { return named.MatchString(step.SQL()) }
		g.Tables = slices.Delete(slices.Clone(tables), i, i+1)
		s.script.Steps = slices.DeleteFunc(slices.Clone(steps), about)
		s.script.Deletions = slices.DeleteFunc(slices.Clone(deletions), about)
		s.change(ctx, func() { g.Tables, s.script.Steps, s.script.Deletions = tables, steps, deletions })
	}
}

// plainer takes from keys and tables what is said of them.
func (s *Shrinker) plainer(ctx context.Context) {
	g := s.script.Graph
	change := func(undo func()) { s.change(ctx, undo) }
	for _, k := range g.Keys {
		for _, plainer := range []func(*Key){
			func(k *Key) { k.OnUpdate = "" }, func(k *Key) { k.OnDelete, k.Set = "", nil }, func(k *Key) { k.Set = nil },
			func(k *Key) { k.Full = false }, func(k *Key) { k.Deferrable = "" },
		} {
			old := *k
			plainer(k)
			if k.ddl() != old.ddl() {
				change(func() { *k = old })
			}
		}
	}
	for _, t := range g.Tables {
		for _, plainer := range []func(*Table){
			func(t *Table) { t.Parts = "" }, func(t *Table) { t.Levels = min(t.Levels, 1) },
			func(t *Table) { t.Unique = nil },
			func(t *Table) {
				t.Columns = slices.DeleteFunc(slices.Clone(t.Columns), func(c *Column) bool { return g.idle(s.script, t, c) })
			},
		} {
			old := *t
			plainer(t)
			if old.Parts != t.Parts || old.Levels != t.Levels || len(old.Unique) != len(t.Unique) || len(old.Columns) != len(t.Columns) {
				change(func() { *t = old })
			}
		}
		for _, c := range t.Columns {
			if old := c.Default; old != "" {
				c.Default = ""
				change(func() { c.Default = old })
			}
		}
	}
}
