package main

import (
	"context"
	"strings"
)

// plans are settings of the planner under which the rows of a join come in other orders.
var plans = [][]string{
	{"hashjoin", "mergejoin"}, {"hashjoin", "nestloop"}, {"mergejoin", "nestloop"},
	{"hashjoin", "mergejoin", "seqscan"}, {"hashjoin", "nestloop", "seqscan"}, {"mergejoin", "nestloop", "seqscan"},
	{"hashjoin", "mergejoin", "indexscan", "bitmapscan", "material"},
}

// anyOrder reports whether a statement that failed on one side, outside of a transaction, goes through there once its rows come in another order.
// Then the order is all that the sides differ in.
func anyOrder(ctx context.Context, failed *Client, sql string) bool {
	for _, off := range plans {
		if a := failed.Send(ctx, "BEGIN; SET LOCAL enable_"+strings.Join(off, " = off; SET LOCAL enable_")+" = off"); a.Error != nil || a.Broken != nil {
			return false
		}
		a := failed.Send(ctx, sql)
		if a.Error == nil { // those that are deferred
			a = failed.Send(ctx, "SET CONSTRAINTS ALL IMMEDIATE")
		}
		failed.Send(ctx, "ROLLBACK")
		if a.Error == nil && a.Broken == nil {
			return true
		}
	}
	return false
}
