package main

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

//go:embed schema.sql
var schema string

//go:embed log.sql
var logSQL string

// retention is how long tombstones are kept, except in tables that keep them for ever.
const retention = 3 * time.Second

// table is what clients and the audit know of a table of schema.sql.
type table struct {
	name    string
	key     []column
	refs    []*ref
	unique  string // a column that is unique besides the key
	loose   bool   // not protected
	flag    bool   // its marker is a boolean, gone
	forever bool   // it has no retention

	archived string // the columns of a row a of the archive, as their types
}

// column is a key column and how many values there are, few, so that keys are used again.
type column struct {
	name   string
	values int
	text   bool
}

func (c column) random() string {
	if n := rand.IntN(c.values); c.text {
		return fmt.Sprintf("'%c%c'", 'a'+n%3, 'a'+n/3)
	} else {
		return fmt.Sprint(n)
	}
}

// ref is a foreign key.
type ref struct {
	columns  []string
	to       string
	refs     []string
	required bool
	cut      string // what ON DELETE puts in its place, as JSON; "" if nothing
}

func one(name, to string) *ref { return &ref{columns: []string{name}, to: to, refs: []string{"id"}} }

func id(values int) []column { return []column{{name: "id", values: values}} }

var tables = []*table{
	{name: "owners", key: id(6), loose: true},
	{name: "users", key: id(20), unique: "name", refs: []*ref{one("owner_id", "owners")}},
	{name: "orders", key: id(40), refs: []*ref{{columns: []string{"user_id"}, to: "users", refs: []string{"id"}, required: true}}},
	{name: "items", key: id(60), refs: []*ref{one("order_id", "orders"), {columns: []string{"user_id"}, to: "users", refs: []string{"id"}, cut: "null"}}},
	{name: "tasks", key: id(20), refs: []*ref{{columns: []string{"user_id"}, to: "users", refs: []string{"id"}, required: true, cut: "0"}}},
	{name: "bills", key: id(15), refs: []*ref{one("user_id", "users")}},
	{name: "tree", key: id(30), refs: []*ref{one("parent", "tree")}, forever: true},
	{name: "ring_a", key: id(12), refs: []*ref{one("b", "ring_b")}},
	{name: "ring_b", key: id(12), refs: []*ref{one("a", "ring_a")}},
	{name: "countries", key: []column{{"code", 6, true}}},
	{name: "cities", key: []column{{"country", 6, true}, {"name", 4, true}}, refs: []*ref{{columns: []string{"country"}, to: "countries", refs: []string{"code"}, required: true}}},
	{name: "events", key: []column{{name: "id", values: 12}, {name: "day", values: 6}}, refs: []*ref{one("user_id", "users")}},
	{name: "marks", key: id(15), forever: true, refs: []*ref{{columns: []string{"event_id", "event_day"}, to: "events", refs: []string{"id", "day"}, cut: "null"}}},
	{name: "flags", key: id(15), refs: []*ref{one("user_id", "users")}, flag: true},
	{name: "loose", key: id(20), refs: []*ref{one("user_id", "users")}, loose: true},
}

func called(name string) *table {
	return tables[slices.IndexFunc(tables, func(t *table) bool { return t.name == name })]
}

// live is the condition that a row is live.
func (t *table) live(alias string) string {
	switch {
	case t.loose:
		return "true"
	case t.flag:
		return "NOT " + alias + ".gone"
	}
	return alias + ".deleted_at IS NULL"
}

func (t *table) marker() string {
	if t.flag {
		return "gone"
	}
	return "deleted_at"
}

func (t *table) keyNames() []string {
	list := make([]string, len(t.key))
	for i, c := range t.key {
		list[i] = c.name
	}
	return list
}

// refOf is the reference that a column is of, nil if it is of none or is part of the key, which is not cut.
func (t *table) refOf(column string) *ref {
	for _, r := range t.refs {
		if slices.Contains(r.columns, column) {
			return r
		}
	}
	return nil
}

// policy is the configuration but for the addresses.
func policy() string {
	var b strings.Builder
	fmt.Fprintf(&b, "purge: {batch: 7, rate: 0, lock_timeout: 200ms}\nlog: {level: warn}\ntables:\n")
	for _, t := range tables {
		if t.loose {
			continue
		}
		kept := retention.String()
		if t.forever {
			kept = "forever"
		}
		fmt.Fprintf(&b, "  - {name: public.%s, marker: %s, retention: %s, hold: held}\n", t.name, t.marker(), kept)
	}
	return b.String()
}
