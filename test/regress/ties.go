package main

import (
	"slices"
	"strings"
)

// Ties says which tables of a script hang together, as far as its statements tell: so that what follows from a
// difference can be told from a difference of its own. Names are bare and in lower case.
type Ties struct {
	tables   map[string]bool     // that exist, or did
	others   map[string]bool     // views, functions and indexes
	bodies   map[string]bool     // functions whose text reads tables or runs statements
	links    map[string][]string // partitions, children, foreign keys, and what a view or function is defined by
	triggers map[string][]string // of a table: functions that an UPDATE, DELETE or TRUNCATE may call, and what its rules name
	follows  map[string][]string // of a table: those whose foreign keys act on a DELETE
}

func newTies() *Ties {
	return &Ties{
		tables: map[string]bool{}, others: map[string]bool{}, bodies: map[string]bool{},
		links: map[string][]string{}, triggers: map[string][]string{}, follows: map[string][]string{},
	}
}

var (
	creates = shape(`^create (?:or replace )?(?:(?:temp|temporary|unlogged|global|local|recursive|materialized) )*` +
		`(table|view|function|procedure|aggregate) (?:if not exists )?NAME`)
	drops   = shape(`^drop (?:materialized )?(?:table|view|function) (?:if exists )?NAMELIST`)
	alters  = shape(`^alter table (?:if exists )?(?:only )?NAME`)
	renames = shape(`^alter table (?:only )?NAME rename to NAME`)
	indexes = shape(`^create (?:unique )?index (?:concurrently )?(?:if not exists )?NAME on (?:only )?NAME`)
	related = shape(`\b(?:partition of|(?:at|de)tach partition|inherit|inherits\s*\(|references)\s*NAMELIST`)
	acts    = shape(`\breferences NAME[^,]*?\bon delete (?:cascade|set null|set default)`)
	trigger = shape(`^create (?:or replace )?(?:constraint )?trigger .*?\b(?:update|delete|truncate)\b.*?\bon NAME.*\bexecute (?:function|procedure) NAME`)
	rule    = shape(`^create (?:or replace )?rule .*?\bon (?:update|delete) to NAME(.*)$`)
)

// Learn takes in what a statement says about tables.
func (t *Ties) Learn(sql string) {
	if m := drops.FindStringSubmatch(sql); m != nil {
		for _, dropped := range append(bareWords(m[2]), bare(m[1])) {
			t.forget(dropped)
		}
	}
	if m := creates.FindStringSubmatch(sql); m != nil {
		t.made(strings.ToLower(m[1]), bare(m[2]), sql[len(m[0]):])
		t.relate(bare(m[2]), sql)
	}
	if m := alters.FindStringSubmatch(sql); m != nil {
		t.relate(bare(m[1]), sql)
	}
	if m := renames.FindStringSubmatch(sql); m != nil {
		t.tables[bare(m[2])] = true
		t.link(bare(m[1]), bare(m[2]))
	}
	if m := indexes.FindStringSubmatch(sql); m != nil {
		t.others[bare(m[1])] = true
		t.link(bare(m[1]), bare(m[2]))
	}
	if m := trigger.FindStringSubmatch(sql); m != nil {
		t.triggers[bare(m[1])] = append(t.triggers[bare(m[1])], bare(m[2]))
	}
	if m := rule.FindStringSubmatch(sql); m != nil {
		t.triggers[bare(m[1])] = append(t.triggers[bare(m[1])], append(named(m[2]), "a rule")...)
	}
}

// made takes in a CREATE; rest is what stands behind the name.
func (t *Ties) made(kind, name, rest string) {
	if kind == "table" {
		t.forget(name)
		t.tables[name] = true
		return
	}
	t.others[name] = true
	t.links[name] = append(t.links[name], named(rest)...)
	if bodies.MatchString(rest) || strings.Contains(rest, "'") {
		t.bodies[name] = strings.Contains(strings.ToLower(rest), "execute") ||
			slices.ContainsFunc(named(rest), func(word string) bool { return t.tables[word] })
	}
}

// relate takes in what a table's definition says of other tables.
func (t *Ties) relate(table, sql string) {
	for _, m := range related.FindAllStringSubmatch(sql, -1) {
		t.link(table, bare(m[1]))
		for _, other := range bareWords(m[2]) {
			if t.tables[other] {
				t.link(table, other)
			}
		}
	}
	for _, m := range acts.FindAllStringSubmatch(sql, -1) {
		t.follows[bare(m[1])] = append(t.follows[bare(m[1])], table)
	}
}

func (t *Ties) link(a, b string) {
	if a != b {
		t.links[a] = append(t.links[a], b)
		t.links[b] = append(t.links[b], a)
	}
}

// known reports whether a word is the name of something that a script has made.
func (t *Ties) known(word string) bool { return t.tables[word] || t.others[word] }

func (t *Ties) forget(name string) {
	for _, other := range t.links[name] {
		t.links[other] = slices.DeleteFunc(t.links[other], func(n string) bool { return n == name })
	}
	delete(t.links, name)
	delete(t.triggers, name)
	delete(t.follows, name)
}

// near returns a name and everything that it hangs together with.
func (t *Ties) near(name string) []string {
	seen := map[string]bool{name: true}
	all := []string{name}
	for i := 0; i < len(all); i++ {
		for _, next := range t.links[all[i]] {
			if !seen[next] {
				seen[next] = true
				all = append(all, next)
			}
		}
	}
	return all
}

// children are the tables that a DELETE from a table reaches by foreign keys that act.
func (t *Ties) children(parent string) []string {
	var all []string
	seen := map[string]bool{}
	var add func(string)
	add = func(table string) {
		for _, child := range t.follows[table] {
			if !seen[child] {
				seen[child] = true
				all = append(all, child)
				add(child)
			}
		}
	}
	add(parent)
	return all
}
