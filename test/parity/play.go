package main

import (
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"
)

// Outcome is what became of one step.
type Outcome struct {
	Difference *Difference     // the twins parted
	Refused    *pgconn.PgError // the proxy refused it, so hard did not get it
	Failure    string          // the SQLSTATE of the error that both gave, if any
	Forgiven   string          // why a difference is none, see known.go; the case is over
	Over       bool            // nothing more can be compared in this case
}

// Play sends a step to soft, then to hard, and compares the answers. Soft is
// first because what it refuses must not run in hard.
func (t *Twin) Play(step *Step) Outcome {
	softAnswer := t.soft.client.Send(step.turn())
	if why := softAnswer.Refused(); why != nil {
		return t.refused(step, why)
	}
	hardAnswer := t.hard.client.Send(step.turn())
	forgiveOrigin(step, hardAnswer, softAnswer, t.hard.names)
	d := differ(hardAnswer.lines(t.hard.names, step.order), softAnswer.lines(t.soft.names, step.order))
	if d == nil {
		o := Outcome{Over: softAnswer.Broken()}
		if e := softAnswer.Failed(); e != nil {
			o.Failure = e.Code
		}
		return o
	}
	switch {
	case keyHeld(hardAnswer, softAnswer):
		return Outcome{Forgiven: "at a primary key that a tombstone holds", Over: true}
	case eitherError(step, hardAnswer, softAnswer):
		return Outcome{Forgiven: "at a statement that breaks a constraint more than once, and not the same first", Over: true}
	}
	d.SQL, d.How, d.Kind = step.SQL(), step.how(), step.kind()
	return Outcome{Difference: d, Over: true}
}

// refused undoes in both what the refusal aborted in soft. Of several
// statements some may have run in soft and left what no rollback takes back, a
// number from a sequence or a prepared statement: then the case is over.
func (t *Twin) refused(step *Step, why *pgconn.PgError) Outcome {
	over := len(step.Statements) > 1
	if t.hard.client.status != 'I' || t.soft.client.status != 'I' {
		rollback := &Step{Statements: []*Statement{{Node: seq("ROLLBACK"), Kind: "rollback"}}}
		t.soft.client.Send(rollback.turn())
		t.hard.client.Send(rollback.turn())
	}
	return Outcome{Refused: why, Over: over || t.soft.client.broken != nil}
}

// run sends SQL to one client and fails on any error: for what must work.
func (s *Side) run(sql string) error {
	a := s.client.Send(&Turn{messages: []pp.FrontendMessage{&pp.Query{String: sql}}})
	if e := a.Failed(); e != nil {
		return fmt.Errorf("%s: %s: %s (%s)", s.name, sql, e.Message, e.Code)
	}
	if a.Broken() {
		return fmt.Errorf("%s: %s: %s", s.name, sql, a[len(a)-1].Text)
	}
	return nil
}
