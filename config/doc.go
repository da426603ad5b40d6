// Package config turns one YAML file into validated values.
//
// What comes in: the bytes of a file, and the environment for ${VAR}. What goes out: a *Config in which every
// field is present, checked, and ready for use, or an *Error that lists every problem of the file at once.
// There is no third case: a Config never carries a value that still has to be checked.
//
// # How a file is read
//
//  1. The text is parsed as YAML into a tree (yaml.Node), which knows the line of everything.
//  2. The tree is walked by hand, field by field (decode.go). Unknown fields, duplicates and wrong types are
//     found here, each with its line and its path, such as tables[1].retention.
//  3. In scalar values ${VAR} is replaced (expand.go). This comes after the parse, so that a variable's content
//     can never add fields to the file.
//  4. Each field has one parse function, from the written text to its type: address.go, upstream.go, table.go,
//     scalar.go.
//
// # What may never happen
//
//   - A typo that is silently ignored. In this program that would mean a table which is not protected.
//   - A secret in a message. Messages show what the file says ("${PGPASSWORD}"), never what a variable holds.
//     Upstream prints and marshals without its password.
//   - A file that takes the process down. Files are bounded in size, aliases are refused, and so nothing can
//     be expanded.
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
