package main

import (
	"context"
	"fmt"
	"slices"
)

// verdict is what hard says of a constraint.
type verdict byte

const (
	unknown verdict = iota
	whole
	broken
)

// genuine asks hard whether a statement breaks the constraint that soft has told of, once those that hard tells of first are not there.
//
// Of several constraints that one statement breaks the server tells of the one that it comes to first. Ours are looked at in nearly the same
// order and not in quite the same, so another may be told. Without this question, any error would do.
func (t *Twin) genuine(ctx context.Context, sql string, hard, soft *Answer) (verdict, error) {
	client := t.hard.clients[0]
	var without []*Key
	for want := hard; ; {
		i := slices.IndexFunc(t.graph.Keys, func(k *Key) bool { return k.Name == want.Error.ConstraintName })
		if i < 0 || slices.Contains(without, t.graph.Keys[i]) {
			return unknown, nil // it is no key, and cannot be left out
		}
		without = append(without, t.graph.Keys[i])
		drop := "BEGIN; "
		for _, k := range without {
			drop += fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s; ", k.Child.Name, k.Name)
		}
		if a := client.Send(ctx, drop); a.Error != nil || a.Broken != nil {
			return unknown, fmt.Errorf("%s: %s", drop, a.text())
		}
		want = client.Send(ctx, sql)
		if want.Error == nil { // those that are deferred
			want = client.Send(ctx, "SET CONSTRAINTS ALL IMMEDIATE")
		}
		client.Send(ctx, "ROLLBACK")
		switch {
		case want.Error == nil:
			return whole, nil
		case want.Error.ConstraintName == soft.Error.ConstraintName && want.Error.Code == soft.Error.Code:
			return broken, nil
		}
	}
}
