package main

import "math/rand/v2"

// Rand is the only source of chance. The same seed and stream give the same graph and the same script, on every machine.
type Rand struct{ *rand.Rand }

func newRand(seed, stream uint64) *Rand { return &Rand{rand.New(rand.NewPCG(seed, stream))} }

// chance is true so many times in a hundred.
func (r *Rand) chance(percent int) bool { return r.IntN(100) < percent }

// between is a number from low to high, both included.
func (r *Rand) between(low, high int) int { return low + r.IntN(high-low+1) }

// pick takes one of several.
func pick[T any](r *Rand, from ...T) T { return from[r.IntN(len(from))] }

// weighed takes one of several, each as often as its weight says.
func weighed[T any](r *Rand, weights []int, from ...T) T {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	at := r.IntN(sum)
	for i, w := range weights {
		if at -= w; at < 0 {
			return from[i]
		}
	}
	return from[len(from)-1]
}
