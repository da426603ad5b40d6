-- The tables of the test. prepare makes their other half.
CREATE SCHEMA lost;

-- What every row has besides its key and its references. uid tells a row from all others that there ever are, also of the same key. tok names
-- the statement that wrote it last. The rest are types whose text, binary and JSON forms differ.
CREATE TABLE lost.payload (
	uid bigint NOT NULL,
	tok text NOT NULL,
	held boolean NOT NULL DEFAULT false,
	amount numeric,
	ratio double precision,
	seen timestamptz,
	span interval,
	raw bytea,
	doc jsonb,
	words text[]
);

CREATE TABLE owners (id int PRIMARY KEY, LIKE lost.payload INCLUDING ALL); -- not protected
CREATE TABLE users (id int PRIMARY KEY, name text UNIQUE, owner_id int REFERENCES owners ON DELETE CASCADE, LIKE lost.payload INCLUDING ALL);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE, LIKE lost.payload INCLUDING ALL);
CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, user_id int REFERENCES users ON DELETE SET NULL, LIKE lost.payload INCLUDING ALL);
CREATE TABLE tasks (id int PRIMARY KEY, user_id int NOT NULL DEFAULT 0 REFERENCES users ON DELETE SET DEFAULT, LIKE lost.payload INCLUDING ALL);
CREATE TABLE bills (id int PRIMARY KEY, user_id int REFERENCES users, LIKE lost.payload INCLUDING ALL);
CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE, LIKE lost.payload INCLUDING ALL);
CREATE TABLE ring_a (id int PRIMARY KEY, b int, LIKE lost.payload INCLUDING ALL);
CREATE TABLE ring_b (id int PRIMARY KEY, a int REFERENCES ring_a ON DELETE CASCADE, LIKE lost.payload INCLUDING ALL);
ALTER TABLE ring_a ADD FOREIGN KEY (b) REFERENCES ring_b ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE countries (code text PRIMARY KEY, LIKE lost.payload INCLUDING ALL);
CREATE TABLE cities (country text REFERENCES countries ON UPDATE CASCADE ON DELETE CASCADE, name text, PRIMARY KEY (country, name), LIKE lost.payload INCLUDING ALL);
CREATE TABLE events (id int, day int, user_id int REFERENCES users ON DELETE CASCADE, PRIMARY KEY (id, day), LIKE lost.payload INCLUDING ALL) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (3);
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (3) TO (6);
CREATE TABLE marks (id int PRIMARY KEY, event_id int, event_day int, FOREIGN KEY (event_id, event_day) REFERENCES events ON DELETE SET NULL, LIKE lost.payload INCLUDING ALL);
CREATE TABLE flags (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, gone boolean NOT NULL DEFAULT false, LIKE lost.payload INCLUDING ALL);
CREATE TABLE loose (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, LIKE lost.payload INCLUDING ALL); -- not protected
