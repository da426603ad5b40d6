package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

const (
	keyLength         = sha256.Size // of each SCRAM-SHA-256 key, in bytes
	saltLength        = 16          // of the salts that PostgreSQL makes, in bytes
	nonceLength       = 18          // of nonces before base64, in bytes, as in PostgreSQL
	defaultIterations = 4096        // PostgreSQL's scram_iterations unless it is set
	verifierPrefix    = "SCRAM-SHA-256$"
)

// key is a ClientKey, StoredKey, ServerKey, or a signature or proof of the same length.
type key [keyLength]byte

// Verifier is what a server stores to check a password by SCRAM-SHA-256, as in pg_authid.rolpassword. It does not change.
type Verifier struct {
	iterations int
	salt       []byte
	stored     key
	server     key
}

// ParseVerifier reads SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, with salt and keys in base64. It takes what
// PostgreSQL writes, and nothing else. Its errors say which part is wrong and quote none.
func ParseVerifier(text string) (*Verifier, error) {
	rest, ok := strings.CutPrefix(text, verifierPrefix)
	if !ok {
		return nil, errors.New("a SCRAM verifier begins with " + verifierPrefix)
	}
	shape := errors.New("a SCRAM verifier has the form SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")
	head, keys, ok := strings.Cut(rest, "$")
	if !ok {
		return nil, shape
	}
	iterations, salt, ok := strings.Cut(head, ":")
	if !ok {
		return nil, shape
	}
	stored, server, ok := strings.Cut(keys, ":")
	if !ok {
		return nil, shape
	}
	var v Verifier
	var err error
	if v.iterations, err = parseIterations(iterations); err != nil {
		return nil, fmt.Errorf("SCRAM verifier: %w", err)
	}
	if v.salt, err = decode(salt); err != nil || len(v.salt) == 0 {
		return nil, errors.New("SCRAM verifier: the salt is not base64 of at least one byte")
	}
	if v.stored, err = decodeKey(stored); err != nil {
		return nil, fmt.Errorf("SCRAM verifier: StoredKey %w", err)
	}
	if v.server, err = decodeKey(server); err != nil {
		return nil, fmt.Errorf("SCRAM verifier: ServerKey %w", err)
	}
	return &v, nil
}

// NewVerifier makes the verifier of a password, as PostgreSQL does when the password is set: after SASLprep where that
// is possible. It takes a few milliseconds per 4096 iterations.
func NewVerifier(password string, salt []byte, iterations int) (*Verifier, error) {
	if len(salt) == 0 || iterations < 1 || iterations > math.MaxInt32 {
		return nil, errors.New("a SCRAM verifier needs a salt and a positive number of iterations")
	}
	v, _, err := derive(password, salt, iterations)
	return v, err
}

// RandomVerifier makes the verifier of a password with a new salt, as CREATE ROLE .. PASSWORD does.
func RandomVerifier(password string, random io.Reader) (*Verifier, error) {
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, fmt.Errorf("make a salt: %w", err)
	}
	return NewVerifier(password, salt, defaultIterations)
}

// Text is the verifier as PostgreSQL stores it; ALTER ROLE .. PASSWORD takes it too. It is a secret.
func (v *Verifier) Text() string {
	return fmt.Sprintf("%s%d:%s$%s:%s", verifierPrefix, v.iterations, encode(v.salt), encode(v.stored[:]), encode(v.server[:]))
}

// derive makes verifier and ClientKey out of a password: RFC 5802, section 3.
func derive(password string, salt []byte, iterations int) (*Verifier, key, error) {
	salted, err := pbkdf2.Key(sha256.New, saslprep(password), salt, iterations, keyLength)
	if err != nil {
		return nil, key{}, fmt.Errorf("make SCRAM keys: %w", err)
	}
	client := sign(key(salted), "Client Key")
	return &Verifier{
		iterations: iterations,
		salt:       salt,
		stored:     sha256.Sum256(client[:]),
		server:     sign(key(salted), "Server Key"),
	}, client, nil
}

// sign is HMAC(k, text).
func sign(k key, text string) key {
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(text))
	return key(mac.Sum(nil))
}

// xor undoes itself: proof = ClientKey XOR signature, ClientKey = proof XOR signature.
func xor(a, b key) key {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// parseIterations reads a positive 32-bit number as it is printed: no sign, no space, no leading zero.
func parseIterations(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != text {
		return 0, errors.New("the iteration count is not a positive number below 2147483648")
	}
	return int(n), nil
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// decode reads base64 that is as encode writes it. Go's decoder would skip line ends.
func decode(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("is not base64")
	}
	return b, nil
}

func decodeKey(text string) (key, error) {
	b, err := decode(text)
	if err != nil || len(b) != keyLength {
		return key{}, fmt.Errorf("is not base64 of %d bytes", keyLength)
	}
	return key(b), nil
}
