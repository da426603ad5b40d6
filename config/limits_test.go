package config

import (
	"testing"
	"time"
)

// A statement is a message, so a small limit on messages bounds the default for statements, too.
func TestStatementIsAMessage(t *testing.T) {
	for in, want := range map[string]int{
		"{message_bytes: 1MiB}":                          1 << 20,
		"{message_bytes: 16MiB}":                         16 << 20,
		"{message_bytes: 64MiB}":                         16 << 20,
		"{message_bytes: 64MiB, statement_bytes: 64MiB}": 64 << 20,
		"{message_bytes: 1KiB, statement_bytes: 1024}":   1 << 10,
	} {
		if got := mustParse(t, smallest+"limits: "+in+"\n").Limits.StatementBytes; got != want {
			t.Errorf("%s: %d; want %d", in, got, want)
		}
	}
	refused(t, smallest+"limits: {statement_bytes: 2MiB, message_bytes: 1MiB}",
		"test.yaml:3: limits.statement_bytes: is more than message_bytes")
}

func TestTimesOfConnections(t *testing.T) {
	for in, want := range map[string][4]time.Duration{
		"":              {time.Minute, 30 * time.Second, time.Minute, 0},
		"keepalive: 0":  {0, 30 * time.Second, time.Minute, 0},
		"keepalive: 0s": {0, 30 * time.Second, time.Minute, 0},
		"keepalive: 1s": {time.Second, 30 * time.Second, time.Minute, 0},
		"keepalive: 9h": {9 * time.Hour, 30 * time.Second, time.Minute, 0},
		"drain: 0":      {time.Minute, 0, time.Minute, 0},
		"drain: 1d":     {time.Minute, 24 * time.Hour, time.Minute, 0},
		"limits: {startup_time: 250ms, idle_time: 1w}": {time.Minute, 30 * time.Second, 250 * time.Millisecond, 7 * 24 * time.Hour},
		"limits: {idle_time: 0}":                       {time.Minute, 30 * time.Second, time.Minute, 0},
	} {
		c := mustParse(t, smallest+in+"\n")
		if got := [4]time.Duration{c.Keepalive, c.Drain, c.Limits.StartupTime, c.Limits.IdleTime}; got != want {
			t.Errorf("%s: %v; want %v", in, got, want)
		}
	}
}
