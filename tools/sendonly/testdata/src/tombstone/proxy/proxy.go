package proxy

import pg "github.com/jackc/pgproto3/v2"

type own struct{}

func (own) Decode([]byte) error { return nil }

func send(m pg.Message) []byte {
	_ = own{}.Decode(nil)
	return m.Encode((&pg.Query{}).Encode(nil))
}

func read(m pg.Message) {
	var q pg.Query
	_ = q.Decode(nil)     // want "Decode reads with pgproto3"
	_ = m.Decode(nil)     // want "Decode reads with pgproto3"
	f := pg.NewFrontend() // want "NewFrontend reads with pgproto3"
	_, _ = f.Receive()    // want "Receive reads with pgproto3"
	keep := q.Decode      // want "Decode reads with pgproto3"
	_ = keep
}
