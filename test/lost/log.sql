-- The test's own record of all that is committed. It is written by triggers, in the transaction that it is about, so it has what that
-- transaction did, or nothing. n orders what happened to one row, since each who writes it holds its lock.
CREATE TABLE lost.log (
	n bigserial PRIMARY KEY,
	relation text NOT NULL,
	op text NOT NULL,       -- insert, update, bury, revive, delete; archive, unarchive of the archive; record, forget of a deletion
	uid bigint,
	tok text,
	row jsonb,
	deletion text,          -- of what is archived or recorded
	xid text NOT NULL DEFAULT pg_current_xact_id()::text,
	app text NOT NULL DEFAULT current_setting('application_name'),
	began timestamptz NOT NULL DEFAULT now(),
	at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION lost.dead(r jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(r ->> 'deleted_at', nullif(r ->> 'gone', 'false')) IS NOT NULL
$$;

CREATE FUNCTION lost.note() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $$
DECLARE
	old_row jsonb;
	new_row jsonb;
	what text := lower(TG_OP);
BEGIN
	IF TG_OP <> 'INSERT' THEN
		old_row := to_jsonb(OLD);
	END IF;
	IF TG_OP <> 'DELETE' THEN
		new_row := to_jsonb(NEW);
	END IF;
	IF TG_OP = 'UPDATE' AND lost.dead(old_row) <> lost.dead(new_row) THEN
		what := CASE WHEN lost.dead(new_row) THEN 'bury' ELSE 'revive' END;
	END IF;
	INSERT INTO lost.log (relation, op, uid, tok, row)
	VALUES (TG_ARGV[0], what, (coalesce(new_row, old_row) ->> 'uid')::bigint, coalesce(new_row, old_row) ->> 'tok', coalesce(new_row, old_row));
	RETURN NULL;
END
$$;

CREATE FUNCTION lost.note_archive() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
	one tombstone.archive := coalesce(NEW, OLD);
BEGIN
	INSERT INTO lost.log (relation, op, uid, tok, deletion, row)
	VALUES ((SELECT relname FROM pg_class WHERE oid = one.relation), CASE TG_OP WHEN 'INSERT' THEN 'archive' ELSE 'unarchive' END,
		(one.row ->> 'uid')::bigint, one.row ->> 'tok', one.deletion::text, one.row || jsonb_build_object('tombstone at', coalesce(one.at, one.archived)));
	RETURN NULL;
END
$$;

CREATE FUNCTION lost.note_deletion() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	one tombstone.deletions := coalesce(NEW, OLD);
BEGIN
	INSERT INTO lost.log (relation, op, deletion) VALUES ('deletions', CASE TG_OP WHEN 'INSERT' THEN 'record' ELSE 'forget' END, one.id::text);
	RETURN NULL;
END
$$;

CREATE TRIGGER lost_note AFTER INSERT OR DELETE ON tombstone.archive FOR EACH ROW EXECUTE FUNCTION lost.note_archive();
CREATE TRIGGER lost_note AFTER INSERT OR DELETE ON tombstone.deletions FOR EACH ROW EXECUTE FUNCTION lost.note_deletion();

DO $$
DECLARE
	t regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition LOOP
		EXECUTE format('CREATE TRIGGER lost_note AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION lost.note(%L)', t, t);
	END LOOP;
	-- Always: where triggers are off for a moment (session_replication_role), a row could be lost unseen.
	FOR t IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'lost_note' LOOP
		EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER lost_note', t);
	END LOOP;
END
$$;

