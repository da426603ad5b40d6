package purge

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// longest is how many rows that refer to each other go in one statement.
const longest = 10000

// above lists the rows of a group that rows of one of its leaves refer to.
func (p *purger) above(ctx context.Context, tx pgx.Tx, g *group, l *leaf, tids []pgtype.TID) ([]place, error) {
	var up []place
	for _, t := range g.tables {
		for _, k := range t.refs {
			if !slices.Contains(l.above, k.child) {
				continue
			}
			rows, err := tx.Query(ctx, fmt.Sprintf("SELECT DISTINCT %[1]stableoid, %[1]sctid FROM %[2]s, %[3]s WHERE %[4]sctid = ANY ($1) AND %[5]s",
				referred, k.Parent.Only()+as(referred), l.from(referrer), referrer, k.Matches(referred, referrer)), tids)
			if err != nil {
				return nil, err
			}
			var one place
			if _, err = pgx.ForEachRow(rows, []any{&one.leaf, &one.tid}, func() error {
				if in := p.graph.leaves[one.leaf]; in != nil && !in.cutoff.IsZero() && slices.Contains(g.tables, in.of) {
					up = append(up, one)
				}
				return nil
			}); err != nil {
				return nil, err
			}
		}
	}
	return up, nil
}

// circles takes rows that refer to each other in a circle, so that none of them can go first, and those that only such rows refer to. All that
// refers to a row goes in the same statement as the row: foreign keys are looked at when all are gone.
func (p *purger) circles(ctx context.Context, left []place) error {
	// Those that came last first: they refer to earlier ones more often than the other way round, and then there is little to look for.
	left = slices.Clone(left)
	slices.Reverse(left)
	for len(left) > 0 {
		n := min(p.pace.size, len(left))
		var went int
		err := p.patiently(ctx, n, func() error {
			set, err := p.closure(ctx, left[:n])
			if err != nil || len(set.rows) == 0 {
				return err
			}
			return p.transaction(ctx, func(tx pgx.Tx) (err error) {
				went, err = p.closed(ctx, tx, set)
				return err
			})
		})
		switch {
		case cancelled(err) && n > 1:
			p.pace.halve(n)
			continue
		case err != nil:
			return err
		}
		left = left[n:]
		if err := p.rest(ctx, went); err != nil {
			return err
		}
	}
	return nil
}

// linked is rows, with those of them that each refers to.
type linked struct {
	rows map[place]bool
	up   map[place][]place
}

// drop takes rows out of the set, and all that they refer to: with them there, those cannot go.
func (s *linked) drop(rows ...place) {
	for len(rows) > 0 {
		row := rows[0]
		rows = rows[1:]
		if s.rows[row] {
			delete(s.rows, row)
			rows = append(rows, s.up[row]...)
		}
	}
}

func (s *linked) leaves(in map[uint32]*leaf) map[*leaf][]pgtype.TID {
	by := map[*leaf][]pgtype.TID{}
	for row := range s.rows {
		by[in[row.leaf]] = append(by[in[row.leaf]], row.tid)
	}
	return by
}

// closure finds the rows that have to go together with some of these, without those that have to stay.
func (p *purger) closure(ctx context.Context, seeds []place) (*linked, error) {
	s := &linked{map[place]bool{}, map[place][]place{}}
	var stay, frontier []place
	for oid, tids := range split(seeds) {
		l := p.graph.leaves[oid]
		found, err := p.which(ctx, p.conn, l, l.alias(), tids, l.expired(l.alias())+" AND "+l.free()+p.there(l.alias()))
		if err != nil {
			return nil, err
		}
		frontier = append(frontier, found...)
	}
	for _, row := range frontier {
		s.rows[row] = true
	}
	for len(frontier) > 0 && len(s.rows) <= longest {
		var next []place
		for oid, tids := range split(frontier) {
			l := p.graph.leaves[oid]
			if len(l.refs) == 0 {
				continue
			}
			blocked := ""
			for i, k := range l.refs {
				if i > 0 {
					blocked += " OR "
				}
				blocked += fmt.Sprintf("EXISTS (SELECT FROM %s WHERE %s AND NOT (%s)%s)", k.rows(k.alias()), l.refer(k, referred, k.alias()), k.going(), p.there(k.alias()))
				if archived := p.remembered(l, k, referred); archived != "" {
					blocked += " OR " + archived
				}
			}
			kept, err := p.which(ctx, p.conn, l, referred, tids, "("+blocked+")")
			if err != nil {
				return nil, err
			}
			stay = append(stay, kept...)
			tids = slices.DeleteFunc(tids, func(t pgtype.TID) bool { return slices.Contains(kept, place{oid, t}) })
			for _, k := range l.refs {
				found, err := p.follow(ctx, s, l, k, tids)
				if err != nil {
					return nil, err
				}
				next = append(next, found...)
			}
		}
		frontier = next
	}
	s.drop(stay...)
	s.drop(frontier...) // what refers to these has not been looked at
	return s, nil
}

// follow adds the rows that refer to rows of a leaf by a key, and returns those that are new.
func (p *purger) follow(ctx context.Context, s *linked, l *leaf, k *reference, tids []pgtype.TID) (next []place, err error) {
	if k.rule == nil || k.rule.cutoff.IsZero() || len(tids) == 0 {
		return nil, nil
	}
	rows, err := p.conn.Query(ctx, fmt.Sprintf("SELECT %[1]sctid, %[2]stableoid, %[2]sctid FROM %[3]s JOIN %[4]s ON %[5]s WHERE %[1]sctid = ANY ($1)%[6]s LIMIT %[7]d",
		referred, k.alias(), l.from(referred), k.rows(k.alias()), l.refer(k, referred, k.alias()), p.there(k.alias()), 10*longest), tids)
	if err != nil {
		return nil, err
	}
	var from, to place
	to.leaf = l.oid
	count := 0
	_, err = pgx.ForEachRow(rows, []any{&to.tid, &from.leaf, &from.tid}, func() error {
		count++
		s.up[from] = append(s.up[from], to)
		if !s.rows[from] {
			s.rows[from] = true
			next = append(next, from)
		}
		return nil
	})
	if count == 10*longest { // there may be more that refers to any of them
		for _, tid := range tids {
			s.drop(place{l.oid, tid})
		}
	}
	return next, err
}

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// which lists those rows of a leaf, under an alias, that meet a condition.
func (g *graph) which(ctx context.Context, q querier, l *leaf, alias string, tids []pgtype.TID, where string, more ...any) ([]place, error) {
	rows, err := q.Query(ctx, fmt.Sprintf("SELECT %sctid FROM %s WHERE %sctid = ANY ($1) AND %s", alias, l.from(alias), alias, where), append([]any{tids}, more...)...)
	if err != nil {
		return nil, err
	}
	return l.places(rows)
}

// closed takes a set of rows if nothing else refers to any of them.
func (p *purger) closed(ctx context.Context, tx pgx.Tx, s *linked) (int, error) {
	locked := map[place]bool{}
	for l, tids := range s.leaves(p.graph.leaves) {
		got, err := p.lock(ctx, tx, l, tids)
		if err != nil {
			return 0, err
		}
		for _, tid := range got {
			locked[place{l.oid, tid}] = true
		}
	}
	for row := range maps.Clone(s.rows) {
		if !locked[row] {
			s.drop(row)
		}
	}
	if err := p.verify(ctx, tx, s); err != nil || len(s.rows) == 0 {
		return 0, err
	}
	rows, err := p.delete(ctx, tx, s.leaves(p.graph.leaves), func(l *leaf) string { return l.expired(l.alias()) + " AND " + l.free() })
	if err == nil && len(rows) != len(s.rows) {
		err = fmt.Errorf("%d of %d rows that refer to each other went; something keeps the others, such as a trigger", len(rows), len(s.rows))
	}
	if err != nil {
		return 0, err
	}
	return len(rows), p.enter(ctx, tx, rows)
}

// verify drops rows from a set, all of them locked, to which others refer, and does so with a snapshot that is later than the locks: who began to
// refer to a row before it was locked is seen, and after that nobody can.
func (g *graph) verify(ctx context.Context, tx pgx.Tx, s *linked) error {
	for len(s.rows) > 0 {
		var oids []uint32
		var tids []pgtype.TID
		for row := range s.rows {
			oids, tids = append(oids, row.leaf), append(tids, row.tid)
		}
		var more []place
		for l, own := range s.leaves(g.leaves) {
			for _, k := range l.refs {
				found, err := g.which(ctx, tx, l, referred, own, fmt.Sprintf(
					"EXISTS (SELECT FROM %[1]s WHERE %[2]s%[3]s AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.oid[]), pg_catalog.unnest($3::pg_catalog.tid[])) u (leaf, place) WHERE u.leaf = %[4]stableoid AND u.place = %[4]sctid))",
					k.rows(referrer), l.refer(k, referred, referrer), g.there(referrer), referrer), oids, tids)
				if err != nil {
					return err
				}
				more = append(more, found...)
			}
		}
		if len(more) == 0 {
			return nil
		}
		s.drop(more...)
	}
	return nil
}
