package main

import (
	"math"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	table := Table{
		Title: "Speed", Note: "Of light.", Names: 1,
		Head: []string{"cell", "direct"}, Rows: [][]string{{"a", "12000"}, {"größer", "1"}},
	}
	var text, markdown strings.Builder
	table.text(&text)
	table.markdown(&markdown)
	if want := "\nSpeed\nOf light.\n  cell    direct\n  a        12000\n  größer       1\n"; text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
	if want := "\n### Speed\n\nOf light.\n\n| cell | direct |\n| --- | ---: |\n| a | 12000 |\n| größer | 1 |\n"; markdown.String() != want {
		t.Errorf("%q, want %q", markdown.String(), want)
	}
}

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.000", 0.0126: "0.013", 1.5: "1.50", 36.44: "36.4", 24600.4: "24600", math.NaN(): "-", -12.34: "-12.3",
	} {
		if got := number(f); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}
