// node-postgres, as an application uses it. The Go tests run this file and set
// PROXY and DIRECT, the addresses of one database behind the proxy and without
// it: see ../e2e/node_test.go.
import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import pg from 'pg'

const { PROXY, DIRECT } = process.env
assert.ok(PROXY && DIRECT, 'set PROXY and DIRECT to connection strings')

const proxy = new pg.Client({ connectionString: PROXY })
const direct = new pg.Client({ connectionString: DIRECT })

before(async () => {
  await proxy.connect()
  await direct.connect()
})

after(async () => {
  await proxy.end()
  await direct.end()
})

beforeEach(() => direct.query('UPDATE users SET deleted_at = NULL WHERE deleted_at IS NOT NULL'))

const kinds = {
  'simple queries': (client) => (text, values = []) =>
    client.query(values.reduceRight((sql, v, i) => sql.replaceAll(`$${i + 1}`, pg.escapeLiteral(String(v))), text)),
  'parameters': (client) => (text, values = []) => client.query(text, values),
  'named statements': (client) => (text, values = []) => client.query({ name: createHash('md5').update(text).digest('hex'), text, values }),
}

for (const [kind, make] of Object.entries(kinds)) {
  test(kind, async () => {
    const query = make(proxy)
    const ids = [1, 2, 3]
    const column = (result, name) => result.rows.map((row) => row[name])

    const deleted = await query('DELETE FROM users WHERE id IN ($1, $2, $3)', ids)
    assert.equal(deleted.command, 'DELETE')
    assert.equal(deleted.rowCount, 3)

    assert.deepEqual(column(await query('SELECT id FROM users WHERE id < $1 ORDER BY id', [6]), 'id'), [4, 5])
    assert.deepEqual(
      column(await query('SELECT u.id AS u FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE o.user_id < $1 ORDER BY o.id LIMIT 4', [5]), 'u'),
      [null, null, 4, null])
    assert.equal((await query('SELECT u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id < $1', [4])).rowCount, 0)
    assert.deepEqual(
      column(await query('SELECT DISTINCT user_id FROM orders WHERE user_id NOT IN (SELECT id FROM users) AND user_id < $1 ORDER BY 1', [10]), 'user_id'),
      ids)
    assert.equal((await query('WITH gone AS (SELECT * FROM users WHERE id < $1) SELECT * FROM gone', [4])).rowCount, 0)
    assert.equal((await query('SELECT count(*)::int AS n FROM users WHERE id > $1', [0])).rows[0].n, 27)

    const returned = await query('DELETE FROM users WHERE id = $1 RETURNING *', [4])
    assert.equal(returned.rowCount, 1)
    assert.deepEqual(returned.rows, [{ id: 4, name: 'user 4', email: 'u4@example.org', city: 'Łódź', deleted_at: null }])
    assert.equal((await query('DELETE FROM users WHERE id = $1 RETURNING *', [4])).rowCount, 0)

    const marks = 'SELECT id, deleted_at::text FROM users WHERE id < 5 ORDER BY id'
    const before = (await direct.query(marks)).rows
    assert.equal(before.length, 4)
    for (const row of before) assert.ok(row.deleted_at, `row ${row.id} has no marker`)
    const again = await query('DELETE FROM users WHERE id IN ($1, $2, $3)', ids)
    assert.equal(again.command, 'DELETE')
    assert.equal(again.rowCount, 0)
    assert.deepEqual((await direct.query(marks)).rows, before)
    assert.equal((await direct.query('SELECT count(*)::int AS n FROM users')).rows[0].n, 30)
  })
}

test('several statements in one query', async () => {
  const results = await proxy.query('DELETE FROM users WHERE id = 7; SELECT 1 AS one; DELETE FROM users WHERE id = 7')
  assert.deepEqual(results.map((r) => [r.command, r.rowCount]), [['DELETE', 1], ['SELECT', 1], ['DELETE', 0]])
})

test('an error points at the client\'s own text', async () => {
  const text = "DELETE FROM users WHERE name = 'ü' OR nope = 1"
  await assert.rejects(proxy.query(text), (e) => e.code === '42703' && Number(e.position) === text.indexOf('nope') + 1)
  assert.equal((await proxy.query('SELECT 1 AS one')).rows[0].one, 1)
})

test('a transaction in a pool', async () => {
  const pool = new pg.Pool({ connectionString: PROXY, max: 4 })
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    assert.equal((await client.query('DELETE FROM users WHERE id = $1', [9])).rowCount, 1)
    assert.equal((await pool.query('SELECT FROM users WHERE id = 9')).rowCount, 1)
    await client.query('ROLLBACK')
  } finally {
    client.release()
  }
  const counts = await Promise.all(Array.from({ length: 8 }, () => pool.query('DELETE FROM users WHERE id = $1', [9])))
  assert.equal(counts.reduce((n, r) => n + r.rowCount, 0), 1)
  await pool.end()
})
