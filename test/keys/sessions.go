package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Event is what became of a step of several sessions.
type Event struct {
	Answer *Answer
	Waited bool // for another session
}

// held is how long a session must wait for a lock until it is believed to go on waiting: longer than deadlock_timeout, so that who
// closes a circle has looked, and is told.
const held = 25 * time.Millisecond

// stuck is a script that does not end: every session waits, and the server finds no deadlock.
var errStuck = fmt.Errorf("all sessions wait for %s", patience)

// play is one side of a script of several sessions.
type play struct {
	side     *Side
	steps    []*Step
	events   []*Event
	sessions []session
}

type session struct {
	*Client
	answer  chan *Answer // of the statement that is under way, nil if none is
	step    int          // its number
	delayed []int        // steps whose turn has come while it waited
}

// Interleave plays the steps in their order. A step whose session waits is delayed, and others go on; so it is the same on both sides as
// long as the same sessions wait.
func (s *Side) interleave(ctx context.Context, steps []*Step) ([]*Event, error) {
	p := &play{side: s, steps: steps, events: make([]*Event, len(steps)), sessions: make([]session, len(s.clients))}
	for i, c := range s.clients {
		p.sessions[i].Client = c
	}
	for i, step := range steps {
		at := &p.sessions[step.Session]
		if at.answer != nil || len(at.delayed) > 0 {
			at.delayed = append(at.delayed, i)
			continue
		}
		p.send(ctx, at, i)
		if err := p.settle(ctx); err != nil {
			return nil, err
		}
		if err := p.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	// What a shrunk script leaves open is given up, so that those who wait for it come to an end.
	for give, until := 0, time.Now().Add(patience); p.busy(); {
		if time.Now().After(until) {
			return nil, errStuck
		}
		at := &p.sessions[give%len(p.sessions)]
		give++
		if at.answer == nil && at.TxStatus() != 'I' {
			at.Send(ctx, "ROLLBACK")
		}
		if err := p.settle(ctx); err != nil {
			return nil, err
		}
		if err := p.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	return p.events, nil
}

func (p *play) busy() bool {
	for i := range p.sessions {
		if p.sessions[i].answer != nil || len(p.sessions[i].delayed) > 0 {
			return true
		}
	}
	return false
}

// send sends a step. The goroutine ends with the answer, which always comes: ctx ends a connection that says nothing.
func (p *play) send(ctx context.Context, at *session, i int) {
	step := p.steps[i]
	if at.TxStatus() == 'E' && !(step.Kind == "commit" || step.Kind == "rollback") {
		return
	}
	answer := make(chan *Answer, 1)
	at.answer, at.step = answer, i
	p.events[i] = &Event{}
	go func() { answer <- at.Send(ctx, step.SQL()) }()
}

// catchUp sends what was delayed and need not be any more.
func (p *play) catchUp(ctx context.Context) error {
	for again := true; again; {
		again = false
		for i := range p.sessions {
			at := &p.sessions[i]
			if at.answer == nil && len(at.delayed) > 0 {
				next := at.delayed[0]
				at.delayed = at.delayed[1:]
				p.send(ctx, at, next)
				if err := p.settle(ctx); err != nil {
					return err
				}
				again = true
			}
		}
	}
	return nil
}

// settle waits until each session has its answer, or waits for a lock and goes on doing so.
func (p *play) settle(ctx context.Context) error {
	var since time.Time
	for first := true; ; first = false {
		var open []int
		for i := range p.sessions {
			if p.collect(&p.sessions[i], first) {
				since = time.Time{}
			}
			if p.sessions[i].answer != nil {
				open = append(open, i)
			}
		}
		if len(open) == 0 {
			return nil
		}
		waiting, err := p.side.ask(ctx, "SELECT pid FROM pg_locks WHERE NOT granted")
		if err != nil {
			return err
		}
		all := true
		for _, i := range open {
			all = all && slices.Contains(waiting, p.sessions[i].backend)
		}
		switch {
		case !all:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > held:
			for _, i := range open {
				p.events[p.sessions[i].step].Waited = true
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond / 2):
		}
	}
}

// collect takes the answer of a session if it is there, or comes at once.
func (p *play) collect(s *session, patient bool) bool {
	if s.answer == nil {
		return false
	}
	var now <-chan time.Time
	if patient {
		now = time.After(2 * time.Millisecond)
	} else {
		closed := make(chan time.Time)
		close(closed)
		now = closed
	}
	select {
	case a := <-s.answer:
		p.events[s.step].Answer, s.answer = a, nil
		return true
	case <-now:
	}
	select {
	case a := <-s.answer:
		p.events[s.step].Answer, s.answer = a, nil
		return true
	default:
		return false
	}
}
