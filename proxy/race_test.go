//go:build race

package proxy

// The race detector makes everything some ten times slower.
func init() { *schedules /= 10 }
