package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"tombstone/proxy/auth"
)

var mock = auth.NewMock([]byte("test"), 0)

// throughGate has a client that knows the password log in to our own server, which knows only the verifier, and returns what
// that leaves: verifier and client key.
func throughGate(t *testing.T, user string, secret auth.Secret) auth.Secret {
	t.Helper()
	gate := auth.NewServer(user, secret, mock, nil, rand.Reader)
	client := auth.NewLogin(user, parse(t, thePassword), nil, rand.Reader)
	step := func(code byte, data []byte) []byte {
		reply, _, err := client.Answer(append([]byte{0, 0, 0, code}, data...))
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	challenge, err := gate.Start(step(10, []byte(strings.Join(gate.Mechanisms(), "\x00")+"\x00\x00")))
	if err != nil {
		t.Fatal(err)
	}
	final, done, err := gate.Next(step(11, challenge))
	if err != nil || !done {
		t.Fatal(done, err)
	}
	step(12, final)
	return gate.Secret()
}

// TestClientKeyOpensPostgreSQL is what this package is for: no password goes into the second login.
func TestClientKeyOpensPostgreSQL(t *testing.T) {
	keys := throughGate(t, "scram_user", stored(t, "scram_user"))
	if keys.String() != "a SCRAM verifier and the client's key" {
		t.Fatalf("the exchange left %v", keys)
	}
	for _, c := range []struct {
		name         string
		secure, bind bool
		first        string
	}{
		{"plain", false, false, "SCRAM-SHA-256\x00\x00\x00\x00\x20n,,"},
		{"TLS", true, true, "SCRAM-SHA-256-PLUS\x00"},
		{"TLS without channel binding", true, false, "SCRAM-SHA-256\x00\x00\x00\x00\x20n,,"},
	} {
		w := dial(t, "scram_user", c.secure)
		var binding []byte
		if c.bind {
			binding = w.binding()
		}
		user, first, err := w.login(auth.NewLogin("scram_user", keys, binding, rand.Reader))
		if err != nil || user != "scram_user" || !strings.HasPrefix(first, c.first) {
			t.Errorf("%s: in as %q, %v, beginning %q", c.name, user, err, first)
		}
	}
}

// TestEveryMethod logs in with each kind of secret, where the server's rules ask for each method.
func TestEveryMethod(t *testing.T) {
	plain := parse(t, thePassword)
	for _, c := range []struct {
		user   string
		secret auth.Secret
		want   string // "" for a login, or a part of the refusal
	}{
		{"trust_user", auth.Secret{}, ""},
		{"password_user", plain, ""},
		{"password_user", stored(t, "password_user"), "asks for the password in plain text"},
		{"md5_user", plain, ""},
		{"md5_user", stored(t, "md5_user"), ""},
		{"md5_user", stored(t, "scram_user"), "asks for the password or its md5 hash"},
		{"scram_user", plain, ""},
		{"scram_user", stored(t, "scram_user"), "with a client that logs in by SCRAM"},
		{"scram_user", stored(t, "md5_user"), "with a client that logs in by SCRAM"},
		{"scram_user", parse(t, "falsch"), "28P01"},
		{"scram_user", throughGate(t, "other_user", stored(t, "other_user")), `the SCRAM verifier known for user "scram_user" is not the server's`},
		{"no_user", throughGate(t, "scram_user", stored(t, "scram_user")), "is not the server's"},
		{"no_user", plain, "28P01"},
	} {
		for _, secure := range []bool{false, true} {
			w := dial(t, c.user, secure)
			user, _, err := w.login(auth.NewLogin(c.user, c.secret, w.binding(), rand.Reader))
			switch {
			case c.want == "" && (err != nil || user != c.user):
				t.Errorf("%s with %v, TLS %v: in as %q, %v", c.user, c.secret, secure, user, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s with %v, TLS %v: %v; want %s", c.user, c.secret, secure, err, c.want)
			}
		}
	}
}

// TestChannelBindingOfEveryCertificate: PostgreSQL computes the same binding, whatever the certificate is signed with.
func TestChannelBindingOfEveryCertificate(t *testing.T) {
	c := server(t)
	plain := parse(t, thePassword)
	for algorithm, signer := range signers(t) {
		if _, err := showCertificate(c, signer, algorithm); err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		w := dial(t, "scram_user", true)
		user, first, err := w.login(auth.NewLogin("scram_user", plain, w.binding(), rand.Reader))
		if err != nil || user != "scram_user" {
			t.Errorf("%s: in as %q, %v", algorithm, user, err)
		}
		if bound := strings.HasPrefix(first, "SCRAM-SHA-256-PLUS\x00"); bound != (algorithm != x509.PureEd25519) {
			t.Errorf("%s: channel binding is %v", algorithm, bound)
		}
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := showCertificate(c, signer, x509.ECDSAWithSHA256); err != nil {
		t.Fatal(err)
	}
}

// TestDowngrade: who takes PLUS out of the server's list is found out by the server, because the login says y.
func TestDowngrade(t *testing.T) {
	w := dial(t, "scram_user", true)
	if _, _, err := w.receive(); err != nil {
		t.Fatal(err)
	}
	login := auth.NewLogin("scram_user", parse(t, thePassword), w.binding(), rand.Reader)
	first, _, err := login.Answer([]byte("\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.send(first); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.receive()
	var refusal *auth.Error
	if !errors.As(err, &refusal) || refusal.Message != "SCRAM channel binding negotiation error" {
		t.Errorf("the server says %v", err)
	}
}
