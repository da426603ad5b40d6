package rewrite

import "tombstone/rewrite/lex"

// maxDepth is how deep a statement's tree may be. The parser is C: it answers
// with an error at 5,000 links of a chain of operators, joins or set
// operations, and overruns its stack, which no recover() can catch, at some
// ten times that. Chains of AND and OR, and lists, are flat and not counted.
const maxDepth = 1500

// maxCopies is how many tokens the parser may make out of copies. For SET (a,
// b) = (..) its tree has what is on the right once for each name on the left,
// so that a kilobyte of nested assignments makes gigabytes.
const maxCopies = 500_000

// copies counts the tokens that the tree would have beyond those of the text.
func (t *text) tooMany() bool {
	weights := []int{1}
	total := 0
	for i := range t.toks {
		weight := weights[len(weights)-1]
		total += weight - 1
		if total > maxCopies {
			return true
		}
		switch {
		case t.is(i, '('):
			if n := t.assigned(i); n > 1 && weight < maxCopies {
				weight *= n
			}
			weights = append(weights, weight)
		case t.is(i, ')') && len(weights) > 1:
			weights = weights[:len(weights)-1]
		case t.is(i, ';'):
			weights = weights[:1]
		}
	}
	return false
}

// assigned returns to how many names the parenthesis at token i is assigned:
// (a, b) = ( or (a, b) = ROW (. It takes comparisons of rows for assignments,
// which errs to the safe side.
func (t *text) assigned(i int) int {
	if t.word(i-1, "row") {
		i--
	}
	if !t.is(i-1, '=') || !t.is(i-2, ')') {
		return 1
	}
	return t.names[i-2]
}

// tooDeep estimates from above the depth of the tree that the tokens would
// make, and reports whether it exceeds maxDepth.
func (t *text) tooDeep() bool {
	type level struct{ ops, joins, sets, sum int }
	stack := make([]level, 1, 32)
	for i := range t.toks {
		top := &stack[len(stack)-1]
		switch k := &t.toks[i]; k.Kind {
		case lex.Punct:
			switch t.sql[k.Start] {
			case '(', '[':
				stack = append(stack, level{sum: top.sum + top.ops + top.joins + top.sets + 1})
				top = &stack[len(stack)-1]
			case ')', ']':
				// What follows stands on what the parentheses held: f(..)(..),
				// x[1][2] and ((a)+b) only add to the level that they are on.
				if len(stack) > 1 {
					stack = stack[:len(stack)-1]
					top = &stack[len(stack)-1]
				}
			case ',':
				top.ops, top.joins = 0, 0
			case ';':
				stack = stack[:1]
				stack[0] = level{}
				top = &stack[0]
			case '.':
			default:
				top.ops++
			}
		case lex.Op, lex.Typecast, lex.LessEquals, lex.GreaterEquals, lex.NotEquals:
			top.ops++
		case lex.Ident:
			switch t.sql[k.Start] | 0x20 {
			case 'a':
				if t.word(i, "and") {
					top.ops = 0
				} else if t.word(i, "at") {
					top.ops++
				}
			case 'o':
				if t.word(i, "or") {
					top.ops = 0
				} else if t.word(i, "operator") {
					top.ops++
				}
			case 'j':
				if t.word(i, "join") {
					top.joins++
				}
			case 'u', 'e':
				if t.word(i, "union") || t.word(i, "except") {
					top.ops, top.joins = 0, 0
					top.sets++
				} else if t.word(i, "else") || t.word(i, "explain") {
					top.ops++
				}
			case 'i':
				switch {
				case t.word(i, "intersect"):
					top.ops, top.joins = 0, 0
					top.sets++
				case t.word(i, "is"), t.word(i, "isnull"), t.word(i, "in"), t.word(i, "ilike"):
					top.ops++
				}
			case 'n':
				if t.word(i, "not") || t.word(i, "notnull") {
					top.ops++
				}
			case 'c':
				if t.word(i, "collate") || t.word(i, "case") {
					top.ops++
				}
			case 'l', 'b', 's':
				if t.word(i, "like") || t.word(i, "between") || t.word(i, "similar") {
					top.ops++
				}
			}
		}
		if top.sum+top.ops+top.joins+top.sets > maxDepth {
			return true
		}
	}
	return false
}
