package bypass

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A file in testdata reads like this:
//
//	# The theme
//
//	Prose, to any length.
//
//	## The name of a case
//	The idea, in a sentence or two.
//	verdict: refused 0A000
//
//	direct
//	    CREATE VIEW peek AS SELECT * FROM users
//	simple
//	    SELECT name FROM peek
//	rows
//	    LIVE-1
//
// A line under a step is one message; lines that are indented further belong
// to the line above. In front of it may stand the SQLSTATE that it is to fail
// with, as [42P01]; [23505!] if it fails where a database that really deletes
// would not; [any] where it may fail or not.
//
// Steps:
//
//	direct            on the server itself, by the superuser
//	simple [WHO]      a Query through the proxy; WHO names the connection, and
//	                  admin is always the superuser's
//	extended [WHO]    Parse, Bind, Describe, Execute, Sync
//	quoted [WHO]      a Query, written as a Go string, for odd bytes
//	protocol [WHO]    messages, see protocol_test.go
//	program           a program of PostgreSQL's, its output is searched too;
//	                  single quotes make one word, <<< gives it input
//	reconnect [WHO]   the connection is closed and opened again
//	keep              rows that have come to be since are judged too
//	rows              what the message before must answer, in any order
//
// Keys:
//
//	verdict           see doc.go
//	reason, doctor    of what happens; "as above" stands for the last reason
//	policy            names instead of the shop's, with commas between
//	user, connect     who connects, and more of the connection string
//	server            a major version of PostgreSQL, if not the usual one
//	live: may change  the attack updates live rows, and may
//	control: harmless: WHY
//	                  the attack does nothing to the server itself either
//
// {db}, {host}, {port}, {data} stand for the server's own database, address and
// data folder, and {repeat N TEXT} for a long text.

// attack is one case.
type attack struct {
	theme, name, idea string
	verdict, kind     string // kind: SQLSTATE of refused; leak, loss or tells
	keys              map[string]string
	steps             []step
	at                string // file and line
}

type step struct {
	do, who string
	lines   []line
	rows    []string
	asks    bool // rows are given
}

type line struct{ text, code string }

type theme struct {
	file, title string
	prose       []string
	attacks     []attack
}

var (
	stepNames = map[string]bool{"direct": true, "simple": true, "extended": true, "quoted": true, "protocol": true, "program": true, "reconnect": true, "keep": true, "rows": true}
	keyNames  = map[string]bool{"verdict": true, "reason": true, "doctor": true, "policy": true, "user": true, "connect": true, "server": true, "live": true, "control": true}
	codeMark  = regexp.MustCompile(`^\[([0-9A-Z]{5}!?|any)\] `)
	verdicts  = regexp.MustCompile(`^(stopped|held|refused [0-9A-Z]{5}|(known|bug) (leak|loss|tells))$`)
)

// corpus reads all files.
func corpus(t *testing.T) []theme {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	var list []theme
	seen := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		th, err := readTheme(f, string(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range th.attacks {
			if other := seen[a.name]; other != "" {
				t.Errorf("%s: %q is at %s too", a.at, a.name, other)
			}
			seen[a.name] = a.at
		}
		list = append(list, th)
	}
	return list
}

func readTheme(file, text string) (theme, error) {
	th := theme{file: strings.TrimSuffix(filepath.Base(file), ".txt")}
	var a *attack
	for i, l := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", file, i+1)
		l = strings.TrimRight(l, " \t")
		switch {
		case l == "":
		case strings.HasPrefix(l, "## "):
			th.attacks = append(th.attacks, attack{theme: th.file, name: l[3:], keys: map[string]string{}, at: at})
			a = &th.attacks[len(th.attacks)-1]
		case strings.HasPrefix(l, "# ") && a == nil:
			th.title = l[2:]
		case a == nil:
			th.prose = append(th.prose, l)
		default:
			if err := a.line(l); err != nil {
				return th, fmt.Errorf("%s: %w", at, err)
			}
		}
	}
	reason := ""
	for i := range th.attacks {
		a := &th.attacks[i]
		if err := a.check(); err != nil {
			return th, fmt.Errorf("%s: %w", a.at, err)
		}
		if more, ok := strings.CutPrefix(a.keys["reason"], "as above"); ok {
			a.keys["reason"] = reason + more
		} else if a.keys["reason"] != "" {
			reason = a.keys["reason"]
		}
	}
	return th, nil
}

// line takes in one line that is not blank.
func (a *attack) line(l string) error {
	const indent = "    "
	if strings.HasPrefix(l, indent) {
		if len(a.steps) == 0 {
			return fmt.Errorf("an indented line before any step")
		}
		s := &a.steps[len(a.steps)-1]
		l = l[len(indent):]
		switch {
		case s.asks:
			s.rows = append(s.rows, l)
		case strings.HasPrefix(l, " ") && len(s.lines) > 0:
			s.lines[len(s.lines)-1].text += "\n" + l
		default:
			var code string
			if m := codeMark.FindStringSubmatch(l); m != nil {
				code, l = m[1], l[len(m[0]):]
			}
			s.lines = append(s.lines, line{l, code})
		}
		return nil
	}
	words := strings.Fields(l)
	if stepNames[words[0]] && len(words) <= 2 {
		if words[0] == "rows" {
			if len(a.steps) == 0 {
				return fmt.Errorf("rows before any step")
			}
			a.steps[len(a.steps)-1].asks = true
			return nil
		}
		s := step{do: words[0], who: "client"}
		if len(words) == 2 {
			s.who = words[1]
		}
		a.steps = append(a.steps, s)
		return nil
	}
	if len(a.steps) > 0 {
		return fmt.Errorf("neither a step nor indented: %q", l)
	}
	if key, value, ok := strings.Cut(l, ": "); ok && keyNames[key] {
		a.keys[key] = value
		return nil
	}
	if len(a.keys) > 0 {
		return fmt.Errorf("neither a key nor a step: %q", l)
	}
	a.idea = strings.TrimSpace(a.idea + " " + l)
	return nil
}

func (a *attack) check() error {
	v := a.keys["verdict"]
	if !verdicts.MatchString(v) {
		return fmt.Errorf("%q: no such verdict: %q", a.name, v)
	}
	a.verdict, a.kind, _ = strings.Cut(v, " ")
	switch {
	case a.idea == "":
		return fmt.Errorf("%q: no idea", a.name)
	case len(a.steps) == 0:
		return fmt.Errorf("%q: no steps", a.name)
	case (a.verdict == "known" || a.verdict == "bug") && a.keys["reason"] == "":
		return fmt.Errorf("%q: no reason", a.name)
	case a.verdict == "known" && a.keys["doctor"] == "":
		return fmt.Errorf("%q: what should doctor say?", a.name)
	case a.keys["live"] != "" && a.keys["live"] != "may change":
		return fmt.Errorf("%q: live: %q", a.name, a.keys["live"])
	case a.keys["control"] != "" && !strings.HasPrefix(a.keys["control"], "harmless: "):
		return fmt.Errorf("%q: control: %q", a.name, a.keys["control"])
	}
	if s := a.keys["server"]; s != "" {
		if _, err := strconv.Atoi(s); err != nil {
			return fmt.Errorf("%q: server: %w", a.name, err)
		}
	}
	return nil
}

var repeated = regexp.MustCompile(`\{repeat (\d+) ([^}]*)\}`)

// fill puts in what is known only when the case runs.
func (p *place) fill(text string) string {
	text = strings.NewReplacer("{db}", p.db, "{host}", p.c.Host, "{port}", strconv.Itoa(p.c.Port), "{data}", p.c.DataDir).Replace(text)
	return repeated.ReplaceAllStringFunc(text, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[1]) // digits, by the pattern
		return strings.Repeat(m[2], n)
	})
}
