package lex_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v5"
	"github.com/pganalyze/pg_query_go/v5/parser"

	"tombstone/rewrite/lex"
)

// The ways in which the two scanners differ, each handled below:
//
//   - pg_query.Scan returns comments as tokens. They are skipped.
//   - It therefore ends a string at a line comment that the server reads over
//     ('a' -- note, newline, 'b'). asServer takes such comments out first.
//   - It returns a keyword's own token where we say Ident, and NCHAR for the N
//     of N'..'. The grammar needs that, the shape of a statement does not.
//   - Its End of U& tokens is wrong (it takes the length of the scanner's last
//     match: nothing, or the closing quote). checkUnicodeEnd checks ours.
//   - It returns no tokens at all with an error. The tokens before the error
//     are compared with those of the text up to there.
//   - Errors about the encoding have no position in it.
//   - NUL bytes end its text. They are an error here.

const maxText = 64 << 10

// errSkip says that a text cannot be compared.
var errSkip = errors.New("not a text for pg_query")

// compare returns how lex.Scan and pg_query.Scan differ.
func compare(sql string) error {
	if len(sql) >= maxText || strings.IndexByte(sql, 0) >= 0 || !utf8.ValidString(sql) {
		return errSkip
	}
	view, ok := asServer(sql)
	if !ok {
		return errSkip
	}
	got, err := lex.Scan(nil, sql)
	want, wantErr := pg_query.Scan(view)
	if (err != nil) != (wantErr != nil) {
		return fmt.Errorf("%q: got %v, pg_query says %v", sql, err, wantErr)
	}
	if err != nil {
		var mine *lex.Error
		if !errors.As(err, &mine) {
			return fmt.Errorf("%q: error of type %T", sql, err)
		}
		message, offset, err := fault(view, wantErr)
		if err != nil {
			return err
		}
		if offset < 0 {
			offset = mine.Offset
		}
		if !strings.HasPrefix(message, mine.Message) || mine.Offset != offset {
			return fmt.Errorf("%q: got %q at %d, pg_query says %q at %d", sql, mine.Message, mine.Offset, message, offset)
		}
		if strings.Contains(mine.Message, "Unicode") {
			return nil // the position is inside the token
		}
		if want, err = pg_query.Scan(view[:offset]); err != nil {
			return fmt.Errorf("%q: the text before %d: %v", sql, offset, err)
		}
	}

	var theirs []*pg_query.ScanToken
	for _, tok := range want.Tokens {
		if !comment(tok) {
			theirs = append(theirs, tok)
		}
	}
	if len(got) != len(theirs) {
		return fmt.Errorf("%q: got %d tokens, pg_query has %d: %v", sql, len(got), len(theirs), theirs)
	}
	for i, tok := range got {
		their := theirs[i]
		unicode := tok.Kind == lex.UIdent || tok.Kind == lex.UString
		if tok.Start != their.Start || tok.Kind != kindOf(sql, their) || tok.End != their.End && !unicode {
			return fmt.Errorf("%q: token %d is %v, pg_query has %v", sql, i, tok, their)
		}
		if unicode {
			if err := checkUnicodeEnd(view, tok); err != nil {
				return err
			}
		}
	}
	return nil
}

// kindOf says which Kind a token of pg_query is.
func kindOf(sql string, tok *pg_query.ScanToken) lex.Kind {
	first := sql[tok.Start]
	switch tok.Token {
	case pg_query.Token_IDENT:
		if first == '"' {
			return lex.QuotedIdent
		}
		return lex.Ident
	case pg_query.Token_SCONST:
		switch first {
		case '$':
			return lex.DollarString
		case 'e', 'E':
			return lex.EString
		}
		return lex.String
	case pg_query.Token_UIDENT:
		return lex.UIdent
	case pg_query.Token_USCONST:
		return lex.UString
	case pg_query.Token_BCONST:
		return lex.BitString
	case pg_query.Token_XCONST:
		return lex.HexString
	case pg_query.Token_ICONST:
		return lex.Integer
	case pg_query.Token_FCONST:
		return lex.Float
	case pg_query.Token_PARAM:
		return lex.Param
	case pg_query.Token_Op:
		return lex.Op
	case pg_query.Token_TYPECAST:
		return lex.Typecast
	case pg_query.Token_DOT_DOT:
		return lex.DotDot
	case pg_query.Token_COLON_EQUALS:
		return lex.ColonEquals
	case pg_query.Token_EQUALS_GREATER:
		return lex.EqualsGreater
	case pg_query.Token_LESS_EQUALS:
		return lex.LessEquals
	case pg_query.Token_GREATER_EQUALS:
		return lex.GreaterEquals
	case pg_query.Token_NOT_EQUALS:
		return lex.NotEquals
	}
	switch {
	case tok.KeywordKind != pg_query.KeywordKind_NO_KEYWORD:
		return lex.Ident
	case strings.IndexByte(",()[].;:+-*/%^<>=", first) >= 0:
		return lex.Punct
	}
	return lex.Other
}

// checkUnicodeEnd checks where a U& token ends: with its last byte it must be
// one token, without it not.
func checkUnicodeEnd(sql string, tok lex.Token) error {
	text := tok.Text(sql)
	whole, err := pg_query.Scan(text)
	if err != nil || len(whole.Tokens) != 1 {
		return fmt.Errorf("%q: %q is not one token of pg_query: %v, %v", sql, text, whole, err)
	}
	if part, err := pg_query.Scan(text[:len(text)-1]); err == nil && len(part.Tokens) == 1 &&
		part.Tokens[0].Token == whole.Tokens[0].Token {
		return fmt.Errorf("%q: pg_query needs less than %q", sql, text)
	}
	return nil
}

// asServer overwrites each line comment behind a string with blanks, so that
// pg_query.Scan continues the string where the server does. A string read
// otherwise changes all that follows, hence one comment at a time.
func asServer(sql string) (view string, ok bool) {
	for {
		result, err := pg_query.Scan(sql)
		if err != nil {
			var e *parser.Error
			if !errors.As(err, &e) {
				return sql, false
			}
			if e.Cursorpos <= 0 {
				// No way to tell which tokens come before the bad one.
				return sql, !strings.Contains(sql, "--")
			}
			if result, err = pg_query.Scan(sql[:byteOffset(sql, e.Cursorpos)]); err != nil {
				return sql, true
			}
		}
		found := false
		for i, tok := range result.Tokens {
			if tok.Token == pg_query.Token_SQL_COMMENT && i > 0 && text(result.Tokens[i-1]) {
				blank := strings.Repeat(" ", int(tok.End-tok.Start))
				sql = sql[:tok.Start] + blank + sql[tok.End:]
				found = true
				break
			}
		}
		if !found {
			return sql, true
		}
	}
}

func text(tok *pg_query.ScanToken) bool {
	switch tok.Token {
	case pg_query.Token_SCONST, pg_query.Token_USCONST, pg_query.Token_BCONST, pg_query.Token_XCONST:
		return true
	}
	return false
}

func comment(tok *pg_query.ScanToken) bool {
	return tok.Token == pg_query.Token_SQL_COMMENT || tok.Token == pg_query.Token_C_COMMENT
}

// fault returns pg_query's message and byte offset, -1 if it has none.
func fault(sql string, scanErr error) (message string, offset int, err error) {
	var e *parser.Error
	if !errors.As(scanErr, &e) {
		return "", 0, fmt.Errorf("%q: pg_query's error is a %T", sql, scanErr)
	}
	if e.Cursorpos <= 0 {
		return e.Message, -1, nil
	}
	return e.Message, byteOffset(sql, e.Cursorpos), nil
}

// byteOffset turns a position in characters from 1 into bytes from 0.
func byteOffset(sql string, position int) int {
	for i := range sql {
		if position--; position == 0 {
			return i
		}
	}
	return len(sql)
}

func TestAgreesWithParser(t *testing.T) {
	for _, sql := range seeds {
		if err := compare(sql); err != nil {
			t.Error(err)
		}
	}
}

// What stands next to what decides most rules, so try every pair of pieces,
// and every three of those that the rules look ahead for.
func TestAgreesOnPieces(t *testing.T) {
	for _, a := range pieces {
		for _, b := range pieces {
			if err := compare(a + b); err != nil && err != errSkip {
				t.Error(err)
			}
		}
	}
	ahead := pieces[:lookahead]
	for _, a := range ahead {
		for _, b := range ahead {
			for _, c := range ahead {
				if err := compare(a + b + c); err != nil && err != errSkip {
					t.Error(err)
				}
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, sql := range seeds {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		switch err := compare(sql); err {
		case nil:
		case errSkip:
			t.Skip(err)
		default:
			t.Fatal(err)
		}
	})
}

// FuzzName asks the parser what it reads an identifier as.
func FuzzName(f *testing.F) {
	for _, name := range []string{
		"users", "Users", "ÉTÉ", `"Users"`, `"a""b"`, `""""`, "select", strings.Repeat("aÉ", 40),
		`"` + strings.Repeat(`""é`, 40) + `"`, `U&"d\0061t\+000061"`, `U&"a\\b""c"`, `U&"\d83d\de00"`,
		`U&"` + strings.Repeat(`\00e9`, 40) + `"`, `U&"\d83d\+00de00"`, `U&"\d83d\\de00"`, `U&"\0000"`,
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if len(name) >= maxText || !utf8.ValidString(name) {
			t.Skip("not a text for pg_query")
		}
		tokens, err := lex.Scan(nil, name)
		if err != nil || len(tokens) != 1 {
			t.Skip("not one token")
		}
		switch tokens[0].Kind {
		case lex.Ident, lex.QuotedIdent, lex.UIdent:
		default:
			t.Skip("not an identifier")
		}
		tree, err := pg_query.Parse("SELECT 1 AS " + tokens[0].Text(name))
		if err != nil {
			t.Skip("no name for the parser either")
		}
		want := tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Name
		if got := tokens[0].Name(name); got != want {
			t.Fatalf("%q: got %q, the parser reads %q", name, got, want)
		}
	})
}
