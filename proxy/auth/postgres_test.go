package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tombstone/cluster"
	"tombstone/proxy/auth"
)

// limit is how long one test may wait for anything.
const limit = 20 * time.Second

const hba = `
local all all                       trust
host  all password_user 127.0.0.1/32 password
host  all md5_user      127.0.0.1/32 md5
host  all trust_user    127.0.0.1/32 trust
host  all all           127.0.0.1/32 scram-sha-256
`

// roles all have the password below, scram_user and other_user with different salts.
const roles = `
CREATE ROLE scram_user LOGIN PASSWORD 'geheim';
CREATE ROLE other_user LOGIN PASSWORD 'geheim';
CREATE ROLE password_user LOGIN PASSWORD 'geheim';
CREATE ROLE trust_user LOGIN;
SET password_encryption = md5;
CREATE ROLE md5_user LOGIN PASSWORD 'geheim';`

const thePassword = "geheim"

// postgres is a real server, with TLS and the roles. It starts when a test first asks.
var postgres = sync.OnceValues(start)

var running *cluster.Cluster

func TestMain(m *testing.M) {
	status := m.Run()
	if running != nil {
		if err := running.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop:", err)
			status = 1
		}
	}
	os.Exit(status)
}

func start() (*cluster.Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	programs, err := cluster.Ensure(ctx, os.Stderr, 0)
	if err != nil {
		return nil, err
	}
	running, err = cluster.Start(ctx, cluster.Options{
		Programs: programs, HBA: hba, Settings: map[string]string{"log_min_messages": "panic", "autovacuum": "off"},
	})
	if err != nil {
		return nil, err
	}
	if _, err := running.Psql(ctx, "postgres", roles); err != nil {
		return nil, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	_, err = showCertificate(running, signer, x509.ECDSAWithSHA256)
	return running, err
}

func server(t testing.TB) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs PostgreSQL")
	}
	c, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// showCertificate has the server use a new certificate, and returns when it does.
func showCertificate(c *cluster.Cluster, signer crypto.Signer, algorithm x509.SignatureAlgorithm) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, SignatureAlgorithm: algorithm,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, err
	}
	owner, err := os.Stat(c.DataDir)
	if err != nil {
		return nil, err
	}
	for name, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		path := filepath.Join(c.DataDir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			return nil, err
		}
		if id, ok := owner.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			if err := os.Chown(path, int(id.Uid), int(id.Gid)); err != nil {
				return nil, err
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if _, err := c.Psql(ctx, "postgres", "ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf();"); err != nil {
		return nil, err
	}
	// The reload is the postmaster's own business, and is done when a new connection shows the certificate.
	for {
		conn, err := connect(c, true)
		if err == nil {
			conn.Close()
			if conn.leaf.SerialNumber.Cmp(template.SerialNumber) == 0 {
				return conn.leaf, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the server does not show the certificate: %w, %w", ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func signers(t *testing.T) map[x509.SignatureAlgorithm]crypto.Signer {
	t.Helper()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	primes, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[x509.SignatureAlgorithm]crypto.Signer{
		x509.ECDSAWithSHA256: curve, x509.ECDSAWithSHA384: curve, x509.SHA512WithRSA: primes, x509.SHA256WithRSAPSS: primes,
		x509.SHA384WithRSAPSS: primes, x509.PureEd25519: edwards,
	}
}

// sql runs a statement as the superuser.
func sql(t testing.TB, statement string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer, err := server(t).Psql(ctx, "postgres", statement)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// stored is what the server has of a user's password, as auth_query would answer.
func stored(t testing.TB, user string) auth.Secret {
	t.Helper()
	return parse(t, sql(t, "SELECT rolpassword FROM pg_authid WHERE rolname = '"+user+"'"))
}

func parse(t testing.TB, text string) auth.Secret {
	t.Helper()
	secret, err := auth.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}
