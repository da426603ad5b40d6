package lex

// maxOperator is the longest operator the server takes, in bytes: NAMEDATALEN-1.
const maxOperator = 63

// operatorEnd returns where the operator that starts at start ends.
//
// Two rules cut the run of operator bytes short. A comment may start inside
// it: `a+--b` is a plus. And an operator of standard SQL's own characters does
// not end in + or -, so that `a=-1` compares with minus one.
//
// tail is where the bytes end that the second rule cut off: all + and -, each
// of which is a token by itself, for the same rule would cut them one by one.
// Returning them here keeps a long run of them linear.
func operatorEnd(sql string, start int) (end, tail int, fault *Error) {
	signs := start // where the + and - at the end begin
	mayEndInSign := false
	i := start
	for ; operator.at(sql, i); i++ {
		c := sql[i]
		if i > start && i+1 < len(sql) &&
			(c == '-' && sql[i+1] == '-' || c == '/' && sql[i+1] == '*') {
			break
		}
		if c != '+' && c != '-' {
			signs = i + 1
		}
		if nonSQLOp.is(c) {
			mayEndInSign = true
		}
	}
	end, tail = i, i
	if !mayEndInSign {
		end = max(signs, start+1)
	}
	if end-start > maxOperator {
		return end, tail, &Error{start, "operator too long"}
	}
	return end, tail, nil
}

// operatorKind names the operators that scan.l has tokens for.
func operatorKind(op string) Kind {
	switch len(op) {
	case 1:
		switch op[0] {
		case '+', '-', '*', '/', '%', '^', '<', '>', '=':
			return Punct
		}
	case 2:
		switch op {
		case "=>":
			return EqualsGreater
		case "<=":
			return LessEquals
		case ">=":
			return GreaterEquals
		case "<>", "!=":
			return NotEquals
		}
	}
	return Op
}
