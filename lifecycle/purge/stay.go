package purge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// stay counts those of the candidates that are still there, by what keeps them.
func (p *purger) stay(ctx context.Context, l *leaf, tids []pgtype.TID) error {
	if len(tids) == 0 {
		return nil
	}
	a := l.alias()
	reasons := []Kept{{Reason: "undated"}, {Reason: "held"}, {Reason: "undecided"}}
	var b strings.Builder
	when := func(condition string, reason Kept) {
		n := len(reasons)
		reasons = append(reasons, reason)
		fmt.Fprintf(&b, " WHEN %s THEN %d", condition, n)
	}
	if l.clock() == "boolean" {
		b.WriteString(" WHEN " + l.recorded(a) + " IS NULL THEN 0")
	}
	if l.Hold != "" {
		fmt.Fprintf(&b, " WHEN (%s) THEN 1 WHEN (%s) IS NULL THEN 2", l.Hold, l.Hold)
	}
	for _, k := range l.refs { // rather the one that has to go first than the one that might
		condition := ""
		if k.Child.Protected != nil && !k.Child.Protected.Unmarked && !k.Child.Protected.Unreadable {
			condition = " AND " + live(k.Child.Protected, referrer)
		}
		when(fmt.Sprintf("EXISTS (SELECT FROM %s WHERE %s%s)", k.rows(referrer), l.refer(k, a, referrer), condition), Kept{Reason: "referred", By: k.Child.Name.String()})
	}
	for _, k := range l.refs {
		when(fmt.Sprintf("EXISTS (SELECT FROM %s WHERE %s%s)", k.rows(referrer), l.refer(k, a, referrer), p.there(referrer)), Kept{Reason: "kept", By: k.Child.Name.String()})
		if archived := p.remembered(l, k, a); archived != "" {
			when(archived, Kept{Reason: "kept", By: k.Child.Name.String()})
		}
	}
	n := len(reasons)
	reasons = append(reasons, Kept{Reason: "locked"})
	reason := fmt.Sprint(n)
	if b.Len() > 0 {
		reason = fmt.Sprintf("CASE%s ELSE %d END", b.String(), n)
	}
	account := p.account(l)
	return p.patiently(ctx, 0, func() error {
		rows, err := p.conn.Query(ctx, fmt.Sprintf("SELECT s.reason, pg_catalog.count(*), pg_catalog.min(s.at) FROM (SELECT %s AS reason, %s AS at FROM %s WHERE %sctid = ANY ($1) AND %s%s) s GROUP BY 1 ORDER BY 1",
			reason, l.moment(a), l.from(a), a, l.candidate(a), p.there(a)), tids)
		if err != nil {
			return err
		}
		var which int
		var count int64
		var oldest *time.Time
		_, err = pgx.ForEachRow(rows, []any{&which, &count, &oldest}, func() error {
			account.keep(Kept{reasons[which].Reason, reasons[which].By, count}, oldest)
			return nil
		})
		return err
	})
}
