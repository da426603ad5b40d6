-- One instance of each trap; what comes after it says which. A line with "since N" is for PostgreSQL N and newer.

CREATE TABLE users (id bigint PRIMARY KEY, email text UNIQUE, name text, deleted_at timestamptz); -- key-holds-tombstones
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE, note text, deleted_at timestamptz);
CREATE INDEX orders_note ON orders (note); -- bloated-index
INSERT INTO users SELECT i, 'user' || i || '@example.org', 'user ' || i FROM generate_series(1, 100) i;
-- retention-behind, tombstones
INSERT INTO orders SELECT i, 1 + i % 100, 'order number ' || i, CASE WHEN i % 3 = 0 THEN timestamptz '2020-01-01 00:00:00+00' END FROM generate_series(1, 30000) i;
CREATE TABLE logins (user_id bigint REFERENCES users ON DELETE CASCADE, at timestamptz); -- unprotected-child
CREATE TABLE countries (code text PRIMARY KEY); -- native-cascade
CREATE TABLE cities (id int PRIMARY KEY, country text REFERENCES countries ON DELETE CASCADE, deleted_at timestamptz);

CREATE TABLE unmarked (id int PRIMARY KEY); -- missing-marker
CREATE TABLE audited (id int PRIMARY KEY, who text, deleted_at timestamptz); -- missing-audit-column
CREATE TABLE mistyped (id int PRIMARY KEY, who int, deleted_at timestamptz); -- wrong-audit-type
CREATE TABLE texted (id int PRIMARY KEY, deleted_at text); -- wrong-marker-type
CREATE TABLE newborn (id int PRIMARY KEY, deleted_at timestamptz DEFAULT now()); -- born-deleted
CREATE TABLE never (id int PRIMARY KEY, deleted_at timestamptz NOT NULL); -- born-deleted
CREATE TABLE flagged (id int PRIMARY KEY, deleted boolean NOT NULL); -- born-deleted
CREATE TABLE equal (v text, deleted boolean NOT NULL DEFAULT false); -- no-identity
CREATE TABLE held (id int PRIMARY KEY, deleted_at timestamptz); -- wrong-hold
CREATE TABLE dated (id int PRIMARY KEY, deleted_at timestamptz); -- missing-created
CREATE TABLE limited (id int PRIMARY KEY, deleted_at timestamptz); -- max-rows-unchecked
CREATE VIEW mirror AS SELECT 1 AS id; -- not-a-table
CREATE TABLE watched (id int PRIMARY KEY, deleted_at timestamptz); -- observed
CREATE SCHEMA app;
CREATE TABLE app.marked (id int PRIMARY KEY, deleted_at timestamptz);
CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE app.far (id int, deleted_at timestamptz) SERVER elsewhere; -- foreign-table
CREATE TABLE app.plain (id int PRIMARY KEY); -- unmarked-tables

-- delete-trigger, update-trigger
CREATE TABLE triggered (id int PRIMARY KEY, name text, changed timestamptz, deleted_at timestamptz);
CREATE TABLE trail (at timestamptz DEFAULT now(), what text);
CREATE FUNCTION trace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO trail (what) VALUES ('gone ' || OLD.id); RETURN NULL; END $$;
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 0 THEN RAISE 'it stays'; END IF; RETURN OLD; END $$;
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF TG_OP = 'DELETE' THEN INSERT INTO trail (what) VALUES ('gone'); END IF; RETURN NULL; END $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := now(); RETURN NEW; END $$;
-- marking-trigger
CREATE FUNCTION marks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF NEW.deleted_at = OLD.deleted_at THEN RETURN NEW; END IF;
	IF NEW.name = 'gone' THEN NEW.deleted_at = now(); END IF; RETURN NEW;
END $$;
CREATE TRIGGER marked BEFORE UPDATE OF name ON triggered FOR EACH ROW EXECUTE FUNCTION marks();
CREATE FUNCTION rounds() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.deleted_at := date_trunc('second', NEW.deleted_at); RETURN NEW; END $$;
CREATE TRIGGER rounded BEFORE UPDATE OF deleted_at ON triggered FOR EACH ROW EXECUTE FUNCTION rounds();
CREATE TRIGGER traced AFTER DELETE ON triggered FOR EACH ROW WHEN (OLD.id > 0) EXECUTE FUNCTION trace();
CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO trail (what) VALUES ('some'); RETURN NULL; END $$;
CREATE TRIGGER counted AFTER DELETE ON triggered FOR EACH STATEMENT EXECUTE FUNCTION counts();
CREATE TRIGGER forbidden BEFORE DELETE ON triggered FOR EACH ROW EXECUTE FUNCTION forbid();
CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON triggered FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER stamped BEFORE UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION stamp();

-- delete-rule, update-rule, rule-body
CREATE TABLE ruled (id int PRIMARY KEY, deleted_at timestamptz);
CREATE RULE kept AS ON DELETE TO ruled DO ALSO INSERT INTO trail (what) VALUES ('kept');
CREATE RULE noted AS ON UPDATE TO ruled DO ALSO INSERT INTO trail (what) VALUES ('noted');
CREATE RULE swept AS ON INSERT TO trail WHERE new.what = 'sweep' DO ALSO DELETE FROM users WHERE id < 0;

-- open-view, instead-of-delete
CREATE VIEW names AS SELECT u.id AS key, u.name, o.note FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id > 0 OR u.name = '';
CREATE VIEW many_names WITH (security_barrier) AS SELECT name, count(*) FROM names GROUP BY name;
CREATE MATERIALIZED VIEW totals AS SELECT user_id, count(*) AS n FROM orders GROUP BY user_id;
CREATE UNIQUE INDEX totals_user ON totals (user_id);
COMMENT ON MATERIALIZED VIEW totals IS 'it''s counted';
GRANT SELECT ON totals TO PUBLIC;
CREATE VIEW shop AS SELECT id, note FROM orders WHERE deleted_at IS NULL;
CREATE FUNCTION really() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
CREATE TRIGGER instead INSTEAD OF DELETE ON shop FOR EACH ROW EXECUTE FUNCTION really();

-- function-*
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users $$; -- reads
CREATE FUNCTION total_atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM users; END; -- since 14
CREATE FUNCTION sweep(p bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	DELETE FROM orders WHERE user_id = p;
	DELETE FROM users WHERE id = p RETURNING id INTO n;
	RETURN n;
END $$; -- deletes
CREATE PROCEDURE rename_all() LANGUAGE sql AS $$ UPDATE users SET name = 'x' $$; -- updates
CREATE FUNCTION own_purge() RETURNS void LANGUAGE sql AS $$ DELETE FROM users WHERE deleted_at < now() - interval '10 years' $$; -- purges
CREATE FUNCTION any_table(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('DELETE FROM %I', t); END $$; -- dynamic-sql
SET check_function_bodies = off;
CREATE FUNCTION newer() RETURNS void LANGUAGE plpgsql AS $$ BEGIN MERGE INTO trail USING users ON true WHEN NOT MATCHED BY SOURCE THEN DELETE; END $$; -- unread-body

-- policy-reads: who was thrown out still reads
CREATE TABLE members (role name PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE documents (id int PRIMARY KEY, body text);
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
CREATE POLICY members_only ON documents USING (EXISTS (SELECT FROM members m WHERE m.role = current_user));
GRANT SELECT ON documents, members TO app;

-- policy-refuses-marking
CREATE TABLE notes (id int PRIMARY KEY, owner name DEFAULT current_user, deleted_at timestamptz);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON notes FOR SELECT USING (true);
CREATE POLICY dropped ON notes FOR DELETE TO app USING (owner = current_user);
GRANT SELECT, DELETE, UPDATE ON notes TO app;
INSERT INTO notes VALUES (1, 'app'), (2, 'clerk');

-- policy-tests-marker
CREATE TABLE secrets (id int PRIMARY KEY, owner name DEFAULT current_user, deleted_at timestamptz);
ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON secrets USING (owner = current_user AND deleted_at IS NULL);
GRANT SELECT, DELETE, UPDATE ON secrets TO app;
INSERT INTO secrets VALUES (1, 'app'), (2, 'app'), (3, 'clerk');

-- missing-grant
GRANT SELECT, DELETE ON orders TO app;
GRANT DELETE ON users, unmarked TO app;
CREATE VIEW shown AS SELECT * FROM limited;
GRANT SELECT, DELETE ON shown TO app;

-- publication-without-updates, publication-without-marker, no-replica-identity, published
CREATE TABLE published (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE narrow (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE keyless (id int, deleted_at timestamptz);
CREATE TABLE sent (id int PRIMARY KEY, deleted_at timestamptz);
CREATE PUBLICATION deletes FOR TABLE published WITH (publish = 'insert, delete');
CREATE PUBLICATION columns FOR TABLE narrow (id, name); -- since 15
CREATE PUBLICATION keys FOR TABLE keyless, sent;

-- unindexed
CREATE TABLE vast (id int PRIMARY KEY, deleted_at timestamptz);
INSERT INTO vast SELECT i, CASE WHEN i % 10 = 0 THEN timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute' END FROM generate_series(1, 1000) i;
ANALYZE vast;
UPDATE pg_class SET relpages = 400000, reltuples = 1e8 WHERE relname = 'vast'; -- as if it were
