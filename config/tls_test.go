package config

import (
	"crypto/tls"
	"reflect"
	"strings"
	"testing"
)

func TestTLS(t *testing.T) {
	dir := certificateFiles(t)
	t.Setenv("DIR", dir)
	server := KeyPair{dir + "/server.crt", dir + "/server.key"}
	const pair = "certificate: '${DIR}/server.crt', key: '${DIR}/server.key'"
	for in, want := range map[string]TLS{
		"{}":                            {},
		"{certificate: '', key: ''}":    {},
		"{" + pair + "}":                {Certificates: []KeyPair{server}},
		"{mode: require, " + pair + "}": {Mode: "require", Certificates: []KeyPair{server}},
		"{mode: disable}":               {Mode: "disable"},
		"{mode: disable, " + pair + "}": {Mode: "disable", Certificates: []KeyPair{server}},
		"{min_version: 1.3}":            {MinVersion: tls.VersionTLS13},
		"{min_version: '1.2'}":          {MinVersion: tls.VersionTLS12},
		"{certificate: '${DIR}/both.pem', key: '${DIR}/both.pem'}": {Certificates: []KeyPair{{dir + "/both.pem", dir + "/both.pem"}}},
		"{" + pair + ", sni: [{certificate: '${DIR}/other.crt', key: '${DIR}/other.key'}, {" + pair + "}]}": {
			Certificates: []KeyPair{server, {dir + "/other.crt", dir + "/other.key"}, server}},
		"{" + pair + ", client_ca: '${DIR}/ca.crt', client_certificates: request}": {
			Certificates: []KeyPair{server}, ClientCA: dir + "/ca.crt", ClientCertificates: "request"},
		"{mode: require, " + pair + ", client_ca: '${DIR}/ca.crt', client_certificates: require}": {
			Mode: "require", Certificates: []KeyPair{server}, ClientCA: dir + "/ca.crt", ClientCertificates: "require"},
	} {
		if want.Mode == "" {
			want.Mode = "allow"
		}
		if want.ClientCertificates == "" {
			want.ClientCertificates = "none"
		}
		if want.MinVersion == 0 {
			want.MinVersion = tls.VersionTLS12
		}
		c := mustParse(t, smallest+"tls: "+in+"\n")
		if !reflect.DeepEqual(c.TLS, want) {
			t.Errorf("%s: %+v; want %+v", in, c.TLS, want)
		}
		if c.TLS.Enabled() != (want.Certificates != nil && want.Mode != "disable") {
			t.Errorf("%s: enabled %v", in, c.TLS.Enabled())
		}
	}
}

func TestTLSContradictions(t *testing.T) {
	t.Setenv("DIR", certificateFiles(t))
	const pair = "certificate: '${DIR}/server.crt', key: '${DIR}/server.key'"
	for _, c := range [][2]string{
		{"{mode: require}", "tls.mode: is require, but there is no certificate"},
		{"{sni: [{" + pair + "}]}", "tls.sni: adds to tls.certificate, which is missing"},
		{"{certificate: '${NONE:-}', key: '', sni: [{" + pair + "}]}", "tls.sni: adds to tls.certificate, which is missing"},
		{"{client_certificates: request}", "tls.client_certificates: is request, but there is no TLS without a certificate"},
		{"{" + pair + ", client_certificates: request}", "tls.client_certificates: is request, but there is no client_ca"},
		{"{" + pair + ", client_ca: '${DIR}/ca.crt'}", "tls.client_ca: has no effect while client_certificates is none"},
		{"{" + pair + ", client_ca: '${DIR}/ca.crt', client_certificates: require}",
			"tls.client_certificates: is require, but clients without TLS need none while tls.mode is allow"},
		{"{mode: disable, " + pair + ", client_ca: '${DIR}/ca.crt', client_certificates: request}",
			"tls.client_certificates: is request, but tls.mode is disable"},
	} {
		in, want := c[0], c[1]
		refused(t, smallest+"tls: "+in+"\n", "test.yaml:3: "+want)
	}
}

// refused checks that a file has one problem, and which.
func refused(t *testing.T, text, want string) {
	t.Helper()
	_, err := Parse("test.yaml", []byte(text))
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v; want %s", text, err, want)
	}
}
