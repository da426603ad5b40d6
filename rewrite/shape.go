package rewrite

import (
	"encoding/binary"
	"unicode/utf8"

	"tombstone/rewrite/lex"
)

// A shape is a text's tokens with each literal reduced to its kind. Comments
// and blanks are no part of it. Texts of one shape have one plan, whatever the
// values in them, since a plan's changes stand between tokens.
//
// What a literal's value decides must not be kept by shape: see cacheable.

// Scratch is the memory that a caller of [Cache.Rewrite] keeps between calls.
type Scratch struct {
	toks  []lex.Token
	key   []byte
	valid bool // toks are those of the text planned last
}

// Tokens returns the tokens of the text planned last, or nil.
func (s *Scratch) Tokens() []lex.Token {
	if !s.valid {
		return nil
	}
	return s.toks
}

// Bytes that begin a part of a key. Punctuation stands for itself, so they
// are not printable.
const (
	keyIdent   = 0x01
	keyQuoted  = 0x02
	keyOp      = 0x03
	keyLiteral = 0x80 // plus lex.Kind
)

// shape writes the key under which a plan for sql may be kept: all that the
// plan depends on. It reports false where there is no such key.
func (s *Scratch) shape(sql string, env *Env) bool {
	s.key = append(s.key[:0], env.Key...)
	s.key = append(s.key, 0)
	if env.Dirty {
		s.key = append(s.key, 1)
	}
	s.key = append(s.key, 0)
	for i := range s.toks {
		k := &s.toks[i]
		text := sql[k.Start:k.End]
		switch k.Kind {
		case lex.Punct:
			s.key = append(s.key, text[0])
		case lex.Ident:
			s.key = append(s.key, keyIdent)
			s.key = binary.AppendUvarint(s.key, uint64(len(text)))
			for j := range len(text) {
				c := text[j]
				if c >= 'A' && c <= 'Z' {
					c |= 0x20 // as the server folds names, and looks up keywords
				}
				s.key = append(s.key, c)
			}
		case lex.QuotedIdent:
			s.key = append(s.key, keyQuoted)
			s.key = binary.AppendUvarint(s.key, uint64(len(text)))
			s.key = append(s.key, text...)
		case lex.UIdent:
			return false // a literal may follow that says how to read it
		case lex.String, lex.EString, lex.UString, lex.BitString, lex.HexString, lex.DollarString, lex.Integer, lex.Float, lex.Param:
			s.key = append(s.key, keyLiteral+byte(k.Kind))
		default:
			s.key = append(s.key, keyOp)
			s.key = binary.AppendUvarint(s.key, uint64(len(text)))
			s.key = append(s.key, text...)
		}
	}
	return true
}

// cacheable reports whether a plan holds for every text of its shape. Plans
// of utility statements do not: SET, DO, function bodies and the like mean
// what their literals say. Nor do those of texts that call set_config.
func cacheable(p *Plan) bool {
	if p.Stale || p.Unparsed || p.whole || p.Changes&^EndsWork != 0 {
		return false
	}
	for i := range p.Stmts {
		switch p.Stmts[i].Kind {
		case "select", "insert", "update", "delete", "merge", "begin", "transaction":
		default:
			return false
		}
	}
	return true
}

// ordinary reports whether the server reads text as our lexer does, and names
// are known: otherwise each text is looked at by itself.
func (e *Env) ordinary(sql string) bool {
	return e.Key != "" && !e.Stale && !e.Backslash && (e.Encoding == "" || e.Encoding == "UTF8") && utf8.ValidString(sql)
}
