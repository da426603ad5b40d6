// Package configtest reads configurations for tests that are about something else.
package configtest

import (
	"testing"

	"tombstone/config"
)

// Parse reads a configuration of which only what is given matters: its first two lines are there already.
func Parse(t testing.TB, rest string) *config.Config {
	t.Helper()
	c, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\n"+rest))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
