package auth

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Secret is what is known of a user's password, for both legs. The zero Secret knows nothing: no client passes with it, and
// only a server that asks for nothing lets it in. It does not change, and may be used from several goroutines.
type Secret struct {
	// A pointer, because fmt does not ask Format about a Secret in another struct's field, but does not follow a pointer there.
	known *known
}

type known struct {
	password string    // plain text, or ""
	md5      string    // md5 and 32 hex digits, or ""
	verifier *Verifier // nil: none
	client   *key      // the ClientKey that belongs to verifier; nil: not known

	mu      sync.Mutex
	derived *Verifier // of password, with the salt it was last asked for
}

// ParseSecret reads what PgBouncer's auth_file and pg_authid.rolpassword may hold: a SCRAM verifier, md5 and 32 lower-case
// hex digits, or else a password in plain text. "" is the zero Secret, as in PostgreSQL, where an empty password is none.
// Text that begins like a verifier and is none is an error.
func ParseSecret(text string) (Secret, error) {
	switch {
	case text == "":
		return Secret{}, nil
	case strings.HasPrefix(text, verifierPrefix):
		v, err := ParseVerifier(text)
		if err != nil {
			return Secret{}, err
		}
		return Secret{&known{verifier: v}}, nil
	case strings.IndexByte(text, 0) >= 0:
		return Secret{}, errors.New("a password cannot hold a NUL byte")
	case isMD5(text):
		return Secret{&known{md5: text}}, nil
	}
	return Secret{&known{password: text}}, nil
}

// verifier is what the client's proof is checked against. ok is false when there is none; the verifier is then a mock's.
func (s Secret) verifier(user string, mock *Mock) (v *Verifier, ok bool) {
	switch {
	case s.known == nil:
	case s.known.verifier != nil:
		return s.known.verifier, true
	case s.known.password != "":
		if v := s.known.derive(mock.salt(user), mock.iterations); v != nil {
			return v, true
		}
	}
	return mock.verifier(user), false
}

// derive makes a plain password's verifier, with the salt that the mock would give: a new one for each exchange would tell
// such users from those that do not exist. It is kept, because it costs a thousand times what checking a proof does.
func (k *known) derive(salt []byte, iterations int) *Verifier {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.derived == nil || string(k.derived.salt) != string(salt) || k.derived.iterations != iterations {
		v, err := NewVerifier(k.password, salt, iterations)
		if err != nil {
			return nil
		}
		k.derived = v
	}
	return k.derived
}

// answerMD5 is the answer to AuthenticationMD5Password: md5 and hex(md5(hex(md5(password + user)) + salt)). "" when neither
// password nor hash is known.
func (s Secret) answerMD5(user string, salt []byte) string {
	hash := ""
	switch {
	case s.known == nil:
	case s.known.md5 != "":
		hash = strings.TrimPrefix(s.known.md5, "md5")
	case s.known.password != "":
		hash = hexMD5(s.known.password + user)
	}
	if hash == "" {
		return ""
	}
	return "md5" + hexMD5(hash+string(salt))
}

func hexMD5(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func isMD5(text string) bool {
	return len(text) == 35 && strings.HasPrefix(text, "md5") && strings.Trim(text[3:], "0123456789abcdef") == ""
}

// String says what kind of secret it is, for messages and logs.
func (s Secret) String() string {
	switch {
	case s.known == nil:
		return "no password"
	case s.known.client != nil:
		return "a SCRAM verifier and the client's key"
	case s.known.verifier != nil:
		return "a SCRAM verifier"
	case s.known.md5 != "":
		return "an md5 hash"
	}
	return "a plain-text password"
}

// Format prints the kind whatever the verb, so that no %+v shows more.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// Format prints no key.
func (v *Verifier) Format(f fmt.State, _ rune) { fmt.Fprint(f, "a SCRAM verifier") }

// Format prints no key.
func (m *Mock) Format(f fmt.State, _ rune) { fmt.Fprint(f, "mock verifiers") }

// Format prints the user.
func (s *Server) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "SCRAM with user %q", s.user) }

// Format prints the user.
func (l *Login) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "login of user %q", l.user) }
