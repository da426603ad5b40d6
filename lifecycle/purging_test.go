package lifecycle_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/lifecycle/purge"
	"tombstone/policy"
)

func init() {
	lifecycle.Purge = func(ctx context.Context, conn *pgx.Conn, p *policy.Policy) error {
		out, err := purge.Run(ctx, conn, p, purge.Options{Purge: config.Purge{Batch: 10}, Pause: 10 * time.Millisecond})
		if err == nil && out.Outcome != "done" {
			err = fmt.Errorf("purge: %s %q", out.Outcome, out.Problems)
		}
		return err
	}
}
