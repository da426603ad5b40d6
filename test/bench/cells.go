package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Metric is what a figure says.
type Metric string

// The metrics. What they count depends on the cell's Kind.
const (
	Rate   Metric = "rate"
	P50    Metric = "p50_ms"
	P99    Metric = "p99_ms"
	CPU    Metric = "cpu_s" // of the proxy
	Memory Metric = "kib_per_connection"
	Before Metric = "kib_before"
	After  Metric = "kib_after"
)

// Figures are what one target did in one round of a cell.
type Figures map[Metric]float64

// Kind says what the metrics of a cell count.
type Kind struct {
	rate, work string            // the unit of Rate, and the work that CPU is for
	cost       func(Options) int // of one measurement, in ms, roughly
}

var (
	pgbenchKind = &Kind{"transactions per second", "a million statements", func(o Options) int { return (warmUp(1)+o.Seconds)*1000 + 800 }}
	bulkKind    = &Kind{"MB/s", "a GB", func(o Options) int { return 2 * max(o.BulkMB, o.CopyInMB) }}
	connectKind = &Kind{"sessions per second", "a thousand sessions", func(o Options) int { return o.Seconds * 1000 }}
	idleKind    = &Kind{"", "", func(o Options) int { return o.Idle + 2*int(o.quiet().Milliseconds()) }}
)

// Cell is one thing to measure with every target.
type Cell struct {
	Name    string
	Kind    *Kind
	proxies bool // direct has no figure here
	run     func(ctx context.Context, s *Stage, t *Target) (Figures, error)
}

// cells are all, in the report's order.
func cells() []*Cell {
	var all []*Cell
	for _, sc := range scripts {
		for _, protocol := range []string{"simple", "extended", "prepared"} {
			for _, clients := range []int{1, 8, 32, 128} {
				all = append(all, pgbenchCell(sc, protocol, clients))
			}
		}
	}
	all = append(all, bulkCells()...)
	return append(all, &Cell{Name: "connect", Kind: connectKind, run: connects},
		&Cell{Name: "connect-fake", Kind: connectKind, proxies: true, run: fakeConnects},
		&Cell{Name: "idle", Kind: idleKind, proxies: true, run: idle})
}

// Results are the figures of a run.
type Results struct {
	Cells   []*Cell
	Figures map[string]map[string][]Figures // cell, target, round; nil where a measurement broke
	Broken  []string
}

// patience is how much longer than planned one measurement may take before it counts as broken.
const patience = time.Minute

// measure does all rounds, or those until the context ends. Progress goes to w.
func measure(ctx context.Context, s *Stage, w io.Writer) *Results {
	r := &Results{Figures: map[string]map[string][]Figures{}}
	var cost int
	for _, c := range cells() {
		if s.Options.Cells.MatchString(c.Name) {
			r.Cells = append(r.Cells, c)
			r.Figures[c.Name] = map[string][]Figures{}
			cost += c.Kind.cost(s.Options) * len(c.targets(s))
		}
	}
	fmt.Fprintf(w, "%d cells, %d targets, %d rounds: about %s\n", len(r.Cells), len(s.Targets), s.Options.Rounds,
		(time.Duration(cost*s.Options.Rounds) * time.Millisecond).Round(time.Second))
	r.greet(ctx, s)
	for round := range s.Options.Rounds {
		// What the tpcb-like cells of the last round left behind is not to be read by this one's.
		if err := s.sql(ctx, "VACUUM pgbench_accounts"); err != nil && ctx.Err() == nil {
			r.broke("round %d: %v", round+1, err)
		}
		for i, c := range r.Cells {
			targets := c.targets(s)
			line := fmt.Sprintf("round %d/%d %-24s", round+1, s.Options.Rounds, c.Name)
			for k := range targets {
				t := targets[(k+i+round)%len(targets)]
				f, err := c.once(ctx, s, t)
				if ctx.Err() != nil {
					return r
				}
				if err != nil {
					r.broke("%s, %s, round %d: %v", c.Name, t.Name, round+1, err)
				}
				r.Figures[c.Name][t.Name] = append(r.Figures[c.Name][t.Name], f)
				line += fmt.Sprintf("  %s %s", t.Name, c.headline(f))
			}
			fmt.Fprintln(w, line)
		}
	}
	return r
}

func (r *Results) broke(format string, args ...any) {
	r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
}

// greet is a moment of work for every target, so that the first round is like the others, and so that one that does not work at
// all is found out at once.
func (r *Results) greet(ctx context.Context, s *Stage) {
	for _, t := range s.Targets {
		limited, cancel := context.WithTimeout(ctx, patience)
		if err := s.runPgbench(limited, t.Port, "-n", "-S", "-c", "8", "-j", "2", "-t", "250"); err != nil && ctx.Err() == nil {
			r.broke("first contact, %s: %v", t.Name, err)
		}
		cancel()
	}
}

// once does one measurement, and gives up when it hangs.
func (c *Cell) once(ctx context.Context, s *Stage, t *Target) (Figures, error) {
	ctx, cancel := context.WithTimeout(ctx, patience+time.Duration(c.Kind.cost(s.Options))*time.Millisecond)
	defer cancel()
	if t.child != nil {
		if err := t.child.alive(); err != nil {
			return nil, err
		}
	}
	return c.run(ctx, s, t)
}

func (c *Cell) targets(s *Stage) []*Target {
	if c.proxies {
		return s.Targets[1:]
	}
	return s.Targets
}

// headline is the figure for the progress line.
func (c *Cell) headline(f Figures) string {
	if f == nil {
		return "broke"
	}
	if c.Kind == idleKind {
		return number(f[Memory])
	}
	return number(f[Rate])
}
