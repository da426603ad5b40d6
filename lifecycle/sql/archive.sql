-- Rows on their way to the archive and back.

-- closure locks a row and the tombstones that refer to it, and to those, and so on, lists them as they are then, and tells whether a live row
-- refers to one of them. A row that is not there any more is listed and has none.
CREATE OR REPLACE FUNCTION tombstone.closure(leaf regclass, place tid, OUT leaves regclass[], OUT places tid[], OUT held boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	fk record;
	found_leaf regclass;
	found_place tid;
	i int := 1;
BEGIN
	EXECUTE format('SELECT FROM ONLY %s x WHERE x.ctid = $1 FOR UPDATE', leaf) USING place;
	leaves := ARRAY[leaf];
	places := ARRAY[place];
	held := false;
	WHILE i <= cardinality(leaves) LOOP
		FOR fk IN
			SELECT f.conrelid::regclass AS child, f.confrelid::regclass AS parent, t.dead, (
				SELECT string_agg(format('p.%I OPERATOR(%I.%s) x.%I', pa.attname, n.nspname, o.oprname, ca.attname), ' AND ')
				FROM unnest(f.confkey, f.conkey, f.conpfeqop) AS k (pn, cn, op)
				JOIN pg_attribute pa ON pa.attrelid = f.confrelid AND pa.attnum = k.pn
				JOIN pg_attribute ca ON ca.attrelid = f.conrelid AND ca.attnum = k.cn
				JOIN pg_operator o ON o.oid = k.op JOIN pg_namespace n ON n.oid = o.oprnamespace) AS matches
			FROM pg_constraint f LEFT JOIN tombstone.tables t ON t.relation = f.conrelid
			WHERE f.contype = 'f' AND f.conparentid = 0
				AND (f.confrelid = leaves[i] OR f.confrelid IN (SELECT a.relid FROM pg_partition_ancestors(leaves[i]) a))
		LOOP
			IF NOT held THEN
				EXECUTE format('SELECT EXISTS (SELECT FROM %s x, %s p WHERE p.tableoid = $1 AND p.ctid = $2 AND %s AND NOT (%s))',
					fk.child, fk.parent, fk.matches, coalesce(fk.dead, 'false')) INTO held USING leaves[i]::oid, places[i];
			END IF;
			CONTINUE WHEN fk.dead IS NULL;
			FOR found_leaf, found_place IN EXECUTE format('SELECT x.tableoid, x.ctid FROM %s x, %s p WHERE p.tableoid = $1 AND p.ctid = $2 AND %s AND %s FOR UPDATE OF x',
				fk.child, fk.parent, fk.matches, fk.dead) USING leaves[i]::oid, places[i]
			LOOP
				IF NOT EXISTS (SELECT FROM unnest(leaves, places) AS u (l, p) WHERE u.l = found_leaf AND u.p = found_place) THEN
					leaves := leaves || found_leaf;
					places := places || found_place;
				END IF;
			END LOOP;
		END LOOP;
		i := i + 1;
	END LOOP;
END
$$;

-- evict moves a tombstone to the archive, because its key is used again, and with it the tombstones that refer to it. They go in one
-- statement: foreign keys are looked at when all are gone, and find nothing to follow. path is the session's, for triggers that others have made.
CREATE OR REPLACE FUNCTION tombstone.evict(leaf regclass, place tid, path text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	leaves regclass[];
	places tid[];
	held boolean;
	protected tombstone.tables;
	found_leaf regclass;
	parts text[] := '{}';
	command text;
	before text := current_setting('tombstone.delete', true);
	parting text := current_setting('tombstone.parting', true);
	moving text := current_setting('tombstone.evicting', true);
	role text := current_setting('session_replication_role');
BEGIN
	SELECT c.* INTO leaves, places, held FROM tombstone.closure(leaf, place) c;
	FOR found_leaf IN SELECT DISTINCT l FROM unnest(leaves) AS l LOOP
		SELECT t.* INTO STRICT protected FROM tombstone.tables t
		WHERE t.relation = found_leaf OR t.relation IN (SELECT a.relid FROM pg_partition_ancestors(found_leaf) a);
		parts := parts || format(
			'g%s AS (DELETE FROM ONLY %s x WHERE x.ctid = ANY (ARRAY(SELECT u.p FROM unnest($1, $2) AS u (l, p) WHERE u.l = %L::regclass))'
			' RETURNING tombstone.whole(x.*) AS r, %s::timestamptz AS at, %s AS key),'
			' i%s AS (INSERT INTO tombstone.archive (deletion, at, relation, row)'
			' SELECT (d).id, COALESCE((d).at, g.at), %L::regclass, g.r'
			' FROM g%s g, LATERAL (SELECT tombstone.deletion_of(%L::regclass, g.at, g.key) AS d) d),'
			' k%s AS (DELETE FROM tombstone.keyed k USING g%s g WHERE k.relation = %L::regclass AND k.key = g.key)',
			cardinality(parts), found_leaf, found_leaf, CASE WHEN protected.tells THEN format('x.%I', protected.marker) ELSE 'NULL' END,
			protected.texts,
			cardinality(parts), protected.relation, cardinality(parts), protected.relation,
			cardinality(parts), cardinality(parts), protected.relation);
	END LOOP;
	command := 'WITH ' || array_to_string(parts, ', ') || ' SELECT';
	PERFORM set_config('tombstone.delete', 'purge', true);
	PERFORM set_config('tombstone.parting', '', true); -- what goes here is kept here, and not also as what the server deletes
	IF held THEN
		-- A live row refers to the key. Either the row that is about to be written has it, or what is to become of the reference is still to be
		-- done, after the statement. Foreign keys must not be followed now: ON DELETE CASCADE would lose rows.
		BEGIN
			PERFORM set_config('session_replication_role', 'replica', true);
		EXCEPTION WHEN insufficient_privilege THEN
			RAISE foreign_key_violation USING
				MESSAGE = format('a deleted row of "%s" has a key that is used again while other rows refer to it', leaf),
				HINT = 'Delete and insert in statements of their own, or run tombstone prepare as a superuser.';
		END;
	END IF;
	PERFORM set_config('tombstone.evicting', pg_trigger_depth()::text, true); -- what goes because of these, and is not one of them, is not kept
	PERFORM set_config('search_path', path, true); -- until the end of this function
	EXECUTE command USING leaves, places;
	PERFORM pg_catalog.set_config('tombstone.evicting', COALESCE(moving, ''), true);
	IF held THEN
		PERFORM pg_catalog.set_config('session_replication_role', role, true);
	END IF;
	PERFORM pg_catalog.set_config('tombstone.parting', COALESCE(parting, ''), true);
	PERFORM pg_catalog.set_config('tombstone.delete', COALESCE(before, ''), true);
END
$$;

-- unarchive puts rows back that were moved to the archive, live, and all in one statement: they may refer to each other.
CREATE OR REPLACE FUNCTION tombstone.unarchive(ids bigint[], path text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
	shape record;
	strange text;
	parts text[] := '{}';
BEGIN
	PERFORM FROM tombstone.archive a WHERE a.id = ANY (ids) FOR UPDATE; -- else one that is purged meanwhile would be live all the same
	FOR shape IN -- rows of one table may be from before and after a change of its columns
		SELECT DISTINCT a.relation, ARRAY(SELECT jsonb_object_keys(a.row) ORDER BY 1) AS keys,
			coalesce((SELECT t.alive FROM tombstone.tables t WHERE t.relation = a.relation), '{}') AS alive
		FROM tombstone.archive a WHERE a.id = ANY (ids)
	LOOP
		FOR strange IN SELECT k FROM unnest(shape.keys) AS k WHERE NOT EXISTS (
			SELECT FROM pg_attribute c WHERE c.attrelid = shape.relation AND c.attnum > 0 AND NOT c.attisdropped AND c.attname = k)
		LOOP
			IF EXISTS (SELECT FROM tombstone.archive a WHERE a.id = ANY (ids) AND a.relation = shape.relation AND a.row ->> strange IS NOT NULL) THEN
				RAISE undefined_column USING MESSAGE = format('an archived row of %s has a value of column "%s", which the table does not have any more', shape.relation, strange),
					HINT = 'Add the column again, or take the row from tombstone.archive.';
			END IF;
		END LOOP;
		parts := parts || (
			SELECT format('i%s AS (INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM tombstone.archive a'
				' WHERE a.id = ANY ($1) AND a.relation = %L::regclass AND ARRAY(SELECT jsonb_object_keys(a.row) ORDER BY 1) = %L)',
				cardinality(parts), shape.relation, string_agg(quote_ident(c.attname), ', '),
				string_agg(coalesce(shape.alive ->> c.attname, format('(a.row ->> %L)::%s', c.attname, format_type(c.atttypid, c.atttypmod))), ', '),
				shape.relation, shape.keys)
			FROM pg_attribute c
			WHERE c.attrelid = shape.relation AND c.attnum > 0 AND NOT c.attisdropped AND c.attgenerated = '' AND c.attname = ANY (shape.keys));
	END LOOP;
	IF parts <> '{}' THEN
		PERFORM set_config('search_path', path, true); -- for triggers that others have made
		EXECUTE 'WITH ' || array_to_string(parts, ', ') || ' DELETE FROM tombstone.archive a WHERE a.id = ANY ($1)' USING ids;
	END IF;
END
$$;
