package main

import (
	"context"
	"fmt"
)

// guardSQL makes the witness of soft: a table that triggers write to when a row
// of a protected table is really deleted, when a tombstone changes, or when a
// burial changes more than the marker. Only what is committed stays in it.
const guardSQL = `
CREATE SCHEMA guard;
CREATE TABLE guard.lost (relation text, what text, id text, was text);
CREATE FUNCTION guard.watch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE o jsonb; n jsonb; marker text := TG_ARGV[0]; skip text[] := TG_ARGV[1]; name text := format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME);
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		INSERT INTO guard.lost VALUES (name, 'truncated');
		RETURN NULL;
	END IF;
	o := to_jsonb(OLD);
	IF TG_OP = 'DELETE' THEN
		INSERT INTO guard.lost VALUES (name, 'deleted', o->>'id', OLD::text);
		RETURN OLD;
	END IF;
	n := to_jsonb(NEW);
	IF o->>marker IS NOT NULL THEN
		INSERT INTO guard.lost VALUES (name, 'tombstone changed', o->>'id', OLD::text);
	ELSIF n->>marker IS NOT NULL AND o - skip <> n - skip THEN
		INSERT INTO guard.lost VALUES (name, 'changed by its burial', o->>'id', OLD::text);
	END IF;
	RETURN NEW;
END $$;
CREATE FUNCTION guard.protect(t regclass, marker text DEFAULT 'deleted_at') RETURNS void LANGUAGE plpgsql AS $$
DECLARE part regclass; skip text[]; -- the marker, and columns that are not computed yet when triggers run
BEGIN
	SELECT array_agg(attname) INTO skip FROM pg_attribute WHERE attrelid = t AND attnum > 0 AND (attname = marker OR attgenerated <> '');
	EXECUTE format('CREATE TRIGGER watch_delete BEFORE DELETE ON %s FOR EACH ROW EXECUTE FUNCTION guard.watch(%L, %L)', t, marker, skip);
	EXECUTE format('CREATE TRIGGER watch_update BEFORE UPDATE ON %s FOR EACH ROW WHEN (OLD.%I IS NOT NULL OR NEW.%2$I IS NOT NULL) EXECUTE FUNCTION guard.watch(%L, %L)', t, marker, marker, skip);
	-- A part has its parent's triggers for rows, but not those for statements.
	FOR part IN SELECT relid FROM pg_partition_tree(t) UNION SELECT t LOOP
		EXECUTE format('CREATE TRIGGER watch_truncate BEFORE TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION guard.watch(%L)', part, marker);
	END LOOP;
END $$;
`

// lostSQL reads the witness, and of which table each relation is a part.
const lostSQL = `SELECT relation, what, id, was, CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::regclass END
	FROM guard.lost LEFT JOIN pg_class c ON c.oid = to_regclass(relation)`

// lost returns what the witness saw. An UPDATE that moves a row to another part
// of its table is a DELETE to triggers, so there a row is lost only if its id is
// in no part.
func (s *Side) lost(ctx context.Context) ([]string, error) {
	results, err := s.direct.Exec(ctx, lostSQL).ReadAll()
	if err != nil || len(results[0].Rows) == 0 {
		return nil, err
	}
	var out []string
	for _, row := range results[0].Rows {
		relation, what, id, was, parent := string(row[0]), string(row[1]), string(row[2]), string(row[3]), string(row[4])
		if parent != "" && what == "deleted" {
			there, err := s.Ask(ctx, fmt.Sprintf("SELECT 1 FROM %s WHERE id = %s LIMIT 1", parent, id))
			if err != nil {
				return nil, err
			}
			if len(there[0]) > 0 {
				continue
			}
		}
		out = append(out, fmt.Sprintf("%s was %s: %s", relation, what, was))
	}
	return out, nil
}
