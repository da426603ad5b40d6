package config

import (
	"errors"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "12h": 12 * time.Hour, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond,
		"30d": 30 * day, "2w": 14 * day, "1y": 365 * day, "1y2w3d4h5m": 382*day + 4*time.Hour + 5*time.Minute, "292y": 292 * 365 * day, "0d": 0,
	} {
		if got, err := parseDuration(in); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "30", "d", "30 d", "30dayz", "-1d", "+1h", "1d-1h", "1.5d", "1M", "1mo", ".d", "1d2", "1 d"} {
		if got, err := parseDuration(in); !errors.Is(err, errDuration) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"293y", "99999999999999999999d", "200y200y"} {
		if got, err := parseDuration(in); !errors.Is(err, errTooLong) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if got, err := parseRetention(plainValue("forever")); err != nil || got != 0 {
		t.Errorf("forever: %v, %v", got, err)
	}
}

func TestMessageBytes(t *testing.T) {
	for in, want := range map[string]int{"16MiB": 16 << 20, "512KiB": 512 << 10, "1GiB": 1 << 30, "4096": 4096, "2 MiB": 2 << 20} {
		if got, err := parseMessageBytes(plainValue(in)); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "MiB", "16mib", "16M", "1.5MiB", "-1KiB", "0", "1023", "2GiB", "1073741825", "99999999999999999999", "0x1000"} {
		if got, err := parseMessageBytes(plainValue(in)); err == nil {
			t.Errorf("%q was accepted as %d", in, got)
		}
	}
}

func TestSuggest(t *testing.T) {
	for in, want := range map[string]string{
		"lisen": "listen", "retenion": "retention", "retentoin": "retention", "Tables": "tables", "upsteam": "upstream", "nmae": "name", "retain": "", "x": "",
	} {
		known := []string{"listen", "retention", "tables", "upstream", "name"}
		got := suggest(in, known)
		if want == "" && got != "known here: listen, retention, tables, upstream, name" || want != "" && got != `did you mean "`+want+`"?` {
			t.Errorf("%s: %s", in, got)
		}
	}
}
