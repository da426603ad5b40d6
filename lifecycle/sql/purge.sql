
-- What has gone for good, by purge or erase: a row is written in the transaction that takes the first rows, and completed in each that
-- takes more, so that nothing goes without it.
CREATE TABLE IF NOT EXISTS tombstone.receipts (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	command text NOT NULL, -- purge, erase
	started timestamptz NOT NULL,
	finished timestamptz NOT NULL, -- when the last rows went
	role name NOT NULL DEFAULT session_user,
	application_name text DEFAULT nullif(pg_catalog.current_setting('application_name'), ''),
	client text DEFAULT pg_catalog.host(pg_catalog.inet_client_addr()) OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) pg_catalog.inet_client_port()::pg_catalog.text,
	who text NOT NULL,     -- who ran the command, and where
	tables jsonb NOT NULL  -- for each table, how much and what
);

CREATE INDEX IF NOT EXISTS severed_was ON tombstone.severed (relation, was);
