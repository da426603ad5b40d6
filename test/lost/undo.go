package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// deletion is what tombstone history prints of one.
type deletion struct {
	ID     uint64
	Tables []struct {
		Name  string
		Count int64
	}
}

// history asks the program for all deletions, the newest first.
func (r *round) history(ctx context.Context) (list []deletion, err error) {
	said, err := r.operators[0].command(ctx, "history", "history", "--json", "--limit", "0")
	if err != nil {
		return nil, err
	}
	if said.status != 0 {
		return nil, fmt.Errorf("tombstone history: %s", said.err)
	}
	return list, json.Unmarshal(said.out, &list)
}

// undoAll undoes all deletions but those that are known, the newest first. Those that the program refuses since another has to be undone before
// have their turn after it: transactions that overlap have no order but that.
func (r *round) undoAll(ctx context.Context, known []deletion) error {
	old := map[uint64]bool{}
	for _, d := range known {
		old[d.ID] = true
	}
	list, err := r.history(ctx)
	if err != nil {
		return err
	}
	var left []deletion
	for _, d := range list {
		if !old[d.ID] {
			left = append(left, d)
		}
	}
	o := r.operators[0]
	for pass := 0; len(left) > 0; pass++ {
		var later []deletion
		var why string
		for _, d := range left {
			for done := false; !done; {
				stop := func() bool { return false }
				if rand.IntN(6) == 0 {
					stop = r.soon(ctx, o)
				}
				o.count++
				name := fmt.Sprintf("undo-all-%d", o.count)
				err := o.bringBack(ctx, name, "undo", "--json", fmt.Sprint(d.ID))
				if stop() {
					r.tally.with(func() { r.tally.kills["undo"]++ })
				}
				if err != nil {
					return err
				}
				t := o.told[len(o.told)-1]
				if t.verdict == doubtful { // killed: it may be done, and can be asked for once more
					continue
				}
				done = true
				if t.verdict == refused {
					later = append(later, d)
					why = fmt.Sprint(d)
				} else {
					r.tally.with(func() { r.tally.undone++; r.tally.again += min(pass, 1) })
				}
			}
		}
		if len(later) == len(left) {
			r.tally.bad("round %d: %d deletions cannot be undone in any order, such as %s", r.number, len(left), why)
			return nil
		}
		left = later
	}
	return nil
}

// soon kills the command that is about to be started. What it returns waits for the end of that, and reports whether it did.
func (r *round) soon(ctx context.Context, o *operator) (stop func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan bool, 1)
	go func() { // ends with stop
		var p *os.Process
		for p = o.running.Load(); p == nil && ctx.Err() == nil; p = o.running.Load() {
			time.Sleep(time.Millisecond) // a process that is started tells nobody
		}
		done <- pause(ctx, 5, 80) == nil && p.Kill() == nil
	}()
	return func() bool { cancel(); return <-done }
}

// state is all that there is of rows, byte for byte, by table.
func (r *round) state(ctx context.Context) (map[string][]string, error) {
	all := map[string][]string{}
	queries := map[string]string{
		"tombstone.archive": "SELECT a::text FROM tombstone.archive a ORDER BY id",
		"tombstone.keyed":   "SELECT k::text FROM tombstone.keyed k ORDER BY 1",
		"tombstone.severed": "SELECT s::text FROM tombstone.severed s ORDER BY 1",
	}
	for _, t := range tables {
		queries[t.name] = "SELECT x.tableoid::regclass::text || x::text FROM " + t.name + " x ORDER BY 1"
	}
	for name, sql := range queries {
		rows, err := r.db.Query(ctx, sql)
		if err != nil {
			return nil, err
		}
		if all[name], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// compareStates says what is in one and not in the other.
func compareStates(before, after map[string][]string) (differences []string) {
	for name := range before {
		count := map[string]int{}
		for _, row := range before[name] {
			count[row]++
		}
		for _, row := range after[name] {
			count[row]--
		}
		for row, n := range count {
			switch {
			case n > 0:
				differences = append(differences, fmt.Sprintf("%s: there was %s", name, row))
			case n < 0:
				differences = append(differences, fmt.Sprintf("%s: there is now %s", name, row))
			}
		}
	}
	return differences
}
