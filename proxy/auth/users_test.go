package auth

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const testVerifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func TestParseVerifier(t *testing.T) {
	v, err := ParseVerifier(testVerifier)
	if err != nil {
		t.Fatal(err)
	}
	if v.Text() != testVerifier {
		t.Errorf("comes back as %s", v.Text())
	}
	if made, err := NewVerifier(rfcPassword, v.salt, v.iterations); err != nil || made.Text() != testVerifier {
		t.Errorf("the verifier of %s is %s, %v", rfcPassword, made.Text(), err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"other mechanism", "SCRAM-SHA-256", "SCRAM-SHA-1", "begins with"},
		{"no dollar", "==$", "==", "form"},
		{"no colon", "4096:", "4096", "form"},
		{"one key", "qY=:", "qY=", "form"},
		{"no count", "4096", "", "iteration"},
		{"count 0", "4096", "0", "iteration"},
		{"negative count", "4096", "-4096", "iteration"},
		{"plus", "4096", "+4096", "iteration"},
		{"leading zero", "4096", "04096", "iteration"},
		{"huge count", "4096", "4294967296", "iteration"},
		{"no salt", "W22ZaJ0SNY7soEsUEjb6gQ==", "", "salt"},
		{"salt is not base64", "W22Z", "W2 Z", "salt"},
		{"salt with a line end", "W22Z", "W22Z\n", "salt"},
		{"salt with spare bits", "gQ==", "gR==", "salt"},
		{"short StoredKey", "WG5d", "", "StoredKey"},
		{"long ServerKey", "wfPL", "wfPLwfPL", "ServerKey"},
		{"more", "l2dU=", "l2dU=:", "ServerKey"},
	} {
		text := strings.Replace(testVerifier, c.old, c.new, 1)
		_, err := ParseVerifier(text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		} else if strings.Contains(err.Error(), "W22Z") || strings.Contains(err.Error(), "wfPL") {
			t.Errorf("%s: tells the secret: %v", c.name, err)
		}
	}
}

func TestParseUsers(t *testing.T) {
	users, err := ParseUsers("users.txt", []byte(strings.Join([]string{
		`; a comment`,
		``,
		`"scram" "` + testVerifier + `"`,
		`  "hash"  "md593b3a5dc0bd7f4dc2b2a02a0f1e4a6c7" "ignored" too`,
		"\t\"plain\"\t\"word\"\r",
		`"quo""te" "pass""word"`,
		`"nothing" ""`,
		`"like a hash" "md593B3A5DC0BD7F4DC2B2A02A0F1E4A6C7"`,
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"scram": "a SCRAM verifier", "hash": "an md5 hash", "plain": "a plain-text password", `quo"te`: "a plain-text password",
		"nothing": "no password", "like a hash": "a plain-text password",
	} {
		if secret, ok := users.Secret(name); !ok || secret.String() != want {
			t.Errorf("%s: %v, %v; want %s", name, secret, ok, want)
		}
	}
	if secret, _ := users.Secret(`quo"te`); secret.known.password != `pass"word` {
		t.Error("a doubled quote is not undone")
	}
	if secret, ok := users.Secret("absent"); ok || secret.known != nil || users.Len() != 6 {
		t.Errorf("absent: %v, %v, of %d", secret, ok, users.Len())
	}
}

func TestUsersErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no quotes", `name hush`, "users.txt:1: the user's name is not in double quotes"},
		{"no secret", `"a"`, `users.txt:1: the secret of user "a" is not in double quotes`},
		{"open", "\n\"a\" \"hush\n\"b\" \"hush\"", `users.txt:2: the secret of user "a" has no closing double quote`},
		{"lone quote", `"a" "hu"sh"`, `users.txt:1: the secret of user "a" goes on`},
		{"no name", `"" "hush"`, "users.txt:1: the user's name is empty"},
		{"twice", "\"a\" \"hush\"\n; x\n\"a\" \"hush\"", `users.txt:3: user "a" is already on line 1`},
		{"verifier", `"a" "SCRAM-SHA-256$hush"`, `users.txt:1: the secret of user "a": a SCRAM verifier has the form`},
		{"NUL", "\"a\" \"hu\x00sh\"", `users.txt:1: the secret of user "a": a password cannot hold a NUL byte`},
	} {
		_, err := ParseUsers("users.txt", []byte(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.name, err, c.want)
		} else if strings.Contains(err.Error(), "hu") {
			t.Errorf("%s: tells the secret: %v", c.name, err)
		}
	}
	_, err := ParseUsers("users.txt", []byte("x\n\"a\" \"b\"\ny\n"))
	if err == nil || !strings.Contains(err.Error(), "users.txt:1:") || !strings.Contains(err.Error(), "users.txt:3:") {
		t.Errorf("not every wrong line is named: %v", err)
	}
}

// TestNothingPrintsASecret: a forgotten %+v or a structured log must not show what it holds.
func TestNothingPrintsASecret(t *testing.T) {
	verifier, client, err := derive("hush", []byte("salt"), 1)
	if err != nil {
		t.Fatal(err)
	}
	plain := password(t, "hush")
	mock := NewMock([]byte("hush"), 0)
	users := &Users{map[string]Secret{"a": plain}}
	// What hush, salt and the key look like to %s, %v and %x.
	telltale := []string{
		"hush", "salt", "[104 117", "68757368", "73616c74",
		fmt.Sprint(client[0], client[1], client[2]), fmt.Sprintf("%x", client[:4]),
	}
	for _, value := range []any{
		plain, verifier, mock, users, *users, Secret{&known{verifier: verifier, client: &client}},
		NewServer("a", plain, mock, nil, nil), NewLogin("a", plain, nil, nil),
		struct{ inner Secret }{plain}, struct{ inner *Verifier }{verifier}, struct{ s *Server }{NewServer("a", plain, mock, nil, nil)},
	} {
		verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x"}
		if _, ok := value.(fmt.Formatter); !ok {
			verbs = verbs[:3] // the others are not for structs, and go vet says so
		}
		for _, verb := range verbs {
			text := fmt.Sprintf(verb, value)
			for _, tell := range telltale {
				if strings.Contains(text, tell) {
					t.Errorf("%s of %T prints %s", verb, value, text)
				}
			}
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", value)
		if strings.Contains(log.String(), "hush") {
			t.Errorf("a log of %T: %s", value, log.String())
		}
	}
}
