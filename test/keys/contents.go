package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// contents reads all live rows and the state of sequences.
func (g *Graph) contents(soft bool) string {
	var list []string
	for _, t := range g.Tables {
		where := ""
		if soft {
			where = " WHERE " + t.live()
		}
		list = append(list, fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM %s x%s", t.Name, listed("x.", t.columns()), t.Name, where))
		if t.Serial {
			list = append(list, fmt.Sprintf("SELECT '%s_id_seq', last_value::text FROM %s_id_seq", t.Name, t.Name))
		}
	}
	return strings.Join(list, " UNION ALL ")
}

// witness makes hard write down what it deletes: soft must still have all that.
func (g *Graph) witness() string {
	var b strings.Builder
	b.WriteString(`CREATE SCHEMA witness;
CREATE TABLE witness.gone (relation text, row jsonb);
CREATE FUNCTION witness.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		EXECUTE format('INSERT INTO witness.gone SELECT %L, to_jsonb("the row") FROM %s "the row"', TG_ARGV[0], TG_ARGV[0]);
	ELSE
		INSERT INTO witness.gone VALUES (TG_ARGV[0], to_jsonb(OLD));
	END IF;
	RETURN NULL;
END $$;
`)
	for _, t := range g.Tables {
		if t.Marker != nil {
			fmt.Fprintf(&b, "CREATE TRIGGER zz AFTER DELETE ON %s FOR EACH ROW EXECUTE FUNCTION witness.log('%s');\n", t.Name, t.Name)
			fmt.Fprintf(&b, "CREATE TRIGGER zz_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION witness.log('%s');\n", t.Name, t.Name)
		}
	}
	return b.String()
}

// kept is what soft has of deleted rows: here, or in the archive.
func (g *Graph) kept() (hard, soft string) {
	var h, s []string
	for _, t := range g.Tables {
		if t.Marker == nil || t.Parts != "" { // a row that moves to another partition is deleted in one, for a trigger
			continue
		}
		steady := g.steady(t)
		of := func(from string) string {
			list := make([]string, len(steady))
			for i, c := range steady {
				list[i] = fmt.Sprintf("%s->>'%s'", from, c)
			}
			return strings.Join(list, ", ")
		}
		h = append(h, fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM witness.gone w WHERE relation = '%s'", t.Name, of("w.row"), t.Name))
		s = append(s, fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM %s x WHERE NOT coalesce(%s, false)", t.Name, listed("x.", steady), t.Name, t.live()),
			fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM tombstone.archive a WHERE relation = '%s'::regclass", t.Name, of("a.row"), t.Name))
	}
	if h == nil {
		return "SELECT WHERE false", "SELECT WHERE false"
	}
	return strings.Join(h, " UNION ALL "), strings.Join(s, " UNION ALL ")
}

// dangling finds live rows that refer to no live row.
func (g *Graph) dangling() string {
	var list []string
	for _, k := range g.Keys {
		given, on := make([]string, len(k.Columns)), make([]string, len(k.Columns))
		for i, c := range k.Columns {
			given[i] = "x." + c + " IS NOT NULL"
			on[i] = "y." + k.Refs[i] + " = x." + c
		}
		list = append(list, fmt.Sprintf("SELECT '%s', ROW(%s)::text FROM (SELECT * FROM %s x WHERE %s) x WHERE %s AND NOT EXISTS (SELECT FROM (SELECT * FROM %s x WHERE %s) y WHERE %s)",
			k.Name, listed("x.", k.Child.columns()), k.Child.Name, k.Child.live(), strings.Join(given, " AND "), k.Parent.Name, k.Parent.live(), strings.Join(on, " AND ")))
	}
	if list == nil {
		return "SELECT WHERE false"
	}
	return strings.Join(list, " UNION ALL ")
}

// compareContents compares what is live, and what was deleted.
func (t *Twin) compareContents(ctx context.Context) (*Difference, error) {
	hard, err := t.hard.ask(ctx, t.hard.contents)
	if err != nil {
		return nil, err
	}
	soft, err := t.soft.ask(ctx, t.soft.contents)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(hard, soft) {
		return &Difference{Stage: "contents", Class: "live rows", Hard: hard, Soft: soft}, nil
	}
	h, s := t.graph.kept()
	if hard, err = t.hard.ask(ctx, h); err != nil {
		return nil, err
	}
	if soft, err = t.soft.ask(ctx, s); err != nil {
		return nil, err
	}
	if !slices.Equal(hard, soft) {
		class := "what was deleted is not what is kept"
		if len(soft) < len(hard) {
			class = "what was deleted is gone"
		}
		return &Difference{Stage: "kept", Class: class, Hard: hard, Soft: soft}, nil
	}
	return nil, nil
}
