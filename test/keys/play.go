package main

import (
	"context"
	"fmt"
	"strings"
)

// Outcome is what became of one script.
type Outcome struct {
	Difference *Difference
	Compared   int            // statements
	Refused    map[string]int // by the proxy, and so not compared
	Forgiven   map[string]int // differences that are none, see known.go
	Errors     map[string]int // SQLSTATEs that both sides agreed on
	Waited     int            // statements that waited for another session, on both sides
	Over       bool           // what follows was not compared
	Undone     int
	Unwilling  int // deletions that could not be undone, with a reason
}

// Play plays a script from empty tables.
func (t *Twin) Play(ctx context.Context, s *Script) (*Outcome, error) {
	if err := t.Reset(ctx); err != nil {
		return nil, err
	}
	o := &Outcome{Refused: map[string]int{}, Forgiven: map[string]int{}, Errors: map[string]int{}}
	if s.Sessions > 1 {
		return o, t.concurrently(ctx, s, o)
	}
	for i, step := range s.Steps {
		if d := t.step(ctx, step, o); d != nil {
			d.Step, o.Difference = i, d
			return o, nil
		}
		if o.Over {
			return o, nil
		}
	}
	if t.soft.clients[0].TxStatus() != 'I' {
		if d := t.step(ctx, &Step{Kind: "commit", Parts: []*Part{must("COMMIT")}}, o); d != nil {
			d.Step, o.Difference = len(s.Steps), d
			return o, nil
		}
	}
	var err error
	if o.Difference, err = t.compareContents(ctx); o.Difference != nil || err != nil {
		return o, err
	}
	return o, t.undo(ctx, s, o)
}

// step sends a step to soft, then to hard: what the proxy refuses must not run in hard.
func (t *Twin) step(ctx context.Context, step *Step, o *Outcome) *Difference {
	sql := step.SQL()
	hard, soft := t.hard.clients[0], t.soft.clients[0]
	if soft.TxStatus() == 'E' && !(step.Kind == "commit" || step.Kind == "rollback" || step.Kind == "rollback to") {
		return nil
	}
	got := soft.Send(ctx, sql)
	if why := got.Refused(); why != nil {
		o.Refused[fmt.Sprintf("%s  %s: %s", why.Code, step.Kind, namesGone(why.Message))]++
		if soft.TxStatus() != 'I' {
			soft.Send(ctx, "ROLLBACK")
		}
		if hard.TxStatus() != 'I' {
			hard.Send(ctx, "ROLLBACK")
		}
		t.level(ctx)
		return nil
	}
	want := hard.Send(ctx, sql)
	o.Compared++
	d := differ(want, got)
	if d == nil {
		if want.Error != nil {
			o.Errors[want.Error.Code]++
		}
		return nil
	}
	why := forgive(t.graph, step, want, got)
	again := len(step.Parts) > 0 && !strings.HasPrefix(sql, "BEGIN") // it can be tried, if it has left no transaction open
	switch {
	case why == anotherOrder && again && (want.Error != nil && want.Status == 'I' || got.Error != nil && got.Status == 'I'):
		failed := soft
		if want.Error != nil {
			failed = hard
		}
		proven := anyOrder(ctx, failed, sql)
		t.level(ctx)
		if proven {
			why += ", which was tried"
		} else {
			d.Class += " (in every order)"
			why = ""
		}
	case why == anotherConstraint && again && want.Status == 'I':
		it, err := t.genuine(ctx, sql, want, got)
		t.level(ctx) // it has taken numbers in hard
		switch {
		case err != nil:
			d.Class = err.Error()
			why = ""
		case it == whole:
			d.Class += " (which is not broken)"
			why = ""
		case it == broken:
			why += ", which is broken too"
		}
	}
	if why != "" {
		o.Forgiven[why]++
		o.Over = (want.Error == nil) != (got.Error == nil) // the twins go different ways from here
		return nil
	}
	d.Kind, d.SQL = step.Kind, sql
	return d
}

// level gives soft the numbers that hard's sequences are at: they are taken for good, whatever became of the statement.
func (t *Twin) level(ctx context.Context) {
	for _, table := range t.graph.Tables {
		if !table.Serial {
			continue
		}
		at, err := t.hard.ask(ctx, fmt.Sprintf("SELECT last_value || ', ' || is_called FROM %s_id_seq", table.Name))
		if err == nil {
			_ = t.soft.do(ctx, fmt.Sprintf("SELECT setval('%s_id_seq', %s)", table.Name, at[0])) // else the contents tell
		}
	}
}
