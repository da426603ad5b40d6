//go:build race

package proxy

// The race detector makes a schedule ten times as slow, and a session has no goroutines.
func init() { *schedules = 1000 }
