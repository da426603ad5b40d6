package catalog

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// Every function, type and operator below carries its schema, because the
// query runs under the client's search_path: a session that put its own "="
// before pg_catalog's could otherwise feed a false catalog to everybody.

// The answers come as base64 of UTF-8 text, whatever the client's encoding: in
// LATIN1 a name would arrive as other bytes. SQL_ASCII says nothing of its
// bytes, which are passed as they are.
const (
	asASCIIBegin = `pg_catalog.encode(pg_catalog.convert_to((`
	asASCIIEnd   = `)::pg_catalog.text, CASE WHEN pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.=) 'SQL_ASCII'::pg_catalog.name THEN 'SQL_ASCII' ELSE 'UTF8' END), 'base64')`
)

// decode reads an answer.
func decode(field []byte, into any) error {
	text := make([]byte, base64.StdEncoding.DecodedLen(len(field)))
	n, err := base64.StdEncoding.Decode(text, field) // which skips line ends
	if err != nil {
		return err
	}
	return json.Unmarshal(text[:n], into)
}

// Query asks for the whole catalog: one row, one column of JSON. Columns are
// read only for relations that have one of the markers as a column, which
// keeps the answer small on databases with very many tables.
func Query(markers []string) string {
	quoted := make([]string, len(markers))
	for i, m := range markers {
		quoted[i] = "'" + strings.ReplaceAll(m, "'", "''") + "'"
	}
	return strings.Replace(catalogQuery, "/*markers*/", strings.Join(quoted, ", "), -1)
}

const catalogQuery = `SELECT ` + asASCIIBegin + `pg_catalog.json_build_object(` +
	`'database', pg_catalog.current_database(), 'prepared', EXISTS (SELECT FROM pg_catalog.pg_namespace h WHERE h.nspname OPERATOR(pg_catalog.=) 'tombstone'::pg_catalog.name), ` +
	`'relations', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(` +
	`'oid', c.oid::pg_catalog.int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, ` +
	`'columns', CASE WHEN marked.marked THEN (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), ` +
	`a.attgenerated OPERATOR(pg_catalog.<>) ''::pg_catalog."char", a.attnotnull, ` +
	`CASE WHEN a.attidentity OPERATOR(pg_catalog.<>) ''::pg_catalog."char" THEN '` + Identity + `' WHEN a.attgenerated OPERATOR(pg_catalog.=) ''::pg_catalog."char" THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END) ORDER BY a.attnum) ` +
	`FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid OPERATOR(pg_catalog.=) a.attrelid AND f.adnum OPERATOR(pg_catalog.=) a.attnum ` +
	`WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped) END, ` +
	`'uniques', CASE WHEN marked.marked THEN (SELECT pg_catalog.json_agg(pg_catalog.json_build_array((SELECT x.relname FROM pg_catalog.pg_class x WHERE x.oid OPERATOR(pg_catalog.=) i.indexrelid), ` +
	`ARRAY(SELECT COALESCE(a.attname, ''::pg_catalog.name) FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place) ` +
	`LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum ` +
	`WHERE k.place OPERATOR(pg_catalog.<=) i.indnkeyatts ORDER BY k.place), pg_catalog.pg_get_expr(i.indpred, i.indrelid), ` +
	`EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid OPERATOR(pg_catalog.=) i.indrelid AND o.conindid OPERATOR(pg_catalog.=) i.indexrelid AND o.contype OPERATOR(pg_catalog.=) ANY ('{p,u,x}'::pg_catalog."char"[])), ` +
	// a column of pg_index from PostgreSQL 15 on
	`COALESCE((pg_catalog.to_jsonb(i) OPERATOR(pg_catalog.->>) 'indnullsnotdistinct'::pg_catalog.text)::pg_catalog.bool, false), i.indisexclusion)) ` +
	`FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND (i.indisunique OR i.indisexclusion)) END, ` +
	`'checked', pg_catalog.strpos(pg_catalog.array_to_string(c.reloptions, ','), 'check_option=') OPERATOR(pg_catalog.>) 0, ` +
	`'instead', c.relkind OPERATOR(pg_catalog.=) 'v'::pg_catalog."char" AND (` +
	`EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND (t.tgtype OPERATOR(pg_catalog.&) 64::pg_catalog.int2) OPERATOR(pg_catalog.<>) 0::pg_catalog.int2) OR ` +
	`EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid AND w.ev_type OPERATOR(pg_catalog.<>) '1'::pg_catalog."char")), ` +
	`'parents', (SELECT pg_catalog.json_agg(i.inhparent::pg_catalog.int8) FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid), ` +
	`'reads', CASE WHEN c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog."char"[]) THEN ` +
	`(SELECT pg_catalog.jsonb_agg(DISTINCT d.refobjid::pg_catalog.int8) FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) w.oid ` +
	`AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass ` +
	`WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid AND d.refobjid OPERATOR(pg_catalog.<>) c.oid) END, ` +
	`'tests', CASE WHEN c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog."char"[]) THEN ` +
	`(SELECT pg_catalog.jsonb_agg(DISTINCT d.refobjid::pg_catalog.int8) FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.objid OPERATOR(pg_catalog.=) w.oid ` +
	`AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass ` +
	`JOIN pg_catalog.pg_attribute m ON m.attrelid OPERATOR(pg_catalog.=) d.refobjid AND m.attnum OPERATOR(pg_catalog.=) d.refobjsubid ` +
	`AND m.attname OPERATOR(pg_catalog.=) ANY (ARRAY[/*markers*/]::pg_catalog.name[]) ` +
	`WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid AND d.refobjid OPERATOR(pg_catalog.<>) c.oid) END, ` +
	// A view's query remembers where each of its columns comes from. Queries inside
	// it do so too, and the text does not tell them apart but by the column's number.
	`'shows', CASE WHEN marked.marked AND c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog."char"[]) THEN ` +
	`(SELECT pg_catalog.jsonb_agg(DISTINCT (o.found)[1]::pg_catalog.int8) FROM pg_catalog.pg_rewrite w CROSS JOIN pg_catalog.pg_attribute m ` +
	`CROSS JOIN LATERAL pg_catalog.regexp_matches(w.ev_action::pg_catalog.text, pg_catalog.format(':resno %s :resname [^ ]+ :ressortgroupref [0-9]+ :resorigtbl ([1-9][0-9]*) ', m.attnum), 'g') AS o (found) ` +
	`WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid AND w.ev_type OPERATOR(pg_catalog.=) '1'::pg_catalog."char" ` +
	`AND m.attrelid OPERATOR(pg_catalog.=) c.oid AND m.attname OPERATOR(pg_catalog.=) ANY (ARRAY[/*markers*/]::pg_catalog.name[])) END, ` +
	`'referenced_by', fk.referencing, 'cascades_to', fk.cascading` +
	`) ORDER BY c.oid) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace ` +
	`CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute m WHERE m.attrelid OPERATOR(pg_catalog.=) c.oid AND m.attnum OPERATOR(pg_catalog.>) 0 ` +
	`AND NOT m.attisdropped AND m.attname OPERATOR(pg_catalog.=) ANY (ARRAY[/*markers*/]::pg_catalog.name[])) AS marked) marked ` +
	// grouped once, because pg_constraint has no index on confrelid
	`LEFT JOIN (SELECT f.confrelid, pg_catalog.jsonb_agg(DISTINCT f.conrelid::pg_catalog.int8) AS referencing, ` +
	`pg_catalog.jsonb_agg(DISTINCT f.conrelid::pg_catalog.int8) FILTER (WHERE f.confdeltype OPERATOR(pg_catalog.=) 'c'::pg_catalog."char") AS cascading FROM pg_catalog.pg_constraint f ` +
	`WHERE f.oid OPERATOR(pg_catalog.>=) 0::pg_catalog.oid AND f.contype OPERATOR(pg_catalog.=) 'f'::pg_catalog."char" AND f.conrelid OPERATOR(pg_catalog.<>) f.confrelid GROUP BY f.confrelid) fk ON fk.confrelid OPERATOR(pg_catalog.=) c.oid ` +
	// The planner takes an array that it does not know for ten elements. Knowing how many relations there are, it would
	// think the query so dear that it compiles it first (jit), which takes seconds at every read.
	`WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT r.oid FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) r.relnamespace ` +
	// so that there is an index for it: a client that turns enable_seqscan off makes every other way dear too
	`WHERE r.oid OPERATOR(pg_catalog.>=) 0::pg_catalog.oid ` +
	`AND r.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,p,f,S}'::pg_catalog."char"[]) AND r.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog."char" ` +
	// what initdb has made, but not what somebody has put beside it
	`AND (s.nspname OPERATOR(pg_catalog.<>) ALL ('{pg_catalog,information_schema,pg_toast}'::pg_catalog.name[]) ` +
	`OR r.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND r.relkind OPERATOR(pg_catalog.=) ANY ('{r,v,m,p,f}'::pg_catalog."char"[]) AND s.nspname OPERATOR(pg_catalog.<>) 'pg_toast'::pg_catalog.name)))))` + asASCIIEnd

// Decode reads the one field of Query's row.
func Decode(field []byte) (*Catalog, error) {
	var answer struct {
		Database  string `json:"database"`
		Prepared  bool   `json:"prepared"`
		Relations []struct {
			OID          uint32   `json:"oid"`
			Schema       string   `json:"schema"`
			Name         string   `json:"name"`
			Kind         string   `json:"kind"`
			Columns      []column `json:"columns"`
			Parents      []uint32 `json:"parents"`
			Reads        []uint32 `json:"reads"`
			Tests        []uint32 `json:"tests"`
			Shows        []uint32 `json:"shows"`
			ReferencedBy []uint32 `json:"referenced_by"`
			CascadesTo   []uint32 `json:"cascades_to"`
			Uniques      []unique `json:"uniques"`
			Instead      bool     `json:"instead"`
			Checked      bool     `json:"checked"`
		} `json:"relations"`
	}
	if err := decode(field, &answer); err != nil {
		return nil, fmt.Errorf("catalog: the server's answer about its relations: %w", err)
	}
	relations := make([]Relation, len(answer.Relations))
	for i, a := range answer.Relations {
		if len(a.Kind) != 1 {
			return nil, fmt.Errorf("catalog: relation %s.%s has kind %q", a.Schema, a.Name, a.Kind)
		}
		relations[i] = Relation{
			OID: a.OID, Name: Name{a.Schema, a.Name}, Kind: a.Kind[0],
			Parents: a.Parents, Reads: a.Reads, Tests: a.Tests, Shows: a.Shows, ReferencedBy: a.ReferencedBy, CascadesTo: a.CascadesTo, Instead: a.Instead, Checked: a.Checked,
		}
		for _, c := range a.Columns {
			relations[i].Columns = append(relations[i].Columns, Column(c))
		}
		for _, u := range a.Uniques {
			relations[i].Uniques = append(relations[i].Uniques, Unique(u))
		}
	}
	c, err := New(answer.Database, relations)
	if err != nil {
		return nil, err
	}
	c.Prepared = answer.Prepared
	return c, nil
}

// column and unique decode the arrays that Query sends for them: names as keys
// would double the size of the answer. A null leaves its field empty.
type (
	column Column
	unique Unique
)

func (c *column) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[5]any{&c.Name, &c.Type, &c.Generated, &c.NotNull, &c.Default})
}

func (u *unique) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[6]any{&u.Name, &u.Columns, &u.Where, &u.Constraint, &u.NullsEqual, &u.Exclusion})
}
