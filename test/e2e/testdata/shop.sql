-- What every test's database starts with. Foreign keys are left out: a buried parent keeps its children.
CREATE TABLE users (
	id         int PRIMARY KEY,
	name       text NOT NULL,
	email      text,
	city       text,
	deleted_at timestamptz
);
CREATE TABLE orders (
	id         int PRIMARY KEY,
	user_id    int,
	total      numeric(10, 2),
	placed     date,
	deleted_at timestamptz
);
-- The marker in the middle, a composite key, and a column that several tables share.
CREATE TABLE memberships (
	user_id    int,
	deleted_at timestamptz(3),
	team       text,
	since      date,
	PRIMARY KEY (user_id, team)
);
CREATE TABLE "Größe" (
	"Maß"      int,
	"Ä b"      text,
	deleted_at timestamp
);
CREATE TABLE audit_log (id int PRIMARY KEY, what text, user_id int);
CREATE TABLE files (id int PRIMARY KEY, body text, deleted_at timestamptz);

-- A table of the same name that is not protected, and one that is.
CREATE SCHEMA archive;
CREATE TABLE archive.users (id int PRIMARY KEY, name text NOT NULL, deleted_at timestamptz);
CREATE SCHEMA tenant;
CREATE TABLE tenant.users (id int PRIMARY KEY, name text NOT NULL, deleted_at timestamptz);

INSERT INTO users SELECT i, 'user ' || i, 'u' || i || '@example.org', (ARRAY['Köln', 'Łódź', 'Oslo'])[i % 3 + 1] FROM generate_series(1, 30) i;
INSERT INTO orders SELECT i, i % 40 + 1, i * 1.25, date '2024-01-01' + i FROM generate_series(1, 80) i;
INSERT INTO memberships (user_id, team, since) SELECT i, t, date '2023-05-05' + i FROM generate_series(1, 12) i, unnest('{red,blue}'::text[]) t;
INSERT INTO "Größe" SELECT i, 'ß' || i FROM generate_series(1, 9) i;
INSERT INTO audit_log SELECT i, 'event ' || i, i FROM generate_series(1, 20) i;
INSERT INTO archive.users SELECT i, 'archived ' || i FROM generate_series(1, 6) i;
INSERT INTO tenant.users SELECT i, 'tenant ' || i FROM generate_series(1, 6) i;

CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION fail(why text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'failed: %', why USING HINT = 'do not call it'; END $$;
CREATE FUNCTION say(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', what; RETURN length(what); END $$;
