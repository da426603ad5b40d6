package lex

import "unicode/utf8"

// utf8Text checks bytes that come one at a time: is this UTF-8 as the server
// accepts it, without NUL? It needs no memory for the text itself. The methods
// that add do nothing on a nil *utf8Text.
type utf8Text struct {
	char [utf8.UTFMax]byte // the character that has begun
	n    int               // how many of its bytes are here
	bad  bool
}

func (t *utf8Text) add(b byte) {
	if t == nil || t.bad {
		return
	}
	if t.n == 0 && b < utf8.RuneSelf {
		t.bad = b == 0
		return
	}
	t.char[t.n] = b
	t.n++
	if !utf8.FullRune(t.char[:t.n]) {
		return
	}
	r, size := utf8.DecodeRune(t.char[:t.n])
	t.bad = r == utf8.RuneError && size <= 1
	t.n = 0
}

func (t *utf8Text) addAll(s string) {
	if t == nil {
		return
	}
	for i := 0; i < len(s); i++ {
		t.add(s[i])
	}
}

func (t *utf8Text) addRune(r rune) {
	if t == nil {
		return
	}
	var buf [utf8.UTFMax]byte
	for _, b := range buf[:utf8.EncodeRune(buf[:], r)] {
		t.add(b)
	}
}

// valid reports whether everything added so far is text that is complete.
func (t *utf8Text) valid() bool { return !t.bad && t.n == 0 }
