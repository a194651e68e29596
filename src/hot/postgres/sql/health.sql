-- The state of the server and of the table's storage: what makes a run unsafe or slow although the table itself is fine.
-- $1 oids of the source, first, and of its partitions ({} where there is no such table), $2 those of them whose storage
-- counts, $3 the name of the time column, $4 the instant before which rows are due.
WITH
self AS (SELECT d.* FROM pg_catalog.pg_database d WHERE d.datname = current_database()),
target AS (SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[])),
-- A prepared transaction keeps the virtual id of the session that prepared it, until the server restarts: the lock on
-- its own transaction id leads to its other locks.
prepared AS (
  SELECT p.gid, p.owner, extract(epoch FROM clock_timestamp() - p.prepared)::float8 AS seconds,
         EXISTS (
           SELECT FROM pg_catalog.pg_locks own
           JOIN pg_catalog.pg_locks held ON held.virtualtransaction = own.virtualtransaction AND held.pid IS NULL
           WHERE own.locktype = 'transactionid' AND own.transactionid = p.transaction AND own.pid IS NULL
             AND held.locktype = 'relation' AND held.relation = ANY ($1::oid[])
             AND held.database = (SELECT oid FROM self) AND held.mode <> 'AccessShareLock'
         ) AS holds_table
  FROM pg_catalog.pg_prepared_xacts p
  WHERE p.database = current_database()
),
-- Sessions of other users are visible with pg_read_all_stats only.
session AS (
  SELECT a.pid, a.usename, a.application_name, a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
  FROM pg_catalog.pg_stat_activity a
  WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
    AND (a.backend_xid IS NOT NULL OR a.backend_xmin IS NOT NULL) AND a.backend_type = 'client backend'
  ORDER BY a.xact_start LIMIT 5
),
slot AS (
  SELECT s.slot_name, s.active, s.xmin IS NOT NULL AS holds_vacuum,
         CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END AS bytes
  FROM pg_catalog.pg_replication_slots s
),
-- Collations of the table's columns and indexes, as far as they have versions.
used_collation AS (
  SELECT a.attcollation AS oid FROM pg_catalog.pg_attribute a JOIN target t ON t.oid = a.attrelid
  WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT unnest(i.indcollation) FROM pg_catalog.pg_index i JOIN target t ON t.oid = i.indrelid
),
index_on AS (
  SELECT i.indrelid, c.relkind, format('%I.%I', n.nspname, c.relname) AS quoted, i.indisvalid AND i.indisready AS is_valid,
         a.attname = $3 AND i.indpred IS NULL AND m.amname IN ('btree', 'brin') AS leads_with_time
  FROM pg_catalog.pg_index i
  JOIN target t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am m ON m.oid = c.relam
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
)
SELECT jsonb_build_object(
  'database', (SELECT datname FROM self),
  'role', quote_ident(current_user),
  'fsync', current_setting('fsync'),
  'collation', (
    SELECT jsonb_build_object('recorded', d.datcollversion, 'actual', pg_database_collation_actual_version(d.oid))
    FROM self d),
  'collations', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'quoted', format('%I.%I', n.nspname, c.collname), 'recorded', c.collversion,
      'actual', pg_collation_actual_version(c.oid)) ORDER BY c.collname), '[]')
    FROM used_collation u
    JOIN pg_catalog.pg_collation c ON c.oid = u.oid AND c.collversion IS NOT NULL
    JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace),
  'prepared', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'gid', gid, 'owner', owner, 'seconds', seconds, 'holdsTable', holds_table) ORDER BY seconds DESC, gid), '[]')
    FROM prepared),
  'sessions', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'pid', pid, 'user', usename, 'application', application_name, 'state', state, 'seconds', seconds) ORDER BY seconds DESC), '[]')
    FROM session),
  'slots', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', slot_name, 'active', active, 'holdsVacuum', holds_vacuum, 'bytes', coalesce(bytes, 0)::bigint::text)
      ORDER BY slot_name), '[]')
    FROM slot),
  'settings', (
    SELECT jsonb_object_agg(s.name, s.setting)
    FROM pg_catalog.pg_settings s
    WHERE s.name IN ('autovacuum', 'track_counts', 'autovacuum_vacuum_scale_factor', 'autovacuum_vacuum_threshold',
                     'autovacuum_vacuum_max_threshold', 'statement_timeout', 'transaction_timeout')),
  'extensions', (
    SELECT coalesce(jsonb_agg(e.name ORDER BY e.name), '[]')
    FROM pg_catalog.pg_available_extensions e WHERE e.name IN ('pg_repack', 'pg_squeeze')),
  'invalidIndexes', (SELECT coalesce(jsonb_agg(quoted ORDER BY quoted), '[]') FROM index_on WHERE relkind = 'i' AND NOT is_valid),
  'tables', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'oid', t.oid::text,
      'quoted', format('%I.%I', n.nspname, t.relname),
      'kind', t.relkind,
      'owner', quote_ident(pg_get_userbyid(t.relowner)),
      'isOwner', pg_has_role(t.relowner, 'USAGE'),
      'hasTimeIndex', EXISTS (SELECT FROM index_on i WHERE i.indrelid = t.oid AND i.is_valid AND i.leads_with_time),
      'rows', t.reltuples,
      'heapBytes', CASE WHEN t.relkind = 'r' THEN pg_relation_size(t.oid) ELSE 0 END::text,
      'dataBytes', CASE WHEN t.relkind = 'r' THEN pg_table_size(t.oid) ELSE 0 END::text,
      'totalBytes', CASE WHEN t.relkind = 'r' THEN pg_total_relation_size(t.oid) ELSE 0 END::text,
      -- Of a row as it is stored in the heap: columns, tuple header and line pointer.
      'rowBytes', (
        SELECT sum(s.avg_width) + 28 FROM pg_catalog.pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = t.relname),
      -- From the last ANALYZE: the share of rows whose time is before $4.
      'dueShare', CASE WHEN EXISTS (
          SELECT FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = t.oid AND a.attname = $3 AND a.atttypid IN ('timestamptz'::regtype, 'timestamp'::regtype)
        ) THEN (
          SELECT avg((b.bound::timestamptz < $4::timestamptz)::int)::float8
          FROM pg_catalog.pg_stats s CROSS JOIN LATERAL unnest(s.histogram_bounds::text::text[]) AS b(bound)
          WHERE s.schemaname = n.nspname AND s.tablename = t.relname AND s.attname = $3
        ) END,
      'options', (
        SELECT coalesce(jsonb_object_agg(o.option_name, o.option_value), '{}') FROM pg_options_to_table(t.reloptions) o)
    ) ORDER BY array_position($2::oid[], t.oid)), '[]')
    FROM target t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
    WHERE t.relkind IN ('r', 'p') AND t.oid = ANY ($2::oid[]))
) AS facts
