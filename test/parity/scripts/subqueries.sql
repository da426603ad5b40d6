-- Subqueries everywhere, CTEs and set operations.

SELECT * FROM orders WHERE user_id NOT IN (SELECT id FROM users);
SELECT * FROM orders WHERE user_id IN (SELECT id FROM users);
SELECT id FROM orders o WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = o.user_id);
SELECT id, (SELECT name FROM users u WHERE u.id = o.user_id) FROM orders o;
SELECT * FROM (SELECT * FROM users) x WHERE x.id < 9;
SELECT ARRAY(SELECT id FROM users ORDER BY id);
SELECT 5 = ANY (SELECT id FROM users), 5 <> ALL (SELECT id FROM users), (1, 'user 1') IN (SELECT id, name FROM users);
SELECT CASE WHEN EXISTS (SELECT FROM users WHERE id = 5) THEN 'there' ELSE 'gone' END;
SELECT id FROM orders ORDER BY (SELECT name FROM users WHERE id = user_id) NULLS FIRST, id;
SELECT id FROM orders ORDER BY id LIMIT (SELECT count(*) FROM users WHERE id < 9) OFFSET (SELECT count(*) FROM nodes);
SELECT sum(total) FILTER (WHERE user_id IN (SELECT id FROM users)) FROM orders;
SELECT user_id, count(*) FROM orders GROUP BY user_id HAVING count(*) > (SELECT count(*) FROM tenant.users WHERE id > 5) ORDER BY 1;
SELECT coalesce((SELECT max(id) FROM users), 0), greatest((SELECT min(id) FROM orders), 1);
SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM users WHERE id < 11 OR true);
SELECT (SELECT u FROM users u WHERE id = 5), (SELECT id FROM users WHERE id = 5);
SELECT (SELECT id FROM users);
VALUES ((SELECT count(*) FROM users)), ((SELECT count(*) FROM orders));
SELECT * FROM unnest((SELECT array_agg(id ORDER BY id) FROM users));
SELECT id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id AND o.id > (SELECT min(id) FROM users)) FROM users u;
SELECT rank() OVER (ORDER BY (SELECT count(*) FROM orders o WHERE o.user_id = u.id)), id FROM users u;

WITH x AS (SELECT * FROM users) SELECT count(*) FROM x;
WITH x AS MATERIALIZED (SELECT * FROM users), y AS (SELECT * FROM x WHERE id < 9) SELECT * FROM y JOIN orders ON user_id = y.id;
WITH users AS (SELECT 5 AS id) SELECT * FROM users;
WITH users AS (SELECT * FROM users) SELECT count(*) FROM users;
WITH RECURSIVE users (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM users WHERE n < 6) SELECT * FROM users;
WITH RECURSIVE tree AS (SELECT id, label, 0 AS depth FROM nodes WHERE parent IS NULL UNION ALL SELECT n.id, n.label, depth + 1 FROM nodes n JOIN tree t ON n.parent = t.id) SELECT * FROM tree;
WITH RECURSIVE tree AS (SELECT id, parent FROM nodes WHERE id = 1 UNION SELECT n.id, n.parent FROM tree t LEFT JOIN nodes n ON n.parent = t.id WHERE t.id IS NOT NULL) SELECT * FROM tree ORDER BY id NULLS LAST;
WITH RECURSIVE tree AS (SELECT id, parent FROM nodes WHERE id = 1 UNION ALL SELECT n.id, n.parent FROM nodes n JOIN tree t ON n.parent = t.id) SEARCH DEPTH FIRST BY id SET path CYCLE id SET looped USING way SELECT id, path, looped FROM tree ORDER BY path;
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < (SELECT count(*) FROM users)) SELECT count(*) FROM t;
SELECT * FROM (WITH users AS (SELECT 1 AS id) SELECT * FROM users) x, users WHERE users.id < 7;

SELECT id FROM users UNION SELECT user_id FROM orders;
SELECT id FROM users UNION ALL SELECT user_id FROM orders ORDER BY 1 LIMIT 20;
SELECT user_id FROM orders EXCEPT SELECT id FROM users;
(SELECT id FROM users ORDER BY id LIMIT 5) INTERSECT (SELECT user_id FROM memberships ORDER BY 1) ORDER BY 1;
SELECT user_id FROM orders EXCEPT ALL SELECT user_id FROM audit_log;
(TABLE users) UNION (SELECT * FROM users WHERE id > 4 OR id = 5) ORDER BY id;
SELECT * FROM users INTERSECT ALL (SELECT * FROM users EXCEPT SELECT * FROM users WHERE id < 5);
VALUES (5) INTERSECT SELECT id FROM users;
SELECT id FROM users UNION SELECT name FROM users;
