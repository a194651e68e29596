-- The server, as far as it decides whether rows may be moved.
SELECT jsonb_build_object(
  'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
  'databaseOid', (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()),
  'database', current_database(),
  'version', current_setting('server_version_num')::int,
  'inRecovery', pg_is_in_recovery(),
  'encoding', current_setting('server_encoding')
) AS facts
