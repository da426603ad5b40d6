package rewrite

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"tombstone/rewrite/lex"
)

// A shape is a text's tokens with each literal reduced to its kind. Comments
// and blanks are no part of it. Texts of one shape have one plan, whatever the
// values in them, since a plan's changes stand between tokens.
//
// What a literal's value decides must not be kept by shape: see cacheable.

// Scratch is the memory that a caller of [Cache.Rewrite] keeps between calls.
type Scratch struct {
	toks []lex.Token
	key  []byte
	text string // what toks are the tokens of; "" if they may be of none

	known *knownText // the text planned last, if it was known
}

// Keep returns a copy of sql that may be kept. sql must be the text planned last.
func (s *Scratch) Keep(sql string) string {
	if s.known != nil && s.known.text == sql {
		return s.known.text
	}
	return strings.Clone(sql)
}

// Append appends the text for the server to dst, as [Plan.Append] does, with the
// tokens of the text planned last if sql is that text.
//
// Without the question whether it is, the edits of a text that was planned before a
// prepared statement was looked at again would go where that statement's tokens are.
func (s *Scratch) Append(dst []byte, p *Plan, sql string) []byte {
	if k := s.known; k != nil && k.plan == p && k.text == sql && k.sent != "" {
		return append(dst, k.sent...)
	}
	toks := s.toks
	if sql == "" || s.text != sql {
		toks = nil
	}
	s.text = "" // it need not be kept for long
	return p.Append(dst, sql, toks)
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
	key := append(s.key[:0], env.Key...)
	key = append(key, 0)
	if env.Dirty {
		key = append(key, 1)
	}
	key, ok := appendShape(append(key, 0), sql, s.toks)
	s.key = digest(key)
	return ok
}

func appendShape(key []byte, sql string, toks []lex.Token) ([]byte, bool) {
	for i := range toks {
		k := &toks[i]
		switch k.Kind {
		case lex.Punct:
			key = append(key, sql[k.Start])
		case lex.Ident:
			text := sql[k.Start:k.End]
			key = appendSized(key, keyIdent, text)
			name := key[len(key)-len(text):]
			for j, c := range name {
				if c-'A' < 26 {
					name[j] = c | 0x20 // as the server folds names, and looks up keywords
				}
			}
		case lex.QuotedIdent:
			key = appendSized(key, keyQuoted, sql[k.Start:k.End])
		case lex.UIdent:
			return key, false // a literal may follow that says how to read it
		case lex.String, lex.EString, lex.UString, lex.BitString, lex.HexString, lex.DollarString, lex.Integer, lex.Float, lex.Param:
			key = append(key, keyLiteral+byte(k.Kind))
		default:
			key = appendSized(key, keyOp, sql[k.Start:k.End])
		}
	}
	return key, true
}

// longKey is where a key is replaced by its digest, in bytes: a bulk INSERT's
// would be about as long as the INSERT.
const longKey = 8 << 10

// digest returns the key itself, or what stands for a long one. No two keys
// that anybody could find have the same.
func digest(key []byte) []byte {
	if len(key) <= longKey {
		return key
	}
	sum := sha256.Sum256(key)
	return append(key[:0], sum[:]...)
}

// appendSized appends a part of a key with its length before it, so that no
// two sequences of parts have one key.
func appendSized(key []byte, kind byte, text string) []byte {
	if len(text) < 0x80 {
		key = append(key, kind, byte(len(text)))
	} else {
		key = binary.AppendUvarint(append(key, kind), uint64(len(text)))
	}
	return append(key, text...)
}

// cacheable reports whether a plan holds for every text of its shape. Plans
// of utility statements do not: SET, DO, function bodies and the like mean
// what their literals say. Nor do those of texts that call set_config.
func cacheable(p *Plan) bool {
	if p.Stale || p.Unparsed || p.whole || p.literal || p.Changes&^EndsWork != 0 {
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
func (e *Env) ordinary() bool {
	return e.Key != "" && !e.Backslash && (e.Encoding == "" || e.Encoding == "UTF8")
}
