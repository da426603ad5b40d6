package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verifier has the form of one.
const (
	verifier  = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$" + storedKey + ":" + storedKey
	storedKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" // 32 bytes
)

// certificateFiles returns a folder with certificates and keys, right and wrong ones, and two files of users. The
// certificates have long expired: that is for those to judge who look at them.
func certificateFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, text ...[]byte) {
		var all []byte
		for _, part := range text {
			all = append(all, part...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), all, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server, serverKey := certificate(t, "server.example", "*.server.example")
	other, otherKey := certificate(t, "other.example")
	nameless, namelessKey := certificate(t)
	authority, _ := certificate(t)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("none")})
	write("server.crt", server, authority)
	write("backwards.crt", authority, server)
	write("server.key", serverKey)
	write("other.crt", other)
	write("other.key", otherKey)
	write("nameless.crt", nameless)
	write("nameless.key", namelessKey)
	write("ca.crt", []byte("An authority.\n"), authority, other)
	write("both.pem", serverKey, server)
	write("broken.crt", authority, broken, server)
	write("broken.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("none")}))
	write("secret.key", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("none")}))
	write("empty", nil)
	write("users.txt", []byte("; who may log in\n\n\"app\" \""+verifier+"\" \"more\"\n"))
	write("passwords.txt", []byte("\"app\" \"hunter2\"\n\"admin\"\t\"md5"+strings.Repeat("0", 32)+"\"\n"))
	return dir
}

// certificate makes a certificate for the names that signs itself, and its key.
func certificate(t *testing.T, names ...string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(86400, 0),
	}
	signed, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}
