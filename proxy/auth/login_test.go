package auth

import (
	"crypto/rand"
	"strings"
	"testing"
)

// TestLogin asks a login for things, and looks at the answer or the refusal.
func TestLogin(t *testing.T) {
	verifier, err := NewVerifier("geheim", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	plain, hash := password(t, "geheim"), password(t, "md5"+hexMD5("geheim"+testUser))
	stored, keys := password(t, verifier.Text()), Secret{&known{verifier: verifier, client: &key{}}}
	salted := "md5" + hexMD5(hexMD5("geheim"+testUser)+"abcd") + "\x00"
	plus := "SCRAM-SHA-256-PLUS\x00SCRAM-SHA-256\x00\x00"
	for _, c := range []struct {
		name    string
		secret  Secret
		binding []byte
		ask     []byte
		want    string // the reply's beginning, or a part of the refusal after "!"
	}{
		{"cleartext, plain", plain, nil, request(requestCleartext, ""), "geheim\x00"},
		{"cleartext, md5", hash, nil, request(requestCleartext, ""), "!asks for the password in plain text; known is an md5 hash"},
		{"cleartext, keys", keys, nil, request(requestCleartext, ""), "!known is a SCRAM verifier and the client's key"},
		{"cleartext, nothing", Secret{}, nil, request(requestCleartext, ""), "!known is no password"},
		{"md5, plain", plain, nil, request(requestMD5, "abcd"), salted},
		{"md5, md5", hash, nil, request(requestMD5, "abcd"), salted},
		{"md5, keys", keys, nil, request(requestMD5, "abcd"), "!asks for the password or its md5 hash"},
		{"md5, short", plain, nil, request(requestMD5, "abc"), "!four bytes"},
		{"scram, plain", plain, nil, request(requestSASL, plus), "SCRAM-SHA-256\x00\x00\x00\x00\x20n,,n=,r="},
		{"scram, bound", keys, []byte("b"), request(requestSASL, plus), "SCRAM-SHA-256-PLUS\x00\x00\x00\x00\x35p=tls-server-end-point,,n=,r="},
		{"scram, PLUS taken out", keys, []byte("b"), request(requestSASL, mechanismPlain+"\x00\x00"), "SCRAM-SHA-256\x00\x00\x00\x00\x20y,,n=,r="},
		{"scram, md5", hash, nil, request(requestSASL, plus), "!with a client that logs in by SCRAM"},
		{"scram, verifier alone", stored, nil, request(requestSASL, plus), "!known is a SCRAM verifier."},
		{"scram, only PLUS", plain, nil, request(requestSASL, mechanismPlus+"\x00\x00"), "!none of the server's"},
		{"oauth", plain, nil, request(requestSASL, "OAUTHBEARER\x00\x00"), `!"OAUTHBEARER"`},
		{"no end", plain, nil, request(requestSASL, mechanismPlain), "!does not end"},
		{"empty list", plain, nil, request(requestSASL, "\x00\x00"), "!none of"},
		{"gss", plain, nil, request(7, ""), "!GSSAPI"},
		{"unknown", plain, nil, request(99, ""), "!99"},
		{"continue", plain, nil, request(requestSASLContinue, ""), "!not to be expected"},
		{"no code", plain, nil, []byte{0, 0}, "!without a code"},
	} {
		reply, done, err := NewLogin(testUser, c.secret, c.binding, rand.Reader).Answer(c.ask)
		if refusal, ok := strings.CutPrefix(c.want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), refusal) || reply != nil {
				t.Errorf("%s: %q, %v; want %s", c.name, reply, err, refusal)
			}
		} else if err != nil || done || !strings.HasPrefix(string(reply), c.want) {
			t.Errorf("%s: %q, %v, %v; want %q", c.name, reply, done, err, c.want)
		}
	}
	if _, done, err := NewLogin(testUser, Secret{}, nil, rand.Reader).Answer(request(requestOK, "")); err != nil || !done {
		t.Errorf("trust: %v, %v", done, err)
	}
}

// TestLoginBelievesNoServer that skips, repeats, or signs wrong.
func TestLoginBelievesNoServer(t *testing.T) {
	ours := "r=" + encode([]byte(strings.Repeat("n", nonceLength)))
	good := ours + "X,s=c2FsdA==,i=4096"
	verifier, client, err := derive("geheim", []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	keys := Secret{&known{verifier: verifier, client: &client}}
	for _, c := range []struct {
		name   string
		secret Secret
		then   [][]byte // after the list of mechanisms
		want   string
	}{
		{"Ok at once", keys, [][]byte{request(requestOK, "")}, "without proving"},
		{"Ok after the proof", keys, [][]byte{request(requestSASLContinue, good), request(requestOK, "")}, "without proving"},
		{"final at once", keys, [][]byte{request(requestSASLFinal, "v=")}, "not to be expected"},
		{"cleartext after all", password(t, "geheim"), [][]byte{request(requestCleartext, "")}, "not to be expected"},
		{"twice", keys, [][]byte{request(requestSASLContinue, good), request(requestSASLContinue, good)}, "not to be expected"},
		{"our nonce alone", keys, [][]byte{request(requestSASLContinue, ours+",s=c2FsdA==,i=4096")}, "Nonce"},
		{"another nonce", keys, [][]byte{request(requestSASLContinue, "r=X,s=c2FsdA==,i=4096")}, "Nonce"},
		{"a nonce with a space", keys, [][]byte{request(requestSASLContinue, ours+" ,s=c2FsdA==,i=4096")}, "non-printable"},
		{"another salt", keys, [][]byte{request(requestSASLContinue, ours+"X,s=U2FsdA==,i=4096")}, "is not the server's"},
		{"another count", keys, [][]byte{request(requestSASLContinue, ours+"X,s=c2FsdA==,i=4097")}, "is not the server's"},
		{"no salt", keys, [][]byte{request(requestSASLContinue, ours+"X,s=,i=4096")}, "salt"},
		{"a count of 0", keys, [][]byte{request(requestSASLContinue, ours+"X,s=c2FsdA==,i=0")}, "iteration"},
		{"endless work", password(t, "geheim"), [][]byte{request(requestSASLContinue, ours+"X,s=c2FsdA==,i=2147483647")}, "at most"},
		{"more after the count", keys, [][]byte{request(requestSASLContinue, good+",x=y")}, "iteration"},
		{"empty", keys, [][]byte{request(requestSASLContinue, "")}, "empty"},
		{"NUL", keys, [][]byte{request(requestSASLContinue, good+"\x00")}, "length"},
		{"wrong signature", keys, [][]byte{request(requestSASLContinue, good), request(requestSASLFinal, rfcServerFinal)}, "signature is wrong"},
		{"short signature", keys, [][]byte{request(requestSASLContinue, good), request(requestSASLFinal, "v=AAAA")}, "Malformed signature"},
		{"server error", keys, [][]byte{request(requestSASLContinue, good), request(requestSASLFinal, "e=other-\x01error")}, "other-?error"},
	} {
		login := NewLogin(testUser, c.secret, nil, strings.NewReader(strings.Repeat("n", nonceLength)))
		_, done, err := login.Answer(request(requestSASL, mechanismPlain+"\x00\x00"))
		for _, body := range c.then {
			if err != nil || done {
				t.Fatalf("%s: over too soon: %v", c.name, err)
			}
			_, done, err = login.Answer(body)
		}
		if done || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %s", c.name, done, err, c.want)
		}
		if _, done, err := login.Answer(request(requestOK, "")); done || err == nil {
			t.Errorf("%s: believed after an error", c.name)
		}
	}
}
