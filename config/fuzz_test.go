package config

import (
	"strings"
	"testing"
)

// FuzzUsers: whatever a users file holds, it is read or refused, and no refusal quotes a secret.
func FuzzUsers(f *testing.F) {
	f.Add("\"a\" \"b\"\n; c\n\"d\"\"e\" \"SCRAM-SHA-256$4096:c2FsdA==$broken:broken\" rest\n")
	f.Add("\"a\" \"md5\x00\"\r\n\"a\" \"")
	f.Fuzz(func(t *testing.T, content string) {
		users, err := parseUsers([]byte(content), func(string) error { return nil })
		if (users == nil) == (err == nil) {
			t.Fatalf("%v, %v", users, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "line ") {
			t.Fatalf("an error without its line: %v", err)
		}
	})
}
