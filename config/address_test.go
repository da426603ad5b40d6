package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func plainValue(s string) value { return value{text: s, written: s, tag: "!!str"} }

func TestListen(t *testing.T) {
	for in, want := range map[string]Address{
		"127.0.0.1:6432":        {"tcp", "127.0.0.1:6432"},
		"localhost:6432":        {"tcp", "localhost:6432"},
		":6432":                 {"tcp", ":6432"},
		"[::1]:6432":            {"tcp", "[::1]:6432"},
		"[::]:0":                {"tcp", "[::]:0"},
		"[fe80::1%eth0]:6432":   {"tcp", "[fe80::1%eth0]:6432"},
		"unix:/run/t/s.6432":    {"unix", "/run/t/s.6432"},
		"unix:///run/t/s.6432":  {"unix", "/run/t/s.6432"},
		"/run/t/../t/x y.6432":  {"unix", "/run/t/x y.6432"},
		"my_host.internal:6432": {"tcp", "my_host.internal:6432"},
	} {
		got, err := parseListen(plainValue(in))
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", in, got, err, want)
		}
		again, err := parseListen(plainValue(got.String()))
		if err != nil || again != got {
			t.Errorf("%s: written as %s, read back as %+v, %v", in, got, again, err)
		}
	}
	for _, in := range []string{"", ":", "host", "host:", "host:x", "host:65536", "host:-1", "host:+1", "1::2:3", "a b:1", "unix:", "unix:x", "unix://x/y", "/", "/a/", "unix:/a\x00b"} {
		if got, err := parseListen(plainValue(in)); err == nil {
			t.Errorf("%q was accepted as %+v", in, got)
		}
	}
}

func TestUpstream(t *testing.T) {
	d := decoder{lookup: func(string) (string, bool) { return "", false }}
	for in, want := range map[string]Upstream{
		"postgres://db":                              {Network: "tcp", Address: "db:5432"},
		"postgresql://db:6000/":                      {Network: "tcp", Address: "db:6000"},
		"postgres://[::1]:6000/shop":                 {Network: "tcp", Address: "[::1]:6000", Database: "shop"},
		"postgres://app@db/shop?sslmode=disable":     {Network: "tcp", Address: "db:5432", User: "app", Database: "shop"},
		"postgres://a%40b:p%2Fw%25@db/my%20shop":     {Network: "tcp", Address: "db:5432", User: "a@b", Password: "p/w%", Database: "my shop"},
		"postgres:///?host=/var/run/postgresql":      {Network: "unix", Address: "/var/run/postgresql/.s.PGSQL.5432"},
		"postgres:///?host=/run/a+b/&port=6000":      {Network: "unix", Address: "/run/a+b/.s.PGSQL.6000"},
		"postgres://app:pw@/shop?host=%2Frun%2Fpg":   {Network: "unix", Address: "/run/pg/.s.PGSQL.5432", User: "app", Password: "pw", Database: "shop"},
		"postgres:///shop?host=db.example&port=6000": {Network: "tcp", Address: "db.example:6000", Database: "shop"},
	} {
		got, err := d.parseUpstream(plainValue(in))
		if err != nil || got != want {
			t.Errorf("%s: %#v, %v; want %#v", in, got, err, want)
		}
		// What is printed is a URL for the same server, without the password.
		want.Password = strings.Repeat("x", min(5, 5*len(want.Password)))
		if again, err := d.parseUpstream(plainValue(got.String())); err != nil || again != want {
			t.Errorf("%s: printed as %s, read back as %#v, %v", in, got, again, err)
		}
	}
}

func TestUpstreamHidesItsPassword(t *testing.T) {
	c := mustParse(t, "listen: :6432\nupstream: postgres://app:hunter2@db/shop\n")
	if c.Upstream.Password != "hunter2" {
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
