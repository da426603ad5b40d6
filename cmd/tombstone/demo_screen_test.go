package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		reply reply
		want  string
	}{
		{"no rows to return", reply{tag: "DELETE 1"}, `
            DELETE 1
`},
		{"no row", reply{tag: "SELECT 0", columns: []string{"id"}}, `
            (0 rows)
`},
		{"one value", reply{tag: "SELECT 1", columns: []string{"count"}, rows: [][]string{{"999"}}}, `
            999
`},
		{"rows", reply{tag: "SELECT 2", columns: []string{"id", "name"}, rows: [][]string{{"1", "Zoë"}, {"200", null}}}, `
            id  | name
            ----+-----
            1   | Zoë
            200 | NULL
`},
		{"error", reply{err: &pgconn.PgError{Severity: "ERROR", Message: strings.Repeat("word ", 14) + "end", Hint: "Do it."}}, `
            ERROR:  word word word word word word word word word word word word
            word word end
            HINT:  Do it.
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			newScreen(&out).answer(c.reply)
			if got := "\n" + out.String(); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"":                 {""},
		"one two three":    {"one two", "three"},
		"a wordthatislong": {"a", "wordthatislong"},
		"zwölf Wö":         {"zwölf Wö"}, // characters, not bytes
	} {
		if got := wrap(text, 8); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Colour is for terminals. A pipe, a file and a test get plain text.
func TestNoColourOffATerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if colourful(w) || colourful(new(strings.Builder)) {
		t.Error("colour in a pipe or a buffer")
	}
}

// A terminal is a character device; /dev/null is one that every system has.
func TestColourOnATerminal(t *testing.T) {
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	for _, c := range []struct {
		noColour, term string
		want           bool
	}{
		{"", "xterm", true},
		{"1", "xterm", false},
		{"", "dumb", false},
	} {
		t.Setenv("NO_COLOR", c.noColour)
		t.Setenv("TERM", c.term)
		if got := colourful(device); got != c.want {
			t.Errorf("NO_COLOR=%q TERM=%q: %v", c.noColour, c.term, got)
		}
	}
	plain, colour := screen{}, screen{colour: true}
	if got := plain.red("x") + colour.red("x") + colour.red(""); got != "x\x1b[31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
}
