// Package proxy stands between clients and a server: bytes in, sessions,
// bytes out. It knows messages and not SQL grammar; what a statement becomes
// is package rewrite's business.
//
// # Layers, bottom up
//
//   - wire: frames, bounds-checked.
//   - [Session]: one client and its server connection as a pure state
//     machine. Bytes from either side go in, bytes for both sides come out; it
//     has no sockets, no goroutines and no clock but the one it is given.
//   - conn.go: the goroutines that feed a session from two sockets.
//   - [Server]: the listener and the sessions it owns.
//
// # The life of a session
//
// greet.go takes the client through what comes before its startup packet:
// TLS, or a cancel request (cancel.go). It counts the client (census.go),
// authenticates it where that is the proxy's part (gate.go), and finds a
// server that will do (arrive.go). The startup packet goes to the server as it
// came, and so does all of authentication where that is the server's part,
// but for what can only be known here: that channel binding cannot pass
// (binding.go), and that what the server blames is the proxy's connection
// (hint.go). Before the first ReadyForQuery is handed over, the
// session asks the server what names are in scope, what the session asks for by
// the settings tombstone.* (wishes.go), and what relations there
// are if no fresh snapshot of that database exists (refresh.go). From then on
// a Query or Parse is planned and sent, edited or not, and every message that
// asks for a reply is noted in a queue (queue.go). Replies are matched with
// the queue's head; that is how a command tag, an error's position or a
// refusal is put back where it belongs.
//
// # What may never happen
//
//   - A reply given to the wrong request. On any doubt the connection closes.
//   - A statement planned under names that may have changed: the session
//     holds the client's input, asks again, then goes on.
//   - A reply that the server and the client understand differently. A refused
//     statement is sent as one that must fail (rewrite.Sentinel), so order,
//     skipped pipelines and aborted transactions are the server's own doing.
//   - A byte changed in a message that needs no change.
//
// # Debugging
//
// At log level debug each statement is logged beside what was sent, its
// literals redacted unless the configuration shows them.
package proxy
