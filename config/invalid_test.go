package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the messages of testdata/invalid anew")

const secret = "hunter2 not-for-the-log"

// Every file in testdata/invalid is refused with exactly the message beside it.
func TestInvalidFiles(t *testing.T) {
	t.Setenv("TOMBSTONE_TEST_SECRET", secret)
	t.Setenv("TOMBSTONE_TEST_URL", "postgres://app:"+secret+"@db:port/shop")
	t.Setenv("TOMBSTONE_TEST_DIR", certificateFiles(t))
	files, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(name, text)
			var list *Error
			if !errors.As(err, &list) {
				t.Fatalf("error is %T (%v), want *Error", err, err)
			}
			got := err.Error() + "\n"
			if strings.Count(got, "\n") != len(list.Problems) {
				t.Errorf("a problem is not one line:\n%s", got)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is in the message:\n%s", got)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".err"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("message\n%s\nwant\n%s", got, want)
			}
		})
	}
}
