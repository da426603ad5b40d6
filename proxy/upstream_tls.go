package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"tombstone/config"
)

// sslRequest is the message that asks a server for TLS.
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// protocolName is the name of PostgreSQL's protocol in TLS (ALPN), from version 17 on.
const protocolName = "postgresql"

// upstreamTLS makes the settings for TLS to the servers, nil if there is to be none. The files are read anew.
func upstreamTLS(c config.UpstreamTLS) (*tls.Config, error) {
	if c.Mode == "disable" || c.Mode == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: c.MinVersion, NextProtos: []string{protocolName}, InsecureSkipVerify: true}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("the client certificate for the server: %w", err)
		}
		// Whatever authorities the server names: else one that it does not know would be left out without a word.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	if c.RootCert == "" {
		return t, nil
	}
	if c.RootCert != "system" {
		text, err := os.ReadFile(c.RootCert)
		if err != nil {
			return nil, fmt.Errorf("sslrootcert: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("sslrootcert: %s has no certificates", c.RootCert)
		}
	}
	if c.Mode == "verify-full" {
		t.InsecureSkipVerify = false
		return t, nil
	}
	roots := t.RootCAs
	t.VerifyConnection = func(s tls.ConnectionState) error { // the chain, and not the name
		o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range s.PeerCertificates[1:] {
			o.Intermediates.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(o)
		return err
	}
	return t, nil
}

const needs17 = "sslnegotiation=direct needs PostgreSQL 17 or newer"

// errPlain says that the server has no TLS.
var errPlain = errors.New("the server does not support TLS, which sslmode asks for; set ssl = on there, or sslmode=disable in upstream")

// errHandshake says that the server has TLS, and that it came to nothing.
var errHandshake = errors.New("TLS handshake")

// encrypt makes a connection to a server a TLS one. errPlain says that it is still as it was.
func (d *dialer) encrypt(ctx context.Context, c net.Conn, h config.Host) (net.Conn, error) {
	if !d.upstream.TLS.Direct {
		if _, err := c.Write(sslRequest); err != nil {
			return nil, err
		}
		var answer [1]byte
		if _, err := io.ReadFull(c, answer[:]); err != nil {
			return nil, fmt.Errorf("no answer to a request for TLS: %w", err)
		}
		switch answer[0] {
		case 'S':
		case 'N':
			return nil, errPlain
		default:
			return nil, fmt.Errorf("%q is no answer to a request for TLS; is it PostgreSQL that listens there", answer)
		}
	}
	t := d.tls.Clone()
	t.ServerName = h.Name
	secure := tls.Client(c, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		if d.upstream.TLS.Direct && errors.Is(err, io.EOF) {
			err = errors.New("the server closed the connection; " + needs17)
		}
		return nil, fmt.Errorf("%w: %w", errHandshake, err)
	}
	if d.upstream.TLS.Direct && secure.ConnectionState().NegotiatedProtocol != protocolName {
		return nil, errors.New("the server did not agree on the protocol postgresql; " + needs17)
	}
	return secure, nil
}
