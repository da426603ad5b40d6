package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// stop is what psql says when it has come to a stop of its script. It says so as a message, which goes out at once: what it prints
// otherwise may still be on its way, so the line can stand in the middle of an answer.
const stop = "@@tombstone-stop@@"

// Stops says where a script stops.
type Stops int

// A migration is statements of DDL, one after another.
const (
	Never Stops = iota
	AfterMigrations
	AfterEach // statement of DDL
)

var stopLine = regexp.MustCompile(stop + "\n")

// writeStop writes a stop into a script.
func writeStop(b *strings.Builder) { fmt.Fprintf(b, "\\warn %s\n", stop) }

// feed gives psql its script. Behind a stop it goes on when psql has come there and stopped has returned. That psql has ended is no error.
func feed(ctx context.Context, in io.WriteCloser, script string, stops, ended <-chan struct{}, stopped func(context.Context) error) error {
	defer in.Close()
	parts := strings.SplitAfter(script, "\\warn "+stop+"\n")
	for i, part := range parts {
		if _, err := io.WriteString(in, part); err != nil {
			return nil
		}
		if i == len(parts)-1 {
			break
		}
		select {
		case <-ended:
			return nil
		case <-stops:
		}
		if err := stopped(ctx); err != nil {
			return err
		}
	}
	return nil
}

// printed is what psql has printed.
type printed struct {
	all   bytes.Buffer
	seen  int           // where to look for the next stop
	stops chan struct{} // one for each stop that psql has come to; it comes to the next only when this one is over
}

func (p *printed) Write(text []byte) (int, error) {
	p.all.Write(text)
	if at := bytes.Index(p.all.Bytes()[p.seen:], []byte(stop+"\n")); at >= 0 {
		p.seen += at + len(stop)
		p.stops <- struct{}{}
	} else {
		p.seen = max(p.seen, p.all.Len()-len(stop))
	}
	return len(text), nil
}

// text is all of it, without the stops.
func (p *printed) text() string { return stopLine.ReplaceAllString(p.all.String(), "") }
