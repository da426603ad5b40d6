package config

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// upstream is what the URL of the hosts means without parameters, for a host on another machine.
func upstream(change func(*Upstream), hosts ...Host) Upstream {
	up := Upstream{
		Network: hosts[0].Network, Address: hosts[0].Address, Hosts: hosts, TargetSessionAttrs: "any", ConnectTimeout: 10 * time.Second,
		TLS: UpstreamTLS{Mode: "prefer", MinVersion: tls.VersionTLS12},
	}
	if change != nil {
		change(&up)
	}
	return up
}

func tcp(name, address string) Host { return Host{Network: "tcp", Address: address, Name: name} }
func unix(file string) Host         { return Host{Network: "unix", Address: file} }
func local(up *Upstream)            { up.TLS.Mode = "disable" }

func login(user, password, database string) func(*Upstream) {
	return func(up *Upstream) { up.User, up.Password, up.Database = user, password, database }
}

func localLogin(user, password, database string) func(*Upstream) {
	return func(up *Upstream) { login(user, password, database)(up); local(up) }
}

func noVariables(string) (string, bool) { return "", false }

func TestUpstream(t *testing.T) {
	d := decoder{lookup: noVariables}
	here := tcp("localhost", "localhost:5432")
	db, a, b := tcp("db", "db:5432"), tcp("a", "a:5432"), tcp("b", "b:5433")
	for in, want := range map[string]Upstream{
		"postgres://db":                          upstream(nil, db),
		"postgres://db/?":                        upstream(nil, db),
		"postgresql://db:6000/":                  upstream(nil, tcp("db", "db:6000")),
		"postgres://[fd::1]:6000/shop":           upstream(login("", "", "shop"), tcp("fd::1", "[fd::1]:6000")),
		"postgres://[fe80::1%25eth0]":            upstream(nil, tcp("fe80::1%eth0", "[fe80::1%eth0]:5432")),
		"postgres://app@db/shop?sslmode=disable": upstream(localLogin("app", "", "shop"), db),
		"postgres://a%40b:p%2Fw%25@db/my%20shop": upstream(login("a@b", "p/w%", "my shop"), db),

		"postgres:///?host=/var/run/postgresql":      upstream(local, unix("/var/run/postgresql/.s.PGSQL.5432")),
		"postgres:///?host=/run/a+b/&port=6000":      upstream(local, unix("/run/a+b/.s.PGSQL.6000")),
		"postgres:///?host=/run/a%26%20b":            upstream(local, unix("/run/a& b/.s.PGSQL.5432")),
		"postgres://%2Frun%2Fpg:6000":                upstream(local, unix("/run/pg/.s.PGSQL.6000")),
		"postgres://:6000/?host=/run/pg":             upstream(local, unix("/run/pg/.s.PGSQL.6000")),
		"postgres://app:pw@/shop?host=%2Frun%2Fpg":   upstream(localLogin("app", "pw", "shop"), unix("/run/pg/.s.PGSQL.5432")),
		"postgres:///shop?host=db.example&port=6000": upstream(login("", "", "shop"), tcp("db.example", "db.example:6000")),

		"postgres://a,b:5433":                           upstream(nil, a, b),
		"postgres://app:pw@a:5432,b:5433/shop":          upstream(login("app", "pw", "shop"), a, b),
		"postgres://a,b/?port=5433":                     upstream(nil, tcp("a", "a:5433"), b),
		"postgres:///?host=a,b&port=5432,5433":          upstream(nil, a, b),
		"postgres:///?host=a,b&port=,5433":              upstream(nil, a, b),
		"postgres:///?host=/run/a,fd::1&port=1,2":       upstream(nil, unix("/run/a/.s.PGSQL.1"), tcp("fd::1", "[fd::1]:2")),
		"postgres://:5432,:5433/?host=/run/a,/run/b":    upstream(local, unix("/run/a/.s.PGSQL.5432"), unix("/run/b/.s.PGSQL.5433")),
		"postgres://localhost,127.1.2.3,[::1]":          upstream(local, here, tcp("127.1.2.3", "127.1.2.3:5432"), tcp("::1", "[::1]:5432")),
		"postgres://localhost/?sslmode=prefer":          upstream(nil, here),
		"postgres://localhost,db":                       upstream(nil, here, db),
		"postgres://a/?target_session_attrs=primary":    upstream(func(up *Upstream) { up.TargetSessionAttrs = "primary" }, a),
		"postgres://a,b:5433?load_balance_hosts=random": upstream(func(up *Upstream) { up.RandomHosts = true }, a, b),
		"postgres://a?load_balance_hosts=disable":       upstream(nil, a),
		"postgres://a?connect_timeout=3":                upstream(func(up *Upstream) { up.ConnectTimeout = 3 * time.Second }, a),
		"postgres://a?connect_timeout=0":                upstream(func(up *Upstream) { up.ConnectTimeout = 0 }, a),
	} {
		got, err := d.parseUpstream(plainValue(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s, %v; want %s", in, spelled(got), err, spelled(want))
		}
		readsBack(t, got)
	}
}

// readsBack checks that what is printed is a URL for the same server, without the password.
func readsBack(t *testing.T, want Upstream) {
	t.Helper()
	want.Password = strings.Repeat("x", min(5, 5*len(want.Password)))
	d := decoder{lookup: noVariables}
	if again, err := d.parseUpstream(plainValue(want.String())); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("printed as %s, read back as %s, %v; want %s", want, spelled(again), err, spelled(want))
	}
}

// spelled shows every field; the password is a test's.
func spelled(up Upstream) string {
	type bare Upstream
	return fmt.Sprintf("%+v", bare(up))
}

// What is wrong is told without what could be a secret.
func TestUpstreamRefused(t *testing.T) {
	d := decoder{lookup: noVariables}
	for _, c := range [][2]string{
		{"postgres://app:hunter2@a,,b", "names no host"},
		{"postgres://app:hunter2@a:1,b:x", "no valid port"},
		{"postgres:///?host=a,b&port=1,2,3", "3 ports for 2 hosts; write one port for all hosts, or one for each"},
		{"postgres://a,b?host=c", `says the parameter "host" twice`},
		{"postgres://a?sslmode=require&sslmode=disable", `says the parameter "sslmode" twice`},
		{"postgres://a:1?port=1", `says the parameter "port" twice`},
		{"postgres://app:hunter2@[::1", "encloses no IPv6 address"},
		{"postgres://[::1]5432", "encloses no IPv6 address"},
		{"postgres://app:hunter2@a%00b", "not a valid URL"},
		{"postgres://app:hunter2%00@a", "not a valid URL"},
		{"postgres://a/shop%0", "not a valid URL"},
		{"postgres://a b", "no valid host"},
		{"postgres://a%2Cb", "no valid host"},
		{"postgres://%2Frun%2Ca", "no valid host"},
		{"postgres://a/?sslmode", "query that is not valid"},
		{"postgres://app:hunter2@a?host%zz=b", "query that is not valid"},
		{"postgres://app:hunter2@/?host=/" + strings.Repeat("long/", 30),
			"names a Unix socket whose path is too long, 164 bytes"},
		{"postgres://a?hostaddr=10.0.0.1", "has hostaddr, which is not supported; write the address as the host"},
		{"postgres://a?application_name=x",
			`has the parameter "application_name", which is not supported; remove it (supported: host, port, sslmode, `},
		{"postgres://a?connect_timeout=soon",
			"has connect_timeout=soon, which is no number of seconds; write e.g. connect_timeout=10"},
		{"postgres://a?connect_timeout=-1", "no number of seconds"},
		{"postgres://a?target_session_attrs=master",
			"has target_session_attrs=master, which is not known here; write any, read-write, read-only, primary, standby or prefer-standby"},
		{"postgres://a?load_balance_hosts=yes", "write disable or random"},
		{"postgres://a?sslmode=allow", "write sslmode=prefer"},
		{"postgres://a?sslmode=on",
			"has sslmode=on, which is not known here; write disable, prefer, require, verify-ca or verify-full"},
		{"postgres://a?sslmode=", "has sslmode=, which is not known here"},
		{"postgres://a?sslmode=verify-full", "write sslrootcert=/path/to/ca.crt, or sslrootcert=system"},
		{"postgres://a?sslrootcert=system&sslmode=require", "write sslmode=verify-full, which checks its name"},
		{"postgres://a?sslrootcert=system&sslmode=verify-ca", "write sslmode=verify-full, which checks its name"},
		{"postgres://a?sslrootcert=/ca.crt",
			"has sslrootcert, but sslmode=prefer verifies nothing; write sslmode=verify-full"},
		{"postgres://localhost?sslrootcert=/ca.crt",
			"has sslrootcert, but sslmode is disable (the default for hosts on this machine); write sslmode=verify-full"},
		{"postgres://a?sslmode=disable&ssl_min_protocol_version=TLSv1.3",
			"has ssl_min_protocol_version, but sslmode is disable"},
		{"postgres://a?ssl_min_protocol_version=TLSv1.1",
			"has ssl_min_protocol_version=TLSv1.1, which is not supported; write TLSv1.2 or TLSv1.3"},
		{"postgres://a?sslnegotiation=direct", "sslmode=prefer, which could not go on without TLS"},
		{"postgres://a?sslnegotiation=fast&sslmode=require", "write postgres or direct"},
		{"postgres://a?sslcert=/c.crt", "write sslkey="},
		{"postgres://a?sslkey=/c.key", "write sslcert="},
		{"postgres:///?host=/run/a&sslmode=require", "through a Unix socket, where PostgreSQL has none"},
		{"postgres:///?host=/run/a&sslrootcert=system", "through a Unix socket, where PostgreSQL has none"},
		{"postgres://app:hunter2@a?sslmode=verify-full&sslrootcert=/nowhere.crt",
			"has sslrootcert=/nowhere.crt, which does not exist; check the path"},
		{"postgres://a?sslmode=verify-full&sslrootcert=ca.crt", "has sslrootcert=ca.crt, which is not an absolute path"},
		{"postgres://a?sslmode=verify-full&sslrootcert=/", "which is not a file"},
	} {
		in, want := c[0], c[1]
		_, err := d.parseUpstream(plainValue(in))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v; want %s", in, err, want)
		}
		if err == nil {
			continue
		}
		// From a variable nothing is shown at all.
		v := value{text: in, written: "${URL}", tag: "!!str"}
		d := decoder{lookup: func(string) (string, bool) { return in, true }}
		if _, err := d.parseUpstream(v); err == nil || strings.Contains(err.Error(), "nowhere") || strings.Contains(err.Error(), "=soon") {
			t.Errorf("%s from a variable: %v", in, err)
		}
	}
}

func TestUpstreamTLS(t *testing.T) {
	dir := certificateFiles(t)
	d := decoder{lookup: noVariables}
	ca, crt, key := dir+"/ca.crt", dir+"/server.crt", dir+"/server.key"
	for in, want := range map[string]UpstreamTLS{
		"sslmode=disable":                                          {Mode: "disable"},
		"sslmode=prefer":                                           {Mode: "prefer"},
		"sslmode=require":                                          {Mode: "require"},
		"sslmode=require&sslrootcert=" + ca:                        {Mode: "verify-ca", RootCert: ca},
		"sslmode=verify-ca&sslrootcert=" + ca:                      {Mode: "verify-ca", RootCert: ca},
		"sslmode=verify-full&sslrootcert=" + ca:                    {Mode: "verify-full", RootCert: ca},
		"sslmode=verify-full&sslrootcert=system":                   {Mode: "verify-full", RootCert: "system"},
		"sslrootcert=system":                                       {Mode: "verify-full", RootCert: "system"},
		"sslrootcert=":                                             {Mode: "prefer"},
		"sslcert=" + crt + "&sslkey=" + key:                        {Mode: "prefer", Cert: crt, Key: key},
		"sslcert=" + dir + "/both.pem&sslkey=" + dir + "/both.pem": {Mode: "prefer", Cert: dir + "/both.pem", Key: dir + "/both.pem"},
		"sslrootcert=system&sslnegotiation=direct":                 {Mode: "verify-full", RootCert: "system", Direct: true},
		"sslmode=require&sslnegotiation=postgres":                  {Mode: "require"},
		"ssl_min_protocol_version=TLSv1.2":                         {Mode: "prefer"},
		"ssl_min_protocol_version=tlsv1.3":                         {Mode: "prefer", MinVersion: tls.VersionTLS13},
	} {
		if want.MinVersion == 0 {
			want.MinVersion = tls.VersionTLS12
		}
		got, err := d.parseUpstream(plainValue("postgres://db/?" + in))
		if err != nil || got.TLS != want {
			t.Errorf("%s: %+v, %v; want %+v", in, got.TLS, err, want)
		}
		readsBack(t, got)
	}
	for _, c := range [][2]string{
		{"sslmode=verify-ca&sslrootcert=DIR/server.key", "has no certificate in it; write a file in PEM"},
		{"sslmode=verify-ca&sslrootcert=DIR/broken.crt", "has a certificate that cannot be parsed, number 2"},
		{"sslcert=DIR/server.crt&sslkey=DIR/other.key",
			"sslkey=DIR/other.key, which is not the key of sslcert; write the key that the certificate was made for"},
		{"sslcert=DIR/server.crt&sslkey=DIR/secret.key",
			"sslkey=DIR/secret.key, which is encrypted; write the key without its passphrase"},
		{"sslcert=DIR/server.crt&sslkey=DIR/ca.crt",
			"sslkey=DIR/ca.crt, which has no private key in it; write a file in PEM"},
		{"sslcert=DIR/server.crt&sslkey=DIR/broken.key",
			"sslkey=DIR/broken.key, which has a private key that cannot be parsed"},
		{"sslcert=DIR/nothing.crt&sslkey=DIR/server.key", "sslcert=DIR/nothing.crt, which does not exist"},
	} {
		in, want := c[0], c[1]
		_, err := d.parseUpstream(plainValue("postgres://db/?" + strings.ReplaceAll(in, "DIR", dir)))
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), dir, "DIR"), want) {
			t.Errorf("%s: %v; want %s", in, err, want)
		}
	}
}

func TestUpstreamHidesItsPassword(t *testing.T) {
	c := mustParse(t, "listen: :6432\nupstream: postgres://app:hunter2@db/shop\n"+
		"auth: {mode: terminate, query_as: 'postgres://admin:hunter2@/shop'}\n")
	if c.Upstream.Password != "hunter2" || c.Auth.QueryAs.Password != "hunter2" {
		t.Fatalf("password %q", c.Upstream.Password)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{string(asJSON), c.Upstream.String(), fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c)} {
		if strings.Contains(printed, "hunter2") || !strings.Contains(printed, "postgres://app:xxxxx@db:5432/shop") {
			t.Errorf("printed as %s", printed)
		}
	}
}
