package proxy

import "github.com/jackc/pgproto3/v2"

var _ = (&pgproto3.Query{}).Decode
