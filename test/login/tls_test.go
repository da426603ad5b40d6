package login

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// tls.mode, with every sslmode of psql.
func TestModes(t *testing.T) {
	t.Parallel()
	const noTLS, mustTLS = "server does not support SSL", "takes connections with TLS only"
	root := " sslrootcert=" + ca.file
	for mode, want := range map[string]map[string]string{
		"allow":   {"disable": "in", "allow": "in", "prefer": "in TLS", "require": "in TLS", "verify-full": "in TLS"},
		"require": {"disable": mustTLS, "allow": "in TLS", "prefer": "in TLS", "require": "in TLS", "verify-full": "in TLS"},
		"disable": {"disable": "in", "allow": "in", "prefer": "in", "require": noTLS, "verify-full": noTLS},
	} {
		r := start(t, url(server, "sslmode=disable"), offer("mode: "+mode))
		for sslmode, want := range want {
			out, got := psql(t, r.to("user=trust_user sslmode="+sslmode+root), `\conninfo`)
			switch {
			case got != "":
			case strings.Contains(out, "SSL connection (protocol: TLSv1.3"):
				got = "in TLS"
			default:
				got = "in"
			}
			if !strings.Contains(got, want) || strings.HasPrefix(want, "in") && got != want {
				t.Errorf("tls.mode %s, sslmode %s: %s, want %s", mode, sslmode, got, want)
			}
			if want == mustTLS && !strings.Contains(got, "sslmode=require") {
				t.Errorf("tls.mode %s, sslmode %s: no way out is named: %s", mode, sslmode, got)
			}
		}
	}
}

// The proxy's certificate is verified like any other: another authority's is not, nor one for another name.
func TestVerifiedByClients(t *testing.T) {
	t.Parallel()
	r := start(t, url(server, "sslmode=disable"), offer())
	for dsn, want := range map[string]string{
		"sslmode=verify-full sslrootcert=" + ca.file:                                      "",
		"sslmode=verify-ca sslrootcert=" + other.file:                                     "certificate verify failed",
		"host=example.test hostaddr=127.0.0.1 sslmode=verify-ca sslrootcert=" + ca.file:   "",
		"host=example.test hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=" + ca.file: "does not match host name",
	} {
		if out, said := psql(t, r.to("user=trust_user "+dsn), "SELECT 1"); !strings.Contains(said, want) || (out == "1") != (want == "") {
			t.Errorf("%s: %s %s, want %s", dsn, out, said, want)
		}
	}
}

func TestMinVersion(t *testing.T) {
	for version, min := range map[uint16]string{tls.VersionTLS11: "1.2", tls.VersionTLS12: "1.3"} {
		r := start(t, url(server, "sslmode=disable"), offer(`min_version: "`+min+`"`))
		for v, want := range map[uint16]bool{version: false, version + 1: true} {
			k := converse(t, r.dial(t))
			k.say(sslRequest)
			if b := k.byte(); b != 'S' {
				t.Fatalf("%q", b)
			}
			err := tls.Client(k.Conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: v}).Handshake()
			if (err == nil) != want {
				t.Errorf("at least %s, TLS %x: %v", min, v, err)
			}
		}
	}
}

// SNI chooses the certificate; clients that ask for no name, or for one that none is for, get the first.
func TestServerNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shop, err := ca.issue(dir, "shop", "shop", "shop.test")
	if err != nil {
		t.Fatal(err)
	}
	wild, err := ca.issue(dir, "wild", "wild", "*.wild.test")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, url(server, "sslmode=disable"), offer(fmt.Sprintf("sni: [{certificate: %s, key: %s}, {certificate: %s, key: %s}]", shop.crt, shop.key, wild.crt, wild.key)))
	for name, want := range map[string]string{"": "front", "shop.test": "shop", "SHOP.test": "shop", "a.wild.test": "wild", "wild.test": "front", "else.test": "front", "localhost": "front"} {
		k := converse(t, r.dial(t))
		k.say(sslRequest)
		k.byte()
		c := tls.Client(k.Conn, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	// Each binds SCRAM to the certificate that was shown.
	r = start(t, url(server, "sslmode=disable"), ask, offer(fmt.Sprintf("sni: [{certificate: %s, key: %s}]", shop.crt, shop.key)))
	for _, host := range []string{"shop.test", "localhost"} {
		dsn := r.to("user=scram_user hostaddr=127.0.0.1 channel_binding=require sslmode=verify-full host=" + host + " sslrootcert=" + ca.file)
		if out, said := psql(t, dsn, "SELECT 1", "PGPASSWORD="+thePassword); out != "1" {
			t.Errorf("%s: %s", host, said)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]map[pair]bool{
		"request":                {{}: true, certUser: true, stranger: false},
		"require, mode: require": {{}: false, certUser: true, stranger: false},
	} {
		r := start(t, url(server, "sslmode=disable"), offer("client_certificates: "+setting, "client_ca: "+ca.file))
		for shown, want := range want {
			more := ""
			if shown.crt != "" {
				more = " sslcert=" + shown.crt + " sslkey=" + shown.key
			}
			if out, said := psql(t, r.to("user=trust_user sslmode=require"+more), "SELECT 1"); (out == "1") != want {
				t.Errorf("%s, %s: %s", setting, shown.crt, said)
			}
		}
	}
}

// auth.client: cert is the user that the certificate is for, and nobody else.
func TestCertificateIsTheUser(t *testing.T) {
	t.Parallel()
	r := start(t, url(server, "sslmode=disable"), offer("client_certificates: request", "client_ca: "+ca.file), "auth: {mode: terminate, client: cert}\n")
	trustUser, err := ca.issue(t.TempDir(), "trust_user", "trust_user")
	if err != nil {
		t.Fatal(err)
	}
	with := func(p pair) string { return " sslcert=" + p.crt + " sslkey=" + p.key }
	for dsn, want := range map[string]string{
		"user=trust_user sslmode=require" + with(trustUser): "",
		"user=trust_user sslmode=require" + with(certUser):  `certificate authentication failed for user "trust_user"`,
		"user=trust_user sslmode=require":                   "sslcert and sslkey",
		"user=trust_user sslmode=disable":                   "sslmode=require",
	} {
		if out, said := psql(t, r.to(dsn), "SELECT 1"); !strings.Contains(said, want) || (out == "1") != (want == "") {
			t.Errorf("%s: %s %s, want %s", dsn, out, said, want)
		}
	}
	if !r.log.Has(`CN is \"cert_user\"`) {
		t.Errorf("the log does not say whose certificate it was:\n%s", r.log)
	}
}

// Direct TLS, as libpq 17 speaks it: the first byte is TLS's, and the protocol is named.
func TestDirectTLS(t *testing.T) {
	t.Parallel()
	r := start(t, url(server, "sslmode=disable"), offer(), ask)
	for names, want := range map[string]bool{"postgresql": true, "http/1.1": false, "": false, "http/1.1,postgresql": true} {
		config := &tls.Config{InsecureSkipVerify: true}
		if names != "" {
			config.NextProtos = strings.Split(names, ",")
		}
		c := tls.Client(r.dial(t), config)
		err := c.Handshake()
		if err == nil {
			k := converse(t, c)
			_, _ = io.WriteString(c, startup(version30, "user", "scram_user", "database", "postgres"))
			var m message
			if m, err = k.next(); err == nil && want {
				if m.code() != 10 {
					t.Errorf("%q: %v", names, m)
				}
			}
		}
		if (err == nil) != want {
			t.Errorf("ALPN %q: %v", names, err)
		}
	}
	// Where there is no TLS, or after something else has been said, it is no startup packet.
	for _, before := range []string{"", gssRequest} {
		parts := []string{}
		if before != "" {
			parts = append(parts, offer())
		}
		k := converse(t, start(t, url(server, "sslmode=disable"), parts...).dial(t))
		if before != "" {
			k.say(before)
			k.byte()
		}
		k.say("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
		if rest := k.over(); strings.Contains(rest, "\x16\x03") {
			t.Errorf("TLS is answered: %q", rest)
		}
	}
}

// What comes in the same breath as a request for TLS was not encrypted, and must not be read as if it had been.
func TestStuffing(t *testing.T) {
	r := start(t, url(server, "sslmode=disable"), offer())
	for _, stuffed := range []string{startup(version30, "user", "trust_user", "database", "postgres"), "x", sslRequest, gssRequest} {
		k := converse(t, r.dial(t))
		k.say(sslRequest + stuffed)
		if rest := k.over(); rest != "" {
			t.Errorf("%q: answered with %q", stuffed, rest)
		}
	}
}

func TestRequestsForEncryption(t *testing.T) {
	r := start(t, url(server, "sslmode=disable"), offer())
	k := converse(t, r.dial(t))
	k.say(gssRequest)
	if b := k.byte(); b != 'N' {
		t.Errorf("GSSENC: %q", b)
	}
	k = k.secure()
	for _, again := range []string{sslRequest, gssRequest} {
		k := converse(t, r.dial(t)).secure()
		k.say(again)
		if m := k.hear(); m.typ != 'E' || !strings.Contains(string(m.body), "C08P01") {
			t.Errorf("inside TLS: %v", m)
		}
		_ = k.over()
	}
	k.say(startup(version30, "user", "trust_user", "database", "postgres"))
	if _, m := k.until('Z'); m.typ != 'Z' {
		t.Errorf("%v", m)
	}
}

// Nonsense in place of a handshake, or no handshake at all, ends the connection and nothing else.
func TestHandshakesThatFail(t *testing.T) {
	t.Parallel()
	r := start(t, url(server, "sslmode=disable"), offer(), "limits: {startup_time: 1s}\n")
	for _, nonsense := range []string{strings.Repeat("nonsense", 100), "\x16\x03\x01\xff\xff" + strings.Repeat("\x00", 100), "\x16\x03\x01\x00\x05", ""} {
		for _, request := range []string{sslRequest, ""} {
			if request == "" && !strings.HasPrefix(nonsense, "\x16") && nonsense != "" {
				continue
			}
			k := converse(t, r.dial(t))
			if request != "" {
				k.say(request)
				k.byte()
			}
			k.say(nonsense)
			_ = k.over() // of its own accord, or when the time is over
		}
	}
	// A handshake that is slow, and a client that is slow after it.
	k := converse(t, r.dial(t)).secure()
	k.say(startup(version30, "user", "trust_user", "database", "postgres")[:10])
	_ = k.over()
	if out, said := psql(t, r.to("user=trust_user sslmode=require"), "SELECT 1"); out != "1" {
		t.Errorf("afterwards: %s", said)
	}
	if !r.log.Has("took too long to log in") || !r.log.Has("TLS handshake failed") {
		t.Errorf("the log does not say so:\n%s", r.log)
	}
}

// Much goes through TLS in both directions, on both legs.
func TestBulk(t *testing.T) {
	t.Parallel()
	for upstream, params := range map[string]string{"TLS": verified(), "plain": "sslmode=disable"} {
		r := start(t, url(server, params), offer(), ask, protect)
		conn := open(t, r.to("user=scram_user password=geheim sslmode=require"))
		rows, err := conn.Query(within(t), "SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 30000) i")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			n++
		}
		if rows.Err() != nil || n != 30000 {
			t.Errorf("%s: %d rows, %v", upstream, n, rows.Err())
		}
		one(t, conn, "CREATE TEMP TABLE bulk (t text)")
		line := strings.Repeat("x", 999) + "\n"
		tag, err := conn.PgConn().CopyFrom(within(t), strings.NewReader(strings.Repeat(line, 20000)), "COPY bulk FROM STDIN")
		if err != nil || tag.RowsAffected() != 20000 {
			t.Errorf("%s: COPY in: %s, %v", upstream, tag, err)
		}
		var out bytes.Buffer
		if _, err := conn.PgConn().CopyTo(within(t), &out, "COPY bulk TO STDOUT"); err != nil || out.String() != strings.Repeat(line, 20000) {
			t.Errorf("%s: COPY out: %d bytes, %v", upstream, out.Len(), err)
		}
		if got := one(t, conn, "SELECT count(*) FROM users"); got != "30" {
			t.Errorf("%s: %s", upstream, got)
		}
	}
}

// A client that does not read makes the server wait, and costs the proxy what was read at once.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	counted := &counter{}
	o := read(t, url(server, verified()), offer())
	o.Observer = counted
	r := launch(t, o)
	k := converse(t, r.dial(t)).secure()
	k.say(startup(version30, "user", "trust_user", "database", "postgres", "application_name", "slow"))
	k.until('Z')
	k.send(&pgproto3.Query{String: "SELECT repeat('x', 1000000) FROM generate_series(1, 200)"})
	// It waits now and then while the proxy still reads, too: it is full when it waits at every look and nothing more is read.
	looks, before := 0, int64(-1)
	eventually(t, "the server waits", func() bool {
		waits := admin(t, server, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow' AND wait_event = 'ClientWrite'") == "1"
		now := counted.received.Load()
		if !waits || now != before {
			looks = 0
		}
		before = now
		looks++
		return looks > 5
	})
	if before > 64<<20 {
		t.Errorf("%d bytes were read from the server", before)
	}
	_ = k.SetDeadline(time.Now().Add(limit)) // the looks took some of its time
	all, m := k.until('Z')
	if m.typ != 'Z' || len(all) != 203 {
		t.Errorf("%d messages, the last is %c", len(all), m.typ)
	}
}

// A certificate to which nothing can be bound, since its own signature has no hash: SCRAM goes on without, unless the client
// insists.
func TestCertificateWithoutBinding(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serials.Add(1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	crt := filepath.Join(dir, "ed.crt")
	if err := errors.Join(writePEM(crt, "CERTIFICATE", der, 0o644), writePEM(filepath.Join(dir, "ed.key"), "PRIVATE KEY", key, 0o600)); err != nil {
		t.Fatal(err)
	}
	r := start(t, url(server, verified()), ask, fmt.Sprintf("tls: {certificate: %s, key: %s}\n", crt, filepath.Join(dir, "ed.key")))
	for binding, want := range map[string]string{"disable": "1", "prefer": "1", "require": "channel binding is required, but server did not offer"} {
		out, said := psql(t, r.to("user=scram_user sslmode=require channel_binding="+binding), "SELECT 1", "PGPASSWORD="+thePassword)
		if !strings.Contains(out+said, want) {
			t.Errorf("channel_binding=%s: %s %s", binding, out, said)
		}
	}
}
