package login

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
)

// limit is how long one test may wait for anything. It is there so that a hang fails; nothing takes near as long.
const limit = clustertest.Limit

var (
	scratch   string           // a folder that goes with the tests
	installed cluster.Programs // PostgreSQL's programs
	server    *cluster.Cluster // with TLS, and the roles below
	ca, other *authority       // ca is trusted; other is somebody else's
	front     pair             // the proxy's certificate
	agent     pair             // the proxy's client certificate, CN tombstone
	certUser  pair             // of the client cert_user
	stranger  pair             // CN cert_user too, but issued by other
)

// hba has a method for each user. Certificates may be a user's own, or the proxy's for anybody that the map names.
const hba = `
local   all         all                        trust
local   replication all                        trust
host    replication all            127.0.0.1/32 scram-sha-256
host    all         postgres       127.0.0.1/32 trust
host    all         trust_user     127.0.0.1/32 trust
host    all         password_user  127.0.0.1/32 password
host    all         md5_user       127.0.0.1/32 md5
hostssl all         cert_user      127.0.0.1/32 cert map=proxy
hostnossl all       cert_user      127.0.0.1/32 reject
hostssl all         tls_user       127.0.0.1/32 trust
hostnossl all       tls_user       127.0.0.1/32 reject
hostssl all         plain_user     127.0.0.1/32 reject
hostnossl all       plain_user     127.0.0.1/32 trust
host    all         rejected_user  127.0.0.1/32 reject
host    all         all            127.0.0.1/32 scram-sha-256
`

const ident = `
proxy cert_user cert_user
proxy tombstone cert_user
`

const roles = `
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram_user LOGIN REPLICATION PASSWORD 'geheim';
CREATE ROLE other_user LOGIN PASSWORD 'geheim';
CREATE ROLE changing LOGIN PASSWORD 'geheim';
CREATE ROLE expired LOGIN PASSWORD 'geheim' VALID UNTIL '2001-01-01';
CREATE ROLE nologin NOLOGIN PASSWORD 'geheim';
CREATE ROLE asker SUPERUSER LOGIN PASSWORD 'fragen';
CREATE ROLE humble LOGIN PASSWORD 'fragen';
CREATE ROLE password_user LOGIN PASSWORD 'geheim';
CREATE ROLE trust_user LOGIN PASSWORD 'geheim';
CREATE ROLE cert_user LOGIN;
CREATE ROLE tls_user LOGIN;
CREATE ROLE plain_user LOGIN PASSWORD 'geheim';
CREATE ROLE rejected_user LOGIN PASSWORD 'geheim';
CREATE FUNCTION public.verifier_of(name text, OUT rolname text, OUT verifier text) LANGUAGE sql SECURITY DEFINER STABLE AS
  'SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = name AND rolcanlogin';
REVOKE EXECUTE ON FUNCTION public.verifier_of FROM public;
GRANT EXECUTE ON FUNCTION public.verifier_of TO humble;
CREATE TABLE users (id int PRIMARY KEY, name text, deleted_at timestamptz);
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 30) i;
GRANT ALL ON users TO public;
SET password_encryption = md5;
CREATE ROLE md5_user LOGIN PASSWORD 'geheim';`

const thePassword = "geheim"

func TestMain(m *testing.M) {
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		if scratch, err = os.MkdirTemp("", "tombstone-login"); err != nil {
			return err
		}
		s.Finally(func() error { return os.RemoveAll(scratch) })
		if err := makeCertificates(); err != nil {
			return err
		}
		if installed, err = cluster.Ensure(s, os.Stderr, 0); err != nil {
			return err
		}
		s.Finally(stopServers)
		if server, err = secured(s, installed, hba); err != nil {
			return err
		}
		if _, err := server.Psql(s, "postgres", roles); err != nil {
			return err
		}
		go func() { _, _ = program() }() // which takes a while, and is waited for where it is used
		return nil
	})
}

func makeCertificates() (err error) {
	issue := func(to *pair, by *authority, name, cn string, hosts ...string) {
		if err == nil {
			*to, err = by.issue(scratch, name, cn, hosts...)
		}
	}
	if ca, err = newAuthority("ca"); err != nil {
		return err
	}
	if other, err = newAuthority("other"); err != nil {
		return err
	}
	issue(&front, ca, "front", "front", "localhost", "127.0.0.1")
	issue(&agent, ca, "agent", "tombstone")
	issue(&certUser, ca, "cert_user", "cert_user")
	issue(&stranger, other, "stranger", "cert_user")
	return err
}

// started are the clusters to stop at the end.
var (
	mu      sync.Mutex
	started []*cluster.Cluster
)

func stopServers() (err error) {
	for _, c := range started {
		err = errors.Join(err, c.Stop())
	}
	return err
}

// begin starts a cluster that lives until the end of all tests.
func begin(ctx context.Context, programs cluster.Programs, hba string) (*cluster.Cluster, error) {
	c, err := cluster.Start(ctx, cluster.Options{Programs: programs, HBA: hba, Settings: map[string]string{
		"autovacuum": "off", "shared_buffers": "32MB", "max_connections": "120", "log_min_messages": "panic", "wal_level": "logical",
	}})
	if err == nil {
		mu.Lock()
		started = append(started, c)
		mu.Unlock()
	}
	return c, err
}

// secured is begin with TLS. The certificate is for localhost and not for 127.0.0.1.
func secured(ctx context.Context, programs cluster.Programs, hba string) (*cluster.Cluster, error) {
	c, err := begin(ctx, programs, hba)
	if err != nil {
		return nil, err
	}
	if _, err := ca.issue(c.DataDir, "server", "server", "localhost"); err != nil {
		return nil, err
	}
	root, err := os.ReadFile(ca.file)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{"ca.crt": root, "pg_ident.conf": []byte(ident)} {
		if err := os.WriteFile(filepath.Join(c.DataDir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	if err := own(c.DataDir); err != nil {
		return nil, err
	}
	_, err = c.Psql(ctx, "postgres", "ALTER SYSTEM SET ssl = on;\nALTER SYSTEM SET ssl_ca_file = 'ca.crt'")
	if err != nil {
		return nil, err
	}
	return c, c.Restart(ctx) // rather than a reload, of which nobody tells when it is done
}

// own gives what we have written below a data directory to the user that PostgreSQL runs as.
func own(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	id, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(id.Uid), int(id.Gid))
	})
}
