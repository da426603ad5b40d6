package rewrite

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/cockroachdb/datadriven"
)

// TestCacheKeepsNothing: a text may be in memory that is used again as soon as it
// is planned. What the plan says, and what the cache knows, stays.
func TestCacheKeepsNothing(t *testing.T) {
	env := keyed(shopEnv(t))
	say := func(p *Plan, sql string) string {
		said := fmt.Sprintf("%q %+v %+v", p.Apply(sql), p.changes, p.Stmts)
		for _, f := range append([]*Refusal{p.Refusal}, refusalsOf(p)...) {
			said += fmt.Sprintf("%+v", f)
		}
		return strings.Clone(said)
	}
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".test") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			c, s := NewCache(1<<20), new(Scratch)
			first := ""
			for range 4 { // parsed, from the shapes, from the shapes and kept, from the texts
				buf := []byte(d.Input)
				sql := unsafe.String(unsafe.SliceData(buf), len(buf))
				p := c.Rewrite(sql, env, s)
				kept := s.Keep(sql)
				sent := string(s.Append(nil, p, sql))
				before := say(p, d.Input)
				for i := range buf {
					buf[i] = '?'
				}
				if after := say(p, d.Input); after != before || kept != d.Input || sent != p.Apply(d.Input) {
					t.Fatalf("%q: the plan was %s, and is %s when the text is gone; kept is %q, sent %q", d.Input, before, after, kept, sent)
				}
				if first == "" {
					first = string(sent)
				} else if first != sent {
					t.Fatalf("%q: first %q is sent, then %q", d.Input, first, sent)
				}
			}
			return d.Expected
		})
	})
}

func refusalsOf(p *Plan) (list []*Refusal) {
	for i := range p.Stmts {
		list = append(list, p.Stmts[i].Refusal)
	}
	return list
}

// TestTextsThatComeAgain: a text is known by its bytes from the third time on, under the same names only, and its plan is then what
// its shape gives. Texts that come once are not kept.
func TestTextsThatComeAgain(t *testing.T) {
	c, s, env := NewCache(1<<20), new(Scratch), keyed(shopEnv(t))
	const sql = "DELETE FROM users WHERE id = 5"
	shape := c.Rewrite(sql, env, s)
	for i := range 4 {
		if p := c.Rewrite(sql, env, s); p != shape || (s.known != nil) != (i >= 2) {
			t.Errorf("turn %d: the shape's plan %t, known as a text %t", i, p == shape, s.known != nil)
		}
	}
	dirty := *env
	dirty.Dirty = true
	other := *env
	other.Key += "other"
	odd := *env
	odd.Backslash = true
	for _, e := range []*Env{&dirty, &other, &odd} {
		if c.Rewrite(sql, e, s); s.known != nil {
			t.Errorf("%+v: known under other names", e)
		}
	}
	stale := *env
	stale.Stale = true
	if p := c.Rewrite(sql, &stale, s); !p.Stale {
		t.Error("a plan that depends on names is taken while they may be others")
	}
	before := testing.AllocsPerRun(100, func() { c.Rewrite(sql, env, s) })
	i := 0
	once := make([]string, 2000)
	for i := range once {
		once[i] = fmt.Sprintf("DELETE FROM users WHERE id = %d", 1000+i)
	}
	c.Rewrite(once[0], env, s)
	if n := testing.AllocsPerRun(1000, func() { i++; c.Rewrite(once[i], env, s) }) + before; n != 0 {
		t.Errorf("%v allocations for a text that is known, or comes once", n)
	}
}
