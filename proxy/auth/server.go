package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// The mechanisms, as RFC 7677 names them.
const (
	mechanismPlain = "SCRAM-SHA-256"
	mechanismPlus  = "SCRAM-SHA-256-PLUS"
)

// maxBody is what PostgreSQL takes of a SASL message, in bytes: PG_MAX_SASL_MESSAGE_LENGTH less the length word.
const maxBody = 1024 - 4

// step is where an exchange stands.
type step int

const (
	expectMechanism step = iota
	expectFirst
	expectFinal
	finished
	failed
)

// Server is the server's half of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677): it authenticates a client. It is for one
// connection and one goroutine. Its errors are *Error, with PostgreSQL's own words; after one the exchange is over.
type Server struct {
	user     string
	secret   Secret
	verifier *Verifier
	doomed   bool // the verifier is a mock's
	binding  []byte
	random   io.Reader

	step  step
	plus  bool // the client chose the mechanism with channel binding
	flag  byte // gs2-cbind-flag: n, y or p
	bare  string
	nonce string // the client's part and ours
	first string // our server-first-message
	keys  Secret // after the right proof
}

// NewServer begins to authenticate a user, whose name is the startup message's. Secret is what is known of the password: a
// verifier or plain text; with anything else (unknown user, md5 hash) the exchange goes on with a mock's verifier, and fails
// as with a wrong password. Binding is the [ChannelBinding] of the certificate that this client was shown, nil
// without TLS or where there is no such binding. Random makes the nonce. The first exchange of a user with a plain-text
// password takes a few milliseconds, to make the verifier.
func NewServer(user string, secret Secret, mock *Mock, binding []byte, random io.Reader) *Server {
	s := &Server{user: user, secret: secret, binding: binding, random: random}
	var ok bool
	s.verifier, ok = secret.verifier(user, mock)
	s.doomed = !ok
	return s
}

// Mechanisms are for AuthenticationSASL, the one with channel binding first.
func (s *Server) Mechanisms() []string {
	if len(s.binding) > 0 {
		return []string{mechanismPlus, mechanismPlain}
	}
	return []string{mechanismPlain}
}

// Start reads the body of SASLInitialResponse. The challenge is for AuthenticationSASLContinue; it is empty when the client
// left its first message for later, as the protocol allows.
func (s *Server) Start(body []byte) (challenge []byte, err error) {
	if s.step != expectMechanism {
		return nil, s.fail(&Error{Code: codeInternal, Message: "invalid SCRAM exchange state"})
	}
	mechanism, message, err := s.initial(body)
	if err != nil {
		return nil, s.fail(err)
	}
	s.plus = mechanism == mechanismPlus
	s.step = expectFirst
	if message == nil {
		return []byte{}, nil
	}
	challenge, _, err = s.message(message)
	return challenge, err
}

// Next reads the body of a SASLResponse. Until done, the reply is for AuthenticationSASLContinue. With done the
// client has proved who it is, and the reply is for AuthenticationSASLFinal, which AuthenticationOk may follow.
func (s *Server) Next(body []byte) (reply []byte, done bool, err error) {
	if len(body) > maxBody {
		return nil, false, s.fail(wrongPassword(s.user, "the client's SASL message is longer than 1020 bytes"))
	}
	return s.message(body)
}

// Secret is what to log in to the server with, once the exchange is done; before, it is the zero Secret. It is the one given
// to NewServer when that was plain text, which every method of the server takes, or else verifier and ClientKey.
func (s *Server) Secret() Secret { return s.keys }

// initial takes SASLInitialResponse apart: a NUL-terminated mechanism, a length or -1, and so many bytes. The order of
// the checks is that of CheckSASLAuth. message is nil for -1.
func (s *Server) initial(body []byte) (mechanism string, message []byte, err error) {
	if len(body) > maxBody {
		return "", nil, wrongPassword(s.user, "the client's SASL message is longer than 1020 bytes")
	}
	name, rest, ok := bytes.Cut(body, []byte{0})
	if !ok {
		return "", nil, &Error{Code: codeProtocol, Message: "invalid string in message"}
	}
	mechanism = string(name)
	if mechanism != mechanismPlain && (mechanism != mechanismPlus || len(s.binding) == 0) {
		return "", nil, &Error{Code: codeProtocol, Message: "client selected an invalid SASL authentication mechanism"}
	}
	short := &Error{Code: codeProtocol, Message: "insufficient data left in message"}
	if len(rest) < 4 {
		return "", nil, short
	}
	length := int32(binary.BigEndian.Uint32(rest))
	rest = rest[4:]
	if length != -1 {
		if length < 0 || int(length) > len(rest) {
			return "", nil, short
		}
		message, rest = rest[:length], rest[length:]
	}
	if len(rest) > 0 {
		return "", nil, &Error{Code: codeProtocol, Message: "invalid message format"}
	}
	return mechanism, message, nil
}

func (s *Server) message(message []byte) (reply []byte, done bool, err error) {
	if s.step != expectFirst && s.step != expectFinal {
		return nil, false, s.fail(&Error{Code: codeInternal, Message: "invalid SCRAM exchange state"})
	}
	if err := checkText(message); err != nil {
		return nil, false, s.fail(err)
	}
	if s.step == expectFirst {
		reply, err = s.challenge(string(message))
		if err != nil {
			return nil, false, s.fail(err)
		}
		s.step = expectFinal
		return reply, false, nil
	}
	reply, err = s.verdict(string(message))
	if err != nil {
		return nil, false, s.fail(err)
	}
	s.step = finished
	return reply, true, nil
}

func (s *Server) fail(err error) error {
	s.step = failed
	return err
}

// challenge answers the client-first-message.
func (s *Server) challenge(message string) ([]byte, error) {
	clientNonce, err := s.readFirst(message)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, nonceLength)
	if _, err := io.ReadFull(s.random, raw); err != nil {
		return nil, &Error{Code: codeInternal, Message: "could not generate random nonce", Log: err.Error()}
	}
	s.nonce = clientNonce + encode(raw)
	s.first = serverFirst(s.nonce, s.verifier)
	return []byte(s.first), nil
}

// verdict answers the client-final-message.
func (s *Server) verdict(message string) ([]byte, error) {
	final, err := s.readFinal(message)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal([]byte(final.nonce), []byte(s.nonce)) {
		return nil, &Error{Code: codeProtocol, Message: "invalid SCRAM response", Detail: "Nonce does not match."}
	}
	authMessage := s.bare + "," + s.first + "," + final.withoutProof
	client := xor(final.proof, sign(s.verifier.stored, authMessage))
	stored := sha256.Sum256(client[:])
	// The proof is looked at even when the exchange is doomed, so that both take the same time.
	right := hmac.Equal(stored[:], s.verifier.stored[:])
	if s.doomed {
		return nil, wrongPassword(s.user, s.whyDoomed())
	}
	if !right {
		return nil, wrongPassword(s.user, "the password does not match")
	}
	s.keys = s.secret
	if s.secret.known.verifier != nil {
		s.keys = Secret{&known{verifier: s.verifier, client: &client}}
	}
	signature := sign(s.verifier.server, authMessage)
	return []byte("v=" + encode(signature[:])), nil
}

func (s *Server) whyDoomed() string {
	if s.secret.known == nil {
		return "no such user is known, or it has no password"
	}
	return "only " + s.secret.String() + " is known, with which SCRAM is not possible; set the password again with password_encryption = scram-sha-256"
}
