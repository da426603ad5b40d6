package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestReadUsers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.txt")
	for in, want := range map[string]map[string]string{
		"":                                   {},
		"; nobody yet\n\n  \n":               {},
		`"app" "` + verifier + `"`:           {"app": verifier},
		"\"app\" \"pw\"\r\n\"b\"\t\"pw2\" x": {"app": "pw", "b": "pw2"},
		`"a ""b"";" "p""w"`:                  {`a "b";`: `p"w`},
		`"Ä"  "md5x" "ignored"`:              {"Ä": "md5x"},
		`"a""pw"`:                            nil,
		`"a"`:                                nil,
		`"a" pw`:                             nil,
		`a "pw"`:                             nil,
		`"a" "pw`:                            nil,
		`"" "pw"`:                            nil,
		`"a" ""`:                             nil,
		"\"a\" \"pw\"\n\"a\" \"pw\"":         nil,
		`"a" "SCRAM-SHA-256$"`:               nil,
		`"a" "` + verifier[:len(verifier)-1] + `"`:                                   nil,
		`"a" "` + strings.Replace(verifier, "4096", "0", 1) + `"`:                    nil,
		`"a" "` + strings.Replace(verifier, "c2FsdHNhbHRzYWx0c2FsdA==", "", 1) + `"`: nil,
		`"a" "` + strings.Replace(verifier, "A=:", ":", 1) + `"`:                     nil,
	} {
		if err := os.WriteFile(file, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadUsers(file)
		if (err == nil) != (want != nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v", in, got, err, want)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), file+" line ") || strings.Contains(err.Error(), "pw")) {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := ReadUsers("/nowhere/users.txt"); err == nil || err.Error() != "/nowhere/users.txt does not exist; check the path" {
		t.Error(err)
	}
}

func TestUsersThatAreOfNoUse(t *testing.T) {
	const hash = "md500000000000000000000000000000000"
	for _, c := range []struct{ client, secret, want string }{
		{"scram", verifier, ""},
		{"scram", "hunter2", "line 2 has a second field that is no SCRAM verifier"},
		{"scram", hash, "line 2 has a second field that is no SCRAM verifier"},
		{"cert", "hunter2", ""},
		{"peer", hash, ""},
		{"peer", verifier, "line 2 has a SCRAM verifier, with which the proxy cannot log in while auth.client is peer"},
	} {
		err := checkUsers([]byte("\n\"app\" \""+c.secret+"\"\n"), c.client)
		told := ""
		if err != nil {
			told = err.Error()
		}
		if (err == nil) != (c.want == "") || !strings.HasPrefix(told, c.want) || strings.Contains(told, "hunter2") {
			t.Errorf("%s, %s: %v; want %s", c.client, c.secret, err, c.want)
		}
	}
}
