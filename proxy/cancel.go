package proxy

import (
	"context"
	"io"
	gosync "sync"
	"time"

	"tombstone/config"
)

// keys tells which server a cancel request is for, where there are several: by the key that the server gave the session. With
// one server there is nothing to tell, and nothing is kept.
type keys struct {
	mu    gosync.Mutex
	hosts map[string]config.Host
}

func (k *keys) add(key string, h config.Host) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hosts == nil {
		k.hosts = map[string]config.Host{}
	}
	k.hosts[key] = h
}

func (k *keys) remove(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.hosts, key)
}

func (k *keys) host(key string) (config.Host, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, ok := k.hosts[key]
	return h, ok
}

// cancel hands a CancelRequest to the server that it is for. The server closes the connection when it has acted on it, and
// so do we for the client. A key that is not known here may be of a session through another replica: then every server is
// told, and only the one that knows the key acts.
func (c *conn) cancel(ctx context.Context) {
	request := c.session.ToServer.Take()
	d := c.setup.dialer
	hosts := d.upstream.Hosts
	if h, ok := c.owner.keys.host(string(request[8:])); ok {
		hosts = []config.Host{h}
	}
	for _, h := range hosts {
		server, err := d.dial(ctx, h)
		if err != nil {
			c.log.Error("cancel request cannot be forwarded", "upstream", h.Address, "error", err)
			continue
		}
		_ = server.SetDeadline(time.Now().Add(dialTimeout))
		if _, err := server.Write(request); err == nil {
			_, _ = io.Copy(io.Discard, server)
		}
		_ = server.Close()
	}
}
