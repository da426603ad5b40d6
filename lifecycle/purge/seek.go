package purge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	maxPages = 8192 // blocks that are looked at in one statement: 64 MB
	fetched  = 10000
)

// seek finds the candidates of a leaf, piece by piece. What has been found need not be so any more when it is used.
//
// The server's planner says how. If an index tells where they are, they are noted down by one statement, in a cursor that needs no transaction.
// Else the table is read once, a range of blocks at a time, so that no statement takes long and none holds back VACUUM. In neither way is
// anything read again for each batch, whatever of it stays.
func (p *purger) seek(ctx context.Context, l *leaf, use func([]place) error) error {
	where := l.candidate(l.alias()) + p.there(l.alias())
	indexed, err := p.indexed(ctx, l, where)
	if err != nil {
		return err
	}
	if indexed || p.major < 14 { // before 14, the server reads the whole table for a range of blocks
		err := p.note(ctx, l, where, use)
		if !cancelled(err) || p.major < 14 {
			return err
		}
	}
	return p.blocks(ctx, l, where, use)
}

// cancelled reports whether a statement took longer than statement_timeout.
func cancelled(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "57014"
}

// indexed reports whether the server would look for rows of a leaf otherwise than by reading all of it.
func (p *purger) indexed(ctx context.Context, l *leaf, where string) (bool, error) {
	var text []byte
	if err := p.conn.QueryRow(ctx, fmt.Sprintf("EXPLAIN (FORMAT JSON) SELECT FROM %s WHERE %s", l.from(l.alias()), where), pgx.QueryExecModeExec).Scan(&text); err != nil {
		return false, err
	}
	var answer []struct{ Plan plan }
	if err := json.Unmarshal(text, &answer); err != nil {
		return false, fmt.Errorf("EXPLAIN: %w", err)
	}
	return !answer[0].Plan.reads(l.name.Relation), nil
}

// plan is a node of what EXPLAIN prints.
type plan struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Subplan  string `json:"Subplan Name"`
	Plans    []plan
}

// reads reports whether a plan reads the whole of a table.
func (n plan) reads(table string) bool {
	return n.Subplan == "" && (n.Type == "Seq Scan" && n.Relation == table || slices.ContainsFunc(n.Plans, func(n plan) bool { return n.reads(table) }))
}

// note lets the server note all candidates of a leaf, and uses them in the order in which they are on disk: a page that has several is written once,
// and not again for each time at which one of its rows was deleted.
func (p *purger) note(ctx context.Context, l *leaf, where string, use func([]place) error) error {
	err := p.patiently(ctx, 0, func() error {
		_, err := p.conn.Exec(ctx, fmt.Sprintf("DECLARE tombstone_found NO SCROLL CURSOR WITH HOLD FOR SELECT ctid FROM %s WHERE %s ORDER BY ctid", l.from(l.alias()), where))
		return err
	})
	if err != nil {
		return err
	}
	defer func() { _, _ = p.conn.Exec(context.WithoutCancel(ctx), "CLOSE tombstone_found") }()
	for {
		found, err := p.places(ctx, l, fmt.Sprintf("FETCH %d FROM tombstone_found", fetched))
		if err != nil || len(found) == 0 {
			return err
		}
		if err := use(found); err != nil {
			return err
		}
	}
}

// blocks looks through a leaf, range by range.
func (p *purger) blocks(ctx context.Context, l *leaf, where string, use func([]place) error) error {
	var size int64
	if err := p.conn.QueryRow(ctx, "SELECT pg_catalog.pg_relation_size($1) / pg_catalog.current_setting('block_size')::int8", l.oid).Scan(&size); err != nil {
		return err
	}
	for from := int64(0); from < size; {
		if err := p.rest(ctx, 0); err != nil {
			return err
		}
		var found []place
		var took time.Duration
		to := from + int64(p.pages)
		err := p.patiently(ctx, 0, func() (err error) {
			begun := time.Now()
			defer func() { took = time.Since(begun) }()
			found, err = p.places(ctx, l, fmt.Sprintf("SELECT ctid FROM %s WHERE ctid >= '(%d,0)' AND ctid < '(%d,0)' AND %s", l.from(l.alias()), from, to, where))
			return err
		})
		switch {
		case cancelled(err) && p.pages > 1:
			p.pages = max(1, p.pages/4)
			continue
		case err != nil:
			return err
		}
		if len(found) > 0 {
			if err := use(found); err != nil {
				return err
			}
		}
		if from = to; len(found) > 4*p.pace.size || p.pace.gentle() && took > 2*brief {
			p.pages = max(1, p.pages/2)
		} else if len(found) < p.pace.size {
			p.pages = min(maxPages, 2*p.pages)
		}
	}
	return nil
}

// places reads rows of a leaf. The statement is another each time, so it is not kept.
func (p *purger) places(ctx context.Context, l *leaf, sql string) ([]place, error) {
	rows, err := p.conn.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return nil, err
	}
	return l.places(rows)
}

// places reads where rows of the leaf are.
func (l *leaf) places(rows pgx.Rows) ([]place, error) {
	var found []place
	var tid pgtype.TID
	_, err := pgx.ForEachRow(rows, []any{&tid}, func() error {
		found = append(found, place{l.oid, tid})
		return nil
	})
	return found, err
}

// split sorts places by their leaves.
func split(places []place) map[uint32][]pgtype.TID {
	by := map[uint32][]pgtype.TID{}
	for _, one := range places {
		by[one.leaf] = append(by[one.leaf], one.tid)
	}
	return by
}
