// Package wire reads PostgreSQL's frontend/backend protocol off a stream:
// frames, and the few fields of messages that a session has to look at. It is
// the only reader of bytes that come from the network.
//
// What comes in: pieces of a stream, cut anywhere. What goes out: [Part]s,
// which borrow the piece they were found in, or a buffer of the [Splitter]
// where a message had to be gathered. What may never happen: a read out of
// bounds, a loop without progress, or an allocation that the length in a
// header asks for before the bytes have come.
//
// Large messages are not held: the caller says how many bytes of a message
// it must see together, and the rest comes as it arrives.
//
// The layout of messages is in the PostgreSQL manual, "Message Formats".
package wire
