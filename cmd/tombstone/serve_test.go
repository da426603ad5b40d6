package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestServeCheck(t *testing.T) {
	right := file(t, "right.yaml", "listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\ntables: [{name: public.users}, {name: \"*.orders\"}, {name: public.a, mode: observe}, {name: public.b, mode: \"off\"}, {name: public.c, mode: observe}]\n")
	if o := tombstone(t, "", "serve", "--config", right, "--check"); o.status != 0 || o.out != right+" is valid: 5 table entries, 2 enforced, 2 observed, 1 off\n" || o.err != "" {
		t.Errorf("%+v", o)
	}
	// Each problem on a line of its own, without the command's name before it, so that editors can jump there.
	wrong := file(t, "wrong.yaml", "listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\ntabels: []\nadmin: 9464\n")
	o := tombstone(t, "", "serve", "--config", wrong, "--check")
	lines := strings.Split(o.err, "\n")
	if o.status != 1 || o.out != "" || len(lines) != 3 || !strings.HasPrefix(lines[0], wrong+":3: ") || !strings.HasPrefix(lines[1], wrong+":4: admin: ") {
		t.Errorf("%+v", o)
	}
	if o := tombstone(t, "", "serve", "--config", "/nowhere.yaml"); o.status != 1 || o.err != "/nowhere.yaml: no such file; check the path\n" {
		t.Errorf("%+v", o)
	}
}

func TestServeAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, c := range map[string]string{
		"proxy": fmt.Sprintf("listen: %s\nupstream: postgres://127.0.0.1\n", l.Addr()),
		"admin": fmt.Sprintf("listen: 127.0.0.1:0\nadmin: %s\nupstream: postgres://127.0.0.1\n", l.Addr()),
	} {
		o := tombstone(t, "", "serve", "--config", file(t, "c.yaml", c))
		if o.status != 1 || !strings.Contains(o.err, l.Addr().String()) || !strings.Contains(o.err, "in use") {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// The proxy serves until it is told to stop; meanwhile health asks it.
func TestServeAndHealth(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close() // a server that is down
	c := file(t, "c.yaml", fmt.Sprintf("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nupstream: postgres://%s\n", nobody.Addr()))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log, write := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, stdio{nil, io.Discard, write}, []string{"serve", "--config", c})
		write.Close()
	}()
	said := regexp.MustCompile(`msg="admin endpoint listens" address=(\S+)`)
	admin, lines := "", bufio.NewScanner(log)
	for admin == "" && lines.Scan() {
		if m := said.FindStringSubmatch(lines.Text()); m != nil {
			admin = m[1]
		}
	}
	rest := make(chan string, 1)
	go func() {
		text := ""
		for lines.Scan() {
			text += lines.Text() + "\n"
		}
		rest <- text
	}()
	if o := tombstone(t, "", "health", "--admin", admin); o.status != 0 || o.out != "ok\n" || o.err != "" {
		t.Errorf("healthz: %+v", o)
	}
	if o := tombstone(t, "", "health", "--admin", admin, "--ready"); o.status != 1 || o.out != "" || !strings.Contains(o.err, "503") || !strings.Contains(o.err, "refuses connections") {
		t.Errorf("readyz: %+v", o)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if s := <-status; s != 0 {
		t.Errorf("status %d", s)
	}
	if text := <-rest; !strings.Contains(text, "msg=stopped") {
		t.Errorf("log: %s", text)
	}
	if o := tombstone(t, "", "health", "--admin", admin); o.status != 1 || !strings.Contains(o.err, "connection refused") {
		t.Errorf("after the stop: %+v", o)
	}
}
