-- What deletions took, as far as it is still deleted.

-- rows_of is the condition that a row x of a table is of a deletion.
CREATE OR REPLACE FUNCTION tombstone.rows_of(d tombstone.deletions, t tombstone.tables) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	by_key text := format('%s IN (SELECT k.key FROM tombstone.keyed k WHERE k.deletion = %L AND k.at = %L AND k.relation = %L::regclass)', t.texts, d.id, d.at, t.relation);
	by_marker text := format('x.%I = %L AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation = %L::regclass AND k.key = %s)',
		t.marker, d.at, t.relation, t.texts);
BEGIN
	IF NOT t.tells OR NOT d.exact THEN
		RETURN format('%s AND %s', t.dead, by_key);
	END IF;
	IF EXISTS (SELECT FROM tombstone.keyed k WHERE k.deletion = d.id AND k.at = d.at AND k.relation = t.relation) THEN
		RETURN format('%s AND (%s OR %s)', t.dead, by_key, by_marker);
	END IF;
	RETURN format('%s AND %s', t.dead, by_marker); -- which an index can find
END
$$;

-- counts is how many rows deletions took, by table: those that are still deleted, here or in the archive. Each table is read once, and once more
-- if some of its rows are in keyed.
CREATE OR REPLACE FUNCTION tombstone.counts(ids xid8[], ats timestamptz[]) RETURNS TABLE (id xid8, at timestamptz, relation regclass, count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
	t tombstone.tables;
BEGIN
	FOR t IN SELECT * FROM tombstone.tables AS tables
		WHERE EXISTS (SELECT FROM tombstone.deletions d WHERE (d.id, d.at) IN (SELECT * FROM unnest(ids, ats)) AND tables.relation = ANY (d.tables))
		AND EXISTS (SELECT FROM pg_class c WHERE c.oid = tables.relation) ORDER BY tables.relation::text -- it may have been dropped
	LOOP
		BEGIN
			IF t.tells THEN
				RETURN QUERY EXECUTE format('SELECT d.id, d.at, %1$L::regclass, n.count FROM tombstone.deletions d, (
					SELECT x.%2$I AS at, count(*) FROM %1$s x WHERE %3$s AND x.%2$I = ANY ($2)
						AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation = %1$L::regclass AND k.key = %4$s) GROUP BY 1) n
					WHERE d.exact AND d.at = n.at AND (d.id, d.at) IN (SELECT * FROM unnest($1, $2))', t.relation, t.marker, t.dead, t.texts) USING ids, ats;
			END IF;
			IF EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation = t.relation AND k.deletion = ANY (ids)) THEN
				RETURN QUERY EXECUTE format('SELECT k.deletion, k.at, %1$L::regclass, count(*) FROM tombstone.keyed k
					WHERE k.relation = %1$L::regclass AND (k.deletion, k.at) IN (SELECT * FROM unnest($1, $2)) AND k.key IN (SELECT %3$s FROM %1$s x WHERE %2$s)
					GROUP BY 1, 2', t.relation, t.dead, t.texts) USING ids, ats;
			END IF;
		EXCEPTION WHEN undefined_column THEN
			RAISE WARNING 'columns of % have changed since it was prepared: what is deleted in it is not counted', t.relation
				USING HINT = 'Run tombstone prepare --apply.';
		END;
	END LOOP;
	RETURN QUERY SELECT a.deletion, a.at, a.relation, count(*) FROM tombstone.archive a WHERE (a.deletion, a.at) IN (SELECT * FROM unnest(ids, ats)) GROUP BY 1, 2, 3;
END
$$;
