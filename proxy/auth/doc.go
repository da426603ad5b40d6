// Package auth is authentication that the proxy ends and begins anew, with no password known.
//
// PostgreSQL's SCRAM binds an exchange to the TLS connection it runs over. Where both legs use TLS, an exchange that is
// passed on cannot bind: the two ends see two certificates. So here the client is authenticated by the
// proxy ([Server]), and the proxy then logs in to the server as that user ([Login]).
//
// # Why no password is ever known
//
// What PostgreSQL stores in pg_authid.rolpassword is a [Verifier]: StoredKey = H(ClientKey), ServerKey, and the salt and the
// iteration count from which a client makes both keys out of the password. It is enough to check a login,
// and not enough to make one. What lacks is ClientKey, and each login brings it: the client sends
//
//	ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage)
//
// and whoever holds StoredKey can undo the XOR. That is how PostgreSQL checks a proof (H(ClientKey) must be StoredKey), and
// how the proxy comes by the ClientKey. With it and the verifier it makes a proof for the server's own exchange, and
// ServerKey proves the server to it in turn. The password is never sent, and neither key gives it away.
// A ClientKey opens only the servers that hold the same verifier, salt and all; [Login] says so when one does not.
//
// A verifier is therefore worth protecting: a thief who has it and stands between a client and a server can do the same.
//
// # What comes in, what goes out
//
// Bytes: bodies of messages, without type and length. No socket, no clock; randomness is an io.Reader.
//
//	secret, err := auth.ParseSecret(text)                   // of a users file or a query; unknown users: the zero Secret, which nobody can prove to know
//	gate := auth.NewServer(user, secret, mock, binding, rand.Reader)
//	..                                                      // AuthenticationSASL with gate.Mechanisms()
//	challenge, err := gate.Start(body)                      // of SASLInitialResponse; challenge: AuthenticationSASLContinue
//	reply, done, err := gate.Next(body)                     // of SASLResponse; done: AuthenticationSASLFinal, then Ok
//	login := auth.NewLogin(user, gate.Secret(), upstreamBinding, rand.Reader)
//	reply, done, err := login.Answer(body)                  // of each Authentication message; reply: body of a 'p' message
//
// An [*Error] is a refusal as the client shall read it: SQLSTATE, message, detail, hint. Towards clients
// they are PostgreSQL's own, from its auth-scram.c, auth-sasl.c and auth.c; all of them are FATAL.
//
// # What may never happen
//
// A client accepted without the right proof. A client that learns whether a user exists: [Mock] makes
// up what an unknown user's first answer needs, always the same, and the proof then fails as a wrong one does.
// A secret in an error, a log or a %v: the types that hold secrets print what they are, not what they hold.
// A server believed without its signature: once SCRAM has begun, [Login] takes no Ok before it.
//
// # Debugging
//
// Error.Log has what the client must not know. Anything else that differs from PostgreSQL is a bug: oracle_test.go sends
// the same malformed messages to a real server and to this package and compares the answers.
package auth
