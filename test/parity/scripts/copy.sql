-- COPY, both ways. The order of rows is not compared where none is asked for.

COPY users TO STDOUT;
COPY users (id, name) TO STDOUT WITH (FORMAT csv, HEADER);
COPY users (name, deleted_at, id) TO STDOUT WITH (FORMAT csv, NULL '~', FORCE_QUOTE (name), DELIMITER ';', QUOTE '''', ESCAPE '''');
COPY users TO STDOUT (FORMAT binary);
COPY BINARY users TO STDOUT;
COPY users TO STDOUT WITH DELIMITER '|' NULL 'none';
COPY users TO STDOUT CSV HEADER FORCE QUOTE name;
COPY orders TO STDOUT;
COPY orders (id, twice) TO STDOUT;
COPY memberships TO STDOUT (DELIMITER ',');
COPY items TO STDOUT;
COPY "Größe" TO STDOUT WITH (ENCODING 'LATIN1');
COPY events TO STDOUT;
COPY elsewhere TO STDOUT;
COPY archive.users TO STDOUT;
COPY audit_log TO STDOUT;
COPY (SELECT id FROM users ORDER BY id) TO STDOUT;
COPY (TABLE nodes) TO STDOUT;
COPY (VALUES (1)) TO STDOUT;
COPY (DELETE FROM users WHERE id < 4 RETURNING id, deleted_at) TO STDOUT;
COPY (WITH d AS (DELETE FROM users WHERE id = 4 RETURNING id) SELECT * FROM d) TO STDOUT;
COPY (UPDATE users SET name = 'x' WHERE id < 8 RETURNING id) TO STDOUT;
COPY (DELETE FROM users WHERE id = 6) TO STDOUT;
COPY users (nope) TO STDOUT;
COPY users (id, id) TO STDOUT;
COPY users TO STDOUT (FORMAT nope);
COPY users TO STDOUT (FORMAT csv, DELIMITER 'ab');
COPY users FROM STDIN;
70	seventy	70@example.org	Oslo	2000-01-01	\N
71	back\\slash	\N	\N	\N	\N
\.
SELECT * FROM users WHERE id >= 70;
COPY users (id, name) FROM STDIN WITH (FORMAT csv, HEADER);
id,name
72,"quo""ted"
73,"two
lines"
\.
COPY users (id, name) FROM STDIN;
74
\.
COPY users (id, name) FROM STDIN;
75	x
75	y
\.
COPY users (id, name, email) FROM STDIN;
76	free again	u4@example.org
\.
COPY users (id, name) FROM STDIN WHERE id % 2 = 0;
78	even
79	odd
\.
COPY orders (user_id, total) FROM STDIN;
1	2.50
\.
COPY events FROM STDIN;
60	5	low
\.
COPY audit_log FROM STDIN;
900	DELETE FROM users	1
\.
SELECT * FROM users WHERE id >= 70;
SELECT id, user_id, total, twice FROM orders WHERE id >= 1000;
