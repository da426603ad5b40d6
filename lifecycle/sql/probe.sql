-- What transactions above READ COMMITTED see too late.

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
