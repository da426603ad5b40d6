package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/lifecycle"
)

// undo plays the deletions of a script, and takes them back in soft.
func (t *Twin) undo(ctx context.Context, s *Script, o *Outcome) error {
	type deletion struct {
		id     uint64
		sql    string
		before []string
	}
	var done []deletion
	ids := func() ([]string, error) { return t.soft.ask(ctx, "SELECT id FROM tombstone.deletions") }
	known, err := ids()
	if err != nil {
		return err
	}
	for i, step := range s.Deletions {
		before, err := t.soft.ask(ctx, t.soft.contents)
		if err != nil {
			return err
		}
		if d := t.step(ctx, step, o); d != nil {
			d.Step, o.Difference = len(s.Steps)+i, d
			return nil
		}
		if o.Over {
			return nil
		}
		for _, side := range t.sides() {
			if side.clients[0].TxStatus() != 'I' {
				side.clients[0].Send(ctx, "ROLLBACK")
			}
		}
		now, err := ids()
		if err != nil {
			return err
		}
		for _, id := range now {
			if !slices.Contains(known, id) {
				d := deletion{sql: step.SQL(), before: before}
				if _, err := fmt.Sscan(id, &d.id); err != nil {
					return err
				}
				done = append(done, d)
			}
		}
		known = now
	}
	if o.Difference, err = t.compareContents(ctx); o.Difference != nil || err != nil {
		return err
	}
	if !s.Shuffled {
		for i := len(done) - 1; i >= 0; i-- {
			d, err := t.takeBack(ctx, done[i].id, o)
			if err == nil && d == nil {
				var got []string
				if got, err = t.soft.ask(ctx, t.soft.contents); err == nil && !slices.Equal(got, done[i].before) {
					d = &Difference{Stage: "undo", Class: "in reverse, and not all is as it was", Hard: done[i].before, Soft: got}
				}
			}
			if d != nil && strings.HasPrefix(d.Class, "refused") {
				d.Class = "in reverse, and " + d.Class
			}
			if d != nil {
				d.SQL, o.Difference = done[i].sql, d
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	r := newRand(s.Seed, uint64(s.Number)<<32|3)
	list, err := lifecycle.History(ctx, t.admin, lifecycle.Filter{})
	if err != nil {
		return err
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, d := range list {
		bad, err := t.takeBack(ctx, d.ID, o)
		if err != nil {
			return err
		}
		if bad != nil && strings.HasPrefix(bad.Class, "refused") {
			o.Unwilling++
			continue
		}
		if bad != nil {
			bad.SQL, o.Difference = fmt.Sprintf("-- undo of deletion %d of %v", d.ID, d.Tables), bad
			return nil
		}
	}
	return nil
}

// takeBack undoes a deletion. What refers to what is looked at, and that nothing gets lost.
func (t *Twin) takeBack(ctx context.Context, id uint64, o *Outcome) (*Difference, error) {
	union := t.graph.union()
	before, err := t.soft.ask(ctx, union)
	if err != nil {
		return nil, err
	}
	live, err := t.soft.ask(ctx, t.soft.contents)
	if err != nil {
		return nil, err
	}
	_, failed := lifecycle.Undo(ctx, t.admin, t.prepared, id, false)
	after, err := t.soft.ask(ctx, union)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(before, after) {
		return &Difference{Stage: "undo", Class: "rows are gone, or there are more", Hard: before, Soft: after}, nil
	}
	loose, err := t.soft.ask(ctx, t.graph.dangling())
	if err != nil {
		return nil, err
	}
	if len(loose) > 0 {
		return &Difference{Stage: "undo", Class: "a live row refers to none", Soft: loose}, nil
	}
	if failed == nil {
		o.Undone++
		return nil, nil
	}
	if in := (*lifecycle.CollisionError)(nil); errors.As(failed, &in) {
		return &Difference{Stage: "undo", Class: "refused: other rows are in the way", Soft: strings.Split(in.Error(), "\n")}, nil
	}
	var e *pgconn.PgError
	if !errors.As(failed, &e) {
		return &Difference{Stage: "undo", Class: "fails with no SQLSTATE", Soft: []string{failed.Error()}}, nil
	}
	if !strings.HasPrefix(e.Code, "23") {
		return &Difference{Stage: "undo", Class: "fails with " + e.Code + " " + namesGone(e.Message), Soft: []string{problem(e), e.Where}}, nil
	}
	now, err := t.soft.ask(ctx, t.soft.contents)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(live, now) {
		return &Difference{Stage: "undo", Class: "fails, and has changed something", Hard: live, Soft: now}, nil
	}
	return &Difference{Stage: "undo", Class: "refused with " + e.Code + " " + namesGone(e.Message), Soft: []string{problem(e), e.Where}}, nil
}

// union is all rows of protected tables, live or not, here or in the archive.
func (g *Graph) union() string {
	var list []string
	for _, t := range g.Tables {
		if t.Marker == nil {
			continue
		}
		steady := g.steady(t)
		of := func(from string) string {
			list := make([]string, len(steady))
			for i, c := range steady {
				list[i] = fmt.Sprintf("%s->>'%s'", from, c)
			}
			return strings.Join(list, ", ")
		}
		list = append(list, fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM %s x", t.Name, listed("x.", steady), t.Name),
			fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM tombstone.archive a WHERE relation = '%s'::regclass", t.Name, of("a.row"), t.Name))
	}
	return strings.Join(list, " UNION ALL ")
}
