package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

var (
	fuzzRandom  = []byte(strings.Repeat("n", nonceLength))
	fuzzBinding = []byte("certificate")
)

// FuzzScram sends hostile bytes to a server whose nonce is known beforehand. They must not crash it, and it must accept
// nothing but the right proof, which the test computes on its own from the password.
func FuzzScram(f *testing.F) {
	verifier, client, err := derive(rfcPassword, []byte("0123456789abcdef"), 1)
	if err != nil {
		f.Fatal(err)
	}
	good := Secret{&known{verifier: verifier}}
	mock := NewMock([]byte(testMockSecret), 1)
	for _, binding := range [][]byte{nil, fuzzBinding} {
		first, final := fuzzSeed(f, good, mock, binding)
		f.Add(first, final, binding != nil)
		f.Add(first, bytes.Replace(final, []byte(",p="), []byte(",x=y,p="), 1), binding != nil)
		f.Add(first, final[:len(final)-1], binding != nil)
	}
	f.Add([]byte("SCRAM-SHA-256\x00\xff\xff\xff\xff"), []byte(initialResponse), false)
	f.Add([]byte("SCRAM-SHA-256\x00\x7f\xff\xff\xffn,,"), []byte("c=biws,r=,p="), false)
	f.Add([]byte("SCRAM-SHA-256-PLUS\x00\x00\x00\x00\x03y,,"), []byte("c=eSws"), true)
	f.Fuzz(func(t *testing.T, first, final []byte, bound bool) {
		var binding []byte
		if bound {
			binding = fuzzBinding
		}
		unknown := NewServer(testUser, Secret{}, mock, binding, bytes.NewReader(fuzzRandom))
		if offer(unknown, first, final) {
			t.Fatal("a user who does not exist was let in")
		}
		server := NewServer(testUser, good, mock, binding, bytes.NewReader(fuzzRandom))
		if !offer(server, first, final) {
			if server.Secret().known != nil {
				t.Fatal("a refused client left a secret")
			}
			return
		}
		at := bytes.LastIndex(final, []byte(",p="))
		proof, err := base64.StdEncoding.DecodeString(string(final[at+3:]))
		if err != nil {
			t.Fatal("accepted a proof that is not base64")
		}
		mac := hmac.New(sha256.New, verifier.stored[:])
		mac.Write([]byte(server.bare + "," + server.first + "," + string(final[:at])))
		for i, b := range mac.Sum(nil) {
			if proof[i] != b^client[i] {
				t.Fatalf("accepted a wrong proof: %q, %q", first, final)
			}
		}
		if *server.Secret().known.client != client {
			t.Fatal("recovered another key")
		}
	})
}

func offer(server *Server, first, final []byte) bool {
	if _, err := server.Start(first); err != nil {
		return false
	}
	_, done, err := server.Next(final)
	return done && err == nil
}

// fuzzSeed is what a client that knows the password sends.
func fuzzSeed(f *testing.F, secret Secret, mock *Mock, binding []byte) (first, final []byte) {
	server := NewServer(testUser, secret, mock, binding, bytes.NewReader(fuzzRandom))
	login := NewLogin(testUser, password(f, rfcPassword), binding, bytes.NewReader(fuzzRandom))
	first, _, err := login.Answer(request(requestSASL, strings.Join(server.Mechanisms(), "\x00")+"\x00\x00"))
	if err != nil {
		f.Fatal(err)
	}
	challenge, err := server.Start(first)
	if err != nil {
		f.Fatal(err)
	}
	if final, _, err = login.Answer(request(requestSASLContinue, string(challenge))); err != nil {
		f.Fatal(err)
	}
	return first, final
}

// FuzzLogin plays a hostile server. It must not crash the login, nor be believed once it has asked for SCRAM: it does not
// know the user's verifier.
func FuzzLogin(f *testing.F) {
	_, client, err := derive(rfcPassword, []byte("salt"), 1)
	if err != nil {
		f.Fatal(err)
	}
	nonce := "r=" + encode(fuzzRandom) + "X"
	f.Add(request(requestSASL, "SCRAM-SHA-256\x00\x00"), request(requestSASLContinue, nonce+",s=c2FsdA==,i=1"),
		request(requestSASLFinal, rfcServerFinal))
	f.Add(request(requestSASL, "SCRAM-SHA-256-PLUS\x00\x00"), request(requestSASLContinue, "r=,s=,i=-1"),
		request(requestSASLFinal, "e=x"))
	f.Add(request(requestMD5, "abcd"), request(requestOK, ""), request(requestOK, ""))
	f.Add(request(requestCleartext, ""), request(requestSASL, "\x00\x00"), []byte{})
	unknowable := Secret{&known{verifier: &Verifier{1, []byte("salt"), sha256.Sum256(client[:]), key{1}}, client: &client}}
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		login := NewLogin(testUser, unknowable, fuzzBinding, bytes.NewReader(fuzzRandom))
		for _, body := range [][]byte{a, b, c, request(requestOK, "")} {
			scram := login.scram.nonce != ""
			_, done, err := login.Answer(body)
			if done && scram {
				t.Fatalf("believed a server that cannot know the verifier: %q, %q, %q", a, b, c)
			}
			if done || err != nil {
				return
			}
		}
	})
}
