package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"tombstone/proxy/auth"
)

// attempt is what a client sends: the bodies of its SASL messages. final gets the server's challenge; nil ends it there.
type attempt struct {
	name   string
	user   string
	secure bool
	first  []byte
	final  func(challenge []byte) []byte
}

// outcome is how an attempt ended: an error with its fields, or how far it came.
type outcome string

func refused(err error) outcome {
	var e *auth.Error
	if errors.As(err, &e) {
		return outcome(fmt.Sprintf("%s %s / %s", e.Code, e.Message, e.Detail))
	}
	return outcome(err.Error())
}

// atPostgres makes the attempt at the real server.
func atPostgres(t *testing.T, a attempt) outcome {
	t.Helper()
	w := dial(t, a.user, a.secure)
	defer w.Close()
	if _, _, err := w.receive(); err != nil {
		t.Fatal(err)
	}
	if err := w.send(a.first); err != nil {
		t.Fatal(err)
	}
	kind, body, err := w.receive()
	if err != nil {
		return refused(err)
	}
	if kind != 'R' || body[3] != 11 {
		t.Fatalf("message %c with %q", kind, body)
	}
	if a.final == nil {
		return challenged(body[4:])
	}
	if err := w.send(a.final(body[4:])); err != nil {
		t.Fatal(err)
	}
	kind, body, err = w.receive()
	if err != nil {
		return refused(err)
	}
	return outcome(fmt.Sprintf("message %c %d", kind, body[3]))
}

// here makes the attempt at our own server.
func here(a attempt, secret auth.Secret, binding []byte) outcome {
	gate := auth.NewServer(a.user, secret, mock, binding, rand.Reader)
	challenge, err := gate.Start(a.first)
	if err != nil {
		return refused(err)
	}
	if a.final == nil {
		return challenged(challenge)
	}
	_, done, err := gate.Next(a.final(challenge))
	if err != nil {
		return refused(err)
	}
	if !done {
		return "message R 11"
	}
	return "message R 12"
}

// challenged is a challenge without what is made up: the server's nonce and a mock's salt.
func challenged(challenge []byte) outcome {
	if len(challenge) == 0 {
		return "challenge, empty"
	}
	nonce, rest, _ := strings.Cut(string(challenge), ",")
	salt, iterations, _ := strings.Cut(rest, ",")
	return outcome(fmt.Sprintf("challenge %s.. %d %s", nonce[:max(0, len(nonce)-24)], len(salt), iterations))
}

func body(mechanism, message string) []byte {
	b := append([]byte(mechanism), 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	return append(b, message...)
}

// nonceOf is the nonce of a challenge.
func nonceOf(challenge []byte) string {
	nonce, _, _ := strings.Cut(strings.TrimPrefix(string(challenge), "r="), ",")
	return nonce
}

// TestMalformedMessagesAreRefusedAsByPostgreSQL sends the same bytes to both.
func TestMalformedMessagesAreRefusedAsByPostgreSQL(t *testing.T) {
	const plain, plus = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
	firsts := [][]byte{
		body(plain, "n,,n=,r=abc"), body(plain, "y,,n=,r=abc"), body(plain, "p=tls-server-end-point,,n=,r=abc"),
		body(plus, "n,,n=,r=abc"), body(plus, "y,,n=,r=abc"), body(plus, "p=tls-server-end-point,,n=,r=abc"),
		body(plus, "p=tls-unique,,n=,r=abc"), body(plus, "p=tls-uni\x01que-and-more-than-thirty-characters,,n=,r=abc"),
		body(plus, "p,,n=,r=abc"), body(plus, "p=tls-server-end-point"), body(plus, "p=,"), body(plus, ""), body(plus, "x"),
		body(plain, ""), body(plain, "n,,n=,r=abc\x00"), body(plain, "\x00"), body(plain, "x,,n=,r=abc"), body(plain, "\xff"),
		body(plain, "n"), body(plain, "n;"), body(plain, "y"), body(plain, "y;"), body(plain, "n,"), body(plain, "n,a=other,n=,r=abc"),
		body(plain, "n,b=other,n=,r=abc"), body(plain, "n,,"), body(plain, "n,,m=ext,n=,r=abc"), body(plain, "n,,m"),
		body(plain, "n,,x=,r=abc"),
		body(plain, "n,,n,r=abc"), body(plain, "n,,n="), body(plain, "n,,n=,"), body(plain, "n,,n=,s=abc"), body(plain, "n,,n=,r"),
		body(plain, "n,,n=,r="),
		body(plain, "n,,n=,r=a b"), body(plain, "n,,n=,r=a\x7f"), body(plain, "n,,n=,r=a\xe9"), body(plain, "n,,n=,r=abc,"),
		body(plain, "n,,n=,r=abc,x=1,y=2"),
		body(plain, "n,,n=,r=abc,x"), body(plain, "n,,n=,r=abc,1=x"), body(plain, "n,,n=,r=abc,,"), body(plain, "n,,n=,r=abc,x=1,"),
		body(plain, "n,,n=some=2Cone,r=abc"), body(plain, "n,,n=\xff\xfe,r=abc"), body("SCRAM-SHA-1", "n,,n=,r=abc"), body("", "n,,n=,r=abc"),
		body("scram-sha-256", "n,,n=,r=abc"), {}, {0}, []byte(plain), []byte(plain + "\x00"), []byte(plain + "\x00\x00\x00"),
		[]byte(plain + "\x00\xff\xff\xff\xff"), []byte(plain + "\x00\xff\xff\xff\xffx"), []byte(plain + "\x00\xff\xff\xff\xfe"),
		[]byte(plain + "\x00\x00\x00\x00\x04n,,"), []byte(plain + "\x00\x00\x00\x00\x02n,,"),
		[]byte(plain + "\x00\x7f\xff\xff\xffn,,"), []byte("SCRAM-SHA-1\x00"),
		body(plain, "n,,n=,r="+strings.Repeat("a", 1020-18-8)), body(plain, "n,,n=,r="+strings.Repeat("a", 1020-18-8+1)),
	}
	var attempts []attempt
	for _, first := range firsts {
		name := fmt.Sprintf("%.80q", first)
		attempts = append(attempts, attempt{name, "scram_user", false, first, nil}, attempt{name, "scram_user", true, first, nil})
	}
	proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, format := range []string{ // %[1]s is the nonce, %[2]s a proof that is wrong
		"c=biws,r=%[1]s,p=%[2]s", "c=eSws,r=%[1]s,p=%[2]s", "c=,r=%[1]s,p=%[2]s", "c=biws", "c=biws,", "c", "x", "\x00", "", "c=biws,r=",
		"c=biws,r=%[1]s",
		"c=biws,r=%[1]s,", "c=biws,r=%[1]sx,p=%[2]s", "c=biws,r=abc,p=%[2]s", "c=biws,r=%[1]s,x=1,p=%[2]s", "c=biws,r=%[1]s,x=1",
		"c=biws,r=%[1]s,x,p=%[2]s",
		"c=biws,r=%[1]s,\xff=,p=%[2]s", "c=biws,r=%[1]s,p=", "c=biws,r=%[1]s,p", "c=biws,r=%[1]s,p=AAAA", "c=biws,r=%[1]s,p=%[2]sAAAA",
		"c=biws,r=%[1]s,p=%[2]s,",
		"c=biws,r=%[1]s,p=%[2]s,x=1", "c=biws,r=%[1]s,p=\n%[2]s", "c=biws,r=%[1]s,p=%[2]s\x00", "r=%[1]s,p=%[2]s", "c=biws,p=%[2]s",
		"c=cD1,r=%[1]s,p=%[2]s",
		"c=biws,r=%[1]s,p=" + proof[:42] + "B=", "c=biws,r=%[1]s,p=" + proof[:42] + "AA",
		"c=biws,r=%[1]s,p=" + proof[:43], strings.Repeat("x", 1020), strings.Repeat("x", 1021),
	} {
		final := func(challenge []byte) []byte {
			text := strings.ReplaceAll(strings.ReplaceAll(format, "%[1]s", nonceOf(challenge)), "%[2]s", proof)
			return []byte(text)
		}
		name := fmt.Sprintf("%.80q", format)
		attempts = append(attempts,
			attempt{"n, " + name, "scram_user", false, body(plain, "n,,n=,r=abc"), final},
			attempt{"y, " + name, "no_user", false, body(plain, "y,,n=,r=abc"), final},
			attempt{"p, " + name, "scram_user", true, body(plus, "p=tls-server-end-point,,n=,r=abc"), final},
			attempt{"late, " + name, "scram_user", false, []byte(plain + "\x00\xff\xff\xff\xff"), final})
	}
	compare(t, attempts)
}

// TestMutatedMessagesEndAsAtPostgreSQL changes bytes of a login that is right.
func TestMutatedMessagesEndAsAtPostgreSQL(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(7, 7))
	var attempts []attempt
	for i := range mutations {
		first := mutate(random, body("SCRAM-SHA-256", "n,,n=,r=abcdefghijkl,x=y"), "\x00\x01\x80\xff,=nyprmacsx \n~1")
		attempts = append(attempts, attempt{fmt.Sprintf("%q", first), "scram_user", i%2 == 0, first, nil})
	}
	for i := range mutations {
		name := fmt.Sprintf("final %d", i)
		attempts = append(attempts, attempt{name, "scram_user", i%2 == 0, nil, nil}.mutated(t, random.Uint64()))
	}
	compare(t, attempts)
}

// mutations is how many changed messages of each kind are sent.
const mutations = 60

// mutated is a login that is right but for its last message, which is changed.
func (a attempt) mutated(t *testing.T, seed uint64) attempt {
	nonce := make([]byte, 18)
	if _, err := rand.Read(nonce); err != nil {
		t.Fatal(err)
	}
	begin := func() (login *auth.Login, first []byte) {
		login = auth.NewLogin(a.user, parse(t, thePassword), nil, bytes.NewReader(nonce))
		first, _, err := login.Answer([]byte("\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		return login, first
	}
	_, a.first = begin()
	a.final = func(challenge []byte) []byte {
		login, _ := begin()
		final, _, err := login.Answer(append([]byte("\x00\x00\x00\x0b"), challenge...))
		if err != nil {
			t.Fatal(err)
		}
		// Nonce and proof differ between the two servers, so what is put in must be wrong in any of them. And
		// "=" is left out: PostgreSQL's decoder reads on behind padding, and what comes of it is no proof either.
		return mutate(mathrand.New(mathrand.NewPCG(seed, 1)), final, "\x00\x01\x80\xff \n~!")
	}
	return a
}

// mutate replaces, inserts, takes out or cuts once or twice.
func mutate(random *mathrand.Rand, message []byte, alphabet string) []byte {
	message = bytes.Clone(message)
	for range 1 + random.IntN(2) {
		at := random.IntN(len(message))
		other := alphabet[random.IntN(len(alphabet))]
		switch random.IntN(4) {
		case 0:
			message[at] = other
		case 1:
			message = append(message[:at], append([]byte{other}, message[at:]...)...)
		case 2:
			message = append(message[:at], message[at+1:]...)
		case 3:
			message = message[:max(at, 1)]
		}
	}
	return message
}

// compare makes each attempt at both servers.
func compare(t *testing.T, attempts []attempt) {
	t.Helper()
	secrets := map[string]auth.Secret{"scram_user": stored(t, "scram_user"), "no_user": {}}
	certificate := dial(t, "scram_user", true).binding()
	for _, a := range attempts {
		var binding []byte
		if a.secure {
			binding = certificate
		}
		want := atPostgres(t, a)
		if got := here(a, secrets[a.user], binding); got != want {
			t.Errorf("%s, user %s, TLS %v:\n here       %s\n PostgreSQL %s", a.name, a.user, a.secure, got, want)
		}
	}
	t.Logf("%d attempts", len(attempts))
}
