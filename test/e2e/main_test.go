package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
)

// limit is how long one test may wait for anything. It is there so that a hang
// fails; nothing takes near as long.
const limit = clustertest.Limit

// server is the cluster that all tests share.
var server *cluster.Cluster

// settings of the cluster: room for the crowd, and no work for a disk.
var settings = map[string]string{"max_connections": "320", "autovacuum": "off", "shared_buffers": "64MB", "log_min_messages": "panic"}

// installed says where PostgreSQL's programs are.
var installed cluster.Programs

// scratch is a folder that goes with the tests.
var scratch string

// programs is the folder with pg_dump and the like.
func programs(t *testing.T) string {
	t.Helper()
	return installed.Bin
}

// hba asks some users for their password, each in its own way.
const hba = `
local all postgres                  trust
local all scram_user                scram-sha-256
local all all                       trust
host  all password_user 127.0.0.1/32 password
host  all md5_user      127.0.0.1/32 md5
host  all scram_user    127.0.0.1/32 scram-sha-256
host  all rejected_user 127.0.0.1/32 reject
host  all all           127.0.0.1/32 trust
`

func TestMain(m *testing.M) {
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		if scratch, err = os.MkdirTemp("", "tombstone-e2e"); err != nil {
			return err
		}
		s.Finally(func() error { return os.RemoveAll(scratch) })
		if installed, err = cluster.Ensure(s, os.Stderr, 0); err != nil {
			return err
		}
		if server, err = s.Start(cluster.Options{Programs: installed, Settings: settings, HBA: hba}); err != nil {
			return err
		}
		if err := loadShop(s, server); err != nil {
			return fmt.Errorf("load the shop: %w", err)
		}
		return nil
	})
}

// loadShop makes the database that the tests' own databases are copied from.
func loadShop(ctx context.Context, c *cluster.Cluster) error {
	script, err := os.ReadFile("testdata/shop.sql")
	if err != nil {
		return err
	}
	admin, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	if _, err := admin.Exec(ctx, "CREATE DATABASE shop"); err != nil {
		return err
	}
	shop, err := pgx.Connect(ctx, c.DSN("shop"))
	if err != nil {
		return err
	}
	defer shop.Close(ctx)
	_, err = shop.PgConn().Exec(ctx, string(script)).ReadAll()
	return err
}

var databases atomic.Int64

// database makes a copy of the shop for one test and returns its name. It goes
// when the test ends.
func database(t *testing.T) string { return databaseOf(t, "shop") }

func databaseOf(t *testing.T, template string) string {
	t.Helper()
	name := fmt.Sprintf("t%d", databases.Add(1))
	admin := direct(t, "postgres")
	if _, err := admin.Exec(within(t), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		admin, err := pgx.Connect(ctx, server.DSN("postgres"))
		if err != nil {
			t.Error(err)
			return
		}
		defer admin.Close(ctx)
		if _, err := admin.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return name
}

var (
	within     = clustertest.Within
	open       = clustertest.Connect
	eventually = clustertest.Eventually
)

// keywords is the address of a database on the server itself, in the form to
// which more can be appended.
func keywords(db string) string {
	return fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable", server.Host, server.Port, db)
}

// direct is a connection to the server itself.
func direct(t *testing.T, db string) *pgx.Conn {
	t.Helper()
	return open(t, server.DSN(db))
}

// ask runs a query directly on the server and returns its rows as psql -At
// would print them.
func ask(t *testing.T, db, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(within(t), server.DSN(db))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	return show(t, conn, sql)
}

// show runs statements in one simple Query and returns all rows as text.
func show(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	results, err := conn.PgConn().Exec(within(t), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var lines []string
	for _, r := range results {
		for _, row := range r.Rows {
			fields := make([]string, len(row))
			for i, f := range row {
				fields[i] = string(f)
			}
			lines = append(lines, strings.Join(fields, "|"))
		}
	}
	return strings.Join(lines, "\n")
}
