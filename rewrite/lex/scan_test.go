package lex

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// show writes tokens as `Kind text`, one space between tokens and a bar.
func show(sql string, tokens []Token) string {
	var parts []string
	for _, t := range tokens {
		parts = append(parts, t.Kind.String()+" "+t.Text(sql))
	}
	return strings.Join(parts, " | ")
}

func TestScan(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"", ""},
		{" \t\r\n\f", ""},
		{"select A.b, $1", "Ident select | Ident A | Punct . | Ident b | Punct , | Param $1"},
		{"été_1$x", "Ident été_1$x"},
		{`"a""b" U&"d\0061" u & "x"`, `QuotedIdent "a""b" | UIdent U&"d\0061" | Ident u | Op & | QuotedIdent "x"`},

		// Comments.
		{"a--b\nc", "Ident a | Ident c"},
		{"a--b\rc", "Ident a | Ident c"},
		{"a--b", "Ident a"},
		{"a/*b/*c*/d*/e", "Ident a | Ident e"},
		{"/***/a/**/b", "Ident a | Ident b"},

		// Strings.
		{"'a''b'", "String 'a''b'"},
		{`'a\'`, `String 'a\'`},
		{"'a'\n 'b'", "String 'a'\n 'b'"},
		{"'a' \t\r'b'", "String 'a' \t\r'b'"},
		{"'a' 'b'", "String 'a' | String 'b'"},
		{"'a' -- x\n 'b'", "String 'a' -- x\n 'b'"},
		{"'a'\n-- x\n--y\r'b'", "String 'a'\n-- x\n--y\r'b'"},
		{"'a'\n-- x 'b'", "String 'a'"},
		{"'a'\n-'b'", "String 'a' | Punct - | String 'b'"},
		{"'a'\n/**/'b'", "String 'a' | String 'b'"},
		{`E'a\'b' e'\\'`, `EString E'a\'b' | EString e'\\'`},
		{"E'a'\n'\\'b'", "EString E'a'\n'\\'b'"},
		{`E'\u00e9\xc3\xa9\303\251\ud83d\ude00'`, `EString E'\u00e9\xc3\xa9\303\251\ud83d\ude00'`},
		{"E'\\xc3'\n'\\xa9'", "EString E'\\xc3'\n'\\xa9'"},
		{"n'a' N'b'", "Ident n | String 'a' | Ident N | String 'b'"},
		{"b'1' B'0''1' x'F'\n'0'", "BitString b'1' | BitString B'0' | String '1' | HexString x'F'\n'0'"},
		{`U&'\0061'  UESCAPE '!'`, `UString U&'\0061' | Ident UESCAPE | String '!'`},
		{"$$a'b$$ $x$ $$ $y$ $x$", "DollarString $$a'b$$ | DollarString $x$ $$ $y$ $x$"},
		{"$a$$a$a$", "DollarString $a$$a$ | Ident a$"},
		{"a$b$ $é$x$é$", "Ident a$b$ | DollarString $é$x$é$"},
		{"$ $a", "Other $ | Other $ | Ident a"},
		{"$12 $1abc $1$$x$$", "Param $12 | Param $1 | Ident abc | Param $1 | DollarString $$x$$"},

		// Numbers.
		{"1 1.5 .5 1. 1e10 1.e-5 .5E+1", "Integer 1 | Float 1.5 | Float .5 | Float 1. | Float 1e10 | Float 1.e-5 | Float .5E+1"},
		{"1..10", "Integer 1 | DotDot .. | Integer 10"},
		{"1_0..20", "Float 1_0. | Float .20"},
		{"1...5", "Integer 1 | DotDot .. | Float .5"},
		{"1.2.3", "Float 1.2 | Float .3"},
		{"0x1F 0O17 0b1_1 0x_f", "Integer 0x1F | Integer 0O17 | Integer 0b1_1 | Integer 0x_f"},
		{"1_000 1_0.0_1 1e1_0", "Integer 1_000 | Float 1_0.0_1 | Float 1e1_0"},
		{"2147483647 2147483648 0x7fffffff 0x80000000", "Integer 2147483647 | Float 2147483648 | Integer 0x7fffffff | Float 0x80000000"},
		{"0000000000000000000001", "Integer 0000000000000000000001"},
		{"99999999999999999999999999", "Float 99999999999999999999999999"},
		{"0b12", "Integer 0b1 | Integer 2"},
		{"1$1", "Integer 1 | Param $1"},

		// Operators.
		{"a::b:=c:d", "Ident a | Typecast :: | Ident b | ColonEquals := | Ident c | Punct : | Ident d"},
		{"=> <= >= <> != ==", "EqualsGreater => | LessEquals <= | GreaterEquals >= | NotEquals <> | NotEquals != | Op =="},
		{"|| @> ->> ~ & | ` ? # ! @", "Op || | Op @> | Op ->> | Op ~ | Op & | Op | | Op ` | Op ? | Op # | Op ! | Op @"},
		{"+-*/%^<>=", "Op +-*/%^<>="},
		{"a=-1", "Ident a | Punct = | Punct - | Integer 1"},
		{"@-1 a<=-1 <>+", "Op @- | Integer 1 | Ident a | LessEquals <= | Punct - | Integer 1 | NotEquals <> | Punct +"},
		{"+-+*-+", "Op +-+* | Punct - | Punct +"},
		{"+--x\n-/*x*/+", "Punct + | Punct - | Punct +"},
		{"*/*x*/", "Punct *"},
		{"@-/**/ =>--", "Op @- | EqualsGreater =>"},
		{"()[],;.", "Punct ( | Punct ) | Punct [ | Punct ] | Punct , | Punct ; | Punct ."},
		{strings.Repeat("*", 63), "Op " + strings.Repeat("*", 63)},
		{strings.Repeat("*", 63) + "+", "Op " + strings.Repeat("*", 63) + " | Punct +"},

		// Bytes without a rule.
		{"{}\\\v\x01\x7f", "Other { | Other } | Other \\ | Other \v | Other \x01 | Other \x7f"},
	}
	for _, tt := range tests {
		tokens, err := Scan(nil, tt.sql)
		if err != nil {
			t.Errorf("%q: %v", tt.sql, err)
		}
		if got := show(tt.sql, tokens); got != tt.want {
			t.Errorf("%q:\ngot  %s\nwant %s", tt.sql, got, tt.want)
		}
	}
}

func TestScanErrors(t *testing.T) {
	tests := []struct {
		sql    string
		tokens int // before the error
		offset int
		want   string
	}{
		{"a 'b", 1, 2, "unterminated quoted string"},
		{"E'\\'", 0, 0, "unterminated quoted string"},
		{"E'\\", 0, 0, "unterminated quoted string"},
		{"U&'", 0, 0, "unterminated quoted string"},
		{"N'a", 1, 1, "unterminated quoted string"},
		{"B'0", 0, 0, "unterminated bit string literal"},
		{"X'0'\n'", 0, 0, "unterminated hexadecimal string literal"},
		{"$a$ $b$", 0, 0, "unterminated dollar-quoted string"},
		{"$$$", 0, 0, "unterminated dollar-quoted string"},
		{`"a`, 0, 0, "unterminated quoted identifier"},
		{`"""`, 0, 0, "unterminated quoted identifier"},
		{`a.""`, 2, 2, "zero-length delimited identifier"},
		{`U&""`, 0, 0, "zero-length delimited identifier"},
		{"a /* /* */ b", 1, 2, "unterminated /* comment"},
		{"/*/", 0, 0, "unterminated /* comment"},
		{"/*", 0, 0, "unterminated /* comment"},
		{"a 1x", 1, 2, junk},
		{"1é", 0, 0, junk},
		{"1_", 0, 0, junk},
		{"1__0", 0, 0, junk},
		{"1._5", 0, 0, junk},
		{"1e", 0, 0, junk},
		{"1e+", 0, 0, junk},
		{"1e5_", 0, 0, junk},
		{"00x1", 0, 0, junk},
		{"0x1_", 0, 0, junk},
		{"0x", 0, 0, "invalid hexadecimal integer"},
		{"0o8", 0, 0, "invalid octal integer"},
		{"0b_2", 0, 0, "invalid binary integer"},
		{strings.Repeat("*", 64), 0, 0, "operator too long"},
		{`E'\xff'`, 0, 0, badUTF8},
		{`E'\xed\xa0\x80'`, 0, 0, badUTF8},
		{`E'\303'`, 0, 0, badUTF8},
		{`E'\0'`, 0, 0, badUTF8},
		{`E'\400'`, 0, 0, badUTF8},
		{`E'\303\u00e9'`, 0, 0, badUTF8},
		{`E'a\u00'`, 0, 3, badEscape},
		{`E'\U0000000'`, 0, 2, badEscape},
		{`E'\u0000'`, 0, 2, badValue},
		{`E'\U00110000'`, 0, 2, badValue},
		{`E'\ude00'`, 0, 2, badPair},
		{`E'\ud83d'`, 0, 8, badPair},
		{`E'\ud83d\u0041'`, 0, 8, badPair},
		{`E'\ud83d`, 0, 8, badPair},
		{"a b\x00c", 2, 3, "statement contains a NUL byte"},
		{"a 'b\x00'", 1, 4, "statement contains a NUL byte"},
	}
	for _, tt := range tests {
		tokens, err := Scan(nil, tt.sql)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: no error, want %q", tt.sql, tt.want)
			continue
		}
		if e.Message != tt.want || e.Offset != tt.offset || len(tokens) != tt.tokens {
			t.Errorf("%q: got %q at %d after %d tokens, want %q at %d after %d",
				tt.sql, e.Message, e.Offset, len(tokens), tt.want, tt.offset, tt.tokens)
		}
	}
}

func TestScanAppends(t *testing.T) {
	dst, err := Scan(nil, "a b")
	if err != nil {
		t.Fatal(err)
	}
	if dst, err = Scan(dst, "c"); err != nil || len(dst) != 3 {
		t.Fatalf("got %d tokens, %v; want 3", len(dst), err)
	}
	sql := "SELECT a, 'it''s', E'x\\n', $1 /* c */ FROM \"T\" WHERE b >= 1.5 -- end"
	dst = make([]Token, 0, 64)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := Scan(dst, sql); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations with a preallocated slice, want 0", n)
	}
}

// Texts made to be slow. In quadratic time one of them takes minutes, so that
// go test ends the run.
func TestScanIsLinear(t *testing.T) {
	const n = 1 << 20
	for _, unit := range []string{
		"+", "+-", "-+", "=+", "/", "*", "$", "$a", "$a$b", "'", "'\n", "'a'\n--x\n", "E'\\'", "\"",
		"/*", "*/", "1", "1_", "0x1", ".", "..", "1..", ":", "U&", "U&'", "\\", "\n", "é", "@-", "{",
	} {
		sql := strings.Repeat(unit, n/len(unit))
		tokens, _ := Scan(nil, sql)
		end := int32(0)
		for _, tok := range tokens {
			if tok.Start < end || tok.End <= tok.Start {
				t.Errorf("%q..: token %v after offset %d", unit, tok, end)
				break
			}
			end = tok.End
		}
	}
}

func TestIs(t *testing.T) {
	tests := []struct {
		sql, word string
		want      bool
	}{
		{"DeLeTe", "delete", true},
		{"delet", "delete", false},
		{"deletE_", "delete", false},
		{"@", "`", false},
		{`"delete"`, "delete", false},
		{"'delete'", "delete", false},
		{"İf", "if", false},
	}
	for _, tt := range tests {
		tokens, err := Scan(nil, tt.sql)
		if err != nil || len(tokens) != 1 {
			t.Fatalf("%q: %d tokens, %v", tt.sql, len(tokens), err)
		}
		if got := tokens[0].Is(tt.sql, tt.word); got != tt.want {
			t.Errorf("%q is %q: %v, want %v", tt.sql, tt.word, got, tt.want)
		}
	}
}

func TestName(t *testing.T) {
	long := strings.Repeat("a", 62)
	tests := []struct{ sql, want string }{
		{"users", "users"},
		{"Users", "users"},
		{"ÉTÉ", "ÉtÉ"},
		{`"Users"`, "Users"},
		{`"a""b"`, `a"b`},
		{`""""`, `"`},
		{`U&"d\0061t\+000061"`, "data"},
		{`U&"a\\b""c"`, `a\b"c`},
		{`U&"\d83d\de00"`, "😀"},
		{`U&"\d83d\+00de00"`, "😀"},
		{`U&"\00"`, `\00`},
		{`U&"\0000"`, `\0000`},
		{`U&"\d83d"`, `\d83d`},
		{`U&"\de00"`, `\de00`},
		{`U&"\+110000"`, `\+110000`},
		{long + "BC", long + "b"},
		{long + "é", long},
		{`"` + long + `""é"`, long + `"`},
		{`U&"` + long + `\00e9"`, long},
		{`U&"` + long + `\0061\0061"`, long + "a"},
		{"'a'", ""},
	}
	for _, tt := range tests {
		tokens, err := Scan(nil, tt.sql)
		if err != nil || len(tokens) != 1 {
			t.Fatalf("%q: %d tokens, %v", tt.sql, len(tokens), err)
		}
		if got := tokens[0].Name(tt.sql); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.sql, got, tt.want)
		}
	}
}

func TestKindString(t *testing.T) {
	if got := fmt.Sprint(Ident, Other, Kind(200)); got != "Ident Other Kind?" {
		t.Errorf("got %q", got)
	}
}
