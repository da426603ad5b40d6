package lex

// skipComment returns where the comment that starts at i ends, and whether
// there is one. A line comment ends before its line break; a /* comment */ may
// hold others.
func skipComment(sql string, i int) (end int, found bool, fault *Error) {
	if i+1 == len(sql) {
		return i, false, nil
	}
	switch {
	case sql[i] == '-' && sql[i+1] == '-':
		return lineEnd(sql, i+2), true, nil
	case sql[i] == '/' && sql[i+1] == '*':
		start, depth := i, 0
		for i+1 < len(sql) {
			switch {
			case sql[i] == '/' && sql[i+1] == '*':
				depth++
				i += 2
			case sql[i] == '*' && sql[i+1] == '/':
				depth--
				i += 2
				if depth == 0 {
					return i, true, nil
				}
			default:
				i++
			}
		}
		return i, true, &Error{start, "unterminated /* comment"}
	}
	return i, false, nil
}

// lineEnd returns the offset of the first line break at or after i, or the end
// of the text. Either of \n and \r is one.
func lineEnd(sql string, i int) int {
	for i < len(sql) && sql[i] != '\n' && sql[i] != '\r' {
		i++
	}
	return i
}
