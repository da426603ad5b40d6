-- What every attack finds. Live rows say LIVE, deleted ones SECRET, rows of tables that are not protected PLAIN.
CREATE TABLE users (
	id         int PRIMARY KEY,
	name       text,
	email      text,
	pin        int,
	deleted_at timestamptz
);
CREATE UNIQUE INDEX users_email ON users (email) WHERE deleted_at IS NULL;
CREATE TABLE orders (
	id         int PRIMARY KEY,
	user_id    int,
	note       text,
	deleted_at timestamptz
);
-- A unique key that is not partial.
CREATE TABLE codes (id int PRIMARY KEY, code text UNIQUE, pin int UNIQUE, deleted_at timestamptz);
-- Protected children of a parent that is not, with each way to follow it.
CREATE TABLE countries (id int PRIMARY KEY, code text UNIQUE, name text);
CREATE TABLE people (id int PRIMARY KEY, country int REFERENCES countries ON DELETE CASCADE ON UPDATE CASCADE, name text, deleted_at timestamptz);
CREATE TABLE guests (id int PRIMARY KEY, country text REFERENCES countries (code) ON DELETE SET NULL ON UPDATE CASCADE, name text, deleted_at timestamptz);
-- A protected parent of a protected child.
CREATE TABLE teams (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE members (id int PRIMARY KEY, team int REFERENCES teams, name text, deleted_at timestamptz);
-- A partitioned table; its partitions are protected through it.
CREATE TABLE events (id int, kind text, name text, deleted_at timestamptz, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE events_a PARTITION OF events FOR VALUES IN ('a');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
-- Inheritance: a protected parent with a child.
CREATE TABLE animals (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE dogs (breed text) INHERITS (animals);
CREATE TABLE "Größe" (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE "we""ird name" (id int PRIMARY KEY, name text, deleted_at timestamptz);

-- What is not protected.
CREATE TABLE log (id int PRIMARY KEY, what text, user_id int);
CREATE SCHEMA archive;
CREATE TABLE archive.users (id int PRIMARY KEY, name text, email text, pin int, deleted_at timestamptz);
CREATE SCHEMA tenant;
CREATE TABLE tenant.users (id int PRIMARY KEY, name text, deleted_at timestamptz);

INSERT INTO users SELECT i, 'LIVE-' || i, 'live' || i || '@example.org', 111000000 + i FROM generate_series(1, 5) i;
INSERT INTO users SELECT i, 'SECRET-' || i, 'SECRET-' || i || '@example.org', 777000000 + i, '2024-02-02' FROM generate_series(6, 9) i;
INSERT INTO orders SELECT i, i, 'LIVE-' || i FROM generate_series(1, 5) i;
INSERT INTO orders SELECT i, i, 'SECRET-' || i, '2024-02-02' FROM generate_series(6, 8) i;
INSERT INTO orders VALUES (10, 6, 'LIVE-10');
INSERT INTO codes VALUES (1, 'LIVE-1', 111000001, NULL), (2, 'SECRET-2', 777000002, '2024-02-02');
INSERT INTO countries VALUES (1, 'a', 'PLAIN-1'), (2, 'b', 'PLAIN-2'), (3, 'c', 'PLAIN-3');
INSERT INTO people VALUES (1, 1, 'LIVE-1', NULL), (2, 1, 'SECRET-2', '2024-02-02'), (3, 2, 'SECRET-3', '2024-02-02');
INSERT INTO guests VALUES (1, 'a', 'LIVE-1', NULL), (2, 'a', 'SECRET-2', '2024-02-02');
INSERT INTO teams VALUES (1, 'LIVE-1', NULL), (2, 'SECRET-2', '2024-02-02');
INSERT INTO members VALUES (1, 1, 'LIVE-1', NULL), (2, 2, 'SECRET-2', '2024-02-02'), (3, 1, 'SECRET-3', '2024-02-02');
INSERT INTO events VALUES (1, 'a', 'LIVE-1', NULL), (2, 'a', 'SECRET-2', '2024-02-02'), (3, 'b', 'LIVE-3', NULL), (4, 'b', 'SECRET-4', '2024-02-02');
INSERT INTO animals VALUES (1, 'LIVE-1', NULL), (2, 'SECRET-2', '2024-02-02');
INSERT INTO dogs VALUES (3, 'LIVE-3', NULL, 'pug'), (4, 'SECRET-4', '2024-02-02', 'pug');
INSERT INTO "Größe" VALUES (1, 'LIVE-1', NULL), (2, 'SECRET-2', '2024-02-02');
INSERT INTO "we""ird name" VALUES (1, 'LIVE-1', NULL), (2, 'SECRET-2', '2024-02-02');
INSERT INTO log SELECT i, 'PLAIN-' || i, i FROM generate_series(1, 9) i;
INSERT INTO archive.users SELECT i, 'PLAIN-' || i FROM generate_series(1, 3) i;
INSERT INTO tenant.users VALUES (1, 'LIVE-1', NULL), (2, 'SECRET-2', '2024-02-02');
ANALYZE;

GRANT USAGE, CREATE ON SCHEMA public, archive, tenant TO alice;
GRANT ALL ON ALL TABLES IN SCHEMA public, archive, tenant TO alice;
