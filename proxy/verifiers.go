package proxy

import (
	"context"
	"errors"
	"fmt"
	gosync "sync"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/auth"
	"tombstone/proxy/wire"
)

// verifiers asks the database for what it keeps of a user's password. It has one connection, which it makes when it is
// first asked and again when that is gone. What was answered is not kept: a password that was changed counts at once.
type verifiers struct {
	dialer  *dialer
	query   string
	as      *identity
	startup []byte

	mu     gosync.Mutex // held while a question is asked
	conn   *peer        // nil if there is none
	closed bool         // who still asks, asks over a connection that is not kept
}

// secret returns what is known of a user, which is the zero Secret for one who does not exist.
func (v *verifiers) secret(ctx context.Context, user string) (auth.Secret, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer func() {
		if v.closed {
			v.drop()
		}
	}()
	kept := v.conn != nil
	text, err := v.ask(ctx, user)
	if kept && v.conn == nil && ctx.Err() == nil {
		text, err = v.ask(ctx, user) // the server may have been restarted since
	}
	if err != nil {
		return auth.Secret{}, err
	}
	return auth.ParseSecret(text)
}

// ask asks once. It leaves no connection where it cannot tell how that stands.
func (v *verifiers) ask(ctx context.Context, user string) (text string, err error) {
	if v.conn == nil {
		if err := v.connect(ctx); err != nil {
			return "", err
		}
	}
	c := v.conn
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	broken := true
	defer func() {
		if broken || !stop() {
			_ = c.Close()
			v.conn = nil
		}
	}()
	out := encode(nil, &pgproto3.Parse{Query: v.query})
	out = encode(out, &pgproto3.Bind{Parameters: [][]byte{[]byte(user)}})
	out = encode(out, &pgproto3.Execute{})
	out = encode(out, &pgproto3.Sync{})
	if _, err := c.Write(out); err != nil {
		return "", err
	}
	rows := 0
	for {
		typ, raw, readErr := c.next()
		if readErr != nil {
			return "", errors.Join(err, readErr)
		}
		switch typ {
		case 'D':
			f := wire.Read(raw[wire.HeaderSize:])
			if n := f.Int16(); n < 2 {
				err = fmt.Errorf("auth.query returns %d columns; it has to return the name and the verifier", n)
				continue
			}
			f.Bytes(max(f.Int32(), 0))
			if size := f.Int32(); size >= 0 {
				text = string(f.Bytes(size))
			}
			if rows++; rows > 1 {
				err = errors.New("auth.query returns several rows; it has to return one user's")
			}
		case 'E':
			notice, _ := wire.ReadNotice(raw[wire.HeaderSize:])
			err = fmt.Errorf("auth.query: %s", notice.Get('M'))
		case 'Z':
			broken = false
			return text, err
		}
	}
}

func (v *verifiers) connect(ctx context.Context) error {
	a, err := v.dialer.arrive(ctx, v.startup, v.as)
	if err != nil {
		return fmt.Errorf("auth.query_as: %w", err)
	}
	p := newPeer(a.Conn, a.said)
	for done := false; !done; {
		typ, raw, err := p.next()
		if err == nil && typ == 'E' {
			notice, _ := wire.ReadNotice(raw[wire.HeaderSize:])
			err = errors.New(notice.Get('M'))
		}
		if err != nil {
			_ = a.Close()
			return fmt.Errorf("auth.query_as: log in as %q: %w", v.as.user, err)
		}
		done = typ == 'Z'
	}
	v.conn = p
	return nil
}

func (v *verifiers) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	v.drop()
}

// drop says goodbye to the database. v.mu is held.
func (v *verifiers) drop() {
	if v.conn != nil {
		_, _ = v.conn.Write(encode(nil, &pgproto3.Terminate{}))
		_ = v.conn.Close()
		v.conn = nil
	}
}
