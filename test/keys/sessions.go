package main

import (
	"context"
	"fmt"
	"strings"
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
			all = all && contains(waiting, p.sessions[i].backend)
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

func contains(list []string, x string) bool {
	for _, y := range list {
		if x == y {
			return true
		}
	}
	return false
}

// concurrently plays a script of several sessions on soft, then on hard, and compares what each step was told and whether it waited.
func (t *Twin) concurrently(ctx context.Context, s *Script, o *Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	soft, err := t.soft.interleave(ctx, s.Steps)
	if err != nil {
		return err
	}
	for i, e := range soft {
		if e != nil && e.Answer.Refused() != nil {
			o.Refused[fmt.Sprintf("%s  %s: %s", e.Answer.Error.Code, s.Steps[i].Kind, namesGone(e.Answer.Error.Message))]++
			return nil
		}
	}
	hard, err := t.hard.interleave(ctx, s.Steps)
	if err != nil {
		return err
	}
	for i := range s.Steps {
		if hard[i] == nil && soft[i] == nil {
			continue
		}
		o.Compared++
		d := differEvents(hard[i], soft[i])
		if d == nil {
			if e := hard[i].Answer.Error; e != nil {
				o.Errors[e.Code]++
			}
			if hard[i].Waited {
				o.Waited++
			}
			continue
		}
		if why := forgiveSessions(s, s.Steps[i], hard[i], soft[i]); why != "" {
			o.Forgiven[why]++
			if t.parted(hard, soft) {
				o.Difference, err = t.sound(ctx)
				return err
			}
			continue
		}
		d.Step, d.Kind, d.SQL = i, s.Isolation+"; "+s.Steps[i].Kind, s.Steps[i].SQL()
		o.Difference = d
		return nil
	}
	o.Difference, err = t.compareContents(ctx)
	if d := o.Difference; d != nil {
		d.Kind = s.Isolation
	}
	return err
}

// parted reports whether a step failed, or waited, on one side only: from there on nothing is comparable.
func (t *Twin) parted(hard, soft []*Event) bool {
	for i := range hard {
		h, s := hard[i], soft[i]
		if (h == nil) != (s == nil) || h != nil && (h.Waited != s.Waited || (h.Answer.Error != nil) != (s.Answer.Error != nil)) {
			return true
		}
	}
	return false
}

// sound is what must hold whoever was told to try again.
func (t *Twin) sound(ctx context.Context) (*Difference, error) {
	loose, err := t.soft.ask(ctx, t.graph.dangling())
	if err != nil || len(loose) == 0 {
		return nil, err
	}
	return &Difference{Stage: "contents", Class: "a live row refers to none", Soft: loose}, nil
}

func differEvents(hard, soft *Event) *Difference {
	h, s := eventText(hard), eventText(soft)
	if strings.Join(h, "\n") == strings.Join(s, "\n") {
		return nil
	}
	d := &Difference{Stage: "sessions", Hard: h, Soft: s}
	switch {
	case hard == nil || soft == nil:
		d.Class = "not sent on one side"
	case hard.Waited && !soft.Waited:
		d.Class = "hard waits, soft does not"
	case soft.Waited && !hard.Waited:
		d.Class = "soft waits, hard does not"
	default:
		d.Class = fmt.Sprintf("hard %s, soft %s", gist(hard.Answer, soft.Answer), gist(soft.Answer, hard.Answer))
	}
	return d
}

func eventText(e *Event) []string {
	if e == nil {
		return []string{"not sent"}
	}
	list := e.Answer.text()
	if err := e.Answer.Error; err != nil && (err.Code == "40P01" || err.Code == "40001") {
		list = []string{"ERROR " + err.Code, "status " + string(e.Answer.Status)} // who waits for whom, and whether the row was deleted or updated
	}
	if e.Waited {
		list = append(list, "waited")
	}
	return list
}
