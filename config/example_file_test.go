package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// In the example "#field: value" is a default and "# text" is prose. With every default written out, the file must still mean the
// same; so the defaults it shows are the code's.
func TestExampleShowsTheDefaults(t *testing.T) {
	const file = "tombstone.example.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asWritten, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`(?m)^( *)#([a-z_]+: )`)
	if n := len(commented.FindAll(text, -1)); n != 47 {
		t.Errorf("%d commented defaults, want 47", n)
	}
	written := commented.ReplaceAll(text, []byte("$1$2"))
	spelledOut, err := Parse(file, written)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(asWritten, spelledOut) {
		t.Errorf("the commented defaults are not the code's:\n%+v\nwant\n%+v", spelledOut, asWritten)
	}
	for _, fields := range [][]string{rootFields, tlsFields, authFields, tableFields, rolesFields, purgeFields, logFields, limitsFields, catalogFields} {
		for _, field := range fields {
			if !regexp.MustCompile(`(?m)^[ -]*` + field + `:`).Match(written) {
				t.Errorf("the example does not have %s", field)
			}
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") && !regexp.MustCompile(`^ *#($| |[a-z_]+: )`).MatchString(line) {
			t.Errorf("line %d is neither prose nor a default: %s", i+1, line)
		}
	}
}
