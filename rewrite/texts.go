package rewrite

import (
	"hash/maphash"
	"sync/atomic"
)

// texts remembers texts that come again byte for byte, as those of prepared
// statements do, with what becomes of them: to find one is to hash it and to
// compare it, where to know its shape again is to scan it.
//
// Nothing gets in that is not in the cache of shapes. A text is kept when it
// comes a second time with no other of its slot in between, so texts that each come once,
// as those with literals do, cost no more than their hash.
type texts struct {
	seed  maphash.Seed
	slots [textSlots]textSlot
}

// Bounds of the memory: so many texts, of at most so many bytes, and what the
// server gets in place of one at most twice as long. That is 3 MiB at most.
const (
	textSlots   = 1024
	longestText = 1 << 10
)

type textSlot struct {
	last atomic.Uint64 // hash of the text that came last
	kept atomic.Pointer[knownText]
}

// knownText is a text and its plan. It does not change.
type knownText struct {
	text  string
	key   string // Env.Key
	dirty bool   // Env.Dirty
	plan  *Plan
	sent  string // the text for the server if the plan edits it
}

// find returns what is known of a text, or nil, and the slot where it belongs
// with what to tell learn about it.
func (t *texts) find(sql string, env *Env) (k *knownText, slot *textSlot, hash uint64) {
	if len(sql) > longestText {
		return nil, nil, 0
	}
	// Not the text alone: databases that get the same texts would drive each other's out.
	hash = maphash.String(t.seed, sql) ^ maphash.String(t.seed, env.Key)<<1
	slot = &t.slots[hash%textSlots]
	k = slot.kept.Load()
	if k == nil || k.text != sql || k.key != env.Key || k.dirty != env.Dirty {
		return nil, slot, hash
	}
	if slot.last.Load() != hash {
		slot.last.Store(hash)
	}
	return k, slot, hash
}

// learn notes that a text came, and keeps it if it is the second time. toks are
// its tokens.
func (t *textSlot) learn(hash uint64, env *Env, plan *Plan, s *Scratch) {
	if t == nil {
		return
	}
	if t.last.Load() != hash {
		t.last.Store(hash)
		return
	}
	// One copy holds both, the client's text in front.
	both := append(make([]byte, 0, 3*len(s.text)), s.text...)
	if plan.Edited() {
		both = plan.Append(both, s.text, s.toks)
	}
	if len(both) > 3*longestText {
		return
	}
	n := len(s.text)
	all := string(both)
	t.kept.Store(&knownText{text: all[:n], key: env.Key, dirty: env.Dirty, plan: plan, sent: all[n:]})
}
