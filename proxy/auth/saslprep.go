package auth

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// refusedRanges are the code points that SASLprep does not take.
//
//go:embed saslprep.txt
var refusedRanges string

// saslprep makes different ways to type the same password one: RFC 4013. As PostgreSQL and libpq do, it leaves a password
// alone that is not UTF-8 or has characters that RFC 4013 prohibits. They look for those before normalization, not after,
// so this does too: the salted result must be theirs.
//
// It is not PRECIS (RFC 8265), which drivers use instead at times: that one normalizes to NFC, and has other keys for
// "Ⅸ" or a no-break space.
func saslprep(password string) string {
	if isASCII(password) || !utf8.ValidString(password) {
		return password
	}
	mapped := strings.Map(mapOne, password)
	if mapped == "" || strings.ContainsFunc(mapped, refused) || !oneDirection(mapped) {
		return password
	}
	return norm.NFKC.String(mapped)
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// mapOne makes all spaces the same (RFC 3454, table C.1.2) and drops what is commonly mapped to nothing (table B.1).
func mapOne(r rune) rune {
	switch {
	case r == 0xa0, r == 0x1680, r >= 0x2000 && r <= 0x200b, r == 0x202f, r == 0x205f, r == 0x3000:
		return ' '
	case r == 0xad, r == 0x34f, r == 0x1806, r >= 0x180b && r <= 0x180d, r >= 0x200c && r <= 0x200d,
		r == 0x2060, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff:
		return -1
	}
	return r
}

// oneDirection is RFC 3454, section 6: text with right-to-left letters begins and ends with one, and has no others.
func oneDirection(text string) bool {
	rightToLeft := func(r rune) bool { c := class(r); return c == bidi.R || c == bidi.AL }
	if !strings.ContainsFunc(text, rightToLeft) {
		return true
	}
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	leftToRight := func(r rune) bool { return class(r) == bidi.L }
	return rightToLeft(first) && rightToLeft(last) && !strings.ContainsFunc(text, leftToRight)
}

func class(r rune) bidi.Class {
	p, _ := bidi.LookupRune(r)
	return p.Class()
}

type runeRange struct{ low, high rune }

func refused(r rune) bool {
	_, found := slices.BinarySearchFunc(refusedTable(), r, func(in runeRange, r rune) int {
		switch {
		case in.high < r:
			return -1
		case in.low > r:
			return 1
		}
		return 0
	})
	return found
}

var refusedTable = sync.OnceValue(func() []runeRange { return parseRanges(refusedRanges) })

// parseRanges reads lines of hexadecimal code points and ranges of them, in order. Lines that begin with # are not looked at.
func parseRanges(text string) []runeRange {
	var ranges []runeRange
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			var in runeRange
			if n, _ := fmt.Sscanf(word, "%x-%x", &in.low, &in.high); n == 1 {
				in.high = in.low
			}
			ranges = append(ranges, in)
		}
	}
	return ranges
}
