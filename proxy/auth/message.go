package auth

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// gs2Header is what stands before the bare message: channel binding, and no other identity to act as.
func gs2Header(flag byte) string {
	if flag == 'p' {
		return "p=" + bindingType + ",,"
	}
	return string(flag) + ",,"
}

// bindingInput is the value of the attribute c of a client-final-message.
func bindingInput(flag byte, binding []byte) string {
	input := []byte(gs2Header(flag))
	if flag == 'p' {
		input = append(input, binding...)
	}
	return encode(input)
}

func serverFirst(nonce string, v *Verifier) string {
	return fmt.Sprintf("r=%s,s=%s,i=%d", nonce, encode(v.salt), v.iterations)
}

// readFirst reads a client-first-message, in the order and with the words of PostgreSQL's read_client_first_message.
// It sets what the exchange must remember of it.
func (s *Server) readFirst(message string) (clientNonce string, err error) {
	a := attributes{message}
	s.flag = a.peek()
	if err := s.readBinding(&a); err != nil {
		return "", err
	}
	switch a.peek() {
	case 'a':
		return "", &Error{Code: codeUnsupported, Message: "client uses authorization identity, but it is not supported"}
	case ',':
		a.skip()
	default:
		return "", malformed("Unexpected attribute \"%s\" in client-first-message.", shown(a.peek()))
	}
	s.bare = a.rest
	if a.peek() == 'm' {
		return "", &Error{Code: codeUnsupported, Message: "client requires an unsupported SCRAM extension"}
	}
	// The user is the startup message's; libpq leaves this one empty.
	if _, err := a.value('n'); err != nil {
		return "", err
	}
	if clientNonce, err = a.value('r'); err != nil {
		return "", err
	}
	if !isNonce(clientNonce) {
		return "", &Error{Code: codeProtocol, Message: "non-printable characters in SCRAM nonce"}
	}
	for a.rest != "" {
		if _, _, err := a.next(); err != nil {
			return "", err
		}
	}
	return clientNonce, nil
}

// readBinding reads gs2-cbind-flag and the comma behind it.
func (s *Server) readBinding(a *attributes) error {
	switch flag := a.peek(); flag {
	case 'n', 'y':
		if s.plus {
			return malformed("The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.")
		}
		// y: somebody between us has taken PLUS out of the list.
		if flag == 'y' && len(s.binding) > 0 {
			return &Error{
				Code: codeAuthorization, Message: "SCRAM channel binding negotiation error",
				Detail: "The client supports SCRAM channel binding but thinks the server does not.  " +
					"However, this server does support channel binding.",
			}
		}
		a.skip()
		if a.peek() != ',' {
			return malformed("Comma expected, but found character \"%s\".", shown(a.peek()))
		}
		a.skip()
		return nil
	case 'p':
		if !s.plus {
			return malformed("The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.")
		}
		kind, err := a.value('p')
		if err != nil {
			return err
		}
		if kind != bindingType {
			return &Error{Code: codeProtocol, Message: fmt.Sprintf("unsupported SCRAM channel-binding type \"%s\"", shownText(kind))}
		}
		return nil
	default:
		return malformed("Unexpected channel-binding flag \"%s\".", shown(flag))
	}
}

// clientFinal is a client-final-message.
type clientFinal struct {
	nonce        string
	withoutProof string
	proof        key
}

// readFinal reads a client-final-message, in the order and with the words of read_client_final_message.
func (s *Server) readFinal(message string) (final clientFinal, err error) {
	a := attributes{message}
	bound, err := a.value('c')
	if err != nil {
		return final, err
	}
	if bound != bindingInput(s.flag, s.binding) {
		if s.plus {
			return final, &Error{Code: codeAuthorization, Message: "SCRAM channel binding check failed"}
		}
		return final, &Error{Code: codeProtocol, Message: "unexpected SCRAM channel-binding attribute in client-final-message"}
	}
	if final.nonce, err = a.value('r'); err != nil {
		return final, err
	}
	for {
		rest := a.rest
		name, value, err := a.next()
		if err != nil {
			return final, err
		}
		if name != 'p' {
			continue
		}
		final.withoutProof = strings.TrimSuffix(message[:len(message)-len(rest)], ",")
		if final.proof, err = readProof(value); err != nil {
			return final, err
		}
		if a.rest != "" {
			return final, malformed("Garbage found at the end of client-final-message.")
		}
		return final, nil
	}
}

// readProof is not decodeKey: PostgreSQL lets the spare bits of base64's last letter be anything.
func readProof(value string) (key, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(b) != keyLength || strings.ContainsAny(value, "\r\n") {
		return key{}, malformed("Malformed proof in client-final-message.")
	}
	return key(b), nil
}
