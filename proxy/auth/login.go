package auth

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// What a server asks for, the first four bytes of an Authentication message: the manual, "Message Formats".
const (
	requestOK           = 0
	requestCleartext    = 3
	requestMD5          = 5
	requestSASL         = 10
	requestSASLContinue = 11
	requestSASLFinal    = 12
)

// unsupported are the requests that nothing known here can answer.
var unsupported = map[uint32]string{2: "Kerberos V5", 4: "crypt", 6: "SCM credential", 7: "GSSAPI", 8: "GSSAPI", 9: "SSPI"}

// phase is where a login stands. The server may ask once, and for one thing.
type phase int

const (
	unasked   phase = iota
	firstSent       // SCRAM: our client-first-message
	finalSent       // SCRAM: our proof
	answered        // all is said, Ok or an error must come
	ended
)

// Login is the client's half of logging in to a server, by whatever method it asks for and the secret allows. It is for one
// connection and one goroutine. Its errors are *Error; after one the connection must be closed.
type Login struct {
	user    string
	secret  Secret
	binding []byte
	random  io.Reader
	phase   phase
	scram   scramClient
}

// NewLogin begins a login as a user. Binding is the [ChannelBinding] of the certificate that the server showed, nil without
// TLS or where there is no such binding. Random makes the nonce.
//
// A server that asks for cleartext gets a plain-text password as it is, so the caller should have TLS where others listen.
func NewLogin(user string, secret Secret, binding []byte, random io.Reader) *Login {
	return &Login{user: user, secret: secret, binding: binding, random: random}
}

// Answer reads the body of each Authentication message (type R) of the server. The reply is the body of the message of
// type p to send back, nil for none. With done the server has said Ok, and by SCRAM has proved that it knows the user's
// verifier. Answering SCRAM with a plain-text password takes a few milliseconds per 4096 iterations that the server wants.
func (l *Login) Answer(body []byte) (reply []byte, done bool, err error) {
	reply, done, err = l.answer(body)
	if err != nil || done {
		l.phase = ended
	}
	return reply, done, err
}

func (l *Login) answer(body []byte) (reply []byte, done bool, err error) {
	if len(body) < 4 {
		return nil, false, l.broken("an authentication request without a code")
	}
	code, rest := binary.BigEndian.Uint32(body), body[4:]
	switch {
	case code == requestOK && (l.phase == unasked || l.phase == answered):
		return nil, true, nil
	case code == requestOK && l.phase != ended:
		return nil, false, &Error{
			Code: codeAuthorization, Message: "the server ended SCRAM authentication without proving who it is",
			Hint: "Is this the right server? One that knows the user's password sends its signature.",
		}
	case code == requestCleartext && l.phase == unasked:
		reply, err = l.cleartext()
	case code == requestMD5 && l.phase == unasked:
		reply, err = l.md5(rest)
	case code == requestSASL && l.phase == unasked:
		reply, err = l.start(rest)
	case code == requestSASLContinue && l.phase == firstSent:
		reply, err = l.prove(string(rest))
	case code == requestSASLFinal && l.phase == finalSent:
		err = l.believe(string(rest))
	case unsupported[code] != "":
		return nil, false, &Error{
			Code: codeAuthorization, Message: fmt.Sprintf("the server asks for %s authentication, which is not supported here", unsupported[code]),
			Hint: "Let the server's pg_hba.conf ask for scram-sha-256.",
		}
	default:
		return nil, false, l.broken(fmt.Sprintf("authentication request %d, which was not to be expected now", code))
	}
	return reply, false, err
}

func (l *Login) cleartext() ([]byte, error) {
	if l.secret.known == nil || l.secret.known.password == "" {
		return nil, l.lacking("the password in plain text")
	}
	l.phase = answered
	return append([]byte(l.secret.known.password), 0), nil
}

func (l *Login) md5(salt []byte) ([]byte, error) {
	if len(salt) != 4 {
		return nil, l.broken("an md5 request without four bytes of salt")
	}
	answer := l.secret.answerMD5(l.user, salt)
	if answer == "" {
		return nil, l.lacking("the password or its md5 hash")
	}
	l.phase = answered
	return append([]byte(answer), 0), nil
}

// start reads a list of mechanisms, each with a NUL behind it, and one more at the end.
func (l *Login) start(list []byte) ([]byte, error) {
	text, ok := strings.CutSuffix(string(list), "\x00\x00")
	if !ok {
		return nil, l.broken("a list of SASL mechanisms that does not end")
	}
	var plain, plus bool
	for _, name := range strings.Split(text, "\x00") {
		plain = plain || name == mechanismPlain
		plus = plus || name == mechanismPlus && len(l.binding) > 0
	}
	if !plain && !plus {
		return nil, &Error{
			Code: codeAuthorization, Message: "none of the server's SASL authentication mechanisms are supported",
			Detail: fmt.Sprintf("The server offers \"%s\".", shownText(text)), Hint: "Let the server's pg_hba.conf ask for scram-sha-256.",
		}
	}
	if !l.secret.canSCRAM() {
		return nil, l.lacking("the password, or its SCRAM verifier with a client that logs in by SCRAM")
	}
	mechanism := mechanismPlain
	l.scram.flag = 'n'
	switch {
	case plus:
		mechanism = mechanismPlus
		l.scram.flag = 'p'
	case len(l.binding) > 0:
		l.scram.flag = 'y' // so that the server notices if somebody between us took PLUS out of its list
	}
	first, err := l.scram.begin(l.random)
	if err != nil {
		return nil, err
	}
	l.phase = firstSent
	reply := append([]byte(mechanism), 0)
	reply = binary.BigEndian.AppendUint32(reply, uint32(len(first)))
	return append(reply, first...), nil
}

func (l *Login) prove(serverFirst string) ([]byte, error) {
	final, err := l.scram.prove(serverFirst, l)
	if err != nil {
		return nil, err
	}
	l.phase = finalSent
	return []byte(final), nil
}

func (l *Login) believe(serverFinal string) error {
	if err := l.scram.believe(serverFinal); err != nil {
		return err
	}
	l.phase = answered
	return nil
}

// broken is a server that does not keep to the protocol.
func (l *Login) broken(what string) *Error {
	return &Error{Code: codeProtocol, Message: "the server broke the authentication protocol", Detail: "It sent " + what + "."}
}

// lacking is a method for which not enough is known.
func (l *Login) lacking(what string) *Error {
	return &Error{
		Code: codeAuthorization, Message: fmt.Sprintf("cannot log in to the server as user \"%s\"", l.user),
		Detail: fmt.Sprintf("The server asks for %s; known is %s.", what, l.secret),
		Hint:   l.remedy(),
	}
}

// remedy says how the server and what is known could be brought together. Where SCRAM verifiers are known, users_file takes
// nothing else.
func (l *Login) remedy() string {
	switch {
	case l.secret.known == nil:
		return "Put the user's password into users_file, or let the server's pg_hba.conf trust the proxy or take its certificate (cert, with sslcert in upstream)."
	case l.secret.known.verifier != nil:
		return "Let the server's pg_hba.conf ask for scram-sha-256."
	}
	return "Put what it asks for into users_file, or let the server's pg_hba.conf ask for md5 or scram-sha-256."
}
