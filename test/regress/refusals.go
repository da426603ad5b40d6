package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"tombstone/test/serve"
)

// Proxy is the program that is being tested, before the soft twin's server.
type Proxy struct {
	*serve.Proxy
	read int64 // how much of its log Refusals has read
}

// rules protect every table that has the marker.
const rules = `upstream: postgres://127.0.0.1:%d
tables:
  - name: "*.*"
log:
  format: json
  literals: true
`

func startProxy(ctx context.Context, program, scratch, config string) (*Proxy, error) {
	p, err := serve.Start(ctx, program, scratch, 0, config)
	if err != nil {
		return nil, err
	}
	return &Proxy{Proxy: p}, nil
}

// asServer are rules by which the proxy says what the server would have said: an answer like others, to be compared.
var asServer = map[string]bool{"as-server": true, "prepared": true}

// Refusal is a statement that the proxy did not send on, as its log tells it.
type Refusal struct {
	Rule, SQLState string
	Reason         string // the message that the client got
	SQL            string
}

// Refusals returns what the proxy has refused since the last call.
func (p *Proxy) Refusals() ([]Refusal, error) {
	file, err := os.ReadFile(p.Log)
	if err != nil {
		return nil, fmt.Errorf("read the proxy's log: %w", err)
	}
	news := file[p.read:]
	news = news[:bytes.LastIndexByte(news, '\n')+1]
	p.read += int64(len(news))
	var refusals []Refusal
	for line := range strings.Lines(string(news)) {
		var entry struct {
			Msg string
			Refusal
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "statement refused" && !asServer[entry.Rule] {
			refusals = append(refusals, entry.Refusal)
		}
	}
	return refusals, nil
}
