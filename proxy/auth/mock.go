package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Mock makes up salts for users without a verifier, so that a client cannot tell them from others: the same user gets
// the same salt each time, and nobody without the key can compute it. PostgreSQL does the same with a nonce that it
// keeps in pg_control (its scram_mock_salt).
type Mock struct {
	secret     []byte
	iterations int
}

// NewMock makes a Mock from a secret. Keep the secret over restarts and share it between replicas: a salt that changes
// tells that the user does not exist. So does an iteration count that no real user has: give what the servers'
// scram_iterations is; 0 for 4096, PostgreSQL's default.
func NewMock(secret []byte, iterations int) *Mock {
	if iterations < 1 {
		iterations = defaultIterations
	}
	return &Mock{append([]byte(nil), secret...), iterations}
}

// verifier of a user who does not exist. Its keys match no proof that anybody can make: what StoredKey would be the hash
// of is not known. The exchange is doomed all the same, see Server.
func (m *Mock) verifier(user string) *Verifier {
	return &Verifier{iterations: m.iterations, salt: m.salt(user)}
}

func (m *Mock) salt(user string) []byte {
	mac := hmac.New(sha256.New, m.secret)
	mac.Write([]byte(user))
	return mac.Sum(nil)[:saltLength]
}
