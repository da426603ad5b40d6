package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Fields reads a message's body from the front. Once a read has failed every
// later one fails too, so only the last needs to be checked.
type Fields struct {
	rest []byte
	bad  bool
}

// Read starts reading a body.
func Read(body []byte) Fields { return Fields{rest: body} }

// OK reports whether every read so far was within the body.
func (f *Fields) OK() bool { return !f.bad }

// Rest returns what has not been read.
func (f *Fields) Rest() []byte { return f.rest }

// String reads a NUL-terminated string without its NUL. It borrows the body.
func (f *Fields) String() []byte {
	i := bytes.IndexByte(f.rest, 0)
	if i < 0 {
		f.fail()
		return nil
	}
	s := f.rest[:i]
	f.rest = f.rest[i+1:]
	return s
}

// Byte reads one byte.
func (f *Fields) Byte() byte {
	if len(f.rest) < 1 {
		f.fail()
		return 0
	}
	b := f.rest[0]
	f.rest = f.rest[1:]
	return b
}

// Int16 reads a signed 16-bit number.
func (f *Fields) Int16() int {
	if len(f.rest) < 2 {
		f.fail()
		return 0
	}
	n := int16(binary.BigEndian.Uint16(f.rest))
	f.rest = f.rest[2:]
	return int(n)
}

// Int32 reads a signed 32-bit number.
func (f *Fields) Int32() int {
	if len(f.rest) < 4 {
		f.fail()
		return 0
	}
	n := int32(binary.BigEndian.Uint32(f.rest))
	f.rest = f.rest[4:]
	return int(n)
}

// Bytes reads n bytes.
func (f *Fields) Bytes(n int) []byte {
	if n < 0 || n > len(f.rest) {
		f.fail()
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *Fields) fail() {
	f.bad = true
	f.rest = nil
}

// Notice is the fields of an ErrorResponse or NoticeResponse in the order
// sent. Unknown ones are kept: a newer server may have more.
type Notice []NoticeField

// NoticeField is one field: its code, as the manual's "Error and Notice
// Message Fields" lists them, and its value.
type NoticeField struct {
	Code  byte
	Value string
}

// ReadNotice reads an ErrorResponse's or NoticeResponse's body.
func ReadNotice(body []byte) (Notice, bool) {
	var n Notice
	f := Read(body)
	for {
		code := f.Byte()
		if !f.OK() {
			return nil, false
		}
		if code == 0 {
			return n, true
		}
		value := f.String()
		if !f.OK() {
			return nil, false
		}
		n = append(n, NoticeField{code, string(value)})
	}
}

// Get returns the value of a field, or "".
func (n Notice) Get(code byte) string {
	for i := range n {
		if n[i].Code == code {
			return n[i].Value
		}
	}
	return ""
}

// Set changes the value of a field that is there.
func (n Notice) Set(code byte, value string) {
	for i := range n {
		if n[i].Code == code {
			n[i].Value = value
		}
	}
}

// Delete takes a field out.
func (n *Notice) Delete(code byte) {
	*n = slices.DeleteFunc(*n, func(f NoticeField) bool { return f.Code == code })
}

// Append appends the message with its header. typ is 'E' or 'N'.
func (n Notice) Append(dst []byte, typ byte) []byte {
	at := len(dst)
	dst = append(dst, typ, 0, 0, 0, 0)
	for i := range n {
		dst = append(dst, n[i].Code)
		dst = append(dst, n[i].Value...)
		dst = append(dst, 0)
	}
	dst = append(dst, 0)
	binary.BigEndian.PutUint32(dst[at+1:], uint32(len(dst)-at-1))
	return dst
}

// FirstField returns the first value of a DataRow's body; NULL and a row
// without columns give nil.
func FirstField(body []byte) []byte {
	f := Read(body)
	if f.Int16() < 1 {
		return nil
	}
	return f.Bytes(f.Int32())
}
