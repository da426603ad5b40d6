package config

import (
	"crypto/tls"
	"fmt"
)

// TLS says how clients reach the proxy over TLS.
type TLS struct {
	Mode               string    // "allow" (default): with TLS or without; "require": TCP clients without TLS get an error; "disable"
	Certificates       []KeyPair // the first is for clients that ask for no server name, or for one that none is for; empty if there is none
	ClientCA           string    // the file of the certificates that a client's must lead to; empty if clients are not asked for one
	ClientCertificates string    // "none" (default); "request": verified if the client has one; "require"
	MinVersion         uint16    // of crypto/tls; default TLS 1.2
}

// Enabled reports whether clients that ask for TLS get it.
func (t *TLS) Enabled() bool { return len(t.Certificates) > 0 && t.Mode != "disable" }

// tls decodes the mapping tls, and reports whether it was right.
func (d *decoder) tls(top mapping, t *TLS) bool {
	before := len(d.problems)
	m, ok := d.mapping(top.fields["tls"], "tls", tlsFields)
	if !ok {
		return false
	}
	set(d, m, "mode", &t.Mode, oneOf("allow", "require", "disable"))
	set(d, m, "min_version", &t.MinVersion, parseVersion)
	pair, chain := d.keyPair(m)
	if chain != nil {
		t.Certificates = append(t.Certificates, pair)
	}
	d.sni(m, t)
	set(d, m, "client_certificates", &t.ClientCertificates, oneOf("none", "request", "require"))
	if ca, ok := d.content(m, "client_ca", maxCertificates); ok && ca.path != "" {
		if _, err := certificates(ca.text); err != nil {
			d.add(m.fields["client_ca"].Line, "tls.client_ca", "%s %v", ca.written, err)
		}
		t.ClientCA = ca.path
	}
	if len(d.problems) == before { // what does not fit together is told once each field is right
		d.tlsFits(m, t, chain != nil)
	}
	return len(d.problems) == before
}

// sni decodes the certificates for other server names. Each must have a name, since nothing else chooses it.
func (d *decoder) sni(m mapping, t *TLS) {
	for i, item := range d.list(m, "sni", "certificate and its key as an item: - certificate: /etc/tombstone/other.crt") {
		entry, ok := d.mapping(item, fmt.Sprintf("tls.sni[%d]", i), pairFields)
		if !ok {
			continue
		}
		before := len(d.problems)
		pair, chain := d.keyPair(entry)
		switch {
		case chain != nil && len(chain[0].DNSNames) == 0:
			d.add(entry.fields["certificate"].Line, entry.path+".certificate",
				"has no DNS name (subjectAltName), so no client can ask for it; write another certificate")
		case chain != nil:
			t.Certificates = append(t.Certificates, pair)
		case len(d.problems) == before:
			d.add(item.Line, entry.path, "names no certificate; write certificate and key, or remove the item")
		}
	}
}

// tlsFits reports settings that contradict each other. usual tells whether there is a certificate besides those in sni.
func (d *decoder) tlsFits(m mapping, t *TLS, usual bool) {
	wrong := func(field, format string, args ...any) {
		d.add(m.fields[field].Line, join(m.path, field), format, args...)
	}
	asks := t.ClientCertificates != "none"
	switch {
	case len(t.Certificates) == 0 && t.Mode == "require":
		wrong("mode", "is require, but there is no certificate; write certificate and key")
	case !usual && len(t.Certificates) > 0:
		wrong("sni", "adds to tls.certificate, which is missing; write the certificate for clients that ask for no server name")
	case len(t.Certificates) == 0 && asks:
		wrong("client_certificates", "is %s, but there is no TLS without a certificate; write certificate and key", t.ClientCertificates)
	case t.Mode == "disable" && asks:
		wrong("client_certificates", "is %s, but tls.mode is disable; write mode: require, or client_certificates: none", t.ClientCertificates)
	case t.ClientCA == "" && asks:
		wrong("client_certificates", "is %s, but there is no client_ca to verify them by; write client_ca: /etc/tombstone/clients-ca.crt",
			t.ClientCertificates)
	case t.ClientCA != "" && !asks:
		wrong("client_ca", "has no effect while client_certificates is none; write client_certificates: require or request, or remove it")
	case t.ClientCertificates == "require" && t.Mode == "allow":
		wrong("client_certificates", "is require, but clients without TLS need none while tls.mode is allow; "+
			"write mode: require, or client_certificates: request")
	}
}

func parseVersion(v value) (uint16, error) {
	switch v.text {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf(`%s is not supported; write "1.2" or "1.3"`, v.quoted())
}
