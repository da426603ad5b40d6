//go:build !linux

package proxy

import (
	"context"
	"time"
)

// loops are the event loops, of which there are none here: goroutines drive
// every session.
type loops struct{}

func startLoops(*Options) (loops, error) { return loops{}, nil }

func (loops) endOn(context.Context)          {}
func (loops) stop()                          {}
func (loops) drain()                         {}
func (loops) sweep(time.Time, time.Duration) {}
func (loops) lag(*Histogram)                 {}
func (loops) states() []map[string]int       { return nil }
func (loops) adopt(*conn) bool               { return false }
