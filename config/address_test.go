package config

import (
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
