package catalog

import "fmt"

// Catalog is a snapshot of one database's relations, as some session saw
// them. It never changes once built.
type Catalog struct {
	Database  string
	Prepared  bool // it has what tombstone prepare makes, at least in part
	Relations []Relation

	byName map[Name]*Relation
	byOID  map[uint32]*Relation
}

// Name is a relation's full name, unquoted and in the server's own case.
type Name struct{ Schema, Relation string }

// String quotes nothing: it is for messages and metrics labels.
func (n Name) String() string { return n.Schema + "." + n.Relation }

// Relation is one row of pg_class, with what the proxy needs to know of it.
type Relation struct {
	OID uint32
	Name
	Kind byte // pg_class.relkind: r table, p partitioned, v view, m materialized view, f foreign, S sequence

	// Columns are in attnum order without dropped ones. They are read only
	// for relations that have a column some policy uses as its marker, as are
	// Uniques.
	Columns []Column
	Uniques []Unique

	Parents      []uint32 // pg_inherits: partitioned tables and inheritance parents
	Reads        []uint32 // relations that a view's query names, from pg_depend
	Tests        []uint32 // those of Reads of which it names a column that some policy uses as its marker
	Shows        []uint32 // those of Reads that a view's own marker column may come from; none if it is computed
	CascadesTo   []uint32 // those of ReferencedBy whose foreign key says ON DELETE CASCADE
	ReferencedBy []uint32 // tables with a foreign key to this one, itself left out

	// Instead: a view whose UPDATE or DELETE is a rule's or an INSTEAD OF
	// trigger's business.
	Instead bool

	// Checked: a view WITH CHECK OPTION.
	Checked bool
}

// Column is one live row of pg_attribute.
type Column struct {
	Name      string
	Type      string // format_type(atttypid, atttypmod)
	Generated bool   // GENERATED ALWAYS AS (..) STORED
	NotNull   bool   // declared NOT NULL, itself or by a primary key
	Default   string // pg_get_expr of its default, Identity for an identity column, "" for none
}

// Identity stands for the default of an identity column.
const Identity = "identity"

// Unique is an index that lets no two rows have the same key: a unique index,
// or that of an exclusion constraint.
type Unique struct {
	Name    string
	Columns []string // of the key, in its order; "" for an expression
	Where   string   // pg_get_expr of its predicate, "" for none

	// Constraint: a constraint of that name stands on it. Otherwise it is but
	// an index.
	Constraint bool

	Exclusion  bool // of an exclusion constraint, which ON CONFLICT DO UPDATE does not take
	NullsEqual bool // NULLS NOT DISTINCT: two rows with NULL have the same key
}

// New indexes the relations. It fails on two relations of one name, which
// no database can have.
func New(database string, relations []Relation) (*Catalog, error) {
	c := &Catalog{
		Database:  database,
		Relations: relations,
		byName:    make(map[Name]*Relation, len(relations)),
		byOID:     make(map[uint32]*Relation, len(relations)),
	}
	for i := range relations {
		r := &relations[i]
		if _, ok := c.byName[r.Name]; ok {
			return nil, fmt.Errorf("catalog: relation %s appears twice", r.Name)
		}
		c.byName[r.Name] = r
		c.byOID[r.OID] = r
	}
	return c, nil
}

// Find returns the relation of that name, or nil.
func (c *Catalog) Find(n Name) *Relation { return c.byName[n] }

// ByOID returns the relation with that oid, or nil.
func (c *Catalog) ByOID(oid uint32) *Relation { return c.byOID[oid] }

// Column returns the position of the named column in r.Columns, or -1.
func (r *Relation) Column(name string) int {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return i
		}
	}
	return -1
}
