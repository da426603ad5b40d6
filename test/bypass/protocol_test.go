package bypass

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	pp "github.com/jackc/pgx/v5/pgproto3"
)

// The lines of a protocol step are messages, sent together:
//
//	P NAME: SQL              Parse; - is the unnamed one
//	B PORTAL NAME: a, b      Bind, with parameters as text
//	D S NAME, D P NAME       Describe
//	E PORTAL                 Execute
//	C S NAME, C P NAME       Close
//	S, H                     Sync, Flush
//	Q: SQL                   Query
//	F OID: a, b              FunctionCall, with arguments as text
//	d: TEXT, c, f: TEXT      CopyData (as a Go string), CopyDone, CopyFail
//	x: HEX                   these bytes
//	ready N                  how many ReadyForQuery will come, if not one for each S, Q and F

// converse sends the messages and takes the answers. It returns the SQLSTATEs
// of all errors and the rows.
func (c *client) converse(ctx context.Context, lines []string) (codes []string, rows []string, err error) {
	f := c.Frontend()
	ready := 0
	for _, l := range lines {
		head, text, _ := strings.Cut(l, ": ")
		w := strings.Fields(strings.TrimSuffix(head, ":"))
		for i := range w {
			if w[i] == "-" {
				w[i] = ""
			}
		}
		w = append(w, "", "")
		switch w[0] {
		case "P":
			f.SendParse(&pp.Parse{Name: w[1], Query: text})
		case "B":
			f.SendBind(&pp.Bind{DestinationPortal: w[1], PreparedStatement: w[2], Parameters: values(text)})
		case "D":
			f.SendDescribe(&pp.Describe{ObjectType: w[1][0], Name: w[2]})
		case "E":
			f.SendExecute(&pp.Execute{Portal: w[1]})
		case "C":
			f.Send(&pp.Close{ObjectType: w[1][0], Name: w[2]})
		case "S":
			ready++
			f.SendSync(&pp.Sync{})
		case "H":
			f.Send(&pp.Flush{})
		case "Q":
			ready++
			f.SendQuery(&pp.Query{String: text})
		case "F":
			ready++
			oid, err := strconv.Atoi(w[1])
			if err != nil {
				return nil, nil, err
			}
			f.Send(&pp.FunctionCall{Function: uint32(oid), Arguments: values(text)})
		case "d":
			b, err := strconv.Unquote(text)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", l, err)
			}
			f.Send(&pp.CopyData{Data: []byte(b)})
		case "c":
			f.Send(&pp.CopyDone{})
		case "f":
			f.Send(&pp.CopyFail{Message: text})
		case "x":
			b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", l, err)
			}
			if err := f.Flush(); err != nil {
				return nil, nil, err
			}
			if _, err := c.Conn().Write(b); err != nil {
				return nil, nil, err
			}
		case "ready":
			if ready, err = strconv.Atoi(w[1]); err != nil {
				return nil, nil, err
			}
		default:
			return nil, nil, fmt.Errorf("no such message: %q", l)
		}
	}
	if err := c.Conn().SetDeadline(time.Now().Add(limit)); err != nil {
		return nil, nil, err
	}
	if err := f.Flush(); err != nil {
		return nil, nil, err
	}
	for ready > 0 {
		m, err := f.Receive()
		if err != nil {
			return codes, rows, err
		}
		switch m := m.(type) {
		case *pp.ReadyForQuery:
			ready--
		case *pp.ErrorResponse:
			codes = append(codes, m.Code)
			if m.Severity == "FATAL" {
				return codes, rows, nil
			}
		case *pp.DataRow:
			rows = append(rows, rowText(m.Values))
		case *pp.FunctionCallResponse:
			rows = append(rows, string(m.Result))
		}
	}
	return codes, rows, c.Conn().SetDeadline(time.Time{})
}

func values(text string) [][]byte {
	if text == "" {
		return nil
	}
	var list [][]byte
	for v := range strings.SplitSeq(text, ", ") {
		list = append(list, []byte(v))
	}
	return list
}

func rowText(fields [][]byte) string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = "NULL"
		if f != nil {
			list[i] = string(f)
		}
	}
	return strings.Join(list, "|")
}
