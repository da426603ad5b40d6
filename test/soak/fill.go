package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tombstone/test/chaos"
)

// fill sends statements of ever new shapes until the proxy's cache of plans, which is bounded, is full.
//
// Without it, the cache would still be filling at the end of the load, since DDL makes all plans anew, and that would look
// like a leak. The shapes are small: the bound is on an estimate, and what that leaves out weighs most with many small ones.
func fill(ctx context.Context, p *chaos.Process) error {
	conn, err := pgx.Connect(ctx, dsn(p, "soak-fill"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for shape := 0; ; {
		for range 2000 {
			var text strings.Builder
			text.WriteString("SELECT 1")
			for i := range 3 {
				fmt.Fprintf(&text, ", %d AS shape_%d_%d", i, shape, i)
			}
			if _, err := conn.PgConn().Exec(ctx, text.String()).ReadAll(); err != nil {
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
