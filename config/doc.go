// Package config turns one YAML file into validated values.
//
// What comes in: the bytes of a file, the environment for ${VAR}, and the certificates, keys and users that the file
// names. What goes out: a *Config in which every field is present, checked, and ready for use, or an *Error that lists
// every problem of the file at once. There is no third case: a Config never carries a value that still has to be checked.
// (Files may change after they were looked into. Config.Files says which to watch.)
//
// # How a file is read
//
//  1. The text is parsed as YAML into a tree (yaml.Node), which knows the line of everything.
//  2. The tree is walked by hand, field by field (decode.go). Unknown fields, duplicates and wrong types are
//     found here, each with its line and its path, such as tables[1].retention.
//  3. In scalar values ${VAR} is replaced (expand.go). This comes after the parse, so that a variable's content
//     can never add fields to the file.
//  4. Each field has one parse function, from the written text to its type: address.go, upstream.go, table.go,
//     scalar.go, duration.go. A connection URL is taken apart in url.go, and its hosts and TLS are read in hosts.go and
//     upstream_tls.go.
//  5. A file that a field names is read at once (files.go): a certificate has to parse and its key to be the right one
//     (certificate.go), a line of users.txt to be of use (users.go).
//  6. What is right field by field may still not fit together, such as TLS that is required without a certificate. That
//     is told last: tls.go, auth.go, limits.go.
//
// # What may never happen
//
//   - A typo that is silently ignored. In this program that would mean a table which is not protected.
//   - A secret in a message. Messages show what the file says ("${PGPASSWORD}"), never what a variable holds, nor what
//     is in a file that it names. Upstream prints and marshals without its password.
//   - A setting that sounds safer than it is. What would have no effect, such as sslrootcert beside sslmode=prefer, is an
//     error.
//   - A file that takes the process down. Files are bounded in size, pipes are not waited for, aliases are refused, and so
//     nothing can be expanded.
//
// # Values
//
// Durations are written as Go writes them (90s, 12h, 1h30m), and also in days, weeks and years (30d, 2w, 1y; a day
// is 24 hours, a year 365 days). Sizes are a number of bytes, or KiB, MiB, GiB. Names are written as in
// SQL: unquoted parts fold to lower case and may use the wildcards * and ?; "quoted" parts are kept as they are.
//
// A Config and what it holds must not be changed after Parse returns it: it is shared between sessions. A new
// file gives a new Config.
package config
