package bypass

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// README.md is written from the cases, so that it says what they say.
func TestReadme(t *testing.T) {
	text := readme(corpus(t))
	if *update {
		if err := os.WriteFile("README.md", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile("README.md")
	if err != nil || string(old) != text {
		t.Errorf("README.md is not what the cases say: go test ./test/bypass -run Readme -update (%v)", err)
	}
}

func readme(list []theme) string {
	var b strings.Builder
	count, all := map[string]int{}, 0
	for _, th := range list {
		for i := range th.attacks {
			count[th.attacks[i].verdict]++
			all++
		}
	}
	fmt.Fprintf(&b, `# Ways around the proxy

%d ways to read or destroy a protected row in spite of the proxy, and what becomes of each when it is tried against a
real PostgreSQL. Written by `+"`go test ./test/bypass -run Readme -update`"+` from the cases in [testdata](testdata);
[doc.go](doc.go) says how they are judged.

| verdict | cases | meaning |
|---|---|---|
`, all)
	for _, v := range []struct{ name, means string }{
		{"stopped", "no deleted row shows, none is lost, and the answer is that of a database that really deletes"},
		{"refused", "the same, and the client is told so with that SQLSTATE"},
		{"held", "stopped or refused; either is right"},
		{"known", "it happens: a known difference, with its reason and what `tombstone doctor` should say"},
		{"bug", "it happens, and must not"},
	} {
		fmt.Fprintf(&b, "| %s | %d | %s |\n", v.name, count[v.name], v.means)
	}
	b.WriteString("\nEvery attack that is stopped, refused or held also succeeds against the server without the proxy, unless its case says why not.\n")
	section(&b, list, "bug", "Bugs", "what happens", "cause")
	section(&b, list, "known", "Known differences", "what happens", "reason")
	b.WriteString("\n## All cases\n")
	for _, th := range list {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| way | idea | verdict |\n|---|---|---|\n", th.title, strings.Join(th.prose, "\n"))
		for i := range th.attacks {
			a := &th.attacks[i]
			fmt.Fprintf(&b, "| %s | %s | %s |\n", cell(a.name), cell(a.idea), a.keys["verdict"])
		}
	}
	return b.String()
}

// section lists the cases of one verdict with what is said of them.
func section(b *strings.Builder, list []theme, verdict, title string, heads ...string) {
	if verdict == "known" {
		heads = append(heads, "`doctor`")
	}
	head := fmt.Sprintf("\n## %s\n\n| way | %s |\n|---|%s\n", title, strings.Join(heads, " | "), strings.Repeat("---|", len(heads)))
	for _, th := range list {
		for i := range th.attacks {
			a := &th.attacks[i]
			if a.verdict != verdict {
				continue
			}
			b.WriteString(head)
			head = ""
			fmt.Fprintf(b, "| %s/%s | %s | %s |", th.file, cell(a.name), a.kind, cell(a.keys["reason"]))
			if verdict == "known" {
				fmt.Fprintf(b, " %s |", cell(a.keys["doctor"]))
			}
			b.WriteString("\n")
		}
	}
}

// cell escapes what would end a table's cell or start markup.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", `\<`).Replace(text)
}
