package rewrite

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy/catalog"
)

// Schema reads CREATE TABLE, CREATE UNIQUE INDEX and CREATE VIEW statements into a
// catalog, as a stand-in for a database's. Other statements are skipped. It is
// what `tombstone rewrite --schema` uses, and the tests.
func Schema(sql string) (*catalog.Catalog, error) {
	tree, err := pg.Parse(sql)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	s := &schema{names: map[catalog.Name]uint32{}}
	for _, raw := range tree.Stmts {
		switch x := unwrap(raw.Stmt).(type) {
		case *pg.CreateStmt:
			s.table(x)
		case *pg.ViewStmt:
			s.view(x.View, x.Query, 'v')
		case *pg.CreateTableAsStmt:
			if x.Objtype == pg.ObjectType_OBJECT_MATVIEW {
				s.view(x.Into.GetRel(), x.Query, 'm')
			}
		case *pg.AlterTableStmt:
			s.alter(x)
		case *pg.IndexStmt:
			s.index(x)
		}
	}
	return catalog.New("", s.relations)
}

type schema struct {
	relations []catalog.Relation
	names     map[catalog.Name]uint32
}

func nameOf(rv *pg.RangeVar) catalog.Name {
	n := catalog.Name{Schema: rv.GetSchemaname(), Relation: rv.GetRelname()}
	if n.Schema == "" {
		n.Schema = "public"
	}
	return n
}

func (s *schema) add(rv *pg.RangeVar, kind byte) *catalog.Relation {
	n := nameOf(rv)
	if s.names[n] != 0 || rv.GetRelpersistence() == "t" {
		return new(catalog.Relation)
	}
	oid := uint32(len(s.relations) + 1)
	s.names[n] = oid
	s.relations = append(s.relations, catalog.Relation{OID: oid, Name: n, Kind: kind})
	return &s.relations[oid-1]
}

func (s *schema) table(x *pg.CreateStmt) {
	kind := byte('r')
	if x.Partspec != nil {
		kind = 'p'
	}
	r := s.add(x.Relation, kind)
	for _, n := range x.InhRelations {
		if rv, ok := unwrap(n).(*pg.RangeVar); ok {
			if oid := s.names[nameOf(rv)]; oid != 0 {
				r.Parents = append(r.Parents, oid)
				r.Columns = append(r.Columns, s.relations[oid-1].Columns...)
			}
		}
	}
	for _, n := range x.TableElts {
		switch e := unwrap(n).(type) {
		case *pg.ColumnDef:
			s.column(r, e)
		case *pg.Constraint:
			s.constraint(r, e)
		}
	}
}

func (s *schema) alter(x *pg.AlterTableStmt) {
	oid := s.names[nameOf(x.Relation)]
	if oid == 0 {
		return
	}
	r := &s.relations[oid-1]
	for _, n := range x.Cmds {
		c, ok := unwrap(n).(*pg.AlterTableCmd)
		if !ok {
			continue
		}
		switch d := unwrap(c.Def).(type) {
		case *pg.ColumnDef:
			if c.Subtype == pg.AlterTableType_AT_AddColumn {
				s.column(r, d)
			}
		case *pg.Constraint:
			s.constraint(r, d)
		}
	}
}

func (s *schema) column(r *catalog.Relation, d *pg.ColumnDef) {
	c := catalog.Column{Name: d.Colname, Type: typeName(d.TypeName)}
	for _, n := range d.Constraints {
		k, ok := unwrap(n).(*pg.Constraint)
		if !ok {
			continue
		}
		switch k.Contype {
		case pg.ConstrType_CONSTR_GENERATED:
			c.Generated = true
		case pg.ConstrType_CONSTR_IDENTITY:
			c.Default = catalog.Identity
		case pg.ConstrType_CONSTR_NOTNULL:
			c.NotNull = true
		case pg.ConstrType_CONSTR_DEFAULT:
			c.Default = deparse(k.RawExpr)
		case pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_UNIQUE:
			c.NotNull = c.NotNull || k.Contype == pg.ConstrType_CONSTR_PRIMARY
			r.Uniques = append(r.Uniques, catalog.Unique{Name: k.Conname, Columns: []string{c.Name}, Constraint: true})
		}
		s.references(r, k)
	}
	if strings.HasSuffix(c.Type, "serial") {
		c.Default, c.NotNull = "nextval(", true
	}
	r.Columns = append(r.Columns, c)
}

func (s *schema) constraint(r *catalog.Relation, k *pg.Constraint) {
	if k.Contype == pg.ConstrType_CONSTR_PRIMARY || k.Contype == pg.ConstrType_CONSTR_UNIQUE {
		u := catalog.Unique{Name: k.Conname, Constraint: true}
		for _, n := range k.Keys {
			u.Columns = append(u.Columns, n.GetString_().GetSval())
		}
		r.Uniques = append(r.Uniques, u)
	}
	s.references(r, k)
}

func (s *schema) index(x *pg.IndexStmt) {
	oid := s.names[nameOf(x.Relation)]
	if oid == 0 || !x.Unique {
		return
	}
	u := catalog.Unique{Name: x.Idxname}
	for _, n := range x.IndexParams {
		u.Columns = append(u.Columns, n.GetIndexElem().GetName())
	}
	if x.WhereClause != nil {
		u.Where = deparse(x.WhereClause)
	}
	s.relations[oid-1].Uniques = append(s.relations[oid-1].Uniques, u)
}

// deparse writes an expression, nearly as pg_get_expr does.
func deparse(expr *pg.Node) string {
	query := &pg.SelectStmt{WhereClause: expr}
	words, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: query}}}}})
	if err != nil {
		return ""
	}
	_, words, _ = strings.Cut(words, "WHERE ")
	return words
}

func (s *schema) references(r *catalog.Relation, k *pg.Constraint) {
	if k.Contype != pg.ConstrType_CONSTR_FOREIGN || k.Pktable == nil {
		return
	}
	if oid := s.names[nameOf(k.Pktable)]; oid != 0 && oid != r.OID {
		to := &s.relations[oid-1]
		to.ReferencedBy = append(to.ReferencedBy, r.OID)
	}
}

func (s *schema) view(rv *pg.RangeVar, query *pg.Node, kind byte) {
	r := s.add(rv, kind)
	var look func(any)
	look = func(m any) {
		if m == nil {
			return
		}
		if from, ok := m.(*pg.RangeVar); ok {
			if oid := s.names[nameOf(from)]; oid != 0 {
				r.Reads = append(r.Reads, oid)
			}
		}
		children(m, look)
	}
	look(unwrap(query))
	if q, ok := unwrap(query).(*pg.SelectStmt); ok {
		r.Columns = s.results(q)
	}
}

// results lists the columns of a query's result, as far as they are columns
// of tables in its FROM clause.
func (s *schema) results(q *pg.SelectStmt) []catalog.Column {
	var in, out []catalog.Column
	for _, n := range q.FromClause {
		if rv, ok := unwrap(n).(*pg.RangeVar); ok {
			if oid := s.names[nameOf(rv)]; oid != 0 {
				in = append(in, s.relations[oid-1].Columns...)
			}
		}
	}
	for _, n := range q.TargetList {
		t := n.GetResTarget()
		fields := t.GetVal().GetColumnRef().GetFields()
		if len(fields) == 0 {
			continue
		}
		last := fields[len(fields)-1]
		for _, c := range in {
			name := last.GetString_().GetSval()
			if last.GetAStar() == nil && c.Name != name {
				continue
			}
			if t.Name != "" {
				c.Name = t.Name
			}
			out = append(out, catalog.Column{Name: c.Name, Type: c.Type})
		}
	}
	return out
}

// typeName writes a column's type as format_type does, for the types whose
// spelling matters here: those a marker can have.
func typeName(t *pg.TypeName) string {
	var parts []string
	for _, n := range t.GetNames() {
		if p := n.GetString_().GetSval(); p != "pg_catalog" {
			parts = append(parts, quote(p))
		}
	}
	name := strings.Join(parts, ".")
	precision := ""
	if len(t.GetTypmods()) == 1 {
		if c := t.Typmods[0].GetAConst(); c != nil && c.GetIval() != nil {
			precision = fmt.Sprintf("(%d)", c.GetIval().GetIval())
		}
	}
	switch strings.Trim(name, `"`) {
	case "timestamptz":
		return "timestamp" + precision + " with time zone"
	case "timestamp":
		return "timestamp" + precision + " without time zone"
	case "bool":
		return "boolean"
	case "int4":
		return "integer"
	case "int8":
		return "bigint"
	}
	return name + precision
}
