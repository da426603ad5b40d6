package auth

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The example of RFC 7677, section 3.
const (
	rfcBare         = "n=user,r=rOprNGfwEbeRWgbNEkqO"
	rfcNonce        = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcServerFirst  = "r=" + rfcNonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
	rfcClientFinal  = "c=biws,r=" + rfcNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcServerFinal  = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	rfcSaltBase64   = "W22ZaJ0SNY7soEsUEjb6gQ=="
	rfcPassword     = "pencil"
	rfcIterations   = 4096
	testUser        = "ada"
	testMockSecret  = "mock"
	initialResponse = "n,," + rfcBare
)

var testMock = NewMock([]byte(testMockSecret), 0)

func TestExampleOfRFC7677(t *testing.T) {
	salt, err := decode(rfcSaltBase64)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := NewVerifier(rfcPassword, salt, rfcIterations)
	if err != nil {
		t.Fatal(err)
	}

	server := NewServer(testUser, Secret{&known{verifier: verifier}}, testMock, nil, rand.Reader)
	if _, err := server.Start(initial(mechanismPlain, initialResponse)); err != nil {
		t.Fatal(err)
	}
	if server.bare != rfcBare {
		t.Errorf("bare message is %q", server.bare)
	}
	server.nonce, server.first = rfcNonce, serverFirst(rfcNonce, verifier)
	if server.first != rfcServerFirst {
		t.Errorf("server-first is\n%s, want\n%s", server.first, rfcServerFirst)
	}
	reply, done, err := server.Next([]byte(rfcClientFinal))
	if err != nil || !done || string(reply) != rfcServerFinal {
		t.Errorf("server-final is %q, %v, %v; want %q", reply, done, err, rfcServerFinal)
	}

	for name, secret := range map[string]Secret{"password": password(t, rfcPassword), "client key": server.Secret()} {
		login := NewLogin(testUser, secret, nil, rand.Reader)
		login.scram = scramClient{flag: 'n', bare: rfcBare, nonce: "rOprNGfwEbeRWgbNEkqO"}
		login.phase = firstSent
		final, done, err := login.Answer(request(requestSASLContinue, rfcServerFirst))
		if err != nil || done || string(final) != rfcClientFinal {
			t.Errorf("%s: client-final is %q, %v, %v; want %q", name, final, done, err, rfcClientFinal)
		}
		if _, _, err := login.Answer(request(requestSASLFinal, rfcServerFinal)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBothHalves lets Login log in to Server, with what can be known on either side.
func TestBothHalves(t *testing.T) {
	verifier, err := RandomVerifier("geheim", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := ParseSecret(verifier.Text())
	if err != nil {
		t.Fatal(err)
	}
	plain := password(t, "geheim")
	for _, c := range []struct {
		name                string
		there               Secret
		password            string
		serverBind, bind    []byte
		mechanism, sqlstate string
	}{
		{"verifier", stored, "geheim", nil, nil, "SCRAM-SHA-256\x00", ""},
		{"verifier, bound", stored, "geheim", []byte("cert"), []byte("cert"), "SCRAM-SHA-256-PLUS\x00", ""},
		{"plain text", plain, "geheim", nil, nil, "SCRAM-SHA-256\x00", ""},
		{"only the client binds", stored, "geheim", nil, []byte("cert"), "SCRAM-SHA-256\x00", ""},
		{"only the server binds", stored, "geheim", []byte("cert"), nil, "SCRAM-SHA-256\x00", ""},
		{"another certificate", stored, "geheim", []byte("cert"), []byte("other"), "SCRAM-SHA-256-PLUS\x00", codeAuthorization},
		{"wrong password", stored, "Geheim", nil, nil, "SCRAM-SHA-256\x00", codePassword},
		{"wrong password, plain text", plain, "Geheim", nil, nil, "SCRAM-SHA-256\x00", codePassword},
		{"unknown user", Secret{}, "geheim", nil, nil, "SCRAM-SHA-256\x00", codePassword},
		{"md5 hash", Secret{&known{md5: "md5" + hexMD5("geheim"+testUser)}}, "geheim", nil, nil, "SCRAM-SHA-256\x00", codePassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := NewServer(testUser, c.there, testMock, c.serverBind, rand.Reader)
			login := NewLogin(testUser, password(t, c.password), c.bind, rand.Reader)
			sqlstate := ""
			if err := join(login, server, c.mechanism); err != nil {
				sqlstate = code(t, err)
			}
			if sqlstate != c.sqlstate {
				t.Fatalf("ended with %q, want %q", sqlstate, c.sqlstate)
			}
			if sqlstate != "" {
				if server.Secret().known != nil {
					t.Error("a refused client left a secret")
				}
				return
			}
			// What the exchange left opens the server that the secret is from.
			onward := NewLogin(testUser, server.Secret(), nil, rand.Reader)
			if err := join(onward, NewServer(testUser, c.there, testMock, nil, rand.Reader), mechanismPlain+"\x00"); err != nil {
				t.Errorf("onward: %v", err)
			}
		})
	}
}

// join has a login talk to a server to the end.
func join(login *Login, server *Server, mechanism string) error {
	list := strings.Join(server.Mechanisms(), "\x00") + "\x00\x00"
	first, _, err := login.Answer(request(requestSASL, list))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(first), mechanism) {
		return fmt.Errorf("the login chose %q", first)
	}
	challenge, err := server.Start(first)
	if err != nil {
		return err
	}
	final, _, err := login.Answer(request(requestSASLContinue, string(challenge)))
	if err != nil {
		return err
	}
	reply, done, err := server.Next(final)
	if err != nil {
		return err
	}
	if !done {
		return errors.New("the server wants more")
	}
	if _, _, err := login.Answer(request(requestSASLFinal, string(reply))); err != nil {
		return err
	}
	if _, done, err = login.Answer(request(requestOK, "")); err != nil || !done {
		return fmt.Errorf("the login is not done: %w", err)
	}
	return nil
}

// TestServerWithoutInitialResponse: a client may leave its first message for later.
func TestServerWithoutInitialResponse(t *testing.T) {
	server := NewServer(testUser, password(t, rfcPassword), testMock, nil, rand.Reader)
	challenge, err := server.Start([]byte(mechanismPlain + "\x00\xff\xff\xff\xff"))
	if err != nil || len(challenge) != 0 {
		t.Fatalf("challenge is %q, %v", challenge, err)
	}
	challenge, done, err := server.Next([]byte(initialResponse))
	if err != nil || done || !strings.HasPrefix(string(challenge), "r=rOprNGfwEbeRWgbNEkqO") {
		t.Errorf("challenge is %q, %v, %v", challenge, done, err)
	}
}

// TestServerIsOverAfterAnError: nothing can be tried twice in one exchange.
func TestServerIsOverAfterAnError(t *testing.T) {
	server := NewServer(testUser, password(t, rfcPassword), testMock, nil, rand.Reader)
	if _, err := server.Start(initial(mechanismPlain, "x")); code(t, err) != codeProtocol {
		t.Fatal(err)
	}
	if _, err := server.Start(initial(mechanismPlain, initialResponse)); code(t, err) != codeInternal {
		t.Errorf("a second start: %v", err)
	}
	if _, _, err := server.Next([]byte(initialResponse)); code(t, err) != codeInternal {
		t.Errorf("a next after an error: %v", err)
	}
}

// TestMockCannotBeTold: an unknown user, one with an md5 hash and one with plain text look the same in the first answer.
func TestMockCannotBeTold(t *testing.T) {
	first := func(user string, secret Secret, mock *Mock) string {
		server := NewServer(user, secret, mock, nil, strings.NewReader(strings.Repeat("n", 18)))
		challenge, err := server.Start(initial(mechanismPlain, initialResponse))
		if err != nil {
			t.Fatal(err)
		}
		return string(challenge)
	}
	unknown := first(testUser, Secret{}, testMock)
	if again := first(testUser, Secret{}, NewMock([]byte(testMockSecret), 0)); again != unknown {
		t.Errorf("the mock forgets: %s, then %s", unknown, again)
	}
	for _, secret := range []Secret{password(t, rfcPassword), {&known{md5: "md5"}}} {
		if got := first(testUser, secret, testMock); got != unknown {
			t.Errorf("%v: %s, want %s", secret, got, unknown)
		}
	}
	if first("eve", Secret{}, testMock) == unknown || first(testUser, Secret{}, NewMock([]byte("other"), 0)) == unknown {
		t.Error("two users or two secrets have the same salt")
	}
	if !strings.HasSuffix(first(testUser, Secret{}, NewMock(nil, 10000)), ",i=10000") {
		t.Error("the mock's iterations are not the ones asked for")
	}
}

func TestChannelBinding(t *testing.T) {
	for algorithm, length := range map[x509.SignatureAlgorithm]int{
		x509.MD5WithRSA: 32, x509.SHA1WithRSA: 32, x509.ECDSAWithSHA1: 32, x509.SHA256WithRSA: 32, x509.ECDSAWithSHA384: 48,
		x509.SHA512WithRSAPSS: 64, x509.PureEd25519: 0, x509.UnknownSignatureAlgorithm: 0, x509.MD2WithRSA: 0,
	} {
		binding, err := ChannelBinding(&x509.Certificate{SignatureAlgorithm: algorithm, Raw: []byte("raw")})
		if len(binding) != length || (err == nil) != (length > 0) {
			t.Errorf("%s: %d bytes, %v; want %d", algorithm, len(binding), err, length)
		}
	}
}

func initial(mechanism, message string) []byte {
	body := append([]byte(mechanism), 0)
	body = binary.BigEndian.AppendUint32(body, uint32(len(message)))
	return append(body, message...)
}

func request(code uint32, data string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, code), data...)
}

func password(t testing.TB, text string) Secret {
	t.Helper()
	secret, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// code is an error's SQLSTATE.
func code(t testing.TB, err error) string {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not an *Error: %v", err)
	}
	return e.Code
}
