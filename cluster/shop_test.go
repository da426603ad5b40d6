package cluster

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// The demo's shop loads as a script and as one simple Query, with the same rows.
func TestShop(t *testing.T) {
	shop, err := os.ReadFile("../cmd/tombstone/shop.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{})
	psql(t, c, "create database script; create database query")
	if _, err := c.Psql(t.Context(), "script", string(shop)); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), c.DSN("query"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.PgConn().Exec(t.Context(), string(shop)).ReadAll(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	const digest = `set timezone = 'UTC';
select 'users', count(*), count(deleted_at), md5(string_agg(t::text, ',' order by id)) from users t;
select 'products', count(*), 0, md5(string_agg(t::text, ',' order by id)) from products t;
select 'orders', count(*), count(deleted_at), md5(string_agg(t::text, ',' order by id)) from orders t;
select 'order_items', count(*), count(deleted_at), md5(string_agg(t::text, ',' order by id)) from order_items t;
select 'memberships', count(*), count(deleted_at), md5(string_agg(t::text, ',' order by user_id, team)) from memberships t;
select 'audit_log', count(*), 0, md5(string_agg(t::text, ',' order by id)) from audit_log t;`
	script, err := c.Psql(t.Context(), "script", digest)
	if err != nil {
		t.Fatal(err)
	}
	query, err := c.Psql(t.Context(), "query", digest)
	if err != nil {
		t.Fatal(err)
	}
	if script != query {
		t.Errorf("as a script:\n%s\nas a query:\n%s", script, query)
	}
	for _, want := range []string{"users|1000|0|", "products|60|0|", "orders|2500|0|", "order_items|6250|0|", "memberships|1333|0|", "audit_log|1000|0|"} {
		if !strings.Contains(script, "\n"+want) {
			t.Errorf("no %s in\n%s", want, script)
		}
	}
}
