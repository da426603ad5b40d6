package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tombstone/test/chaos"
)

// shapes are the kinds of statements that the workers send, with a place for what makes each shape another.
var shapes = []string{
	"SELECT $1::text AS shape_%d",
	"SELECT 'a'; DELETE FROM kept shape_%d WHERE worker = -1; SELECT 'b'",
	"SELECT token FROM kept shape_%d WHERE worker = -1 AND n = -1",
	"DELETE FROM kept shape_%d WHERE worker = -1 AND n = -1",
	"INSERT INTO kept SELECT 1, 1, '' AS shape_%d WHERE false",
	"DELETE FROM kept USING plain shape_%d NATURAL JOIN plain b RETURNING *",
}

// fill sends statements of ever new shapes until the proxy's cache of plans, which is bounded, is full.
//
// Without it, the cache would still be filling at the end of the load, since DDL makes all plans anew, and that would look
// like a leak. They are of the workers' kinds: the bound is on an estimate of a plan's size, and memory would change with the mixture.
func fill(ctx context.Context, p *chaos.Process) error {
	conn, err := pgx.Connect(ctx, dsn(p, "soak-fill"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for shape := 0; ; {
		for range 2000 {
			text := fmt.Sprintf(shapes[shape%len(shapes)], shape)
			_, err := conn.PgConn().Exec(ctx, strings.ReplaceAll(text, "$1", "'a'")).ReadAll()
			if err != nil && classOf(err) != "0A000" {
				return err
			}
			shape++
		}
		s, err := p.Sample(ctx)
		if err != nil {
			return err
		}
		if s.Evictions > 0 {
			fmt.Printf("the cache of plans is full after %d shapes: %s\n", shape, s)
			return nil
		}
		if shape > 1000000 {
			return fmt.Errorf("it is not full after %d shapes: %s", shape, s)
		}
	}
}
