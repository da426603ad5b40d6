package main

import (
	"fmt"
	"io"
	"strings"
)

// casesPerWorld is how many cases share a schema: making one costs as much as a
// few cases.
const casesPerWorld = 50

// Case is a sequence of steps over a world. It depends on nothing but the seed
// and its number.
type Case struct {
	Seed   uint64
	Number int
	World  *World
	Steps  []*Step
}

// NewCase makes a case. world is NewWorld(seed, number / casesPerWorld), made
// anew for whoever wants to change it.
func NewCase(seed uint64, number int, world *World) *Case {
	r := newRand(seed, uint64(number)<<32|2)
	m := newMaker(r, world)
	c := &Case{Seed: seed, Number: number, World: world}
	size := r.between(10, 50)
	open := false // a transaction, if nothing failed
	for len(c.Steps) < size {
		m.modified, m.depth = nil, 0
		switch k := r.IntN(100); {
		case k < 7:
			c.transaction(m, &open)
		case k < 12 && !open:
			c.each(m, m.cursor())
		case k < 14 && !open:
			c.each(m, m.atCursor())
		case k < 18:
			c.each(m, m.prepared())
		case k < 20:
			c.each(m, m.define())
		case k < 21:
			c.each(m, m.temporary())
		case k < 22:
			c.each(m, m.path())
		case k < 26:
			c.each(m, m.copying())
		case k < 31:
			c.each(m, m.other())
		case k < 33:
			n, kind := m.truncate()
			c.each(m, []*Statement{statement(kind, AnyOrder, n)})
		default:
			c.plain(m)
		}
	}
	return c
}

// plain is a step of queries and changes.
func (c *Case) plain(m *Maker) {
	step := c.form(m)
	count := 1
	switch {
	case step.Mode == Simple && m.chance(12), step.Mode == Pipeline:
		count = m.between(2, 4)
	}
	reads := true
	for range count {
		m.modified = nil
		st := m.plain()
		reads = reads && strings.HasPrefix(st.Kind, "select")
		step.Statements = append(step.Statements, st)
	}
	step.Twice = step.Mode == Named && (reads || m.chance(30))
	if step.Statements[0].Order == AsTheyCome && step.Mode == Unnamed && m.chance(30) {
		step.Rows = uint32(m.between(1, 3))
	}
	c.Steps = append(c.Steps, step)
}

func (m *Maker) plain() *Statement {
	var st Statement
	var n *Node
	switch k := m.IntN(100); {
	case k < 48:
		m.risky = m.chance(2)
		n, _, st.Order = m.query(nil, nil)
		m.risky = false
		st.Kind = "select"
		if m.chance(6) && st.Order == AnyOrder {
			n = seq(n, opt(pick(m.Rand, " FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE", " FOR KEY SHARE")))
			st.Kind = "select for update"
		}
	case k < 68:
		n, st.Kind = m.deletion()
	case k < 77:
		n, st.Kind = m.update()
	case k < 88:
		n, st.Kind = m.insertion()
	case k < 92:
		n, st.Kind = m.merge()
	default:
		n, st.Kind, st.Order = m.withWrites()
	}
	st.Node = n
	return &st
}

// form picks the messages.
func (c *Case) form(m *Maker) *Step {
	s := &Step{Mode: pick(m.Rand, Simple, Simple, Unnamed, Unnamed, Named, Pipeline)}
	s.Parameters = m.chance(50)
	s.Binary = s.Mode != Simple && m.chance(30)
	return s
}

// each sends statements one after the other.
func (c *Case) each(m *Maker, statements []*Statement) {
	for _, st := range statements {
		step := c.form(m)
		if step.Mode == Pipeline || strings.HasPrefix(st.Kind, "temp") {
			step.Mode = Simple
		}
		// Utility statements take no parameters.
		step.Parameters = false
		step.Statements = []*Statement{st}
		c.Steps = append(c.Steps, step)
	}
}

// transaction opens one, or does something about the one that is open.
func (c *Case) transaction(m *Maker, open *bool) {
	sql := "BEGIN"
	if *open {
		sql = pick(m.Rand, "COMMIT", "COMMIT", "ROLLBACK", "SAVEPOINT s", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s", "SAVEPOINT t", "COMMIT AND CHAIN", "END")
		*open = sql != "COMMIT" && sql != "ROLLBACK" && sql != "END"
	} else {
		sql = pick(m.Rand, "BEGIN", "BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ ONLY", "COMMIT")
		*open = sql != "COMMIT"
	}
	c.each(m, []*Statement{statement(strings.ToLower(strings.Fields(sql)[0]), AnyOrder, sql)})
}

// scratches reports whether the case makes things in scratch or elsewhere that
// Reset has to clear.
func (c *Case) scratches() bool {
	for _, s := range c.Steps {
		for _, st := range s.Statements {
			if strings.Contains(st.Node.SQL(), "scratch.") {
				return true
			}
		}
	}
	return false
}

// write shows a case as something that a person can play: schema, data, steps.
func (c *Case) write(w io.Writer, d *Difference) {
	indent := func(s string) string { return "    " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n    ") }
	fmt.Fprintf(w, "\nschema (of soft; in hard a natural key is a plain unique constraint):\n%s\n", indent(c.World.DDL(true)))
	for _, v := range c.World.Views {
		how := ""
		if v.Direct {
			how = " -- made beside the proxy"
		}
		fmt.Fprintf(w, "    %s;%s\n", v.ddl(), how)
	}
	rows := &strings.Builder{}
	for _, t := range c.World.Tables {
		t.data(rows, true)
	}
	if rows.Len() > 0 {
		fmt.Fprintf(w, "data (of soft; rows that are deleted already are not in hard):\n%s\n", indent(rows.String()))
	}
	fmt.Fprintln(w, "statements:")
	for i, s := range c.Steps {
		mark := ""
		if d != nil && d.Stage == "reply" && i == d.Step {
			mark = "   <- differs"
		}
		for _, sql := range s.SQL() {
			fmt.Fprintf(w, "    %s; -- %s%s\n", strings.ReplaceAll(sql, "\n", "\n    "), s.how(), mark)
		}
	}
}
