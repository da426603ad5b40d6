package e2e

import "github.com/jackc/pgproto3/v2"

var Peer = pgproto3.NewFrontend
