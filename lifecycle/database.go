package lifecycle

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tombstone/policy"
	"tombstone/policy/catalog"
)

// Database is what one database has, as far as tombstones are concerned. It does not change once read.
type Database struct {
	Version int // server_version_num, e.g. 150004
	Set     *policy.Set
	Keys    []*ForeignKey // in the order in which the server goes through them
	Indexes []*Index

	Unseen []string // what the login may not read; what it has is taken to be as it should

	tables map[catalog.Name]*Table

	publishing []string          // publications of all tables
	house      string            // the comment on the schema tombstone, "" if there is none
	installed  map[string]string // the functions in it, name and arguments as DROP FUNCTION takes them, to their comments
	triggers   []installed       // those that call them
	weak       map[string]string // those of them that run as a role which may not do what they do, and why
	rows       map[uint32]string // tombstone.tables: the table to what is said of it
	dropped    int               // how many of these tables are gone
}

// installed is a trigger that is there.
type installed struct {
	table    catalog.Name
	name     string
	argument string
}

// Table is a table that is protected, or that has a foreign key to one that is.
type Table struct {
	catalog.Name
	OID       uint32
	Kind      byte   // pg_class.relkind: r table, p partitioned, f foreign
	Owner     string // role
	Partition bool
	inherits  bool // its protection is its parent's

	grants       []grant    // what roles lack
	covering     []covering // its indexes
	partitionKey []string   // the columns that say which partition a row is in; all if it is an expression

	Columns   []Column
	Primary   *Index        // nil if there is none
	Protected *policy.Table // nil if it is not
}

// Column is one column that has not been dropped, in attnum order.
type Column struct {
	Name, Type string // Type as format_type prints it
	NotNull    bool
	Generated  bool   // it cannot be written to
	Default    string // as SQL, "" if there is none
}

// Index is a unique index of a protected table, or that of an exclusion constraint.
type Index struct {
	Table      *Table
	Name       string
	Definition string   // pg_get_indexdef
	Constraint string   // its definition by pg_get_constraintdef if a constraint stands on it, else ""
	Primary    bool     // of the primary key
	Exclusion  bool     // of an exclusion constraint
	Deferrable bool     // of a deferrable constraint
	Columns    []string // of the key; "" for an expression
	Equal      []string // the operators that compare Columns for equality, with their schemas
	Where      string   // its predicate, "" for none
	Needed     bool     // a foreign key refers to it
	Identity   bool     // it is the replica identity
	Parted     bool     // it is part of a partitioned index
}

// ForeignKey is a foreign key to or from a protected table. Those that partitions have from their parent are left out.
type ForeignKey struct {
	OID           uint32
	Name          string
	Child, Parent *Table
	Part          *Table   // the partition of Parent that it refers to, nil if it is Parent itself
	Columns, Refs []string // of Child, and of Parent that they refer to, in the same order
	Equal         []string // the operators that compare Refs with Columns, with their schemas
	Same          []string // those that compare Refs with Refs
	OnDelete      byte     // pg_constraint.confdeltype: a NO ACTION, r RESTRICT, c CASCADE, n SET NULL, d SET DEFAULT
	OnUpdate      byte     // confupdtype
	SetColumns    []string // those that SET NULL and SET DEFAULT set: all of Columns unless said otherwise
	Deferrable    bool
	Deferred      bool // INITIALLY DEFERRED
	Full          bool // MATCH FULL

	taken bool // Parent has a constraint of that name too
}

// Table returns the table of that name, or nil if it is neither protected nor joined to one that is.
func (d *Database) Table(n catalog.Name) *Table { return d.tables[n] }

// Read reads what a policy concerns of a database, in one transaction that sees one state of it.
func Read(ctx context.Context, conn *pgx.Conn, p *policy.Policy) (*Database, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	d, err := ReadIn(ctx, tx, p)
	if err == nil && len(d.Unseen) > 0 {
		return nil, lacking(ctx, tx, strings.Join(d.Unseen, ", "))
	}
	return d, err
}

// ReadIn is Read in a transaction that is open, and above READ COMMITTED. What the login may not read is in Unseen. The search_path is
// pg_catalog afterwards.
func ReadIn(ctx context.Context, tx pgx.Tx, p *policy.Policy) (*Database, error) {
	// Names are compared with names, and expressions print with their schemas, whatever the database or the role has set.
	for _, sql := range []string{"SET LOCAL search_path = pg_catalog", "SET LOCAL quote_all_identifiers = off", "SET LOCAL standard_conforming_strings = on"} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, err
		}
	}
	r := &reader{tx: tx, d: &Database{tables: map[catalog.Name]*Table{}}, byOID: map[uint32]*Table{}}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return r.policy(ctx, p) },
		r.readTables, r.readColumns, r.readIndexes, r.readCovering, r.readKeys, r.readGrants, r.readHouse, r.readOwners,
	} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("read the catalog: %w", err)
		}
	}
	return r.d, nil
}
