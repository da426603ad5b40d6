package chaos

import (
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	hostiles    = flag.Int("hostile", 10000, "how many mutated startup sequences TestHostile sends")
	hostileSeed = flag.Uint64("hostile-seed", 0, "the seed of TestHostile; 0 to choose one")
)

// TestHostile sends what a client may say before it has logged in, broken in all sorts of ways. The process must live, serve, and
// hold no more after all of it than after the first fifth.
func TestHostile(t *testing.T) {
	seed := *hostileSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the seed is %d", seed)
	p := plain.stand(t, server)
	serves(t, p)
	before := collected(t, p, Sample{})
	t.Logf("before: %s", before)
	attack(t, p, seed, 0, *hostiles/5)
	first := collected(t, p, before)
	t.Logf("after %d: %s", *hostiles/5, first)
	attack(t, p, seed, *hostiles/5, *hostiles)
	last := collected(t, p, before)
	t.Logf("after %d: %s", *hostiles, last)
	if err := LeftOver(before, last); err != nil {
		t.Error(err)
	}
	// What the runtime keeps for its largest burst so far may differ by a few megabytes.
	if last.Heap > first.Heap+first.Heap/10+2<<20 || last.RSS > first.RSS+first.RSS/10+6<<20 {
		t.Errorf("memory is not flat: %s after %d sequences, %s after %d", first, *hostiles/5, last, *hostiles)
	}
	serves(t, p)
}

// collected is a sample of a process without clients and without garbage.
func collected(t *testing.T, p *subject, before Sample) Sample {
	t.Helper()
	sampled(t, p.Process, before)
	if err := p.Collect(within(t)); err != nil {
		t.Fatal(err)
	}
	return sampled(t, p.Process, before)
}

// attack sends the sequences of some numbers, many at a time.
func attack(t *testing.T, p *subject, seed uint64, from, to int) {
	var next atomic.Int64
	next.Store(int64(from))
	var wait sync.WaitGroup
	for range 24 {
		wait.Go(func() {
			for !t.Failed() {
				n := int(next.Add(1)) - 1
				if n >= to {
					return
				}
				r := rand.New(rand.NewPCG(seed, uint64(n)))
				if err := assail(p.Address(), r); err != nil {
					t.Errorf("-hostile-seed %d, number %d: %v", seed, n, err)
				}
			}
		})
	}
	wait.Wait()
	if !p.Alive() {
		t.Fatalf("the process has ended:\n%s", p.Said())
	}
}

// assail is one hostile client: it sends bytes, in whatever pieces, and goes, with or without listening.
func assail(address string, r *rand.Rand) error {
	said := mutate(r)
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	switch r.IntN(8) {
	case 0: // one byte at a time
		if len(said) > 300 {
			said = said[:300]
		}
		for i := range said {
			if _, err := c.Write(said[i : i+1]); err != nil {
				break // the proxy has seen enough
			}
		}
	case 1:
		half := r.IntN(len(said) + 1)
		_, _ = c.Write(said[:half])
		_, _ = c.Write(said[half:])
	default:
		_, _ = c.Write(said)
	}
	if r.IntN(4) == 0 {
		_ = c.(*net.TCPConn).SetLinger(0) // gone without a word
		return nil
	}
	_ = c.(*net.TCPConn).CloseWrite()
	// A flood of replies is as bad as none: what a server says before login is short.
	n, err := io.Copy(io.Discard, io.LimitReader(c, 1<<20))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("the proxy neither answers nor closes")
	case n == 1<<20:
		return errors.New("the proxy says a megabyte before login")
	}
	return nil
}

func framed(typ byte, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4)), body...)
}

func packet(code uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

const (
	ssl    = 1234<<16 | 5679
	gss    = 1234<<16 | 5680
	cancel = 1234<<16 | 5678
)

// sequences are what honest clients say, message by message.
var sequences = [][][]byte{
	{packet(3<<16, "user\x00scram_user\x00database\x00postgres\x00\x00"), framed('p', "SCRAM-SHA-256\x00\x00\x00\x00\x20n,,n=,r=rOprNGfwEbeRWgbNEkqO9876"), framed('p', "c=biws,r=rOprNGfwEbeRWgbNEkqO9876,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")},
	{packet(3<<16|2, "user\x00scram_user\x00database\x00postgres\x00_pq_.x\x00y\x00\x00"), framed('p', "SCRAM-SHA-256-PLUS\x00\x00\x00\x00\x0ap=tls-uniq")},
	{packet(3<<16, "user\x00md5_user\x00database\x00postgres\x00\x00"), framed('p', "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00")},
	{packet(3<<16, "user\x00postgres\x00database\x00postgres\x00options\x00-c search_path=other\x00\x00"), framed('Q', "SELECT 1\x00"), framed('X', "")},
	{packet(3<<16, "user\x00postgres\x00replication\x00database\x00database\x00postgres\x00\x00"), framed('Q', "IDENTIFY_SYSTEM\x00")},
	{packet(ssl, ""), packet(3<<16, "user\x00scram_user\x00\x00")},
	{packet(gss, ""), packet(ssl, ""), packet(3<<16, "user\x00scram_user\x00\x00")},
	{packet(ssl, ""), hello},
	{hello},
	{packet(cancel, "\x00\x00\x00\x01\x00\x00\x00\x02")},
	{packet(cancel, "\x00\x00\x00\x01"+string(make([]byte, 256)))},
	{packet(gss, ""), []byte("\x00\x00\x02\x00\x60\x82\x02\x3c\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02")},
	{[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")},
}

// hello is the beginning of a TLS ClientHello, as of a client that negotiates TLS directly.
var hello = append([]byte("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"), slices.Repeat([]byte("\x5a\x13\x01\x00\x10\x00\x0d\x00\x0b\x0apostgresql"), 10)...)

// sequence is a copy of one of them, which may be changed.
func sequence(r *rand.Rand) [][]byte {
	s := slices.Clone(sequences[r.IntN(len(sequences))])
	for i := range s {
		s[i] = slices.Clone(s[i])
	}
	return s
}

// mutate makes a sequence that is broken in one way or several.
func mutate(r *rand.Rand) []byte {
	s := sequence(r)
	for range 1 + r.IntN(3) {
		i := r.IntN(len(s))
		m := s[i]
		if len(m) == 0 {
			continue
		}
		switch r.IntN(10) {
		case 0, 1: // a bit
			for range 1 + r.IntN(8) {
				m[r.IntN(len(m))] ^= 1 << r.IntN(8)
			}
		case 2: // the end is missing
			s[i] = m[:r.IntN(len(m))]
		case 3, 4: // a length lies
			at := 0
			if m[0] != 0 {
				at = 1
			}
			if len(m) >= at+4 {
				lies := []uint32{0, 1, 3, 4, 7, 8, 9, 10000, 10001, 65536, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1, uint32(len(m) + 1), r.Uint32()}
				binary.BigEndian.PutUint32(m[at:], lies[r.IntN(len(lies))])
			}
		case 5: // another conversation joins in
			s = append(s, sequence(r)...)
		case 6: // said again, and again
			s = append(s, slices.Repeat([][]byte{m}, 1+r.IntN(50))...)
		case 7: // bytes that are nothing
			noise := make([]byte, r.IntN(64))
			for j := range noise {
				noise[j] = byte(r.Uint32())
			}
			s[i] = slices.Insert(m, r.IntN(len(m)+1), noise...)
		case 8: // much of it
			s[i] = append(m, make([]byte, r.IntN(20000))...)
		case 9: // in another order
			r.Shuffle(len(s), func(a, b int) { s[a], s[b] = s[b], s[a] })
		}
	}
	return slices.Concat(s...)
}
