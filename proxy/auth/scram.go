package auth

import (
	"bytes"
	"crypto/hmac"
	"fmt"
	"io"
	"strings"
)

// maxIterations bounds the work that a server may ask of us for a plain-text password: up to a second. With a
// verifier there is no work.
const maxIterations = 1_000_000

// scramClient is the client's half of one SCRAM-SHA-256 exchange.
type scramClient struct {
	flag   byte // gs2-cbind-flag: n, y or p
	nonce  string
	bare   string
	server key // the signature that the server must send
}

// begin makes the client-first-message.
func (c *scramClient) begin(random io.Reader) (string, error) {
	raw := make([]byte, nonceLength)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", &Error{Code: codeInternal, Message: "could not generate random nonce", Log: err.Error()}
	}
	c.nonce = encode(raw)
	c.bare = "n=,r=" + c.nonce
	return gs2Header(c.flag) + c.bare, nil
}

// prove answers the server-first-message with the client-final-message.
func (c *scramClient) prove(first string, l *Login) (string, error) {
	nonce, salt, iterations, err := readServerFirst(first)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(nonce, c.nonce) || nonce == c.nonce {
		return "", &Error{Code: codeProtocol, Message: "invalid SCRAM response", Detail: "Nonce does not match."}
	}
	verifier, client, err := l.secret.scramKeys(salt, iterations, l.user)
	if err != nil {
		return "", err
	}
	withoutProof := "c=" + bindingInput(c.flag, l.binding) + ",r=" + nonce
	authMessage := c.bare + "," + first + "," + withoutProof
	c.server = sign(verifier.server, authMessage)
	proof := xor(client, sign(verifier.stored, authMessage))
	return withoutProof + ",p=" + encode(proof[:]), nil
}

// believe checks the server-final-message.
func (c *scramClient) believe(final string) error {
	a := attributes{final}
	if a.peek() == 'e' {
		reason, err := a.value('e')
		if err != nil {
			return err
		}
		return &Error{
			Code: codeAuthorization, Message: fmt.Sprintf("error received from the server in SCRAM exchange: %s", shownText(reason)),
		}
	}
	value, err := a.value('v')
	if err != nil {
		return err
	}
	signature, err := decodeKey(value)
	if err != nil || a.rest != "" {
		return malformed("Malformed signature in server-final-message.")
	}
	if !hmac.Equal(signature[:], c.server[:]) {
		return &Error{
			Code: codeAuthorization, Message: "the server's SCRAM signature is wrong: it does not know the user's verifier",
			Hint: "Is this the right server?",
		}
	}
	return nil
}

// readServerFirst reads a server-first-message. PostgreSQL sends no extensions, so none are taken.
func readServerFirst(message string) (nonce string, salt []byte, iterations int, err error) {
	if err := checkText([]byte(message)); err != nil {
		return "", nil, 0, err
	}
	a := attributes{message}
	if nonce, err = a.value('r'); err != nil {
		return "", nil, 0, err
	}
	if !isNonce(nonce) {
		return "", nil, 0, &Error{Code: codeProtocol, Message: "non-printable characters in SCRAM nonce"}
	}
	text, err := a.value('s')
	if err != nil {
		return "", nil, 0, err
	}
	if salt, err = decode(text); err != nil || len(salt) == 0 {
		return "", nil, 0, malformed("Malformed salt in server-first-message.")
	}
	if text, err = a.value('i'); err != nil {
		return "", nil, 0, err
	}
	if iterations, err = parseIterations(text); err != nil || a.rest != "" {
		return "", nil, 0, malformed("Malformed iteration count in server-first-message.")
	}
	return nonce, salt, iterations, nil
}

// canSCRAM reports whether scramKeys can work at all.
func (s Secret) canSCRAM() bool {
	return s.known != nil && (s.known.client != nil || s.known.password != "")
}

// scramKeys are the keys that fit a server's salt and iteration count. A ClientKey was made with the verifier's and fits no other.
func (s Secret) scramKeys(salt []byte, iterations int, user string) (*Verifier, key, error) {
	if s.known.client != nil {
		v := s.known.verifier
		if !bytes.Equal(v.salt, salt) || v.iterations != iterations {
			return nil, key{}, &Error{
				Code: codeAuthorization, Message: fmt.Sprintf("the SCRAM verifier known for user \"%s\" is not the server's", user),
				Detail: "Salt or iteration count differ, so the client's key does not fit. The server may also not know the user, or its password is no longer valid there.",
				Hint:   "Copy the verifier from this server's pg_authid.rolpassword into users_file, or let auth.query_as read it from this server.",
			}
		}
		return v, *s.known.client, nil
	}
	if iterations > maxIterations {
		return nil, key{}, &Error{
			Code:    codeAuthorization,
			Message: fmt.Sprintf("the server asks for %d SCRAM iterations; at most %d are computed", iterations, maxIterations),
			Hint:    "Lower the server's scram_iterations and set the password again, or put the SCRAM verifier into users_file.",
		}
	}
	v, client, err := derive(s.known.password, salt, iterations)
	if err != nil {
		return nil, key{}, &Error{Code: codeInternal, Message: "could not compute SCRAM keys", Log: err.Error()}
	}
	return v, client, nil
}
