package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgproto3/v2"
)

const (
	lineBytes  = 1024      // of one row's text
	copyBuffer = 8 << 10   // of one CopyData message, as psql sends them
	bulkBuffer = 256 << 10 // of the client's reads and writes, bytes
)

func bulkCells() []*Cell {
	return []*Cell{
		{Name: "copy-out", Kind: bulkKind, run: func(ctx context.Context, s *Stage, t *Target) (Figures, error) {
			return read(ctx, t, "COPY (%s) TO STDOUT", s.Options.BulkMB)
		}},
		{Name: "wide-select", Kind: bulkKind, run: func(ctx context.Context, s *Stage, t *Target) (Figures, error) {
			return read(ctx, t, "%s", s.Options.BulkMB)
		}},
		{Name: "copy-in", Kind: bulkKind, run: copyIn},
	}
}

// read runs a query with so many MB of rows and counts the bytes of the reply.
func read(ctx context.Context, t *Target, form string, megabytes int) (Figures, error) {
	rows := fmt.Sprintf("SELECT repeat('x', %d) FROM generate_series(1, %d)", lineBytes, megabytes*1_000_000/lineBytes)
	c, err := dial(ctx, t.Port, bulkBuffer)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return bulk(t, func() (int64, error) { return c.query(fmt.Sprintf(form, rows)) }, c.bye)
}

// copyIn sends so many MB of rows, in messages as psql sends them, several to a write.
func copyIn(ctx context.Context, s *Stage, t *Target) (Figures, error) {
	if err := s.sql(ctx, "TRUNCATE bulk"); err != nil {
		return nil, err
	}
	c, err := dial(ctx, t.Port, bulkBuffer)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	line := append(bytes.Repeat([]byte{'x'}, lineBytes-1), '\n')
	message := appendMessage(nil, 'd', bytes.Repeat(line, copyBuffer/lineBytes))
	block := bytes.Repeat(message, bulkBuffer/len(message))
	return bulk(t, func() (int64, error) {
		if err := c.send(&pgproto3.Query{String: "COPY bulk FROM STDIN"}); err != nil {
			return 0, err
		}
		if _, err := c.until('G'); err != nil {
			return 0, err
		}
		var sent int64
		for sent < int64(s.Options.CopyInMB)*1_000_000 {
			n, err := c.Write(block)
			sent += int64(n)
			if err != nil {
				return sent, fmt.Errorf("send rows: %w", err)
			}
		}
		if err := c.send(&pgproto3.CopyDone{}); err != nil {
			return sent, err
		}
		_, err := c.until('Z')
		return sent, err
	}, c.bye)
}

// bulk times what moves many bytes.
func bulk(t *Target, move func() (int64, error), bye func() error) (Figures, error) {
	before, err := t.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	moved, err := move()
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	after, err := t.cpu()
	if err != nil {
		return nil, err
	}
	f := Figures{Rate: float64(moved) / 1e6 / took.Seconds()}
	if t.child != nil {
		f[CPU] = (after - before).Seconds() / (float64(moved) / 1e9)
	}
	return f, bye()
}

// cpu is what the target's proxy has used, 0 without one.
func (t *Target) cpu() (time.Duration, error) {
	if t.child == nil {
		return 0, nil
	}
	return cpuOf(t.child.PID)
}
