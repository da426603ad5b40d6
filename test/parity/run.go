package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Plan says how much to generate. Whatever is reached first ends the run.
type Plan struct {
	Seed       uint64
	Case       int           // only this one; negative for all
	Cases      int           // 0 for no limit
	Statements int           // to compare; 0 for no limit
	Duration   time.Duration // 0 for no limit
	Kinds      int           // of difference, after which it is enough
	Workers    int
	Patience   time.Duration // for shrinking one difference
	Progress   io.Writer
}

// Generate plays cases until the plan is fulfilled, several twins at a time.
func Generate(ctx context.Context, stage *Stage, p Plan, r *Report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	before := r.Compared()
	done := func() bool {
		return ctx.Err() != nil || p.Statements > 0 && r.Compared()-before >= p.Statements ||
			p.Duration > 0 && time.Since(start) > p.Duration || p.Kinds > 0 && r.Kinds() >= p.Kinds
	}
	var next atomic.Int64 // the next world
	var wait sync.WaitGroup
	errs := make(chan error, p.Workers)
	for range p.Workers {
		wait.Go(func() {
			w := &worker{stage: stage, plan: p, report: r, done: done}
			err := w.run(ctx, &next)
			if closeErr := w.close(); err == nil {
				err = closeErr
			}
			if err != nil {
				errs <- err
				cancel()
			}
		})
	}
	wait.Wait()
	close(errs)
	seconds := time.Since(start).Seconds()
	n := r.Compared() - before
	fmt.Fprintf(p.Progress, "seed %d: %d generated statements in %.1f s, %.0f a second\n", p.Seed, n, seconds, float64(n)/seconds)
	return <-errs
}

// worker owns a twin for cases and, once something differs, one for shrinking.
type worker struct {
	stage        *Stage
	plan         Plan
	report       *Report
	done         func() bool
	twin, shrink *Twin
}

func (w *worker) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	for _, t := range []*Twin{w.twin, w.shrink} {
		if t != nil {
			if closeErr := t.Close(ctx); err == nil {
				err = closeErr
			}
		}
	}
	return err
}

func (w *worker) run(ctx context.Context, next *atomic.Int64) error {
	var err error
	if w.twin, err = w.stage.NewTwin(ctx); err != nil {
		return err
	}
	for !w.done() {
		n := int(next.Add(1)) - 1
		first, last := n*casesPerWorld, (n+1)*casesPerWorld
		if w.plan.Case >= 0 {
			if n > 0 {
				return nil
			}
			first, last = w.plan.Case, w.plan.Case+1
		} else if w.plan.Cases > 0 {
			if last = min(last, w.plan.Cases); first >= last {
				return nil
			}
		}
		if err := w.cases(ctx, first, last); err != nil {
			return fmt.Errorf("cases %d to %d of seed %d: %w", first, last-1, w.plan.Seed, err)
		}
	}
	return nil
}

func (w *worker) cases(ctx context.Context, first, last int) error {
	world := NewWorld(w.plan.Seed, uint64(first/casesPerWorld))
	outcomes, err := w.twin.Build(ctx, world)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		w.report.Played(&Step{Statements: []*Statement{{Node: seq("CREATE VIEW .."), Kind: "create view"}}}, o)
		if d := o.Difference; d != nil && w.report.First(d) {
			w.report.CaseFailed(&Case{Seed: w.plan.Seed, Number: first, World: world}, d, 0)
		}
	}
	scratched := false
	for n := first; n < last && !w.done(); n++ {
		if err := w.twin.Reset(ctx, world, scratched); err != nil {
			return fmt.Errorf("reset before case %d: %w", n, err)
		}
		c := NewCase(w.plan.Seed, n, world)
		scratched = c.scratches()
		d, err := w.twin.PlayCase(ctx, c, w.report)
		if err != nil {
			return fmt.Errorf("case %d: %w", n, err)
		}
		if d != nil && w.report.First(d) {
			if err := w.explain(ctx, n, d); err != nil {
				return fmt.Errorf("shrink case %d: %w", n, err)
			}
		}
	}
	return nil
}

// explain shrinks a case and tells of it.
func (w *worker) explain(ctx context.Context, n int, d *Difference) error {
	if w.shrink == nil {
		var err error
		if w.shrink, err = w.stage.NewTwin(ctx); err != nil {
			return err
		}
	}
	// Made anew, for shrinking changes it and its world.
	c := NewCase(w.plan.Seed, n, NewWorld(w.plan.Seed, uint64(n/casesPerWorld)))
	s := &Shrinker{twin: w.shrink, c: c, found: d, until: time.Now().Add(w.plan.Patience)}
	if err := s.Run(ctx); err != nil {
		return err
	}
	s.found.Edited = edited(s.c, s.found)
	w.report.CaseFailed(s.c, s.found, s.trials)
	return nil
}

// PlayCase plays a case on a twin that is as the world has it. r may be nil.
func (t *Twin) PlayCase(ctx context.Context, c *Case, r *Report) (*Difference, error) {
	aborted := 0 // statements since the transaction failed
	for i, step := range c.Steps {
		if t.soft.client.status != 'E' {
			aborted = 0
		} else if aborted++; aborted > 1 && !step.ends() {
			continue // one that is told so is enough
		}
		o := t.Play(step)
		if r != nil {
			r.Played(step, o)
		}
		if o.Difference != nil {
			o.Difference.Step = i
			return o.Difference, nil
		}
		if o.Forgiven != "" || o.Over && o.Refused != nil {
			return nil, nil
		}
		if o.Over {
			break
		}
	}
	for _, side := range t.sides() {
		if side.client.broken == nil && side.client.status != 'I' {
			if err := side.run("ROLLBACK"); err != nil {
				return nil, err
			}
		}
	}
	d, err := t.compareContents(ctx)
	if d != nil {
		d.Step, d.Kind = len(c.Steps), "after the case"
	}
	return d, err
}
