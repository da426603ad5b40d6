package main

import (
	"fmt"
	"strings"
)

// Node is a piece of SQL as a tree, so that shrink.go can prune it: parts in
// order, of which some may be left out and some have simpler stand-ins.
type Node struct {
	parts []any // string or *Node
	sep   string
	min   int   // with sep: how many parts must stay
	list  bool  // parts are separated by sep
	fate  *Fate // nil: it has to stay; several nodes may share one
	or    []*Node
	pick  int // 1 + which of or stands in its place; 0: itself

	value  string // a literal, without quotes, that may be sent as a parameter
	typ    string // and its type; "" for what is not a literal
	prefix string // text before the first part that is there, such as " WHERE "
}

// Fate says whether the nodes that share it are gone: a column of an INSERT and
// the values that belong to it go together.
type Fate struct{ gone bool }

// seq is its parts, one after the other.
func seq(parts ...any) *Node { return &Node{parts: parts} }

// opt is a sequence that may be left out.
func opt(parts ...any) *Node { return &Node{parts: parts, fate: &Fate{}} }

// linked is a sequence that goes when others of the same fate go.
func linked(f *Fate, parts ...any) *Node { return &Node{parts: parts, fate: f} }

// either is a node with simpler ones that may stand in its place.
func either(n *Node, simpler ...*Node) *Node {
	return &Node{parts: []any{n}, or: simpler}
}

// list separates its items; each may be left out as long as min stay.
func list(sep string, min int, items ...*Node) *Node {
	n := &Node{list: true, sep: sep, min: min}
	for _, i := range items {
		if i.fate == nil {
			i = &Node{parts: []any{i}, fate: &Fate{}}
		}
		n.parts = append(n.parts, i)
	}
	return n
}

// clause is prefix and a list, and nothing at all when the list is empty.
func clause(prefix, sep string, items ...*Node) *Node {
	n := list(sep, 0, items...)
	n.prefix = prefix
	return n
}

// literal is a value that is written as 'value'::type, or sent as a parameter.
func literal(typ, value string) *Node { return &Node{value: value, typ: typ} }

// Text is a tree written out.
type Text struct {
	strings.Builder
	Parameters bool     // literals become $1, $2, ..
	Values     []string // their values; nothing stands for NULL
}

// maxParameters bounds how many literals of a text become parameters.
const maxParameters = 6

func (t *Text) node(n *Node) {
	if n.fate != nil && n.fate.gone {
		return
	}
	if n.pick > 0 {
		t.node(n.or[n.pick-1])
		return
	}
	if n.typ != "" {
		t.literal(n)
		return
	}
	first := true
	for _, p := range n.parts {
		c, ok := p.(*Node)
		if ok && c.fate != nil && c.fate.gone {
			continue
		}
		if first {
			t.WriteString(n.prefix)
		} else if n.list {
			t.WriteString(n.sep)
		}
		first = false
		if ok {
			t.node(c)
		} else {
			t.WriteString(p.(string))
		}
	}
}

func (t *Text) literal(n *Node) {
	switch {
	case t.Parameters && len(t.Values) < maxParameters:
		t.Values = append(t.Values, n.value)
		fmt.Fprintf(t, "$%d::%s", len(t.Values), n.typ)
	case n.value == nothing:
		fmt.Fprintf(t, "NULL::%s", n.typ)
	case plainNumber(n):
		t.WriteString(n.value)
	default:
		fmt.Fprintf(t, "%s::%s", quoteLiteral(n.value), n.typ)
	}
}

// plainNumber: as a person would write it.
func plainNumber(n *Node) bool {
	return n.typ == "int" && !strings.HasPrefix(n.value, "-")
}

// SQL writes the tree with its literals in it.
func (n *Node) SQL() string {
	var t Text
	t.node(n)
	return t.String()
}

// left counts the parts of a list that are still there.
func (n *Node) left() int {
	count := 0
	for _, p := range n.parts {
		if c, ok := p.(*Node); !ok || c.fate == nil || !c.fate.gone {
			count++
		}
	}
	return count
}

// quoteLiteral writes a string constant. Backslashes mean nothing in it.
func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// quoteName writes an identifier, with quotes where it needs them.
func quoteName(s string) string {
	plain := s != "" && !reserved[s]
	for i, c := range s {
		if !(c == '_' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9') {
			plain = false
		}
	}
	if plain {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// reserved are the keywords that the generator uses as names.
var reserved = map[string]bool{"order": true, "user": true, "select": true, "group": true, "table": true}
