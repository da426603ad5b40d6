package auth

import (
	"crypto"
	_ "crypto/sha256" // the hashes that a certificate's signature may name
	_ "crypto/sha512"
	"crypto/x509"
	"fmt"
)

// bindingType is the only channel binding that PostgreSQL knows.
const bindingType = "tls-server-end-point"

// ChannelBinding is what binds a SCRAM exchange to a TLS connection, the data of tls-server-end-point (RFC 5929, section
// 4.1): the hash of the leaf certificate of the connection's server end, with the hash of the certificate's own
// signature, or SHA-256 where that is MD5 or SHA-1.
//
// A signature without such a hash, Ed25519 above all, is an error: RFC 5929 does not define the binding then. Go on
// without one. PostgreSQL itself fails such logins unless the client says channel_binding=disable.
func ChannelBinding(leaf *x509.Certificate) ([]byte, error) {
	var hash crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.DSAWithSHA256, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		hash = crypto.SHA256
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("channel binding is not defined for a certificate signed with %s; use one with SHA-256, SHA-384 or SHA-512",
			leaf.SignatureAlgorithm)
	}
	h := hash.New()
	h.Write(leaf.Raw)
	return h.Sum(nil), nil
}
