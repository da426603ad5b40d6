package rewrite

import (
	"strings"

	"tombstone/rewrite/lex"
)

// Edit replaces the bytes Start..End of a text.
type Edit struct {
	Start, End int
	Text       string
	Near       int // start of the token that stands for an error inside Text, -1 if none does
}

// change is an edit between tokens. It says the same of every text that has
// the same tokens, whatever its literals, comments and blanks.
type change struct {
	from, to int32 // the tokens replaced, to excluded; none if from == to
	after    bool  // with none: behind token from-1 rather than before token from
	drop     bool  // nothing comes instead: the blanks before go too
	silent   bool  // the server would not have pointed at what stands here
	near     int32 // the token that stands for an error inside
	words    string
	inner    inner // if set, only this part of token from is replaced
}

// inner is a part of a literal that holds SQL, in bytes from the literal's
// start. Texts with such a literal are planned one by one, so offsets hold.
type inner struct {
	set              bool
	start, end, near int
}

// order sorts changes by their place. One behind a token comes before one in
// front of the next.
func (c *change) order() int32 {
	if c.after || c.drop {
		return 2*c.from - 1
	}
	return 2 * c.from
}

// putBefore puts words before token i.
func (r *rewriter) putBefore(i int, words string) {
	r.change(change{from: int32(i), to: int32(i), near: int32(max(i-1, 0)), words: words})
}

// putAfter puts words behind token i.
func (r *rewriter) putAfter(i int, words string) {
	r.change(change{from: int32(i + 1), to: int32(i + 1), after: true, near: int32(i), words: words})
}

// replace puts words in place of tokens i to j.
func (r *rewriter) replace(i, j int, words string) {
	r.change(change{from: int32(i), to: int32(j + 1), near: int32(i), words: words})
}

// drop takes tokens i to j out of the text, with the blanks before them
// unless a comment stands there.
func (r *rewriter) drop(i, j int) {
	r.change(change{from: int32(i), to: int32(j + 1), drop: true, near: int32(i)})
}

func (r *rewriter) change(c change) { r.plan.changes = append(r.plan.changes, c) }

// in places the change in a text.
func (c *change) in(sql string, toks []lex.Token) Edit {
	e := Edit{Text: c.words, Near: -1}
	switch {
	case c.after:
		e.Start = int(toks[c.from-1].End)
		e.End = e.Start
	case c.from == c.to:
		e.Start = int(toks[c.from].Start)
		e.End = e.Start
	default:
		e.Start, e.End = int(toks[c.from].Start), int(toks[c.to-1].End)
	}
	if c.drop && c.from > 0 {
		end := int(toks[c.from-1].End)
		at := e.Start
		for at > end && isBlank(sql[at-1]) {
			at--
		}
		if at == end { // no comment there, which may need its line's end
			e.Start = at
		}
	}
	if !c.silent {
		e.Near = int(toks[c.near].Start)
	}
	if c.inner.set {
		start := int(toks[c.from].Start)
		e.Start, e.End, e.Near = start+c.inner.start, start+c.inner.end, start+c.inner.near
	}
	return e
}

// fit says whether blanks are needed around an edit's words so that they do
// not run into the client's own: 'x'ORDER BY needs none, NULL ORDER BY does.
func (e *Edit) fit(sql string) (before, after bool) {
	left, right := e.Start > 0 && inWord(sql[e.Start-1]), e.End < len(sql) && inWord(sql[e.End])
	if e.Text == "" {
		return left && right, false
	}
	return left && inWord(e.Text[0]), right && inWord(e.Text[len(e.Text)-1])
}

// inWord reports whether a byte can be part of a name, a number or a quoted
// token, so that two of them side by side may read as one.
func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80 || strings.IndexByte("_$'\"&", c) >= 0
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

// Edits places the plan's changes in a text, which must be the one that was
// planned or one of the same shape.
func (p *Plan) Edits(sql string) []Edit {
	if p.whole {
		return []Edit{{0, len(sql), sentinelSQL, 0}}
	}
	if len(p.changes) == 0 {
		return nil
	}
	toks, _ := lex.Scan(nil, sql)
	edits := make([]Edit, len(p.changes))
	for i := range p.changes {
		e := p.changes[i].in(sql, toks)
		before, after := e.fit(sql)
		if before {
			e.Text = " " + e.Text
		}
		if after {
			e.Text += " "
		}
		edits[i] = e
	}
	return edits
}

// Place returns where a text names what a refusal of the plan is about, in
// bytes, or -1.
func (p *Plan) Place(sql string, f *Refusal) int {
	if f.Offset < 0 || f.token < 0 {
		return -1
	}
	if toks, _ := lex.Scan(nil, sql); f.token < len(toks) {
		return int(toks[f.token].Start)
	}
	return -1
}

// Append appends the text for the server to dst. toks are sql's tokens if the
// caller has them; nil scans it again.
func (p *Plan) Append(dst []byte, sql string, toks []lex.Token) []byte {
	if p.whole {
		return append(dst, sentinelSQL...)
	}
	if len(p.changes) > 0 && toks == nil {
		toks, _ = lex.Scan(nil, sql)
	}
	at := 0
	for i := range p.changes {
		e := p.changes[i].in(sql, toks)
		before, after := e.fit(sql)
		dst = append(dst, sql[at:e.Start]...)
		if before {
			dst = append(dst, ' ')
		}
		dst = append(dst, e.Text...)
		if after {
			dst = append(dst, ' ')
		}
		at = e.End
	}
	return append(dst, sql[at:]...)
}
