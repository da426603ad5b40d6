package rewrite

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"tombstone/rewrite/lex"
)

// Cache keeps plans by shape, for all sessions. What it holds is bounded in
// bytes (its texts come on top, see there); the plans that go are chosen by SIEVE: oldest first, but one that was
// used since the hand last passed it is passed over once (Zhang et al., NSDI
// 2024). A flood of shapes that are seen once does not drive out those in use.
//
// Nothing has to be invalidated: a key names all that its plan depends on, so
// under another Set, search_path or transaction there is another key.
type Cache struct {
	seed   maphash.Seed
	shards [16]shard
	texts  texts

	hits, misses, evictions atomic.Uint64
}

// CacheStats is what a cache has done and holds.
type CacheStats struct {
	Hits, Misses, Evictions uint64
	Entries                 int
	Bytes                   int
}

// NewCache makes a cache that holds at most that many bytes.
func NewCache(bytes int) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	c.texts.seed = c.seed
	for i := range c.shards {
		c.shards[i].limit = bytes / len(c.shards)
		c.shards[i].entries = map[string]*entry{}
		c.shards[i].flights = map[string]*flight{}
	}
	return c
}

// Stats returns what the cache has done and holds.
func (c *Cache) Stats() CacheStats {
	s := CacheStats{Hits: c.hits.Load(), Misses: c.misses.Load(), Evictions: c.evictions.Load()}
	for i := range c.shards {
		h := &c.shards[i]
		h.mu.Lock()
		s.Entries += len(h.entries)
		s.Bytes += h.bytes
		h.mu.Unlock()
	}
	return s
}

// Rewrite plans a text as [Rewrite] does, from memory where a text of its
// shape has been planned. Of several callers that miss at once one plans.
//
// sql may be memory that the caller will use again: neither the cache nor the
// plan keeps any of it.
func (c *Cache) Rewrite(sql string, env *Env, s *Scratch) *Plan {
	s.text, s.known = "", nil
	plan := c.rewrite(sql, env, s)
	if !plan.Edited() {
		s.text = "" // nobody asks for its tokens, so it need not be held
	}
	return plan
}

func (c *Cache) rewrite(sql string, env *Env, s *Scratch) *Plan {
	if !env.ordinary() {
		return fresh(sql, env)
	}
	known, slot, hash := c.texts.find(sql, env)
	if known != nil && holds(known.plan, env) {
		c.hits.Add(1)
		s.known = known
		return known.plan
	}
	if !utf8.ValidString(sql) {
		return fresh(sql, env)
	}
	var err error
	if s.toks, err = lex.Scan(s.toks[:0], sql); err != nil {
		return fresh(sql, env)
	}
	s.text = sql
	if !s.shape(sql, env) {
		return fresh(sql, env)
	}
	h := &c.shards[maphash.Bytes(c.seed, s.key)%uint64(len(c.shards))]
	h.mu.Lock()
	if e := h.entries[string(s.key)]; e != nil {
		e.visited = true
		h.mu.Unlock()
		if !holds(e.plan, env) {
			c.misses.Add(1)
			return fresh(sql, env)
		}
		c.hits.Add(1)
		slot.learn(hash, env, e.plan, s)
		return e.plan
	}
	if f := h.flights[string(s.key)]; f != nil {
		h.mu.Unlock()
		<-f.done
		if f.plan != nil && holds(f.plan, env) {
			c.hits.Add(1)
			return f.plan
		}
		c.misses.Add(1)
		return fresh(sql, env)
	}
	f := &flight{done: make(chan struct{})}
	key := string(s.key)
	h.flights[key] = f
	h.mu.Unlock()

	c.misses.Add(1)
	var plan *Plan
	defer func() {
		h.mu.Lock()
		delete(h.flights, key)
		if f.plan != nil {
			c.evictions.Add(uint64(h.add(key, f.plan)))
		}
		h.mu.Unlock()
		close(f.done)
	}()
	plan = fresh(sql, env)
	if cacheable(plan) {
		f.plan = plan
	}
	return plan
}

// fresh plans a copy of a text: a plan may hold parts of it.
func fresh(sql string, env *Env) *Plan { return Observe(strings.Clone(sql), env) }

// holds reports whether a plan made under the same key is right although the
// names may have changed since they were read: one that does not depend on them.
//
// Without it, a session that only ever says SELECT 1 would have it parsed each
// time, once what it knows of the names is older than catalog.max_age: nothing
// in it makes the session ask.
func holds(p *Plan, env *Env) bool { return !env.Stale || !p.Depends && !p.Heeds }

// flight is a text being planned. plan stays nil if it holds for that text
// only.
type flight struct {
	done chan struct{}
	plan *Plan
}

// shard is a part of the cache with a lock of its own.
type shard struct {
	mu      sync.Mutex
	limit   int
	bytes   int
	entries map[string]*entry
	flights map[string]*flight

	newest, oldest, hand *entry
}

type entry struct {
	key          string
	plan         *Plan
	size         int
	visited      bool
	newer, older *entry
}

// add puts a plan in and returns how many went to make room. One that would
// take up a quarter of the shard is not kept.
func (h *shard) add(key string, plan *Plan) (evicted int) {
	e := &entry{key: key, plan: plan, size: len(key) + plan.size() + entrySize}
	if e.size > h.limit/4 || h.entries[key] != nil {
		return 0
	}
	for h.bytes+e.size > h.limit && h.oldest != nil {
		h.evict()
		evicted++
	}
	e.older = h.newest
	if h.newest != nil {
		h.newest.newer = e
	} else {
		h.oldest = e
	}
	h.newest = e
	h.entries[key] = e
	h.bytes += e.size
	return evicted
}

// evict takes out the first entry that was not used since the hand passed.
func (h *shard) evict() {
	e := h.hand
	if e == nil {
		e = h.oldest
	}
	for e.visited {
		e.visited = false
		if e = e.newer; e == nil {
			e = h.oldest
		}
	}
	h.hand = e.newer
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		h.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		h.oldest = e.newer
	}
	delete(h.entries, e.key)
	h.bytes -= e.size
}

// Rough sizes in bytes, of the structures and of what a map spends on an entry.
const (
	entrySize  = 192
	planSize   = 160
	stmtSize   = 248
	touchSize  = 48
	changeSize = 40
)

// size estimates the memory that a plan takes.
func (p *Plan) size() int {
	n := planSize + len(p.changes)*changeSize + len(p.Stmts)*stmtSize
	for i := range p.changes {
		n += len(p.changes[i].words)
	}
	if p.Observed != nil {
		n += p.Observed.size()
	}
	for i := range p.Stmts {
		s := &p.Stmts[i]
		n += len(s.Touched) * touchSize
		if s.Refusal != nil {
			n += 128 + len(s.Refusal.Message) + len(s.Refusal.Hint) + len(s.Refusal.Detail)
		}
	}
	return n
}
