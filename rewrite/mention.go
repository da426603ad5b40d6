package rewrite

import (
	"strings"

	"tombstone/policy"
	"tombstone/rewrite/lex"
)

// mentionsEscaped reports whether text could name something protected by an
// identifier with Unicode escapes: U&"\0075sers", or U&"!0075sers" UESCAPE '!'.
// It errs towards yes.
func mentionsEscaped(sql string, set *policy.Set) bool {
	for i := 0; ; {
		n := strings.Index(sql[i:], `&"`)
		if n < 0 {
			return false
		}
		start := i + n - 1
		i += n + 2
		if start < 0 || sql[start]|0x20 != 'u' {
			continue
		}
		end := strings.IndexByte(sql[i:], '"')
		if end < 0 {
			return true
		}
		content := sql[i : i+end]
		i += end + 1
		if strings.HasPrefix(sql[i:], `"`) {
			return true // a quote in the name: not worth the care
		}
		escape, ok := escapeOf(sql[i:])
		if !ok || set.Named(unescape(content, escape)) {
			return true
		}
	}
}

// escapeOf reads the UESCAPE clause that may follow an identifier. Anything
// but blanks between its words makes it unreadable here.
func escapeOf(after string) (escape byte, ok bool) {
	const word = "uescape"
	rest := strings.TrimLeft(after, " \t\r\n\f")
	switch {
	case strings.HasPrefix(rest, "/*"), strings.HasPrefix(rest, "--"):
		return 0, false
	case len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word):
		return '\\', true
	}
	rest = strings.TrimLeft(rest[len(word):], " \t\r\n\f")
	if len(rest) < 3 || rest[0] != '\'' || rest[2] != '\'' {
		return 0, false
	}
	return rest[1], true
}

// unescape returns the name that an identifier's content stands for.
func unescape(content string, escape byte) string {
	if escape != '\\' {
		content = strings.NewReplacer(string(rune(escape)), `\`, `\`, `\\`).Replace(content)
	}
	text := `U&"` + content + `"`
	return lex.Token{End: int32(len(text)), Kind: lex.UIdent}.Name(text)
}
