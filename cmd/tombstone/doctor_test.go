package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The status says how bad it is, the JSON what it is, and the advice mends it.
func TestDoctor(t *testing.T) {
	s := newStage(t, `CREATE TABLE users (id int PRIMARY KEY, name text, deleted_at timestamptz); INSERT INTO users VALUES (1, 'a', NULL), (2, 'b', now());
CREATE VIEW names AS SELECT name FROM users;`, "tables:\n  - name: public.users\n")
	config := s.file
	call := func(status int, args ...string) outcome {
		t.Helper()
		o := tombstone(t, "", append([]string{"doctor", "--config", config}, args...)...)
		if o.status != status {
			t.Fatalf("%q: status %d, want %d\n%s%s", args, o.status, status, o.out, o.err)
		}
		return o
	}
	if got := call(1).out; !strings.Contains(got, "ERRORS") || !strings.Contains(got, "unprepared") || !strings.Contains(got, "CREATE OR REPLACE VIEW") || !regexp.MustCompile(`(?m)^2 errors, 1 warning, `).MatchString(got) {
		t.Error(got)
	}
	call(0, "--fail-on", "never")
	var list []struct {
		Severity, Check, Object, Why, Fix string
		SQL                               bool
	}
	if err := json.Unmarshal([]byte(call(1, "--json").out), &list); err != nil || len(list) < 3 || list[0].Severity != "error" || list[0].SQL {
		t.Fatalf("%v %+v", err, list)
	}
	if o := tombstone(t, "", "prepare", "--config", config, "--apply"); o.status != 0 {
		t.Fatal(o.err)
	}
	call(0)
	call(1, "--fail-on", "warning")
	if err := json.Unmarshal([]byte(call(0, "--json").out), &list); err != nil || list[0].Check != "open-view" || !list[0].SQL {
		t.Fatalf("%v %+v", err, list)
	}
	s.sql(list[0].Fix)
	call(0, "--fail-on", "warning")
	watched(s.ctx, t, config)
	if o := tombstone(t, "", "doctor", "--config", config, "--dsn", strings.TrimSuffix(s.direct("postgres"), "postgres")+"none", "--fail-on", "never"); o.status != 1 || !strings.Contains(o.err, `database "none" does not exist`) {
		t.Errorf("%d %s", o.status, o.err)
	}
}

// watched holds that --watch serves what is found as metrics.
func watched(ctx context.Context, t *testing.T, config string) {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var out, log safeBuffer
	done := make(chan int, 1)
	go func() { // ends with ctx
		done <- run(ctx, stdio{strings.NewReader(""), &out, &log}, []string{"doctor", "--config", config, "--watch", "--listen", "127.0.0.1:0", "--every", "1s"})
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var body string
	for ctx.Err() == nil && !strings.Contains(body, "tombstone_doctor_last_run_success 1") {
		address := regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(log.String())
		if address == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		reply, err := client.Get("http://" + address[1] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		body = string(b)
	}
	for _, want := range []string{
		`tombstone_doctor_findings{check="tombstones",severity="info"} 1`, `tombstone_tombstones{table="public.users"} 1`,
		`tombstone_tombstone_ratio{table="public.users"} 0.5`, `tombstone_oldest_tombstone_seconds{table="public.users"}`, "tombstone_doctor_last_run_timestamp_seconds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in the metrics:\n%s", want, body)
		}
	}
	stop()
	if status := <-done; status != 0 {
		t.Errorf("status %d: %s", status, log.String())
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A call that makes no sense says why.
func TestDoctorUsage(t *testing.T) {
	config := file(t, "tombstone.yaml", "listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\n")
	for args, want := range map[string]string{
		"":                                      "Usage: tombstone doctor",
		"--config X --fail-on all":              `"all" is no severity`,
		"--config X --watch":                    "--watch needs --listen",
		"--config X --watch --listen :0 --json": "leave out one",
		"--config X --watch --listen :0 --every 1ms": "too short",
		"--config X --listen :0":                     "--listen goes with --watch",
	} {
		o := tombstone(t, "", append([]string{"doctor"}, strings.Fields(strings.ReplaceAll(args, "X", config))...)...)
		if o.status != 2 || !strings.Contains(o.err, want) {
			t.Errorf("%s: status %d: %s", args, o.status, o.err)
		}
	}
	if o := tombstone(t, "", "doctor", "--checks"); o.status != 0 || !strings.Contains(o.out, "missing-marker") {
		t.Errorf("%d %s%s", o.status, o.out, o.err)
	}
	bad := file(t, "bad.yaml", "listen: 127.0.0.1:0\n")
	if o := tombstone(t, "", "doctor", "--config", bad); o.status != 1 || !strings.Contains(o.err, "upstream") {
		t.Errorf("%d %s", o.status, o.err)
	}
}
