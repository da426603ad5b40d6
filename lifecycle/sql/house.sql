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
-- Of a hash, since a row without a key is told by all that it has, which may be more than another index takes (54000).
DROP INDEX IF EXISTS tombstone.keyed_key;
CREATE INDEX IF NOT EXISTS keyed_row ON tombstone.keyed USING hash (key);

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
DROP INDEX IF EXISTS tombstone.severed_key;
CREATE INDEX IF NOT EXISTS severed_row ON tombstone.severed USING hash (key);

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

-- A publication of all tables is one of these, too: without a replica identity the server refuses to delete from them then (55000).
ALTER TABLE tombstone.keyed REPLICA IDENTITY FULL;
ALTER TABLE tombstone.severed REPLICA IDENTITY FULL;

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

-- told is a value as text that is the same in every session: for types that are made of others.
CREATE OR REPLACE FUNCTION tombstone.told(value anyelement) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
BEGIN
	RETURN value::text;
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
	IF TG_OP = 'DELETE' AND coalesce(current_setting('tombstone.moving_' || pg_trigger_depth(), true), '') = format('%s %s %s', OLD.tableoid, OLD.ctid, statement_timestamp()) THEN
		RETURN OLD; -- an UPDATE takes it to another partition, or it is in the archive
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

-- The transactions that undo a deletion: a restored row may refer to one that is still to be restored, until all are back.
CREATE TABLE IF NOT EXISTS tombstone.undoing (by xid8 PRIMARY KEY);
ALTER TABLE tombstone.undoing ADD COLUMN IF NOT EXISTS back boolean NOT NULL DEFAULT false;
