package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

func health(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "health", "[--admin HOST:PORT] [--ready]",
		"Asks a running proxy's admin endpoint whether it is well and exits with status 0 if so, 1 if not.\nMeant for container health checks, where there is no shell.")
	address := f.String("admin", "127.0.0.1:9464", "the admin endpoint's `HOST:PORT`")
	ready := f.Bool("ready", false, "ask whether the server behind the proxy answers, too")
	if err := parse(s, f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		f.Usage()
		return errUsage
	}
	path := "/healthz"
	if *ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+*address+path, nil)
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	text := strings.TrimSpace(string(body))
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}
