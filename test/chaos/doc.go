// Package chaos breaks what is around the proxy, with real sockets and a real PostgreSQL, and looks at what is left.
//
// # What is here
//
//   - process.go, sample.go: the program as a process of its own, and what it holds: memory, goroutines, descriptors. ../soak uses
//     them too.
//   - relay_test.go: a TCP relay that injects faults at a chosen byte.
//   - fault_test.go, state_test.go, kill_test.go: every fault on either side of the proxy, and the server's death, at every state of the protocol.
//   - legs_test.go: with TLS on either side, with logins that end at the proxy, and without event loops. A sample of the faults is tried there too.
//   - hostile_test.go: bytes that no client should send before it has logged in, by the hundred thousand.
//
// The session without sockets, under random schedules and compared with a model of the server, is tested in package proxy
// (schedule_test.go there).
//
// # The relay
//
// It is our own, since what has to be chosen is the byte: "a reset after 17 bytes of this reply" means the same in every run. The toxics of
// Shopify's toxiproxy are chosen by time, its close ends both directions at once, and its reset drops whatever it has read.
//
// # What may never happen
//
// A reply that belongs to another request: every statement holds a token of its own, which its reply must have. A hang: all waits have a limit,
// which nothing comes near. Something left behind: after each test the process's goroutines, descriptors and connections are what they were before. A
// commit that was acknowledged and is not there.
//
// # Debugging
//
// A failure names the fault, the side and the byte, and -run gets to it. Process.Said is the end of the proxy's log.
package chaos
