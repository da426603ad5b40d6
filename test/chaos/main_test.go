package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
)

// limit is how long one test may wait for anything. It is there so that a hang fails; nothing takes near as long.
const limit = clustertest.Limit

// What all tests share.
var (
	installed cluster.Programs
	server    *cluster.Cluster
	scratch   string
	program   string

	certificate, key string // files, of the servers and of the proxies
)

const hba = `
local all all        trust
host  all scram_user 127.0.0.1/32 scram-sha-256
host  all md5_user   127.0.0.1/32 md5
host  all all        127.0.0.1/32 trust
`

const schema = `
CREATE TABLE kept (n bigint, token text NOT NULL, deleted_at timestamptz);
CREATE TABLE plain (n bigint, token text NOT NULL);
CREATE SCHEMA other;
CREATE TABLE other.kept (n bigint, token text NOT NULL);
CREATE ROLE scram_user SUPERUSER LOGIN PASSWORD 'secret';
SET password_encryption = md5;
CREATE ROLE md5_user SUPERUSER LOGIN PASSWORD 'secret';
`

// tables is the policy for the schema. With profiles the process can be asked to collect its garbage.
const tables = "tables:\n  - name: public.kept\nlog:\n  level: warn\npprof: true\n"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" { // by Start
		fmt.Fprintln(os.Stderr, serveByGoroutines(os.Args[3]))
		os.Exit(1)
	}
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		if scratch, err = os.MkdirTemp("", "tombstone-chaos"); err != nil {
			return err
		}
		s.Finally(func() error { return os.RemoveAll(scratch) })
		if installed, err = cluster.Ensure(s, os.Stderr, 0); err != nil {
			return err
		}
		if program, err = Build(s, scratch); err != nil {
			return err
		}
		if certificate, key, err = certify(scratch); err != nil {
			return err
		}
		if server, err = startServer(s); err == nil {
			s.Finally(server.Stop)
		}
		return err
	})
}

func startServer(ctx context.Context) (*cluster.Cluster, error) {
	c, err := cluster.Start(ctx, cluster.Options{Programs: installed, HBA: hba, Settings: map[string]string{
		"max_connections": "200", "autovacuum": "off", "log_min_messages": "panic",
	}})
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, c.DSN("postgres"))
	if err == nil {
		_, err = conn.PgConn().Exec(ctx, schema).ReadAll()
		_, more := conn.Exec(ctx, "ALTER SYSTEM SET ssl = on")
		err = errors.Join(err, more)
		_ = conn.Close(ctx)
	}
	if err == nil {
		err = errors.Join(give(certificate, c.DataDir), give(key, c.DataDir))
	}
	if err == nil {
		err = c.Restart(ctx) // rather than a reload, of which nobody tells when it is done
	}
	if err != nil {
		_ = c.Stop()
		return nil, fmt.Errorf("load the schema and turn on TLS: %w", err)
	}
	return c, nil
}

func address(c *cluster.Cluster) string { return fmt.Sprintf("%s:%d", c.Host, c.Port) }

var (
	within     = clustertest.Within
	eventually = clustertest.Eventually
)

// sampled is a sample once all clients are gone.
func sampled(t *testing.T, p *Process, before Sample) Sample {
	t.Helper()
	s, err := p.Settled(context.Background(), before)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Said())
	}
	return s
}

// serves fails the test unless a client is served as if nothing had happened.
func serves(t *testing.T, s *subject) {
	t.Helper()
	conn, err := pgx.Connect(within(t), s.dsnOf("scram_user"))
	if err != nil {
		t.Fatalf("a client is not let in: %v\n%s", err, s.Said())
	}
	defer conn.Close(within(t))
	var got string
	if err := conn.QueryRow(within(t), "SELECT 'served'").Scan(&got); err != nil || got != "served" {
		t.Fatalf("a client is not served: %q %v", got, err)
	}
}
