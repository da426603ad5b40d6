package proxy

import (
	"fmt"
	gosync "sync"

	"tombstone/config"
)

// census counts sessions: all, and those of each user and to each database where that is limited.
type census struct {
	mu        gosync.Mutex
	all       int
	users     map[string]int
	databases map[string]int
}

// full is a limit of the proxy's own that is reached.
type full struct{ message, setting string }

// admit counts a session that is about to connect to the server, or says which limit forbids it. Who is not admitted has
// not been counted. The words are the server's (InitPostgres in postinit.c), and whose limit it is.
func (c *census) admit(l *config.Limits, user, database string) *full {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.Connections > 0 && c.all >= l.Connections:
		return &full{fmt.Sprintf("sorry, too many clients already: the proxy's limit is %d", l.Connections), "limits.connections"}
	case l.ConnectionsPerUser > 0 && c.users[user] >= l.ConnectionsPerUser:
		return &full{fmt.Sprintf("too many connections for role \"%s\": the proxy's limit is %d", user, l.ConnectionsPerUser), "limits.connections_per_user"}
	case l.ConnectionsPerDatabase > 0 && c.databases[database] >= l.ConnectionsPerDatabase:
		return &full{fmt.Sprintf("too many connections for database \"%s\": the proxy's limit is %d", database, l.ConnectionsPerDatabase), "limits.connections_per_database"}
	}
	if c.users == nil {
		c.users, c.databases = map[string]int{}, map[string]int{}
	}
	c.all++
	c.users[user]++
	c.databases[database]++
	return nil
}

// leave counts a session out that was admitted.
func (c *census) leave(user, database string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	forget(c.users, user)
	forget(c.databases, database)
}

// forget counts down. Names come from clients, so none stays behind.
func forget(m map[string]int, name string) {
	if m[name]--; m[name] <= 0 {
		delete(m, name)
	}
}
