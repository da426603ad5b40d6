package policy

// Spelling is how SQL about rows of a protected table is written: as a person would, or so that it means the same under any search_path.
type Spelling struct {
	Column   func(name string) string // a column's name
	Operator func(op string) string   // an operator of pg_catalog
	Function func(name string) string // a function or type of pg_catalog
	Role     string                   // the role that deletes
}

// Live writes the condition that a row is live, of its marker's column.
//
// Without the part about NULL, rows whose nullable flag was never set are in no answer at all.
func (s *Spelling) Live(l Live, column string) string {
	test := ""
	switch l.Value {
	case Null:
		return column + " IS NULL"
	case False:
		if l.Nullable {
			return column + " IS NOT TRUE"
		}
		return "NOT " + column // what a partial index says
	case Zero:
		test = column + " " + s.Operator("=") + " 0"
	case Infinity:
		test = column + " " + s.Operator("=") + " 'infinity'"
	}
	if l.Nullable {
		return "(" + test + " OR " + column + " IS NULL)"
	}
	return test
}

// Stamp writes what burying sets: the marker, and the audit columns that the policy names.
func (s *Spelling) Stamp(t *Table) string {
	value := s.Function("now()")
	switch t.Live.Value {
	case False:
		value = "true"
	case Zero:
		// EXTRACT and the type names are looked up nowhere but in pg_catalog.
		value = "EXTRACT(epoch FROM " + value + ")::" + t.MarkerType
	}
	words := s.Column(t.Marker) + " = " + value
	for _, a := range t.Audit {
		value := s.Role
		if a.What == Deletion {
			value = s.Function("pg_current_xact_id()")
			if a.Type != "" && a.Type != "xid8" {
				value += "::" + s.Function("text") + "::" + a.Type
			}
		}
		words += ", " + s.Column(a.Column) + " = " + value
	}
	return words
}
