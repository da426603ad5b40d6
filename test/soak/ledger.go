package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
)

// fate is what a worker knows of a row that it asked for. Rows that are in doubt, since the connection ended before the
// answer, may be there or not.
type fate byte

const (
	doubtful fate = iota // insert sent, not acknowledged
	inserted
	dying // delete sent, not acknowledged
	deleted
)

// ledger is what one worker did to table kept, by the number of the row. One goroutine at a time uses it.
type ledger struct{ rows []fate }

// verify compares the ledgers with what the server really has.
func verify(ctx context.Context, server *cluster.Cluster, books []*ledger) error {
	conn, err := pgx.Connect(ctx, server.DSN("soak"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	found := make([][]byte, len(books)) // per row: 1 live, 2 tombstone
	for i, b := range books {
		found[i] = make([]byte, len(b.rows))
	}
	rows, err := conn.Query(ctx, "SELECT worker, n, deleted_at IS NOT NULL FROM kept")
	if err != nil {
		return err
	}
	var worker, n int
	var tombstone bool
	_, err = pgx.ForEachRow(rows, []any{&worker, &n, &tombstone}, func() error {
		if worker >= len(found) || n >= len(found[worker]) || found[worker][n] != 0 {
			return fmt.Errorf("row %d of worker %d is there and should not be, or twice", n, worker)
		}
		found[worker][n] = 1
		if tombstone {
			found[worker][n] = 2
		}
		return nil
	})
	if err != nil {
		return err
	}
	live, tombstones := 0, 0
	for i, b := range books {
		for n, f := range b.rows {
			have := found[i][n]
			switch {
			case f == inserted && have != 1:
				return fmt.Errorf("row %d of worker %d: its insert was acknowledged and it is not live (%d)", n, i, have)
			case f == dying && have == 0:
				return fmt.Errorf("row %d of worker %d is gone", n, i)
			case f == deleted && have != 2:
				return fmt.Errorf("row %d of worker %d: its delete was acknowledged and it is no tombstone (%d)", n, i, have)
			}
			switch have {
			case 1:
				live++
			case 2:
				tombstones++
			}
		}
	}
	fmt.Printf("in the table: %d live rows, %d tombstones; every acknowledged one is among them\n", live, tombstones)
	return nil
}
