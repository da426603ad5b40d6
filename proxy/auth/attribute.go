package auth

import (
	"fmt"
	"strings"
)

// attributes reads the "name=value" pairs of a SCRAM message from the front. Details of errors are PostgreSQL's, from
// read_attr_value and read_any_attr in its auth-scram.c. The message has no NUL byte, so 0 stands for its end, as in C.
type attributes struct{ rest string }

func (a *attributes) peek() byte {
	if a.rest == "" {
		return 0
	}
	return a.rest[0]
}

func (a *attributes) skip() { a.rest = a.rest[1:] }

// value reads the attribute that must come next.
func (a *attributes) value(name byte) (string, error) {
	if a.peek() != name {
		return "", malformed("Expected attribute \"%c\" but found \"%s\".", name, shown(a.peek()))
	}
	return a.afterName()
}

// next reads whatever attribute comes next.
func (a *attributes) next() (name byte, value string, err error) {
	name = a.peek()
	switch {
	case name == 0:
		return 0, "", malformed("Attribute expected, but found end of string.")
	case (name|0x20) < 'a' || (name|0x20) > 'z':
		return 0, "", malformed("Attribute expected, but found invalid character \"%s\".", shown(name))
	}
	value, err = a.afterName()
	return name, value, err
}

// afterName reads "=value" and the comma behind it, if any.
func (a *attributes) afterName() (string, error) {
	name := a.peek()
	a.skip()
	if a.peek() != '=' {
		return "", malformed("Expected character \"=\" for attribute \"%c\".", name)
	}
	a.skip()
	var value string
	value, a.rest, _ = strings.Cut(a.rest, ",")
	return value, nil
}

// checkText refuses what C would not read as one string.
func checkText(message []byte) error {
	switch {
	case len(message) == 0:
		return malformed("The message is empty.")
	case strings.IndexByte(string(message), 0) >= 0:
		return malformed("Message length does not match input length.")
	}
	return nil
}

// shown is a byte as PostgreSQL's sanitize_char shows it.
func shown(c byte) string {
	if printable(c) {
		return fmt.Sprintf("'%c'", c)
	}
	return fmt.Sprintf("0x%02x", c)
}

// shownText is text from a peer as PostgreSQL's sanitize_str shows it: 30 characters at most.
func shownText(text string) string {
	shown := []byte(text[:min(len(text), 30)])
	for i, c := range shown {
		if !printable(c) {
			shown[i] = '?'
		}
	}
	return string(shown)
}

func printable(c byte) bool { return c >= 0x21 && c <= 0x7e }

// isNonce reports whether text is RFC 5802's "printable": no comma, no space, only ASCII.
func isNonce(text string) bool {
	for i := range len(text) {
		if !printable(text[i]) || text[i] == ',' {
			return false
		}
	}
	return true
}
