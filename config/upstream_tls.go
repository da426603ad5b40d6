package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// UpstreamTLS says how the proxy speaks TLS to the server. A Unix socket never has TLS, whatever is said here.
type UpstreamTLS struct {
	// Mode is "disable", "prefer", "require", "verify-ca" or "verify-full", as libpq's sslmode. Default disable if every
	// host is on this machine, otherwise prefer. It is never require together with RootCert: that is verify-ca, as in libpq.
	Mode string

	RootCert   string // the file of the certificates that the server's must lead to, or "system"; set if Mode starts with verify-
	Cert, Key  string // the files of a client certificate and its key; both or neither
	Direct     bool   // start with TLS at once, without asking the server (PostgreSQL 17)
	MinVersion uint16 // of crypto/tls; default TLS 1.2
}

// systemRoots as the RootCert stands for the certificates that the operating system trusts.
const systemRoots = "system"

var sslModes = []string{"disable", "prefer", "require", "verify-ca", "verify-full"} // from weak to strong

// defaultMode is the mode of a URL that does not say one.
func defaultMode(hosts []Host) string {
	if slices.IndexFunc(hosts, func(h Host) bool { return !isLocal(h) }) < 0 {
		return "disable"
	}
	return "prefer"
}

// tls reads the parameters about TLS.
func (u *connURL) tls(hosts []Host) (t UpstreamTLS, err error) {
	t.RootCert, t.Cert, t.Key = u.params["sslrootcert"], u.params["sslcert"], u.params["sslkey"]
	if t.Mode, err = u.sslMode(hosts); err != nil {
		return UpstreamTLS{}, err
	}
	negotiation, err := u.oneOf("sslnegotiation", "postgres", "direct")
	if err != nil {
		return UpstreamTLS{}, err
	}
	t.Direct = negotiation == "direct"
	if t.MinVersion, err = u.minVersion(); err != nil {
		return UpstreamTLS{}, err
	}
	if err = u.checkMode(t, hosts); err == nil {
		err = u.checkFiles(t)
	}
	return t, err
}

// sslMode returns the mode with libpq's rules applied: system roots mean verify-full, and require with roots means verify-ca.
func (u *connURL) sslMode(hosts []Host) (string, error) {
	mode, given := u.params["sslmode"]
	roots := u.params["sslrootcert"]
	switch {
	case mode == "allow":
		return "", errors.New("has sslmode=allow, which starts without TLS; " +
			"write sslmode=prefer, or sslmode=verify-full to be sure of the server")
	case given && !slices.Contains(sslModes, mode):
		return "", fmt.Errorf("has %s, which is not known here; write disable, prefer, require, verify-ca or verify-full", u.param("sslmode"))
	case roots == systemRoots && given && mode != "verify-full":
		return "", fmt.Errorf("has sslrootcert=system with sslmode=%s, but anybody can have a certificate of a public authority; "+
			"write sslmode=verify-full, which checks its name", mode)
	case roots == systemRoots:
		return "verify-full", nil
	case !given:
		return defaultMode(hosts), nil
	case mode == "require" && roots != "":
		return "verify-ca", nil
	}
	return mode, nil
}

// minVersion reads a version as libpq writes it. Older ones than 1.2 are broken, and libpq's default has left them out, too.
func (u *connURL) minVersion() (uint16, error) {
	const name = "ssl_min_protocol_version"
	text, given := u.params[name]
	switch {
	case !given || strings.EqualFold(text, "TLSv1.2"):
		return tls.VersionTLS12, nil
	case strings.EqualFold(text, "TLSv1.3"):
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("has %s, which is not supported; write TLSv1.2 or TLSv1.3", u.param(name))
}

// checkMode reports parameters that the mode leaves without effect: who wrote them believes in more than there would be.
func (u *connURL) checkMode(t UpstreamTLS, hosts []Host) error {
	verifies := strings.HasPrefix(t.Mode, "verify-")
	if t.Mode == "disable" {
		for _, name := range []string{"sslrootcert", "sslcert", "sslkey", "sslnegotiation", "ssl_min_protocol_version"} {
			if _, given := u.params[name]; given {
				return fmt.Errorf("has %s, but sslmode is disable (the default for hosts on this machine); "+
					"write sslmode=verify-full, or remove %[1]s", name)
			}
		}
		return nil
	}
	switch {
	case t.Mode != "prefer" && !slices.ContainsFunc(hosts, func(h Host) bool { return !isUnix(h) }):
		return errors.New("asks for TLS through a Unix socket, where PostgreSQL has none; remove sslmode and what else is about TLS")
	case t.Direct && t.Mode == "prefer":
		return errors.New("has sslnegotiation=direct with sslmode=prefer, which could not go on without TLS; " +
			"write sslmode=verify-full, verify-ca or require")
	case verifies && t.RootCert == "":
		return fmt.Errorf("has sslmode=%s without certificates to verify the server's by; "+
			"write sslrootcert=/path/to/ca.crt, or sslrootcert=system", t.Mode)
	case !verifies && t.RootCert != "":
		return fmt.Errorf("has sslrootcert, but sslmode=%s verifies nothing; write sslmode=verify-full", t.Mode)
	case t.Cert != "" && t.Key == "":
		return errors.New("has sslcert without sslkey; write sslkey=/path/to/client.key")
	case t.Cert == "" && t.Key != "":
		return errors.New("has sslkey without sslcert; write sslcert=/path/to/client.crt")
	}
	return nil
}

// checkFiles looks into the files that are named.
func (u *connURL) checkFiles(t UpstreamTLS) error {
	text := make(map[string][]byte)
	for _, name := range []string{"sslrootcert", "sslcert", "sslkey"} {
		file := u.params[name]
		if file == "" || file == systemRoots && name == "sslrootcert" {
			continue
		}
		var err error
		if text[name], err = readNamed(file, maxCertificates); err == nil && name != "sslkey" {
			_, err = certificates(text[name])
		}
		if err != nil {
			return fmt.Errorf("has %s, which %w", u.param(name), err)
		}
	}
	if t.Cert == "" {
		return nil
	}
	switch err := checkKey(text["sslcert"], text["sslkey"]); {
	case errors.Is(err, errOtherKey):
		return fmt.Errorf("has %s, which is not the key of sslcert; write the key that the certificate was made for", u.param("sslkey"))
	case err != nil:
		return fmt.Errorf("has %s, which %w", u.param("sslkey"), err)
	}
	return nil
}

// params adds what differs from the defaults of hosts.
func (t UpstreamTLS) params(hosts []Host, add func(name, content, usual string)) {
	if t.RootCert != systemRoots {
		add("sslmode", t.Mode, defaultMode(hosts))
	}
	add("sslrootcert", t.RootCert, "")
	add("sslcert", t.Cert, "")
	add("sslkey", t.Key, "")
	if t.Direct {
		add("sslnegotiation", "direct", "")
	}
	if t.MinVersion == tls.VersionTLS13 {
		add("ssl_min_protocol_version", "TLSv1.3", "")
	}
}
