package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// audit looks at the database at a quiet moment and returns what is wrong.
func (r *round) audit(ctx context.Context) (wrong []string, err error) {
	bad := func(format string, values ...any) { wrong = append(wrong, fmt.Sprintf(format, values...)) }
	if err := r.quiet(ctx); err != nil {
		return nil, err
	}
	if err := r.book.catchUp(ctx, r.db); err != nil {
		return nil, err
	}
	for _, t := range r.told() {
		if err := t.verify(r.book); err != nil {
			bad("%v", err)
		}
	}
	found, err := r.find(ctx, bad)
	if err != nil {
		return nil, err
	}
	var missing []int64
	for uid, l := range r.book.lives {
		places := found[uid]
		switch {
		case len(places) > 1:
			bad("row %d of %s is there %d times: %s", uid, l.relation, len(places), places)
		case len(places) == 1 && l.gone:
			bad("row %d of %s had gone for good and is there again: %s", uid, l.relation, places)
		case len(places) == 1:
			for _, difference := range l.compare(places[0]) {
				bad("row %d of %s: %s", uid, l.relation, difference)
			}
		case !l.gone:
			if why := r.lost(l); why != "" {
				bad("row %d of %s (%s) is gone: %s; last event: %s", uid, l.relation, l.written["tok"], why, l.lastEvent)
				missing = append(missing, uid)
			}
			l.gone = true
			r.book.purged[l.relation]++
		}
	}
	for _, uid := range missing {
		story, err := r.story(ctx, uid)
		if err != nil {
			return nil, err
		}
		bad("row %d:%s", uid, story)
	}
	for xid := range r.book.deleting {
		if n := r.book.recorded[xid]; n != 1 {
			bad("transaction %s deleted, and is recorded %d times", xid, n)
		}
	}
	for xid := range r.book.recorded {
		if !r.book.deleting[xid] {
			bad("deletion %s is recorded, and deleted nothing", xid)
		}
	}
	clear(r.book.deleting) // each once
	clear(r.book.recorded)
	if err := r.rules(ctx, bad); err != nil {
		return nil, err
	}
	return wrong, r.receipts(ctx, bad)
}

// story is all that the log has of a row and of the transaction that took it, in order.
func (r *round) story(ctx context.Context, uid int64) (text string, err error) {
	rows, err := r.db.Query(ctx, `SELECT concat_ws(' ', n, xid, app, op, relation, uid, tok, deletion, to_char(at, 'HH24:MI:SS.US'), row - '{raw,doc,span,seen,ratio,words,amount}'::text[])
FROM lost.log WHERE uid = $1 OR xid = (SELECT xid FROM lost.log WHERE uid = $1 ORDER BY n DESC LIMIT 1) ORDER BY n`, uid)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	for _, t := range r.all {
		if e := r.book.lives[uid].last; e != nil && t.name == e.app {
			text += "\n    " + t.verdict.String() + t.script()
		}
	}
	return text + "\n    " + strings.Join(lines, "\n    "), nil
}

// lost says why a row should not be gone, "" if it may be.
func (r *round) lost(l *life) string {
	e, t := l.last, called(l.relation)
	if e == nil {
		return "nobody took it"
	}
	if t.loose && e.op == "delete" && l.archived != e.xid {
		if r.destroyers[e.app] {
			r.book.purged[l.relation]-- // not by a purge
			return ""
		}
		return "it was deleted without a copy by " + e.app
	}
	switch {
	case !strings.HasPrefix(e.app, "purge"):
		return "it was no purge that took it: " + e.app
	case t.forever:
		return "the table has no retention"
	case string(e.row["held"]) == "true" || string(e.row["held"]) == `"true"`:
		if !t.loose { // it has no hold
			return "it was held"
		}
	case e.op == "delete" && !isDead(e.row):
		return "it was live"
	}
	if age := e.at.Sub(l.at); age < retention {
		return fmt.Sprintf("it was deleted %s before", age.Round(time.Millisecond))
	}
	return ""
}

// place is where a row was found.
type place struct {
	archived bool
	row      fields
	deletion string // which it is of, as the product says; "" for a live one
	matching int    // how many it could be of
}

func (p place) String() string {
	where := "in its table"
	if p.archived {
		where = "in the archive"
	}
	row, _ := json.Marshal(p.row)
	return fmt.Sprintf("%s %s, of deletion %q of %d", where, row, p.deletion, p.matching)
}

// find reads all rows that there are.
func (r *round) find(ctx context.Context, bad func(string, ...any)) (map[int64][]place, error) {
	found := map[int64][]place{}
	for _, t := range tables {
		var key []string
		for _, c := range t.key {
			key = append(key, fmt.Sprintf("x.%s::text", c.name))
		}
		keyed, of, exact := "false", "NULL", "0"
		if !t.loose {
			keyed = fmt.Sprintf("k.relation = '%s'::regclass AND k.key = ARRAY[%s]", t.name, strings.Join(key, ", "))
			marker := "NULL"
			if !t.flag {
				marker = "x.deleted_at"
				exact = "(SELECT count(*) FROM tombstone.deletions d WHERE d.exact AND d.at = x.deleted_at)"
			}
			of = fmt.Sprintf("(tombstone.deletion_of('%s', %s, ARRAY[%s])).id::text", t.name, marker, strings.Join(key, ", "))
		}
		rows, err := r.db.Query(ctx, fmt.Sprintf(`SELECT x.uid, false, to_jsonb(x), CASE WHEN NOT (%[1]s) THEN coalesce(%[2]s, '') ELSE '' END,
	CASE WHEN %[1]s THEN 0 ELSE coalesce(nullif((SELECT count(*) FROM tombstone.keyed k WHERE %[3]s), 0), %[4]s) END FROM %[5]s x
UNION ALL SELECT (a.row ->> 'uid')::bigint, true, (SELECT to_jsonb("whole row") FROM (SELECT %[6]s) "whole row"), coalesce(a.deletion::text, ''),
	(SELECT count(*) FROM tombstone.deletions d WHERE d.id = a.deletion AND d.at = a.at) FROM tombstone.archive a WHERE a.relation = '%[5]s'::regclass`, t.live("x"), of, keyed, exact, t.name, t.archived))
		if err != nil {
			return nil, err
		}
		var uid int64
		var p place
		if _, err := pgx.ForEachRow(rows, []any{&uid, &p.archived, &p.row, &p.deletion, &p.matching}, func() error {
			one := p
			p.row = nil
			found[uid] = append(found[uid], one)
			if l := r.book.lives[uid]; l == nil || l.relation != t.name {
				bad("row %d of %s is there, and nobody has written it", uid, t.name)
			}
			return nil
		}); err != nil {
			return nil, fmt.Errorf("read %s: %w", t.name, err)
		}
	}
	return found, nil
}

// compare says what of a row is not as it was written last, and whether it is of the deletion that took it.
func (l *life) compare(p place) (differences []string) {
	t := called(l.relation)
	for name, want := range l.written {
		if name == t.marker() || name == "deleted_at" {
			continue
		}
		got := p.row[name]
		if string(got) == string(want) {
			continue
		}
		if r := t.refOf(name); r != nil && r.cut != "" && string(got) == r.cut {
			continue
		}
		differences = append(differences, fmt.Sprintf("%s was written as %s and is %s (%s)", name, want, got, p))
	}
	dead := isDead(p.row) || p.archived
	if dead && (p.deletion != l.buried || p.matching != 1) {
		differences = append(differences, fmt.Sprintf("transaction %s took it; found %s", l.buried, p))
	}
	return differences
}
