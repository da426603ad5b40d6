-- Deletes in every form, and what they return. Each stands on those before.

DELETE FROM users WHERE id = 5;
DELETE FROM users WHERE id = 1;
DELETE FROM users WHERE id = 1;
DELETE FROM users WHERE id = 1 OR id = 5 OR id = 2 RETURNING *;
DELETE FROM users WHERE false;
delete from only public.users as u where u.name like 'user 3%' returning u.id, upper(u.name) AS shout, u.deleted_at;
DELETE FROM users u WHERE id = 4 RETURNING u;
DELETE FROM users u WHERE id = 6 RETURNING row_to_json(u), (u.*)::text;
DELETE FROM users u WHERE id = 7 RETURNING deleted_at IS NULL, coalesce(deleted_at, 'infinity'), (SELECT count(*) FROM users), (SELECT count(*) FROM orders WHERE user_id = u.id);
DELETE FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id);
DELETE FROM users WHERE id NOT IN (SELECT user_id FROM orders);
DELETE FROM users USING orders WHERE orders.user_id = users.id AND orders.total > 45;
DELETE FROM users u USING orders o, memberships m WHERE o.user_id = u.id AND m.user_id = u.id AND o.id = 8 AND m.team = 'red' RETURNING u.id, o.id, m.team;
DELETE FROM orders o USING users u LEFT JOIN memberships m ON m.user_id = u.id WHERE o.user_id = u.id AND m.team IS NULL;
DELETE FROM orders o USING orders p WHERE o.id = p.id + 1 AND p.id % 8 = 0 RETURNING o.*, p.id;
DELETE FROM orders WHERE id < 4 RETURNING *;
DELETE FROM memberships WHERE team = 'blue' RETURNING *;
DELETE FROM memberships WHERE user_id = 4;
DELETE FROM items WHERE id = 2 RETURNING note, tags, doc, span, mood;
DELETE FROM items WHERE tags @> '{9}' OR doc @> '{"b": 9}';
DELETE FROM items WHERE id IS NULL RETURNING items;
DELETE FROM "Größe" WHERE "Maß" > 4 RETURNING *, "Ä b" || 'x';
DELETE FROM tenant.users WHERE id < 4;
DELETE FROM archive.users WHERE id < 4;
DELETE FROM audit_log USING users WHERE users.id = audit_log.user_id RETURNING audit_log.id;
DELETE FROM events WHERE id = 3 RETURNING tableoid::regclass, *;
DELETE FROM elsewhere WHERE id > 14 RETURNING id;
DELETE FROM ONLY events;
DELETE FROM users WHERE deleted_at IS NOT NULL;
DELETE FROM nodes WHERE deleted_at IS NULL AND id = 6;
/* a */ DELETE /* b */ FROM -- c
 users /* d */ WHERE /* e */ id = 11 -- f
;
SELECT * FROM users;
SELECT * FROM orders;
SELECT * FROM events;

WITH d AS (DELETE FROM orders WHERE id < 10 RETURNING *) SELECT * FROM d;
WITH d AS (DELETE FROM orders WHERE id < 12 RETURNING *) SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM d), (SELECT count(deleted_at) FROM d);
WITH d AS (DELETE FROM orders WHERE id < 16 RETURNING user_id) DELETE FROM users USING d WHERE users.id = d.user_id;
WITH d AS (DELETE FROM orders WHERE id < 18 RETURNING *) INSERT INTO audit_log SELECT 100 + id, 'gone ' || user_id FROM d;
WITH d AS (DELETE FROM orders WHERE id < 20 RETURNING id), e AS (UPDATE users SET name = name || '!' RETURNING id), i AS (INSERT INTO audit_log VALUES (500, 'x') RETURNING id) SELECT count(*) FROM d, e, i;
WITH u AS (SELECT id FROM users WHERE id < 14) DELETE FROM orders USING u WHERE u.id = user_id RETURNING orders.id;
WITH users AS (SELECT 21 AS id) DELETE FROM orders USING users WHERE orders.id = users.id;
WITH d AS (DELETE FROM users WHERE id = 5 RETURNING id) UPDATE audit_log SET what = 'never' FROM d;
SELECT * FROM users;
SELECT * FROM orders;

DELETE FROM users WHERE nope = 1;
DELETE FROM users u WHERE users.id = 1;
DELETE FROM users WHERE id = 'x';
DELETE FROM users RETURNING nope;
DELETE FROM users RETURNING (SELECT id FROM orders);
DELETE FROM users WHERE id = (SELECT id FROM orders);
DELETE FROM users USING users;
DELETE FROM users WHERE count(*) > 1;
DELETE FROM nobody;
DELETE FROM users WHERE 1 / (id - id) = 1;
DELETE FROM users;
DELETE FROM orders;
SELECT count(*) FROM users;
