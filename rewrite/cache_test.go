package rewrite

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/datadriven"

	"tombstone/rewrite/lex"
)

// variant returns another text of sql's shape: other literals, other blanks,
// comments. It returns "" for text without a shape.
func variant(sql string) string {
	toks, err := lex.Scan(nil, sql)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for i, t := range toks {
		if i > 0 {
			b.WriteString([]string{" ", "\n", " /* users */ ", " -- deleted_at\n", "\t"}[i%5])
		}
		switch t.Kind {
		case lex.String:
			b.WriteString("'other'")
		case lex.EString:
			b.WriteString(`E'o\'ther'`)
		case lex.Integer:
			b.WriteString("12345")
		case lex.Float:
			b.WriteString("1.5e3")
		case lex.DollarString:
			b.WriteString("$x$ ' $x$")
		case lex.UIdent:
			return ""
		default:
			b.WriteString(t.Text(sql))
		}
	}
	return b.String()
}

// sameShape holds that a plan from memory is the plan that would be made.
func sameShape(t *testing.T, c *Cache, s *Scratch, sql string, env *Env) {
	t.Helper()
	sameShapeIn(t, c, s, sql, env)
	if env.Key != "" && !env.Stale { // and when names may have changed since, whoever put it there
		stale := *env
		stale.Stale = true
		sameShapeIn(t, c, s, sql, &stale)
	}
}

func sameShapeIn(t *testing.T, c *Cache, s *Scratch, sql string, env *Env) {
	t.Helper()
	for _, text := range []string{sql, variant(sql), sql, sql, sql} { // the last from the texts that came before
		if text == "" {
			continue
		}
		fresh := Rewrite(text, env)
		kept := c.Rewrite(text, env, s)
		if fresh.Stale || kept.Stale {
			if fresh.Stale != kept.Stale {
				t.Fatalf("%q: stale %v, from memory %v", text, fresh.Stale, kept.Stale)
			}
			continue
		}
		if fresh.whole != kept.whole || fresh.Unparsed {
			// Too deep, and a literal or comment mentions something; or the
			// parser trips over a comment that it should not see, as between
			// WITH and TIME ZONE, and memory knows better.
			continue
		}
		want, got := fresh.Apply(text), string(s.Append(nil, kept, text))
		if want != got || kept.Apply(text) != got {
			t.Fatalf("%q becomes\n%s\nfrom memory\n%s", text, want, got)
		}
		if len(fresh.Stmts) != len(kept.Stmts) || fresh.Changes != kept.Changes {
			t.Fatalf("%q: %d statements, changes %b; from memory %d, %b", text, len(fresh.Stmts), fresh.Changes, len(kept.Stmts), kept.Changes)
		}
		for i := range fresh.Stmts {
			a, b := &fresh.Stmts[i], &kept.Stmts[i]
			if a.Kind != b.Kind || a.Action != b.Action || a.Tag != b.Tag || a.Execute != b.Execute || len(a.Touched) != len(b.Touched) || (a.Refusal == nil) != (b.Refusal == nil) {
				t.Fatalf("%q: statement %d is %+v, from memory %+v", text, i, a, b)
			}
			if a.Refusal != nil && (a.Refusal.Message != b.Refusal.Message || kept.Place(text, b.Refusal) != fresh.Place(text, a.Refusal) || a.Refusal.Offset != fresh.Place(text, a.Refusal)) {
				t.Fatalf("%q: refused %+v, from memory %+v", text, a.Refusal, b.Refusal)
			}
		}
		for _, p := range []int{1, len(got) / 2, len(got)} {
			if a, b := fresh.Original(text, p, true), kept.Original(text, p, true); a != b {
				t.Fatalf("%q: position %d maps to %d, from memory to %d", text, p, a, b)
			}
		}
	}
}

func keyed(env *Env) *Env {
	env.Key = fmt.Sprintf("%d %v %v", env.Set.Version, env.Path, env.Temp)
	return env
}

// Every golden case has the same plan from memory, for its own text and for
// one with other literals and comments.
func TestShapesOfGoldens(t *testing.T) {
	c, s, env := NewCache(1<<20), new(Scratch), keyed(shopEnv(t))
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".test") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			sameShape(t, c, s, d.Input, env)
			return d.Expected
		})
	})
	if st := c.Stats(); st.Hits < 100 || st.Entries < 50 {
		t.Errorf("hardly anything was kept: %+v", st)
	}
}

// FuzzShape: a plan from memory is the plan that would be made, for any text.
func FuzzShape(f *testing.F) {
	for _, sql := range corpus {
		f.Add(sql)
	}
	c, s, env := NewCache(1<<20), new(Scratch), keyed(shopEnv(f))
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 1<<12 || strings.IndexByte(sql, 0) >= 0 {
			t.Skip()
		}
		sameShape(t, c, s, sql, env)
	})
}

// What a literal decides is not kept; nor is what depends on names while they may change.
func TestNotKept(t *testing.T) {
	c, s, env := NewCache(1<<20), new(Scratch), keyed(shopEnv(t))
	for _, sql := range []string{
		"SET search_path = 'a'", "DO 'x'", "SELECT set_config('search_path', 'a', false)", "SELECT * FROM users WHER x",
		`SELECT * FROM U&"!0075sers" UESCAPE '!'`, "CREATE TABLE t (a int)", "PREPARE p AS SELECT 1", "SELECT 'unfinished",
	} {
		c.Rewrite(sql, env, s)
		c.Rewrite(sql, env, s)
	}
	if st := c.Stats(); st.Entries != 0 || st.Hits != 0 {
		t.Errorf("%+v", st)
	}
	stale := *env
	stale.Stale = true
	if p := c.Rewrite("SELECT * FROM users", &stale, s); !p.Stale {
		t.Error("planned under names that may be stale")
	}
	c.Rewrite("SELECT * FROM users", env, s)
	if p := c.Rewrite("SELECT * FROM users", &stale, s); !p.Stale {
		t.Error("from memory, under names that may be stale")
	}
}

// What names nothing is kept even while names may have changed: a session that says nothing else never asks what they are.
func TestKeptWhileNamesMayChange(t *testing.T) {
	c, s, stale := NewCache(1<<20), new(Scratch), *keyed(shopEnv(t))
	stale.Stale = true
	for range 3 {
		c.Rewrite("SELECT 1", &stale, s)
	}
	if st := c.Stats(); st.Hits != 2 || st.Entries != 1 {
		t.Errorf("%+v, want two hits", st)
	}
}

// A key names what a plan depends on.
func TestKeysTellApart(t *testing.T) {
	c, s := NewCache(1<<20), new(Scratch)
	env := shopEnv(t)
	temp, other, dirty := *env, *env, *env
	temp.Temp, temp.Path = []string{"users"}, []string{"pg_temp_3", "pg_catalog", "public"}
	other.Path = []string{"pg_catalog", "other"}
	dirty.Dirty = true
	sql := "ROLLBACK; DELETE FROM users"
	for range 2 {
		for _, c1 := range []struct {
			env  *Env
			want Action
		}{{env, Buried}, {&temp, Passed}, {&other, Passed}, {&dirty, Refused}} {
			p := c.Rewrite(sql, keyed(c1.env), s)
			if got := p.Stmts[1].Action; got != c1.want {
				t.Errorf("%v %v %v: %v, want %v", c1.env.Path, c1.env.Temp, c1.env.Dirty, got, c1.want)
			}
		}
	}
	for _, pair := range [][2]string{
		{`SELECT * FROM users`, `SELECT * FROM "users"`}, {`SELECT * FROM "Users"`, `SELECT * FROM users`},
		{"SELECT a FROM users", "SELECT 'a' FROM users"}, {"SELECT 1", "SELECT 1.0"}, {"SELECT a b", "SELECT ab"}, {"SELECT a<b", "SELECT a<=b"},
	} {
		c.Rewrite(pair[0], keyed(env), s)
		one := string(s.key)
		c.Rewrite(pair[1], keyed(env), s)
		if one == string(s.key) {
			t.Errorf("%s and %s have one key", pair[0], pair[1])
		}
	}
}

// Any number of shapes stay within the bound, and one that is in use stays.
func TestCacheIsBounded(t *testing.T) {
	const limit = 1 << 20
	c, s, env := NewCache(limit), new(Scratch), keyed(shopEnv(t))
	used := "SELECT * FROM users WHERE id = 1"
	c.Rewrite(used, env, s)
	for i := range 20_000 {
		c.Rewrite(fmt.Sprintf("SELECT a%d FROM products", i), env, s)
		if i%50 == 0 {
			c.Rewrite(used, env, s)
		}
	}
	st := c.Stats()
	if st.Bytes > limit || st.Bytes < limit/2 || st.Evictions == 0 {
		t.Errorf("%+v", st)
	}
	if st.Hits < 390 {
		t.Errorf("the shape in use was driven out: %+v", st)
	}
	sum := 0
	for i := range c.shards {
		h := &c.shards[i]
		n := 0
		for e := h.oldest; e != nil; e = e.newer {
			n++
			sum += e.size
			if h.entries[e.key] != e {
				t.Fatal("an entry in the list is not in the map")
			}
		}
		if n != len(h.entries) {
			t.Fatalf("%d entries in the list, %d in the map", n, len(h.entries))
		}
	}
	if sum != st.Bytes {
		t.Errorf("%d bytes counted, %d held", st.Bytes, sum)
	}
}

func TestConcurrentMissesPlanOnce(t *testing.T) {
	c, env := NewCache(1<<20), keyed(shopEnv(t))
	var wait sync.WaitGroup
	begin := make(chan struct{})
	for range 16 {
		wait.Go(func() {
			s := new(Scratch)
			<-begin
			for i := range 200 {
				sql := fmt.Sprintf("DELETE FROM users WHERE c%d = 1", i)
				if p := c.Rewrite(sql, env, s); p.Stmts[0].Action != Buried {
					t.Error("not buried")
				}
			}
		})
	}
	close(begin)
	wait.Wait()
	if st := c.Stats(); st.Misses != 200 || st.Hits != 15*200 {
		t.Errorf("%+v", st)
	}
}

func BenchmarkCache(b *testing.B) {
	pad := func(sql string, n int) string {
		for i := 0; len(sql) < n; i++ {
			sql += fmt.Sprintf(" AND column_%d = 'value %d'", i, i)
		}
		return sql
	}
	for _, bench := range []struct{ name, sql string }{
		{"hit/100B", pad("SELECT id, name, email FROM users WHERE id = 42 AND name = 'a name'", 100)},
		{"hit/2kB", pad("SELECT id, name, email FROM users WHERE id = 42", 2000)},
		{"untouched/100B", pad("SELECT id, name FROM products WHERE id = 42 AND name = 'a name'", 100)},
		{"insert/1MB", "INSERT INTO users (id, name) VALUES (1, 'a name of some length')" + strings.Repeat(", (2, 'another name of some length')", 28_000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c, s, env := NewCache(64<<20), new(Scratch), keyed(shopEnv(b))
			out := make([]byte, 0, 2*len(bench.sql))
			c.Rewrite(bench.sql, env, s)
			b.SetBytes(int64(len(bench.sql)))
			b.ReportAllocs()
			for b.Loop() {
				out = s.Append(out[:0], c.Rewrite(bench.sql, env, s), bench.sql)
			}
		})
	}
	b.Run("miss/100B", func(b *testing.B) {
		env := shopEnv(b)
		sql := pad("SELECT id, name, email FROM users WHERE id = 42 AND name = 'a name'", 100)
		for b.Loop() {
			Rewrite(sql, env)
		}
	})
	b.Run("parse/100B", func(b *testing.B) {
		sql := pad("SELECT id, name, email FROM users WHERE id = 42 AND name = 'a name'", 100)
		for b.Loop() {
			if _, err := parseOnly(sql); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A list of a million values is parsed once; after that its shape is known,
// whatever the values, and costs the cache no more than a short one.
func TestAMillionValues(t *testing.T) {
	list := func(step int) string {
		b := make([]byte, 0, 8<<20)
		b = append(b, "DELETE FROM users WHERE id IN (0"...)
		for i := 1; i < 1_000_000; i++ {
			b = strconv.AppendInt(append(b, ','), int64(i*step), 10)
		}
		return string(append(b, ')'))
	}
	c, s, env := NewCache(1<<20), new(Scratch), keyed(shopEnv(t))
	for _, step := range []int{1, 7} {
		sql := list(step)
		got := string(s.Append(nil, c.Rewrite(sql, env, s), sql))
		want := "UPDATE users SET deleted_at = now() WHERE (" + strings.TrimPrefix(sql, "DELETE FROM users WHERE ") + ") AND users.deleted_at IS NULL"
		if got != want {
			t.Errorf("step %d: %d bytes, want %d", step, len(got), len(want))
		}
	}
	if st := c.Stats(); st.Misses != 1 || st.Hits != 1 || st.Bytes > 10_000 {
		t.Errorf("%+v", st)
	}
}

// Shapes beyond number do not take more memory than they may.
func TestAHundredThousandShapes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const limit = 4 << 20
	c, s, env := NewCache(limit), new(Scratch), keyed(shopEnv(t))
	for i := range 100_000 {
		c.Rewrite("SELECT id AS c"+strconv.Itoa(i)+" FROM products WHERE name = 'x'", env, s)
		if st := c.Stats(); st.Bytes > limit {
			t.Fatalf("%d bytes after %d shapes, the limit is %d", st.Bytes, i+1, limit)
		}
	}
	if st := c.Stats(); st.Misses != 100_000 || st.Evictions == 0 {
		t.Errorf("%+v", st)
	}
}
