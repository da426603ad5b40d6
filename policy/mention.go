package policy

import (
	"slices"
	"strings"
)

// NamedIn lists the protected tables whose bare names, or those of what shows
// them, stand as words in a text, whatever their case. Names that are put
// together from pieces are not found.
func (s *Set) NamedIn(text string) []*Table {
	var list []*Table
	lower := strings.ToLower(text)
	add := func(name string, t *Table) {
		if hasWord(lower, mention(name)) && !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	for n, t := range s.tables {
		add(n.Relation, t)
	}
	for n, i := range s.indirect {
		add(n.Relation, i.Over)
	}
	slices.SortFunc(list, func(a, b *Table) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// Foreign reports whether something protected has a name that is not ASCII: in
// another encoding than UTF-8 text that mentions it looks otherwise.
func (s *Set) Foreign() bool {
	for _, m := range s.mentions {
		for i := range len(m) {
			if m[i] >= 0x80 {
				return true
			}
		}
	}
	return false
}

// mention is a name as lower-cased text has it: in a quoted identifier quotes
// are doubled.
func mention(name string) string { return strings.ToLower(strings.ReplaceAll(name, `"`, `""`)) }

// hasWord reports whether a word stands in a text with no letter, digit, _ or
// $ beside it.
func hasWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		i += at
		at = i + 1
		if end := i + len(word); (i == 0 || !inName(text[i-1])) && (end == len(text) || !inName(text[end])) {
			return true
		}
	}
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}
