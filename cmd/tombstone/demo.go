package main

import "context"

func demo(ctx context.Context, s stdio, args []string) error { return nil }
