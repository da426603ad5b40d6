package rewrite

// refusal is one row of the table of what is refused and why. The page about
// refusals in the manual is written from it.
type refusal struct {
	rule      string
	statement string // which statements it is about
	why       string // what would go wrong
	code      string // SQLSTATE
	message   string // %s takes the relation's name, or what the call site names instead
	hint      string
}

// refusals is the one table of refusals, in the manual's order.
var refusals = []refusal{
	{
		rule: "renamed-marker", statement: "SELECT .. FROM t TABLESAMPLE with column aliases",
		why:  "The aliases give another column the marker's name, so that rows cannot be told apart.",
		code: "0A000", message: `the column aliases of protected table "%s" make its marker column ambiguous`,
		hint: "Give another column alias.",
	},
	{
		rule: "on-conflict", statement: "INSERT .. ON CONFLICT DO NOTHING without a target",
		why:  "More than one unique index also holds deleted rows. Were the key a deleted row's, the new row would be lost and nobody told.",
		code: "0A000", message: `a deleted row of protected table "%s" could hold the key of a new row, and this ON CONFLICT would not tell`,
		hint: "Name the conflict target, as in ON CONFLICT (id) DO NOTHING, or make the unique indexes partial, such as .. WHERE deleted_at IS NULL.",
	},
	{
		rule: "key-taken", statement: "INSERT .. ON CONFLICT that meets a deleted row",
		why:  "A unique index that holds deleted rows has the key. The deleted row must not change, and the new one must not vanish.",
		code: "23505", message: "a deleted row holds the key of the new row",
		hint: "Restore or purge the deleted row, or replace the unique constraint by a unique index of live rows only, such as CREATE UNIQUE INDEX .. WHERE deleted_at IS NULL.",
	},
	{
		rule: "key-twice", statement: "INSERT .. ON CONFLICT DO NOTHING of two rows with one key",
		why:  "The unique index also holds deleted rows, so that a DO UPDATE has to look at the row in the way, and cannot look at one that the same statement has inserted.",
		code: "0A000", message: "two rows of this INSERT have the same key, in a unique index that also holds deleted rows",
		hint: "Leave out the second row, or replace the unique constraint by a unique index of live rows only, such as CREATE UNIQUE INDEX .. WHERE deleted_at IS NULL.",
	},
	{
		rule: "view-delete", statement: "DELETE from a view, MERGE with DELETE",
		why:  "The view does not show the marker, so nothing can be set through it.",
		code: "0A000", message: `view "%s" does not show the column that marks deleted rows of protected table "%s"`,
		hint: "Delete from the table itself, or show that column in the view.",
	},
	{
		rule: "view-check", statement: "DELETE from a view WITH CHECK OPTION",
		why:  "The view's query keeps deleted rows out, and its check option keeps rows from leaving it, as a row does that is marked.",
		code: "0A000", message: `a row that is deleted would leave view "%s", which its check option forbids`,
		hint: "Delete from the table itself, or create the view without the check option.",
	},
	{
		rule: "view-update", statement: "UPDATE of a view",
		why:  "The view neither shows the marker nor looks at it, so that deleted rows would be changed with the others.",
		code: "0A000", message: `view "%s" does not look at the column that marks deleted rows of protected table "%s"`,
		hint: "Update the table itself, or create the view again through the proxy.",
	},
	{
		rule: "unprotects", statement: "ALTER TABLE .. RENAME, SET SCHEMA, DETACH PARTITION, NO INHERIT; ALTER SCHEMA .. RENAME",
		why:  "The policy does not cover the table under its new name, or without its parent: its deleted rows would show.",
		code: "0A000", message: `this would take protected table "%s" out of the policy's reach, and its deleted rows would show`,
		hint: "Change the policy first, so that it covers the table afterwards too.",
	},
	{
		rule: "marker-ddl", statement: "ALTER TABLE .. DROP, RENAME or ALTER TYPE of the marker",
		why:  "Without the marker no row can be told from a deleted one: all of them would show.",
		code: "0A000", message: `column "%s" tells which rows of protected table "%s" are deleted`,
		hint: "Do it on a direct connection to the server, when no deleted row is left that matters.",
	},
	{
		rule: "view-instead", statement: "DELETE from a view with rules or INSTEAD OF triggers",
		why:  "They say what DELETE does; an UPDATE in its place would do something else.",
		code: "0A000", message: `a rule or an INSTEAD OF trigger says what DELETE does to view "%s", which shows a protected table`,
		hint: "Delete from the table itself.",
	},
	{
		rule: "parent", statement: "any use of an unprotected inheritance parent",
		why:  "It shows the rows of a protected child, and has no marker of its own that the policy knows.",
		code: "0A000", message: `"%s" is a parent of protected table "%s" and not protected itself`,
		hint: "Protect it in the policy too, or name ONLY the parent, or the protected table.",
	},
	{
		rule: "create-schema", statement: "CREATE SCHEMA with views in it",
		why:  "Their names are looked up in the new schema first, of which nothing is known yet.",
		code: "0A000", message: `CREATE SCHEMA with a query on protected table "%s" in it is not supported`,
		hint: "Create the schema first, and what is in it with statements of their own.",
	},
	{
		rule: "body-unseen", statement: "DO, CREATE FUNCTION in other languages than SQL",
		why:  "The policy says bodies: refuse. The server runs the body unseen: it would see deleted rows and really delete.",
		code: "0A000", message: `the body names protected table "%s", and the server would run it unseen`,
		hint: "Send the statements themselves, or write the function in SQL.",
	},
	{
		rule: "body-literal", statement: "CREATE FUNCTION .. LANGUAGE sql",
		why:  "The body is an escape string or goes on in another literal, and cannot be edited in place.",
		code: "0A000", message: "the function's body names a protected table and is written as a string that cannot be edited in place",
		hint: "Write the body between dollar quotes: AS $$ .. $$.",
	},
	{
		rule: "moved-names", statement: "statements after SET, DDL, DO or COMMIT in one message",
		why:  "An earlier statement of the message may change which table a name means, and the server has not run it yet.",
		code: "0A000", message: `"%s" cannot be resolved: an earlier statement of the same message may change what it means`,
		hint: "Send the statements in separate messages.",
	},
	{
		rule: "snapshot", statement: "any that names a table, above READ COMMITTED",
		why:  "Another session has changed tables since the transaction began. Its snapshot does not show how, but the server goes by it.",
		code: "40001", message: "could not serialize access due to a concurrent change of table definitions",
		hint: "The transaction might succeed if retried.",
	},
	{
		rule: "reserved-name", statement: "PREPARE, EXECUTE, DECLARE of _tombstone",
		why:  "The proxy uses the name for questions of its own.",
		code: "42939", message: `the name "%s" is reserved for the proxy`,
		hint: "Use another name.",
	},
	{
		rule: "runs-strings", statement: "query_to_xml, table_to_xml, ts_stat, dblink, crosstab and the like",
		why:  "The function runs SQL that it is given as a string, or reads a table by its name: unseen, with deleted rows and all.",
		code: "0A000", message: "%s() would read protected tables with their deleted rows",
		hint: "Send the query itself, or give it as a literal that names no protected table.",
	},
	{
		rule: "function-call", statement: "the FunctionCall message for query_to_xml and its kin",
		why:  "The function runs SQL that it is given, or reads a table by its name.",
		code: "0A000", message: "this function could read protected tables with their deleted rows",
		hint: "Call it in a SELECT.",
	},
	{
		rule: "no-marker", statement: "DELETE, TRUNCATE, MERGE with DELETE",
		why:  "The table has no column to mark its deleted rows with, or not the audit columns that the policy names.",
		code: "55000", message: "%s",
		hint: "",
	},
	{
		rule: "returning-unclear", statement: "DELETE .. RETURNING",
		why:  "An unqualified name in a query inside RETURNING could mean the marker or another table's column.",
		code: "0A000", message: `"%s" in RETURNING of a DELETE on protected table "%s" could mean more than one column`,
		hint: "Write it with the table's name or alias, outside of a subquery.",
	},
	{
		rule: "returning-merged", statement: "DELETE .. USING a JOIN b USING (..) RETURNING *",
		why:  "The columns that * stands for are merged ones, which have no other name.",
		code: "0A000", message: `RETURNING * of a DELETE on protected table "%s" whose USING list joins with merged columns is not supported`,
		hint: "Name the columns to return.",
	},
	{
		rule: "truncate-denied", statement: "TRUNCATE",
		why:  "The policy says truncate: deny.",
		code: "42501", message: `TRUNCATE of protected table "%s" is denied by the policy`,
		hint: "Use DELETE, or change the table's truncate setting in the policy.",
	},
	{
		rule: "truncate-mixed", statement: "TRUNCATE of protected and other tables",
		why:  "Some rows would be kept and some would go, in one statement with one answer.",
		code: "0A000", message: `TRUNCATE of protected table "%s" together with tables that are handled otherwise is not supported`,
		hint: "Send one TRUNCATE for the protected tables and another for the rest.",
	},
	{
		rule: "truncate-cascade", statement: "TRUNCATE .. CASCADE",
		why:  "It reaches protected tables through foreign keys and really empties them.",
		code: "0A000", message: `TRUNCATE .. CASCADE of protected table "%s" is not supported`,
		hint: "Name every table to be emptied instead of CASCADE.",
	},
	{
		rule: "truncate-restart", statement: "TRUNCATE .. RESTART IDENTITY",
		why:  "New rows would get the numbers that deleted rows still have.",
		code: "0A000", message: `TRUNCATE .. RESTART IDENTITY of protected table "%s" is not supported`,
		hint: "Its deleted rows keep their numbers. Leave out RESTART IDENTITY, or restart the sequence with ALTER SEQUENCE.",
	},
	{
		rule: "copy-syntax", statement: "COPY BINARY, COPY .. DELIMITERS with options in parentheses",
		why:  "The one is syntax from before PostgreSQL 7.3, the other from after 8.4; a query takes no mixture.",
		code: "0A000", message: `this form of COPY from protected table "%s" is not supported`,
		hint: "Use COPY .. TO .. WITH (FORMAT .., DELIMITER ..).",
	},
	{
		rule: "settings-denied", statement: "SET tombstone.visibility, tombstone.as_of, tombstone.delete; any on a protected table where they are set otherwise",
		why:  "The policy says which roles may see deleted rows and delete for good. The address in tombstone.client is the proxy's to tell.",
		code: "42501", message: `permission denied to set parameter "%s"`,
		hint: "The proxy sets it to the client's address.",
	},
	{
		rule: "settings-value", statement: "SET tombstone.visibility, tombstone.as_of, tombstone.delete; any on a protected table where they are set otherwise",
		why:  "The setting has no such value. The server, which keeps it, takes any.",
		code: "22023", message: `invalid value for parameter "%s": "%s"`,
		hint: "The values that there are.",
	},
	{
		rule: "settings-unknown", statement: "SET tombstone.*",
		why:  "The server takes any name with a dot in it, so that a slip of the pen would go unnoticed.",
		code: "42704", message: `unrecognized configuration parameter "%s"`,
		hint: "There are tombstone.visibility, tombstone.as_of, tombstone.delete, tombstone.actor and tombstone.reason.",
	},
	{
		rule: "settings-moved", statement: "statements after SET tombstone.* in one message",
		why:  "An earlier statement of the message changes which rows are seen, and the server has not run it yet.",
		code: "0A000", message: `an earlier statement of the same message may change which rows of protected table "%s" are seen`,
		hint: "Send the statements in separate messages.",
	},
	{
		rule: "restore-denied", statement: "UPDATE, MERGE while tombstone.visibility is all or deleted",
		why:  "The policy says which roles may change deleted rows, or make them live again.",
		code: "42501", message: `permission denied to change deleted rows of protected table "%s"`,
		hint: "The proxy's policy says in roles.restore who may, and by default that is nobody. SET tombstone.visibility = live to change live rows.",
	},
	{
		rule: "deletes-again", statement: "MERGE with DELETE, DELETE WHERE CURRENT OF while tombstone.visibility is all or deleted",
		why:  "It would delete rows that are deleted already, and move the time at which they were.",
		code: "0A000", message: `this could delete rows of protected table "%s" again that are deleted already`,
		hint: "SET tombstone.visibility = live, or use DELETE with a condition of its own, which leaves such rows alone.",
	},
	{
		rule: "as-of-write", statement: "INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY FROM while tombstone.as_of is set",
		why:  "A session that looks at the past only reads: the rows that it sees are not those that a change would find.",
		code: "25006", message: `cannot execute %s on protected table "%s" while tombstone.as_of is set`,
		hint: "SET tombstone.as_of = '' first.",
	},
	{
		rule: "as-of-marker", statement: "any on a table whose marker is a boolean while tombstone.as_of is set",
		why:  "The marker does not say when a row was deleted.",
		code: "0A000", message: `the marker of protected table "%s" does not say when a row was deleted, so what there was at another time is not known`,
		hint: "SET tombstone.as_of = '', or give the table a marker of type timestamptz.",
	},
	{
		rule: "as-of-created", statement: "any on a table without the policy's created column while tombstone.as_of is set",
		why:  "The policy names a column that says since when rows exist, and there is none, or it holds no time.",
		code: "55000", message: `column "%s", which the policy says to go by, does not say since when a row of protected table "%s" exists`,
		hint: "Name a column of type timestamptz, timestamp, date, integer or bigint as created in the policy, or none. A view has to show it.",
	},
	{
		rule: "view-asks", statement: "any on a view while tombstone.visibility is deleted or tombstone.as_of is set",
		why:  "The view does not show the marker, so deleted rows, or those of another time, cannot be told from others in it.",
		code: "0A000", message: `view "%s" does not show the column that tells deleted rows of protected table "%s"`,
		hint: "Query the table itself, or SET tombstone.visibility = live and tombstone.as_of = ''.",
	},
	{
		rule: "dump", statement: "a session of pg_dump or pg_dumpall",
		why:  "It would write a backup without the deleted rows. Told by its application_name, as it starts, where the policy protects something in the database.",
		code: "0A000", message: "%s through tombstone would leave out deleted rows",
		hint: "Connect it to the server directly, or set PGOPTIONS='-c tombstone.visibility=all' and use a role that roles.see in the proxy's policy allows it.",
	},
	{
		rule: "unparsed", statement: "syntax newer than PostgreSQL 16's",
		why:  "The parser rejects the text, which names something protected, and the server takes it.",
		code: "0A000", message: "this statement is newer than the proxy's parser and names a protected table",
		hint: "Write it in PostgreSQL 16's syntax.",
	},
	{
		rule: "too-complex", statement: "very deep or very wide statements",
		why:  "The parser would run out of stack or memory.",
		code: "54001", message: "this statement is too complex for the proxy, and may name a protected table",
		hint: "Split long chains of operators, joins or set operations and wide assignments to several columns, or use IN, ANY or VALUES.",
	},
	{
		rule: "too-large", statement: "a statement longer than limits.statement_bytes",
		why:  "It would have to be held whole to be read.",
		code: "54000", message: "this statement is larger than the proxy's limit of %s bytes",
		hint: "Send bulk data with COPY or as parameters, or raise limits.statement_bytes in the proxy's configuration.",
	},
	{
		rule: "backslash", statement: "a backslash in a literal while standard_conforming_strings is off",
		why:  "The server ends such a literal elsewhere than the parser, so that what follows could be anything.",
		code: "0A000", message: "a backslash in a string literal reads differently while standard_conforming_strings is off, and the statement may name a protected table",
		hint: "SET standard_conforming_strings = on, and write such literals as E'..'.",
	},
	{
		rule: "encoding", statement: "text that is not ASCII in SJIS, BIG5, GBK, UHC, GB18030 or JOHAB",
		why:  "A character's second byte can be a quote.",
		code: "0A000", message: "text in client encoding %s cannot be read safely, and the statement may name a protected table",
		hint: "SET client_encoding = 'UTF8'.",
	},
	{
		rule: "prepared", statement: "a prepared statement whose names have come to mean other tables",
		why:  "It was edited for the tables that they meant when it was prepared.",
		code: "0A000", message: "cached plan must not change result type",
		hint: "The statement was prepared when its names stood for other tables, or under other settings. Prepare it again.",
	},
	{
		rule: "internal", statement: "none that is known",
		why:  "The tree and the text do not agree. Nothing is sent rather than something wrong.",
		code: "XX000", message: "the proxy could not find its way in this statement, which names a protected table",
		hint: "Please report the statement. Writing it in a plainer form may help.",
	},
}

func refusalFor(rule string) *refusal {
	for i := range refusals {
		if refusals[i].rule == rule {
			return &refusals[i]
		}
	}
	return &refusals[len(refusals)-1] // internal
}
