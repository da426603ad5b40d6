package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

func frame(typ byte, body string) []byte {
	b := []byte{typ, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(b[1:], uint32(len(body)+4))
	return append(b, body...)
}

// message is what a splitter made of one message.
type message struct {
	typ  byte
	size int
	head string // the body in the first part
	body string
}

// split feeds a stream in pieces that cut returns the sizes of.
func split(t testing.TB, s *Splitter, stream []byte, cut func(left int) int) ([]message, error) {
	t.Helper()
	var got []message
	for len(stream) > 0 {
		piece := stream[:min(max(cut(len(stream)), 1), len(stream))]
		stream = stream[len(piece):]
		for len(piece) > 0 {
			part, n, err := s.Next(piece)
			if err != nil {
				return got, err
			}
			if n < 0 || n > len(piece) {
				t.Fatalf("used %d of %d bytes", n, len(piece))
			}
			if part.Raw != nil {
				if part.First {
					got = append(got, message{part.Type, part.Size, string(part.Body()), string(part.Body())})
				} else {
					got[len(got)-1].body += string(part.Raw)
				}
				m := got[len(got)-1]
				if part.Last != (len(m.body) == m.size) {
					t.Fatalf("Last is %v after %d of %d bytes", part.Last, len(m.body), m.size)
				}
			} else if n < len(piece) {
				t.Fatalf("nothing found, yet %d bytes left", len(piece)-n)
			}
			piece = piece[n:]
		}
	}
	return got, nil
}

// TestWhole: wherever a stream is cut, Whole finds what Next finds, or nothing, and changes nothing.
func TestWhole(t *testing.T) {
	var stream []byte
	for _, m := range []string{"Q", "Qselect 1", "S", "Bwith parameters", "S"} {
		stream = append(stream, frame(m[0], m[1:])...)
	}
	for size := 1; size <= len(stream); size++ {
		s := &Splitter{Head: heads(1 << 30)}
		found := 0
		for left := stream; len(left) > 0; {
			piece := left[:min(size, len(left))]
			left = left[len(piece):]
			for len(piece) > 0 {
				var whole Part
				n := s.Whole(piece, &whole)
				part, used, err := s.Next(piece)
				if err != nil {
					t.Fatal(err)
				}
				if n > 0 {
					found++
					if n != used || fmt.Sprint(whole) != fmt.Sprint(part) {
						t.Fatalf("pieces of %d: Whole finds %v in %d bytes, Next %v in %d", size, whole, n, part, used)
					}
				} else if part.Whole() && part.Lent {
					t.Fatalf("pieces of %d: Whole does not find %q", size, part.Raw)
				}
				piece = piece[used:]
			}
		}
		if size == len(stream) && found != 5 {
			t.Errorf("Whole finds %d of 5 messages", found)
		}
	}
	for _, bad := range []string{"Q\x00\x00\x00\x03", "Q\xff\xff\xff\xff", "Q\x00\x00\x00\x05", "Q\x00\x00\x00", ""} {
		if n := new(Splitter).Whole([]byte(bad), new(Part)); n != 0 {
			t.Errorf("found %d bytes of %q", n, bad)
		}
	}
}

func heads(n int) func(byte, int) (int, error) {
	return func(byte, int) (int, error) { return n, nil }
}

func TestSplitterCutAnywhere(t *testing.T) {
	var stream []byte
	var want []string
	for i, body := range []string{"", "a", "hello", string(bytes.Repeat([]byte("x"), 1000)), "", "end"} {
		stream = append(stream, frame(byte('A'+i), body)...)
		want = append(want, body)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, head := range []int{0, 1, 4, 100, 1 << 30} {
		for size := range 40 {
			s := &Splitter{Head: heads(head)}
			got, err := split(t, s, stream, func(int) int {
				if size == 0 {
					return 1 + random.IntN(50)
				}
				return size
			})
			if err != nil || len(got) != len(want) {
				t.Fatalf("head %d, pieces of %d: %d messages, %v", head, size, len(got), err)
			}
			for i := range got {
				if got[i].typ != byte('A'+i) || got[i].body != want[i] {
					t.Errorf("head %d, pieces of %d: message %d is %q %.20q", head, size, i, got[i].typ, got[i].body)
				}
				if len(got[i].head) < min(head, len(want[i])) {
					t.Errorf("head %d: the first part of message %d has %d bytes", head, i, len(got[i].head))
				}
			}
			if s.Partial() {
				t.Error("still inside a message at the end")
			}
		}
	}
}

// TestSkip: wherever a stream is cut, what Skip passes over and what Next
// finds is the stream, and Skip passes over whole messages of one type only.
func TestSkip(t *testing.T) {
	var stream []byte
	for _, m := range []string{"Tcolumns", "Drow", "D", "Danother row", "dcopied", "Dlast", "CSELECT 4"} {
		stream = append(stream, frame(m[0], m[1:])...)
	}
	for size := 1; size <= len(stream); size++ {
		s := &Splitter{Head: heads(0)}
		var got, rows []byte
		for left := stream; len(left) > 0; {
			piece := left[:min(size, len(left))]
			left = left[len(piece):]
			for len(piece) > 0 {
				n := s.Skip(piece, 'D')
				if n > 0 {
					if s.Partial() {
						t.Fatalf("pieces of %d: skipped inside a message", size)
					}
					got, rows = append(got, piece[:n]...), append(rows, piece[:n]...)
				} else {
					part, used, err := s.Next(piece)
					if err != nil {
						t.Fatal(err)
					}
					got, n = append(got, part.Raw...), used
				}
				piece = piece[n:]
			}
		}
		if !bytes.Equal(got, stream) {
			t.Fatalf("pieces of %d: %q", size, got)
		}
		found, err := split(t, &Splitter{Head: heads(1 << 30)}, rows, func(n int) int { return n })
		if err != nil {
			t.Fatalf("pieces of %d: skipped what is no message: %v", size, err)
		}
		for _, m := range found {
			if m.typ != 'D' {
				t.Errorf("pieces of %d: skipped a message %q", size, m.typ)
			}
		}
	}
	for _, bad := range []string{"D\x00\x00\x00\x03", "D\xff\xff\xff\xff", "D\x00\x00\x00\x05", "D\x00\x00\x00", ""} {
		if n := new(Splitter).Skip([]byte(bad), 'D'); n != 0 {
			t.Errorf("skipped %d bytes of %q", n, bad)
		}
	}
}

func TestSplitterRefusesLengths(t *testing.T) {
	for _, length := range []uint32{0, 1, 3, 1 << 31, 1<<32 - 1} {
		b := []byte{'Q', 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(b[1:], length)
		for size := 1; size < 7; size++ {
			s := &Splitter{Head: heads(0)}
			if _, err := split(t, s, b, func(int) int { return size }); err == nil {
				t.Errorf("length %d in pieces of %d: no error", length, size)
			}
		}
	}
}

// A header may promise two gigabytes: memory comes with the bytes.
func TestSplitterAllocatesWhatArrives(t *testing.T) {
	s := &Splitter{Head: heads(1 << 30)}
	head := []byte{'Q', 0x7f, 0xff, 0xff, 0xff}
	if _, _, err := s.Next(head); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Next(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if cap(s.buf) > 1<<16 {
		t.Errorf("%d bytes are held for 1005 received", cap(s.buf))
	}
}

func TestSplitterHeadError(t *testing.T) {
	s := &Splitter{Head: func(typ byte, _ int) (int, error) { return 0, fmt.Errorf("no %c", typ) }}
	if _, _, err := s.Next(frame('!', "x")); err == nil {
		t.Error("no error")
	}
}

func TestUnread(t *testing.T) {
	s := &Splitter{Head: heads(1 << 30)}
	b := append(frame('Q', "hello"), frame('S', "")...)
	for range 3 {
		part, n, err := s.Next(b)
		if err != nil || !part.Whole() || string(part.Body()) != "hello" || n != 10 {
			t.Fatalf("%+v %d %v", part, n, err)
		}
		s.Unread(&part)
	}
}

func TestStartup(t *testing.T) {
	packet := func(length, code uint32, rest string) []byte {
		b := binary.BigEndian.AppendUint32(nil, length)
		return append(binary.BigEndian.AppendUint32(b, code), rest...)
	}
	for _, c := range []struct {
		in   []byte
		size int
		bad  bool
	}{
		{nil, 0, false},
		{[]byte{0, 0}, 0, false},
		{packet(8, SSLRequest, ""), 8, false},
		{packet(8, SSLRequest, "more"), 8, false},
		{packet(12, 3<<16, "abc"), 0, false},
		{packet(12, 3<<16, "abcd"), 12, false},
		{packet(7, 3<<16, ""), 0, true},
		{packet(0, 0, ""), 0, true},
		{packet(10001, 3<<16, ""), 0, true},
		{packet(1<<32-1, 3<<16, ""), 0, true},
		{[]byte("GET / HTTP/1.1\r\n"), 0, true},
	} {
		_, size, err := Startup(c.in)
		if size != c.size || (err != nil) != c.bad {
			t.Errorf("%q: size %d, error %v", c.in, size, err)
		}
	}
}

func TestNotice(t *testing.T) {
	n := Notice{{'S', "ERROR"}, {'C', "42P01"}, {'P', "7"}, {'?', "from the future"}}
	raw := n.Append(nil, 'E')
	back, ok := ReadNotice(raw[HeaderSize:])
	if !ok || back.Get('C') != "42P01" || back.Get('?') != "from the future" || back.Get('H') != "" {
		t.Fatalf("%v %v", back, ok)
	}
	back.Set('P', "12")
	if back.Get('P') != "12" {
		t.Error("Set did nothing")
	}
	for i := HeaderSize; i < len(raw)-1; i++ {
		if _, ok := ReadNotice(raw[HeaderSize:i]); ok {
			t.Errorf("cut at %d is still whole", i)
		}
	}
}

// FuzzReader: whatever the bytes and wherever they are cut, a splitter reads
// what one that gets them all at once reads, and nothing reads out of bounds.
func FuzzReader(f *testing.F) {
	f.Add(append(frame('Q', "select 1\x00"), frame('S', "")...), uint8(3), uint16(0))
	f.Add(frame('B', "\x00s\x00\xff\xff\x00\x01\x80\x00\x00\x00"), uint8(1), uint16(9))
	f.Add(frame('E', "SERROR\x00C42P01\x00\x00"), uint8(7), uint16(2))
	f.Add([]byte{'Q', 0x7f, 0xff, 0xff, 0xff, 1}, uint8(2), uint16(1000))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8, head uint16) {
		whole, wholeErr := split(t, &Splitter{Head: heads(int(head))}, stream, func(n int) int { return n })
		cut, cutErr := split(t, &Splitter{Head: heads(int(head))}, stream, func(int) int { return int(size) })
		if (wholeErr == nil) != (cutErr == nil) {
			t.Fatalf("cut into %d: %v, whole: %v", size, cutErr, wholeErr)
		}
		for i := range cut {
			if i >= len(whole) || cut[i].typ != whole[i].typ || cut[i].size != whole[i].size || !bytes.HasPrefix([]byte(whole[i].body), []byte(cut[i].body)) {
				t.Fatalf("cut into %d: message %d differs", size, i)
			}
		}
		for _, m := range whole {
			ReadNotice([]byte(m.body))
			FirstField([]byte(m.body))
			r := Read([]byte(m.body))
			r.String()
			r.Int16()
			r.Bytes(r.Int32())
		}
		Startup(stream)
	})
}
