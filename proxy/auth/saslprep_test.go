package auth_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tombstone/proxy/auth"
)

// letters are what SASLprep does something about, and a few that it leaves alone.
var letters = []rune("aZ09 é\u00a0\u1680\u2003\u200b\u3000\u00ad\u034f\u180b\u200d\u2060\ufe0f\ufeff" + // spaces and what is dropped
	"ªⅨﬁⅧ①²½ÅÅe\u0301가ㅏ한ﾊﾟﷺ" + // what NFKC changes
	"\u0001\u007f\u0085\u0340\u06dd\u200e\u2028\u206a\u2ff0\ue000\ufdd0\ufffd\U000e0041" + // what is prohibited
	"אבدﻻ\u0660\u0300" + // right to left
	"\u0221\u0560🔒🤷\U0001f1e9₿ẞ") // what Unicode 3.2 did not have

// TestPasswordsAreMadeReadyAsByPostgreSQL: the same password gives the same verifier, whatever it is made of.
func TestPasswordsAreMadeReadyAsByPostgreSQL(t *testing.T) {
	passwords := []string{
		"geheim", "I\u00adX",
		"user", "USER", "ª", "Ⅸ", "\u0007", "\u0627\u0031", "\u0627\u0031\u0628",
		"pass\u00a0word", "naïve", "\u00ad", "日本語", "пароль",
	}
	random := rand.New(rand.NewPCG(7, 7))
	for _, letter := range letters {
		passwords = append(passwords, "é"+string(letter), "\u00a0"+string(letter))
	}
	for range 30 {
		var text strings.Builder
		for range 1 + random.IntN(5) {
			text.WriteRune(letters[random.IntN(len(letters))])
		}
		passwords = append(passwords, text.String())
	}
	var script strings.Builder
	script.WriteString("CREATE ROLE prep;\n")
	for _, password := range passwords {
		fmt.Fprintf(&script, "ALTER ROLE prep PASSWORD '%s'; SELECT rolpassword FROM pg_authid WHERE rolname = 'prep';\n",
			strings.ReplaceAll(password, "'", "''"))
	}
	script.WriteString("DROP ROLE prep;")
	var verifiers []string
	for line := range strings.Lines(sql(t, script.String())) {
		if strings.HasPrefix(line, "SCRAM-SHA-256$") {
			verifiers = append(verifiers, strings.TrimSpace(line))
		}
	}
	if len(verifiers) != len(passwords) {
		t.Fatalf("%d verifiers of %d passwords", len(verifiers), len(passwords))
	}
	for i, want := range verifiers {
		_, salt, _ := strings.Cut(want, ":")
		salt, _, _ = strings.Cut(salt, "$")
		raw, err := base64.StdEncoding.DecodeString(salt)
		if err != nil {
			t.Fatal(err)
		}
		got, err := auth.NewVerifier(passwords[i], raw, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if got.Text() != want {
			t.Errorf("%+q: %s\n PostgreSQL: %s", passwords[i], got.Text(), want)
		}
	}
	t.Logf("%d passwords", len(passwords))
}
