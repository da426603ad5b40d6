package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Plan says how much to play.
type Plan struct {
	Seed      uint64
	Script    int // only this one; negative for all
	Scripts   int
	Tables    int    // of a graph, 0 for any
	Parted    int    // how many tables in a hundred are partitioned
	Sessions  int    // 1 for scripts that only one session plays
	Isolation string // of concurrent sessions; "" for any
	Kinds     int    // of difference, after which it is enough; 0 for no limit
	Workers   int
	Patience  time.Duration // for shrinking one difference
	Progress  io.Writer
}

// scriptsPerGraph is how many scripts share a graph: making one takes as long as playing some ten.
const scriptsPerGraph = 50

// parted is how many tables in a hundred are partitioned, unless told otherwise.
const parted = 12

func (p *Plan) graph(script int) *Graph {
	return NewGraph(p.Seed, uint64(script/scriptsPerGraph), p.Tables, p.Parted)
}

func (p *Plan) script(n int, g *Graph) *Script { return NewScript(p.Seed, n, g, p) }

// Run plays scripts until the plan is fulfilled, several twins at a time.
func Run(ctx context.Context, stage *Stage, p *Plan, r *Report) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	if p.Script >= 0 {
		w := &worker{stage, p, r}
		return w.play(ctx, p.Script, p.Script+1)
	}
	var next atomic.Int64 // graph
	var wait sync.WaitGroup
	errs := make(chan error, p.Workers)
	for range p.Workers {
		wait.Go(func() {
			w := &worker{stage, p, r}
			for ctx.Err() == nil && (p.Kinds == 0 || r.Kinds() < p.Kinds) {
				first := (int(next.Add(1)) - 1) * scriptsPerGraph
				last := min(first+scriptsPerGraph, p.Scripts)
				if first >= last {
					return
				}
				if err := w.play(ctx, first, last); err != nil {
					errs <- fmt.Errorf("scripts %d to %d of seed %d: %w", first, last-1, p.Seed, err)
					cancel()
					return
				}
			}
		})
	}
	wait.Wait()
	close(errs)
	fmt.Fprintf(p.Progress, "seed %d: %d scripts in %.1f s\n", p.Seed, r.Scripts(), time.Since(start).Seconds())
	return <-errs
}

// worker plays one graph after the other.
type worker struct {
	stage  *Stage
	plan   *Plan
	report *Report
}

func (w *worker) play(ctx context.Context, first, last int) error {
	g := w.plan.graph(first)
	twin, err := w.stage.NewTwin(ctx, g, w.plan.Sessions)
	if bad := (*unprepared)(nil); errors.As(err, &bad) {
		if d := bad.difference(); w.report.First(d) {
			return w.explain(ctx, first, d)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, g.DDL())
	}
	defer func() { twin.Close() }()
	for n := first; n < last && ctx.Err() == nil; n++ {
		s := w.plan.script(n, g)
		o, err := twin.Play(ctx, s)
		if err != nil {
			return fmt.Errorf("script %d: %w", n, err)
		}
		w.report.Played(o)
		d := o.Difference
		if d == nil {
			continue
		}
		if steady, err := w.comesAgain(ctx, twin, s, d); err != nil {
			return fmt.Errorf("script %d once more: %w", n, err)
		} else if !steady {
			w.report.Once(d)
			continue
		}
		if w.report.First(d) {
			if err := w.explain(ctx, n, d); err != nil {
				return fmt.Errorf("shrink script %d: %w", n, err)
			}
		}
		if d.broken() { // a session is lost
			twin.Close()
			if twin, err = w.stage.NewTwin(ctx, g, w.plan.Sessions); err != nil {
				return err
			}
		}
	}
	return nil
}

// comesAgain reports whether a difference of several sessions is there each time. Of two that are woken at once either may be first, and a
// machine that is busy elsewhere may be too slow for who waits to be seen.
func (w *worker) comesAgain(ctx context.Context, twin *Twin, s *Script, d *Difference) (bool, error) {
	for range 3 {
		if s.Sessions == 1 || d.broken() {
			break
		}
		o, err := twin.Play(ctx, s)
		if err != nil {
			return false, err
		}
		if o.Difference == nil || o.Difference.key() != d.key() {
			return false, nil
		}
	}
	return true, nil
}

// explain shrinks a script and tells of it.
func (w *worker) explain(ctx context.Context, n int, d *Difference) error {
	s := w.plan.script(n, w.plan.graph(n)) // made anew, for shrinking changes it
	k := &Shrinker{stage: w.stage, script: s, found: d, until: time.Now().Add(w.plan.Patience)}
	defer k.close()
	if err := k.Run(ctx); err != nil {
		return err
	}
	w.report.Failed(w.plan, s, k.found, k.trials)
	return nil
}
