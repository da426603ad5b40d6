package config

// limits decodes the mapping limits.
func (d *decoder) limits(top mapping, l *Limits) {
	m, _ := d.mapping(top.fields["limits"], "limits", limitsFields)
	set(d, m, "message_bytes", &l.MessageBytes, parseMessageBytes)
	switch written := set(d, m, "statement_bytes", &l.StatementBytes, parseMessageBytes); {
	case l.StatementBytes <= l.MessageBytes:
	case written:
		d.add(m.fields["statement_bytes"].Line, "limits.statement_bytes",
			"is more than message_bytes, and a statement is one message; write a smaller size, or a larger message_bytes")
	default:
		l.StatementBytes = l.MessageBytes
	}
	set(d, m, "connections", &l.Connections, parseCount("connections", "200"))
	set(d, m, "connections_per_user", &l.ConnectionsPerUser, parseCount("connections", "200"))
	set(d, m, "connections_per_database", &l.ConnectionsPerDatabase, parseCount("connections", "200"))
	set(d, m, "startup_time", &l.StartupTime, parseStartupTime)
	set(d, m, "idle_time", &l.IdleTime, parseTime("for no limit"))
}
