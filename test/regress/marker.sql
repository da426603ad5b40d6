-- Every table gets the marker, as the last column of its definition. Not temporary tables, which are their session's
-- own, not tables of a type, which have the type's columns, and not what has inherited it.
CREATE SCHEMA tombstone_regress;
GRANT USAGE ON SCHEMA tombstone_regress TO public;

CREATE FUNCTION tombstone_regress.add_marker() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    made regclass;
BEGIN
    FOR made IN
        SELECT c.oid
        FROM pg_event_trigger_ddl_commands() AS d
        JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND d.objsubid = 0
        WHERE d.command_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
          AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.reloftype = 0
          AND c.relnamespace IS DISTINCT FROM to_regnamespace('tombstone') -- what prepare makes of its own
          AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'deleted_at')
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN deleted_at timestamptz', made);
    END LOOP;
END
$$;

CREATE EVENT TRIGGER tombstone_regress_marker ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA')
    EXECUTE FUNCTION tombstone_regress.add_marker();
ALTER EVENT TRIGGER tombstone_regress_marker ENABLE ALWAYS;
