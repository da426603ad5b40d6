package bypass

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// bugsAllowed lets cases with the verdict bug pass while they are one.
var bugsAllowed = os.Getenv("TOMBSTONE_BYPASS_BUGS") != ""

// refusals are the codes by which the proxy refuses: not supported, not
// allowed, no marker, too large or too complex, a reserved name, too old a snapshot.
var refusals = []string{"0A000", "42501", "55000", "54000", "54001", "42939", "40001"}

// keyHeld is how an upsert is refused that meets a deleted row.
const keyHeld = "a deleted row holds the key"

func TestCorpus(t *testing.T) {
	count := 0
	for _, th := range corpus(t) {
		t.Run(th.file, func(t *testing.T) {
			for i := range th.attacks {
				a := &th.attacks[i]
				t.Run(a.name, func(t *testing.T) {
					t.Parallel()
					a.try(t)
				})
			}
		})
		count += len(th.attacks)
	}
	if count < 200 {
		t.Errorf("%d cases, want 200 at least", count)
	}
}

// try runs an attack through the proxy and, where it is held off, on the
// server itself too.
func (a *attack) try(t *testing.T) {
	major := usual
	if s := a.keys["server"]; s != "" {
		major, _ = strconv.Atoi(s) // digits: see check
	}
	r := serverOf(t, major)
	got := a.run(t, newPlace(t, a, r, true), true)
	a.judge(t, got)
	if a.verdict == "known" || a.verdict == "bug" || t.Failed() {
		return
	}
	if a.keys["control"] != "" {
		return
	}
	control := a.run(t, newPlace(t, a, r, false), false)
	switch {
	case control.leak != "", control.loss != "":
	case control.odd != "":
		t.Errorf("%s: %q does not run on the server itself: %s", a.at, a.name, control)
	case control.tells == "":
		t.Errorf("%s: %q does no harm to the server itself: it is no attack\n%s", a.at, a.name, control)
	}
}

// result is what an attack did.
type result struct {
	leak, loss, tells string
	refused           string // the code of the first refusal
	odd               string // what went otherwise than the case says
	said              []string
}

func (r *result) String() string {
	var b strings.Builder
	for _, x := range []struct{ what, how string }{{"leak", r.leak}, {"loss", r.loss}, {"tells", r.tells}, {"refused", r.refused}, {"odd", r.odd}} {
		if x.how != "" {
			fmt.Fprintf(&b, "%s: %s\n", x.what, x.how)
		}
	}
	return b.String() + strings.Join(r.said, "\n")
}

// judge holds the result against the verdict.
func (a *attack) judge(t *testing.T, r *result) {
	t.Helper()
	var wrong []string
	happened := map[string]string{"leak": r.leak, "loss": r.loss, "tells": r.tells}
	if a.verdict == "known" || a.verdict == "bug" {
		switch {
		case happened[a.kind] == "":
			wrong = append(wrong, "does not happen any more: change the verdict")
		case a.kind == "tells" && r.leak != "" || a.kind != "loss" && r.loss != "":
			wrong = append(wrong, "is worse than that")
		case r.odd == "" && a.verdict == "bug" && !bugsAllowed:
			wrong = append(wrong, a.keys["reason"])
		}
	} else {
		for _, what := range []string{"leak", "loss", "tells"} {
			if happened[what] != "" {
				wrong = append(wrong, what)
			}
		}
		switch {
		case a.verdict == "stopped" && r.refused != "":
			wrong = append(wrong, "refused")
		case a.verdict == "refused" && r.refused != a.kind:
			wrong = append(wrong, "not so refused")
		}
	}
	if r.odd != "" {
		wrong = append(wrong, "a step goes otherwise than the case says")
	}
	if len(wrong) == 0 {
		t.Logf("%s: %s\n%s", a.at, a.name, r)
		return
	}
	t.Errorf("%s: %s: %s: %s\n%s", a.at, a.name, a.keys["verdict"], strings.Join(wrong, ", "), r)
}

// run takes all steps of an attack. behind says that a proxy stands before the
// server.
func (a *attack) run(t *testing.T, p *place, behind bool) *result {
	r := &result{}
	var before records
	for i := range a.steps {
		s := &a.steps[i]
		if s.do != "direct" && before == nil {
			before = read(t, p.direct)
		}
		switch s.do {
		case "direct":
			for _, l := range s.lines {
				_, err := p.direct.Exec(within(t), p.fill(l.text)).ReadAll()
				if err != nil && strings.HasPrefix(l.text, "CREATE EXTENSION") {
					t.Skipf("the server lacks it: %v", err)
				}
				if err != nil {
					t.Fatalf("%s: directly: %s: %v", a.at, l.text, err)
				}
			}
		case "keep":
			before = read(t, p.direct)
		case "reconnect":
			if c := p.clients[s.who]; c != nil {
				_ = c.Close(within(t))
				delete(p.clients, s.who)
			}
		default:
			a.send(t, p, s, r, behind)
		}
	}
	for _, c := range p.clients {
		_ = c.Close(within(t))
	}
	r.leak = leaked(p.heard())
	// A lock that the attack has left somewhere is to fail the case, not to hang it.
	if _, err := p.direct.Exec(within(t), "SET lock_timeout = '10s'").ReadAll(); err != nil {
		t.Fatal(err)
	}
	r.loss = lost(t, p.direct, before, a.keys["live"] != "")
	return r
}

// send takes a step that a client takes.
func (a *attack) send(t *testing.T, p *place, s *step, r *result, behind bool) {
	t.Helper()
	if s.do == "protocol" {
		var texts, allowed []string
		for _, l := range s.lines {
			texts = append(texts, p.fill(l.text))
			allowed = append(allowed, l.code)
		}
		c, err := p.client(t, s.who)
		if err != nil {
			t.Fatal(err)
		}
		codes, rows, err := c.converse(within(t), texts)
		r.said = append(r.said, fmt.Sprintf("messages: rows %q errors %q %v", rows, codes, err))
		if err != nil && !slices.Contains(allowed, "any") {
			r.odd = fmt.Sprint(err)
		}
		for _, code := range codes {
			if !slices.Contains(allowed, "any") && !slices.Contains(allowed, code) {
				r.failed(strings.Join(texts, "; "), code, code, behind)
			}
		}
		if s.asks && r.refused == "" {
			r.compare(strings.Join(texts, "; "), rows, s.rows)
		}
		return
	}
	for i, l := range s.lines {
		text := p.fill(l.text)
		rows, err := p.say(t, s, text)
		said := fmt.Sprint(rows)
		if err != nil {
			said = err.Error()
		}
		r.said = append(r.said, fmt.Sprintf("%.200s\n    %.500s", text, said))
		code := codeOf(err)
		want, tells := strings.CutSuffix(l.code, "!")
		switch {
		case want == "any":
		case err != nil && code != want:
			r.failed(text, code, err.Error(), behind)
		case err == nil && want != "" && !tells && r.refused == "":
			r.tell(fmt.Sprintf("%s: no error %s", text, want))
		case err != nil && tells:
			r.tell(err.Error())
		}
		if s.asks && i == len(s.lines)-1 && r.refused == "" && err == nil {
			r.compare(text, rows, s.rows)
		}
	}
}

// say sends one message, or runs a program, and returns the rows.
func (p *place) say(t *testing.T, s *step, text string) ([]string, error) {
	t.Helper()
	if s.do == "program" {
		out, err := p.program(t, text)
		return strings.Split(strings.TrimSpace(out), "\n"), err
	}
	c, err := p.client(t, s.who)
	if err != nil {
		return nil, err
	}
	if s.do == "quoted" {
		if text, err = strconv.Unquote(text); err != nil {
			t.Fatal(err)
		}
	}
	var rows []string
	if s.do == "extended" {
		res := c.ExecParams(within(t), text, nil, nil, nil, nil).Read()
		for _, row := range res.Rows {
			rows = append(rows, rowText(row))
		}
		return rows, res.Err
	}
	results, err := c.Exec(within(t), text).ReadAll()
	for _, res := range results {
		for _, row := range res.Rows {
			rows = append(rows, rowText(row))
		}
	}
	return rows, err
}

// argv splits a command at blanks; what stands in single quotes is one word.
func argv(text string) []string {
	var words []string
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// failed notes an error that the case does not foresee. After a refusal
// anything may fail.
func (r *result) failed(text, code, what string, behind bool) {
	switch {
	case r.refused != "":
	case behind && (slices.Contains(refusals, code) || strings.Contains(what, keyHeld)):
		r.refused = code
	default:
		r.odd = fmt.Sprintf("%.200s: %s", text, what)
	}
}

func (r *result) tell(what string) {
	if r.tells == "" {
		r.tells = what
	}
}

func (r *result) compare(text string, got, want []string) {
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.tell(fmt.Sprintf("%.200s\n    answers %q\n    not     %q", text, got, want))
	}
}

// codeOf returns an error's SQLSTATE, "" for none, or what it is instead.
func codeOf(err error) string {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return "broken"
}
