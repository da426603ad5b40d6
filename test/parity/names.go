package main

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"
)

// Names turns the OIDs in one database's replies into names: the twins have
// the same tables under other numbers.
type Names struct {
	direct    *pgconn.PgConn // asks beside the client
	relations map[uint32]string
	types     map[uint32]string
	absent    map[uint32]bool // asked for in vain, for instance because nothing is committed yet
	markers   map[string]bool // table and number of a column: whether it is a marker
}

func newNames(direct *pgconn.PgConn) *Names {
	return &Names{direct: direct, relations: map[uint32]string{}, types: map[uint32]string{}, absent: map[uint32]bool{}, markers: map[string]bool{}}
}

// forget lets names be asked for again that were not there.
func (n *Names) forget() { clear(n.absent) }

// unseen stands for what only an open transaction can see, or what is gone.
const unseen = "(new)"

func (n *Names) relation(oid uint32) string {
	return n.find(n.relations, oid, "SELECT oid::regclass::text FROM pg_catalog.pg_class WHERE oid = ")
}

func (n *Names) typ(oid uint32) string {
	return n.find(n.types, oid, "SELECT pg_catalog.format_type(oid, NULL) FROM pg_catalog.pg_type WHERE oid = ")
}

func (n *Names) find(known map[uint32]string, oid uint32, query string) string {
	if name, ok := known[oid]; ok {
		return name
	}
	if oid == 0 {
		return "0"
	}
	if n.absent[oid] || n.direct == nil {
		return unseen
	}
	results, err := n.direct.Exec(context.Background(), fmt.Sprint(query, oid)).ReadAll()
	if err != nil || len(results) != 1 || len(results[0].Rows) != 1 {
		n.absent[oid] = true
		return unseen
	}
	known[oid] = string(results[0].Rows[0][0])
	return known[oid]
}

// name puts names in place of the OIDs that a row in binary has for what is a
// name in text.
func (n *Names) name(values []string, fields []pp.FieldDescription) {
	for i := range min(len(values), len(fields)) {
		if fields[i].Format != 1 || len(values[i]) != 4 {
			continue
		}
		oid := binary.BigEndian.Uint32([]byte(values[i]))
		switch fields[i].DataTypeOID {
		case regclassOID:
			values[i] = n.relation(oid)
		case regtypeOID:
			values[i] = n.typ(oid)
		}
	}
}

// From the server's pg_type.dat.
const (
	regclassOID = 2205
	regtypeOID  = 2206
)

// isMarker reports whether a column is a marker.
func (n *Names) isMarker(table uint32, column uint16) bool {
	key := fmt.Sprintf("%d.%d", table, column)
	if known, ok := n.markers[key]; ok {
		return known
	}
	results, err := n.direct.Exec(context.Background(), fmt.Sprintf(
		"SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = %d AND attnum = %d AND attname = %s", table, int16(column), quoteLiteral(marker))).ReadAll()
	if err != nil || len(results) != 1 || n.relation(table) == unseen {
		return false // to be asked for again
	}
	n.markers[key] = len(results[0].Rows) == 1
	return n.markers[key]
}
