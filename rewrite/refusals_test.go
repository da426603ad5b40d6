package rewrite

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is the manual's page about refusals.
const page = "../docs/refusals.md"

// TestGoldenRefusals holds the manual to the table, and the table to the
// code: every row is used, and every rule that the code refuses by is a row.
func TestGoldenRefusals(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# What is refused, and why

Uncertain means refuse: a statement that the proxy cannot answer for never reaches the server. The client gets an error with an
SQLSTATE, a message and a hint, in its turn; the transaction aborts on the server as it would by an error of its own, and the
connection goes on. A text that touches no protected table is not refused, unless it is
too large or about the proxy's own settings.

This page is written from the table in the code, by ` + "`make golden`" + `. tombstone_statements_total{action="refused"} counts refusals, and
the log has each with its rule.

| rule | statement | why | SQLSTATE | message | hint |
|---|---|---|---|---|---|
`)
	for _, r := range refusals {
		hint := r.hint
		if r.rule == "no-marker" {
			hint = "The statement that adds the column."
		}
		message := strings.ReplaceAll(strings.ReplaceAll(r.message, `"%s"`, "`t`"), "%s", "..")
		cells := []string{r.rule, "`" + r.statement + "`", r.why, r.code, message, hint}
		if !regexp.MustCompile("[A-Z]{3}").MatchString(r.statement) {
			cells[1] = r.statement
		}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", "\\|")
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	b.WriteString("\nA refusal that repeats the server's own words (rule as-server) has the server's SQLSTATE: for example TRUNCATE of a table that a foreign key refers to.\n")
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != b.String() {
		t.Errorf("%s is not the table in the code (%v); run make golden", page, err)
	}

	used := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:refuse|newRefusal)\("([a-z-]+)"|forbid = "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			used[m[1]+m[2]] = true
		}
	}
	for rule := range used {
		if refusalFor(rule).rule != rule {
			t.Errorf("no row for %s", rule)
		}
	}
	for _, r := range refusals {
		if !used[r.rule] {
			t.Errorf("nothing refuses by %s", r.rule)
		}
	}
}
