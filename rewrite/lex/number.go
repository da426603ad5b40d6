package lex

import (
	"math"
	"strings"
)

const junk = "trailing junk after numeric literal"

// number returns the end and kind of the number at i, which is a digit, or a
// dot with a digit behind it. Whole numbers above 2147483647 are Float, as the
// server hands them to its grammar.
func number(sql string, i int) (end int, kind Kind, fault *Error) {
	start := i
	if sql[i] == '0' && i+1 < len(sql) {
		switch lower(sql[i+1]) {
		case 'x':
			return prefixedInteger(sql, i, 16, "invalid hexadecimal integer")
		case 'o':
			return prefixedInteger(sql, i, 8, "invalid octal integer")
		case 'b':
			return prefixedInteger(sql, i, 2, "invalid binary integer")
		}
	}

	i, value := digits(sql, i, 10, false)
	kind = integerKind(value)
	if i < len(sql) && sql[i] == '.' {
		// 1..10 is a range of integers. 1_0..20 is not: version 16's rule for
		// ranges knows no underscores, and reads 1_0. and .20 instead.
		if i > start && i+1 < len(sql) && sql[i+1] == '.' && strings.IndexByte(sql[start:i], '_') < 0 {
			return i, kind, nil
		}
		i, _ = digits(sql, i+1, 10, false)
		kind = Float
	}
	if i < len(sql) && lower(sql[i]) == 'e' {
		e := i + 1
		if e < len(sql) && (sql[e] == '+' || sql[e] == '-') {
			e++
		}
		if !digit.at(sql, e) {
			return e, kind, &Error{start, junk}
		}
		i, _ = digits(sql, e, 10, false)
		kind = Float
	}
	if identStart.at(sql, i) {
		return i, kind, &Error{start, junk}
	}
	return i, kind, nil
}

// prefixedInteger is number for 0x1F, 0o17 and 0b11.
func prefixedInteger(sql string, start int, base uint64, empty string) (end int, kind Kind, fault *Error) {
	end, value := digits(sql, start+2, base, true)
	switch {
	case end == start+2:
		return end, Integer, &Error{start, empty}
	case identStart.at(sql, end):
		return end, Integer, &Error{start, junk}
	}
	return end, integerKind(value), nil
}

// digits reads digits of base from i on. One underscore may stand between two
// of them, and before the first where lead is set. value stops counting once
// it is too large for an Integer.
func digits(sql string, i int, base uint64, lead bool) (end int, value uint64) {
	for first := i; ; {
		d := i
		if d < len(sql) && sql[d] == '_' && (lead || d > first) {
			d++
		}
		if !hexDigit.at(sql, d) {
			return i, value
		}
		v := uint64(lower(sql[d]) - '0')
		if v > 9 {
			v = uint64(lower(sql[d])-'a') + 10
		}
		if v >= base {
			return i, value
		}
		if value <= math.MaxInt32 {
			value = value*base + v
		}
		i = d + 1
	}
}

func integerKind(value uint64) Kind {
	if value > math.MaxInt32 {
		return Float
	}
	return Integer
}
