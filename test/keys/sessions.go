package main

import "context"

func (w *writer) interleave(s *Script, plan *Plan)                            {}
func (t *Twin) concurrently(ctx context.Context, s *Script, o *Outcome) error { return nil }
func (d *Difference) broken() bool                                            { return false }
