package main

import (
	"context"
	"fmt"
	"slices"
)

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
		why := forgiveSessions(s, s.Steps[i], hard[i], soft[i])
		if why == "" && (told(soft, "40P01") || told(hard, "40P01")) && s.locksTwice() {
			why = "a deletion, or an UPDATE of a key, locks the row as any UPDATE before it locks it as its own: a deadlock where the server waits"
		}
		if why == "" && s.Isolation == "serializable" && told(soft, "40001") && !told(hard, "40001") {
			why = "serializable: only soft is told to try again"
		}
		if why != "" {
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

// told reports whether a step ended with an error.
func told(events []*Event, code string) bool {
	return slices.ContainsFunc(events, func(e *Event) bool { return e != nil && e.Answer.Error != nil && e.Answer.Error.Code == code })
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
	if slices.Equal(h, s) {
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
