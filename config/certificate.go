package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// KeyPair names the files of a certificate, with those that lead to its authority after it, and of its private key. Both
// are PEM. When the configuration was read, they could be read, and the key was the certificate's.
type KeyPair struct {
	Certificate, Key string
}

// maxCertificates bounds a file of certificates or a key. All that an operating system trusts is a quarter of it.
const maxCertificates = 1 << 20

// keyPair decodes the fields certificate and key of a mapping, and returns the certificates, the server's own first. When something
// is wrong it is reported; it returns no certificate then, nor when the mapping names none.
func (d *decoder) keyPair(m mapping) (KeyPair, []*x509.Certificate) {
	certificate, ok := d.content(m, "certificate", maxCertificates)
	key, keyOK := d.content(m, "key", maxCertificates)
	switch {
	case !ok || !keyOK || certificate.path == "" && key.path == "":
		return KeyPair{}, nil
	case key.path == "":
		d.add(m.fields["certificate"].Line, join(m.path, "key"), "is missing; write the file of the certificate's private key")
		return KeyPair{}, nil
	case certificate.path == "":
		d.add(m.fields["key"].Line, join(m.path, "certificate"), "is missing; write the file of the certificate that the key is for")
		return KeyPair{}, nil
	}
	chain, err := certificates(certificate.text)
	if err != nil {
		d.add(m.fields["certificate"].Line, join(m.path, "certificate"), "%s %v", certificate.written, err)
		return KeyPair{}, nil
	}
	switch err := checkKey(certificate.text, key.text); {
	case errors.Is(err, errOtherKey):
		d.add(m.fields["key"].Line, join(m.path, "key"), "%s is not the key of %s; write the key that the certificate was made for, "+
			"and put the server's own certificate first in its file", key.written, certificate.written)
		return KeyPair{}, nil
	case err != nil:
		d.add(m.fields["key"].Line, join(m.path, "key"), "%s %v", key.written, err)
		return KeyPair{}, nil
	}
	return KeyPair{Certificate: certificate.path, Key: key.path}, chain
}

// certificates parses a file of certificates. The libraries skip what they cannot parse; here that is an error, because an
// authority that was skipped locks its clients out. Errors go on after the file's name.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue // a key may be in the same file
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("has a certificate that cannot be parsed, number %d (%s); get it again", len(list)+1, reason(err))
		}
		list = append(list, c)
	}
	if list == nil {
		return nil, errors.New("has no certificate in it; write a file in PEM, with -----BEGIN CERTIFICATE-----")
	}
	return list, nil
}

// errOtherKey is a key that is not the certificate's.
var errOtherKey = errors.New("is not the key of the certificate")

// checkKey reports whether the key can be read and is the first certificate's. Errors go on after the key file's name.
func checkKey(certificate, key []byte) error {
	_, err := tls.X509KeyPair(certificate, key)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "does not match"):
		return errOtherKey
	case bytes.Contains(key, []byte("ENCRYPTED")):
		return errors.New("is encrypted; write the key without its passphrase: openssl pkey -in KEY -out NEWKEY")
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return errors.New("has no private key in it; write a file in PEM, with -----BEGIN PRIVATE KEY-----")
	}
	return fmt.Errorf("has a private key that cannot be parsed (%s); make it again", reason(err))
}

// reason is an error of a crypto library without its package's name, on one line.
func reason(err error) string {
	text := err.Error()
	for _, prefix := range []string{"tls: ", "x509: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return shorten(text)
}
