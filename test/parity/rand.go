package main

import "math/rand/v2"

// Rand is the only source of chance. The same seed and stream give the same
// case, on every machine.
type Rand struct{ *rand.Rand }

func newRand(seed, stream uint64) *Rand { return &Rand{rand.New(rand.NewPCG(seed, stream))} }

// chance is true so many times in a hundred.
func (r *Rand) chance(percent int) bool { return r.IntN(100) < percent }

// between is a number from low to high, both included.
func (r *Rand) between(low, high int) int { return low + r.IntN(high-low+1) }

// pick takes one of several.
func pick[T any](r *Rand, from ...T) T { return from[r.IntN(len(from))] }

// some takes n of several, in their order; all if there are not so many.
func some[T any](r *Rand, n int, from []T) []T {
	left := append([]T(nil), from...)
	for len(left) > n {
		i := r.IntN(len(left))
		left = append(left[:i], left[i+1:]...)
	}
	return left
}

// shuffled is a copy in another order.
func shuffled[T any](r *Rand, from []T) []T {
	out := append([]T(nil), from...)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
