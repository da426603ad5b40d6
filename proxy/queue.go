package proxy

import (
	"tombstone/rewrite"
)

// request is a message sent to the server that asks for a reply.
type request struct {
	kind  requestKind
	own   bool          // the client did not send it and must not see its reply
	plan  *rewrite.Plan // query, parse
	sql   string        // the client's text, kept where it may be needed again
	names uint64        // query, parse: Session.names when it was planned
	stmt  int           // query: how many statements have completed
	name  string        // parse, bind, describe, close: the prepared statement
	port  string        // bind, describe, execute, close: the portal
	ask   *refresh      // refreshing
	batch uint64        // sync, query: Session.batches up to it
}

type requestKind uint8

const (
	query requestKind = iota
	parse
	bind
	describeStatement
	describePortal
	execute
	closeStatement
	closePortal
	sync
	functionCall
	copyEnd // CopyDone or CopyFail: no reply, but it ends a COPY FROM
	refreshing
)

// queue is the requests whose replies have not come, in the order sent.
type queue struct {
	items []request
	head  int
}

// keptRequests is how many requests a session that waits keeps room for.
const keptRequests = 64

// push adds a request.
func (q *queue) push(r request) { *q.add(r.kind) = r }

// add adds a request whose other fields the caller sets, before it does anything else with the queue.
func (q *queue) add(kind requestKind) *request {
	if q.head > 0 && q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > keptRequests {
			q.items = nil
		}
	} else if q.head > 64 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, request{kind: kind})
	return &q.items[len(q.items)-1]
}

// first returns the request that the next reply answers, or nil. A CopyDone
// outside a COPY is nobody's: the server ignores it.
func (q *queue) first() *request {
	for q.head < len(q.items) && q.items[q.head].kind == copyEnd {
		q.pop()
	}
	if q.head == len(q.items) {
		return nil
	}
	return &q.items[q.head]
}

// size is how many requests wait.
func (q *queue) size() int { return len(q.items) - q.head }

func (q *queue) pop() {
	q.items[q.head] = request{}
	q.head++
}

// ended notes the end of COPY data. Several in a row are counted in one item,
// so that a flood of them takes no memory.
func (q *queue) ended() {
	if n := len(q.items) - 1; n >= q.head && q.items[n].kind == copyEnd {
		q.items[n].stmt++
		return
	}
	q.push(request{kind: copyEnd})
}

func (q *queue) empty() bool { return q.first() == nil }

// skipToSync drops the requests that the server discards after an error in
// the extended protocol, and reports whether a Sync that ends the discarding
// has been sent.
func (q *queue) skipToSync() bool {
	for q.head < len(q.items) {
		if q.items[q.head].kind == sync {
			return true
		}
		q.pop()
	}
	return false
}

// syncs reports whether a Sync is on its way.
func (q *queue) syncs() bool {
	for i := q.head; i < len(q.items); i++ {
		if q.items[i].kind == sync {
			return true
		}
	}
	return false
}

// copyIn drops what the server reads, and ignores, while it waits for COPY
// data: the Syncs sent before the data ended. It reports whether the data's
// end has been sent too, and how many Syncs were dropped.
func (q *queue) copyIn() (ended bool, dropped int) {
	kept := q.head + 1 // after the request that started the COPY
	for i := kept; i < len(q.items); i++ {
		switch q.items[i].kind {
		case sync:
			dropped++
			continue
		case copyEnd:
			if q.items[i].stmt > 0 { // of the COPYs that follow
				q.items[i].stmt--
				i--
			}
			n := copy(q.items[kept:], q.items[i+1:])
			q.items = q.items[:kept+n]
			return true, dropped
		}
		// Any other message makes the COPY fail there.
		n := copy(q.items[kept:], q.items[i:])
		q.items = q.items[:kept+n]
		return true, dropped
	}
	q.items = q.items[:kept]
	return false, dropped
}
