CREATE SCHEMA IF NOT EXISTS tombstone;

REVOKE ALL ON SCHEMA tombstone FROM PUBLIC;

-- One row for each transaction that has deleted rows. Where exact, its rows are those of tables whose marker is at; else each is in keyed.
CREATE TABLE IF NOT EXISTS tombstone.deletions (
	id xid8 NOT NULL,
	at timestamptz NOT NULL,
	exact boolean NOT NULL,
	role name NOT NULL,
	actor text,
	reason text,
	application_name text,
	client text,
	tables regclass[] NOT NULL, -- those of the rows, and those that would have been deleted from with them
	PRIMARY KEY (id, at)
);
-- Who logged in, where role is what SET ROLE named; NULL in what is from before that was written down.
ALTER TABLE tombstone.deletions ADD COLUMN IF NOT EXISTS login name;
CREATE UNIQUE INDEX IF NOT EXISTS deletions_exact ON tombstone.deletions (at) WHERE exact;

-- Deleted rows whose marker does not tell which deletion they are of.
CREATE TABLE IF NOT EXISTS tombstone.keyed (
	deletion xid8 NOT NULL,
	at timestamptz NOT NULL,
	relation regclass NOT NULL,
	key text[] NOT NULL
);
CREATE INDEX IF NOT EXISTS keyed_deletion ON tombstone.keyed (deletion);
CREATE INDEX IF NOT EXISTS keyed_key ON tombstone.keyed (relation, key);

-- References that a deletion took from rows that stayed: ON DELETE SET NULL and SET DEFAULT.
CREATE TABLE IF NOT EXISTS tombstone.severed (
	deletion xid8 NOT NULL,
	at timestamptz NOT NULL,
	relation regclass NOT NULL,
	constraint_name name NOT NULL,
	key text[] NOT NULL,
	was text[] NOT NULL,   -- the reference
	became text[] NOT NULL -- what ON DELETE put in its place
);
CREATE INDEX IF NOT EXISTS severed_deletion ON tombstone.severed (deletion);
CREATE INDEX IF NOT EXISTS severed_key ON tombstone.severed (relation, key);

-- Rows that are no longer in their table, whole: a deleted one whose key was used again, and one of a table that is not
-- protected which went with a deleted row of one that is.
CREATE TABLE IF NOT EXISTS tombstone.archive (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	deletion xid8,
	at timestamptz,
	relation regclass NOT NULL,
	archived timestamptz NOT NULL DEFAULT now(),
	row jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS archive_deletion ON tombstone.archive (deletion);
CREATE INDEX IF NOT EXISTS archive_relation ON tombstone.archive (relation);

-- who deletes, as far as the session tells.
CREATE OR REPLACE FUNCTION tombstone.who() RETURNS TABLE (role name, actor text, reason text, application_name text, client text)
LANGUAGE sql STABLE AS $$
	SELECT CASE pg_catalog.current_setting('role') WHEN 'none' THEN session_user ELSE pg_catalog.current_setting('role')::pg_catalog.name END,
		NULLIF(pg_catalog.current_setting('tombstone.actor', true), ''), NULLIF(pg_catalog.current_setting('tombstone.reason', true), ''),
		NULLIF(pg_catalog.current_setting('application_name'), ''),
		COALESCE(NULLIF(pg_catalog.current_setting('tombstone.client', true), ''),
			pg_catalog.host(pg_catalog.inet_client_addr()) OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) pg_catalog.inet_client_port()::pg_catalog.text)
$$;

-- deletion writes down that the current transaction deletes rows of tables, and tells whether its time tells its rows. Names have their schemas
-- instead of SET search_path, which would cost as much as the rest.
CREATE OR REPLACE FUNCTION tombstone.deletion(tables regclass[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	me constant pg_catalog.xid8 := pg_catalog.pg_current_xact_id();
	sure boolean;
BEGIN
	INSERT INTO tombstone.deletions (id, at, exact, role, actor, reason, application_name, client, tables, login)
	SELECT me, pg_catalog.now(), true, w.role, w.actor, w.reason, w.application_name, w.client, deletion.tables, session_user FROM tombstone.who() w
	ON CONFLICT DO NOTHING;
	IF FOUND THEN
		RETURN true;
	END IF;
	SELECT d.exact INTO sure FROM tombstone.deletions d WHERE d.id OPERATOR(pg_catalog.=) me AND d.at OPERATOR(pg_catalog.=) pg_catalog.now();
	IF FOUND THEN
		UPDATE tombstone.deletions d SET tables = d.tables OPERATOR(pg_catalog.||) deletion.tables
		WHERE d.id OPERATOR(pg_catalog.=) me AND d.at OPERATOR(pg_catalog.=) pg_catalog.now() AND NOT d.tables OPERATOR(pg_catalog.@>) deletion.tables;
		RETURN sure;
	END IF;
	-- Two transactions may begin in the same microsecond: then the marker tells the rows of the first.
	INSERT INTO tombstone.deletions (id, at, exact, role, actor, reason, application_name, client, tables, login)
	SELECT me, pg_catalog.now(), false, w.role, w.actor, w.reason, w.application_name, w.client, deletion.tables, session_user FROM tombstone.who() w;
	RETURN false;
END
$$;

-- note writes down a deleted row whose marker does not tell its deletion.
CREATE OR REPLACE FUNCTION tombstone.note(tables regclass[], relation regclass, key text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tombstone.deletion(tables);
	INSERT INTO tombstone.keyed (deletion, at, relation, key)
	VALUES (pg_catalog.pg_current_xact_id(), pg_catalog.now(), note.relation, note.key);
END
$$;

-- deleter is the role that deletes: the one that SET ROLE named, else the one that logged in.
CREATE OR REPLACE FUNCTION tombstone.deleter() RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END
$$;

-- whole is a row as text, column by column: what the type of each reads back unchanged, also when columns have been added since.
CREATE OR REPLACE FUNCTION tombstone.whole(r anyelement) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
	columns text;
	result jsonb;
BEGIN
	SELECT string_agg(format('(%L, ($1).%I::text)', a.attname, a.attname), ', ') INTO columns
	FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
	WHERE t.oid = pg_typeof(r) AND a.attnum > 0 AND NOT a.attisdropped;
	EXECUTE 'SELECT jsonb_object_agg(c.name, c.value) FROM (VALUES ' || columns || ') AS c (name, value)' INTO result USING r;
	RETURN result;
END
$$;

-- guard refuses to lose rows: only a purge deletes for good.
CREATE OR REPLACE FUNCTION tombstone.guard() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP = 'DELETE' AND coalesce(current_setting('tombstone.moving', true), '') = format('%s %s', OLD.tableoid, OLD.ctid) THEN
		RETURN OLD; -- an UPDATE that takes it to another partition
	END IF;
	IF coalesce(current_setting('tombstone.delete', true), '') <> 'purge' THEN
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = format('rows of table "%s" are not really deleted: tombstone keeps them', TG_TABLE_NAME),
			HINT = 'Delete through the proxy. To lose rows for good, use tombstone purge, or SET tombstone.delete = purge first.',
			SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
	END IF;
	IF TG_OP = 'TRUNCATE' THEN
		RETURN NULL;
	END IF;
	-- Rows that move to the archive are deleted by a statement; what is deleted because of them, by a foreign key or a trigger, would be lost.
	IF coalesce(current_setting('tombstone.evicting', true), '') <> '' AND pg_trigger_depth() > current_setting('tombstone.evicting')::int + 1 THEN
		RAISE serialization_failure USING
			MESSAGE = format('a row of table "%s" would be lost with a deleted row that moves to the archive', TG_TABLE_NAME),
			HINT = 'Try again. If it comes again, a trigger deletes rows when others are deleted.',
			SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
	END IF;
	RETURN OLD;
END
$$;

-- max_rows refuses a statement that changes more rows of a table than the policy lets it. To restore and to purge has no limit.
CREATE OR REPLACE FUNCTION tombstone.max_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF (SELECT count(*) FROM (SELECT FROM changed LIMIT TG_ARGV[0]::bigint + 1) c) > TG_ARGV[0]::bigint
		AND coalesce(current_setting('tombstone.delete', true), '') <> 'purge'
		AND NOT EXISTS (SELECT FROM tombstone.undoing u WHERE u.by = pg_current_xact_id())
	THEN
		RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded',
			MESSAGE = format('the statement would change more than %s rows of table "%s"', TG_ARGV[0], TG_TABLE_NAME),
			DETAIL = 'Nothing of it was done.',
			HINT = 'Change fewer rows in one statement, or raise max_rows of the table in tombstone''s policy.',
			SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
	END IF;
	RETURN NULL;
END
$$;

-- The protected tables, as the functions here need to know them. tombstone prepare fills it in.
CREATE TABLE IF NOT EXISTS tombstone.tables (
	relation regclass PRIMARY KEY,
	marker name NOT NULL,
	tells boolean NOT NULL, -- the marker of a tombstone tells its deletion
	dead text NOT NULL,     -- the condition that a row x is a tombstone
	alive jsonb NOT NULL,   -- what makes it live: columns, and what they are set to as SQL
	key name[] NOT NULL,    -- the columns that tell a row from the others
	texts text NOT NULL     -- those of a row x as an array of text
);

-- deletion_of is the deletion of a tombstone, NULL if none is known.
CREATE OR REPLACE FUNCTION tombstone.deletion_of(relation regclass, marker timestamptz, key text[]) RETURNS tombstone.deletions
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT d FROM tombstone.deletions d
	WHERE (d.id, d.at) IN (SELECT k.deletion, k.at FROM tombstone.keyed k WHERE k.relation = deletion_of.relation AND k.key = deletion_of.key)
	OR d.exact AND d.at = deletion_of.marker
		AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation = deletion_of.relation AND k.key = deletion_of.key)
	ORDER BY d.at DESC LIMIT 1
$$;

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

-- probe has the server's own foreign keys judge whether a tombstone could go: they see rows that have come since the transaction's snapshot
-- was taken. Nothing of it stays.
CREATE OR REPLACE FUNCTION tombstone.probe(leaf regclass, place tid, waits text, path text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	leaves regclass[];
	places tid[];
	held boolean;
	command text;
	schema text;
	child text;
BEGIN
	BEGIN
		SELECT c.* INTO leaves, places, held FROM tombstone.closure(leaf, place) c;
		IF held THEN
			RETURN; -- by a row that is seen: that is for the key of that row to judge
		END IF;
		SELECT 'WITH ' || string_agg(format('g%s AS (DELETE FROM ONLY %s x WHERE x.ctid = ANY (ARRAY(SELECT u.p FROM unnest($1, $2) AS u (l, p) WHERE u.l = %L::regclass)))',
			l::oid, l, l), ', ') || ' SELECT' INTO command FROM (SELECT DISTINCT l FROM unnest(leaves) AS l) AS u;
		PERFORM set_config('tombstone.delete', 'purge', true);
		PERFORM set_config('search_path', path, true);
		EXECUTE command USING leaves, places;
		IF waits IS NOT NULL THEN
			EXECUTE 'SET CONSTRAINTS ' || waits || ' IMMEDIATE';
		END IF;
		RAISE EXCEPTION USING ERRCODE = 'TOMB0';
	EXCEPTION
		WHEN SQLSTATE 'TOMB0' THEN
			NULL;
		WHEN foreign_key_violation THEN
			GET STACKED DIAGNOSTICS child = TABLE_NAME, schema = SCHEMA_NAME;
			IF NOT EXISTS (SELECT FROM tombstone.tables t WHERE t.relation = to_regclass(format('%I.%I', schema, child))) THEN
				RAISE; -- it has no tombstones: the row is a live one
			END IF;
			RAISE serialization_failure USING MESSAGE = 'could not serialize access due to concurrent update';
	END;
END
$$;

-- outrun fails with 40001 if a row that is to be refused could not go in the end because of rows that have come since the transaction's snapshot:
-- then the transaction is to be tried again, and is not told that it has done wrong. Nothing of it stays.
CREATE OR REPLACE FUNCTION tombstone.outrun(leaf regclass, place tid, path text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM set_config('tombstone.delete', 'purge', true);
	PERFORM set_config('search_path', path, true);
	EXECUTE format('DELETE FROM ONLY %s x WHERE x.ctid = %L', leaf, place);
	RAISE EXCEPTION USING ERRCODE = 'TOMB0';
EXCEPTION WHEN SQLSTATE 'TOMB0' OR integrity_constraint_violation THEN
	NULL;
END
$$;

-- The transactions that undo a deletion: until their end a restored row may refer to one that is still to be restored.
CREATE TABLE IF NOT EXISTS tombstone.undoing (by xid8 PRIMARY KEY);

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

-- rows_of is the condition that a row x of a table is of a deletion.
CREATE OR REPLACE FUNCTION tombstone.rows_of(d tombstone.deletions, t tombstone.tables) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT t.dead || ' AND (' || t.texts
		|| format(' IN (SELECT k.key FROM tombstone.keyed k WHERE k.deletion = %L AND k.at = %L AND k.relation = %L::regclass)', d.id, d.at, t.relation)
		|| CASE WHEN t.tells AND d.exact THEN format(' OR x.%I = %L AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.relation = %L::regclass AND k.key = %s)',
			t.marker, d.at, t.relation, t.texts) ELSE '' END || ')'
$$;

-- counts is how many rows a deletion took, by table: those that are still deleted, here or in the archive.
CREATE OR REPLACE FUNCTION tombstone.counts(d tombstone.deletions) RETURNS TABLE (relation regclass, count bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	t tombstone.tables;
	moved bigint;
BEGIN
	FOR t IN SELECT * FROM tombstone.tables AS tables WHERE tables.relation = ANY (d.tables)
		AND EXISTS (SELECT FROM pg_class c WHERE c.oid = tables.relation) ORDER BY tables.relation::text -- it may have been dropped
	LOOP
		BEGIN
			EXECUTE format('SELECT count(*) FROM %s x WHERE %s', t.relation, tombstone.rows_of(d, t)) INTO count;
		EXCEPTION WHEN undefined_column THEN
			count := 0;
			RAISE WARNING 'columns of % have changed since it was prepared: what is deleted in it is not counted', t.relation
				USING HINT = 'Run tombstone prepare --apply.';
		END;
		SELECT count(*) INTO moved FROM tombstone.archive a WHERE a.deletion = d.id AND a.at = d.at AND a.relation = t.relation;
		relation := t.relation;
		count := count + moved;
		RETURN NEXT;
	END LOOP;
	FOR relation, count IN SELECT a.relation, count(*) FROM tombstone.archive a
		WHERE a.deletion = d.id AND a.at = d.at AND NOT EXISTS (SELECT FROM tombstone.tables AS tables WHERE tables.relation = a.relation) GROUP BY 1
	LOOP
		RETURN NEXT;
	END LOOP;
END
$$;
