-- Everything that decides whether a table can be moved safely, as one JSON document.
-- $1 schema, $2 table name. No row: there is no such relation.
-- In psql: \set 1 ... does not work; use PREPARE facts(text, text) AS ... ; EXECUTE facts('public', 'audit_logs').
WITH RECURSIVE
relation AS (
  SELECT c.oid, n.oid AS schema_oid, n.nspname, c.relname,
         c.relkind, c.relpersistence, c.relispartition, c.relhassubclass, c.relhasrules, c.reltuples,
         coalesce(am.amname, '') AS access_method
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
  WHERE n.nspname = $1 AND c.relname = $2
),
attribute AS (
  SELECT a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull, a.attgenerated
  FROM pg_catalog.pg_attribute a
  JOIN relation r ON r.oid = a.attrelid
  WHERE a.attnum > 0 AND NOT a.attisdropped
),
-- From a domain down to its base type; the innermost type modifier that is set counts.
base(attnum, type_oid, modifier, depth) AS (
  SELECT attnum, atttypid, atttypmod, 0 FROM attribute
  UNION ALL
  SELECT b.attnum, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.modifier END, b.depth + 1
  FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.type_oid AND t.typtype = 'd'
),
-- Every type inside of a column's type: domains, array elements, range bounds, attributes of composites.
contained(attnum, type_oid) AS (
  SELECT attnum, atttypid FROM attribute
  UNION
  SELECT c.attnum, inner_type.oid
  FROM contained c
  JOIN pg_catalog.pg_type t ON t.oid = c.type_oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype AS oid WHERE t.typbasetype <> 0
    UNION ALL SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid
    UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngmultitypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) inner_type
)
SELECT jsonb_build_object(
  'oid', r.oid::text,
  'schema', r.nspname,
  'quoted', format('%I.%I', r.nspname, r.relname),
  'role', quote_ident(current_user),
  'kind', r.relkind,
  'persistence', r.relpersistence,
  'isPartition', r.relispartition,
  'inherits', EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = r.oid),
  'hasChildren', EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = r.oid),
  'accessMethod', r.access_method,
  'rowSecurityActive', r.relkind IN ('r', 'p') AND row_security_active(r.oid),
  'canUse', has_schema_privilege(r.schema_oid, 'USAGE'),
  'canSelect', has_table_privilege(r.oid, 'SELECT'),
  'canDelete', has_table_privilege(r.oid, 'DELETE'),
  'canUpdate', has_table_privilege(r.oid, 'UPDATE'),
  'bytesTotal', CASE WHEN r.relkind IN ('r', 'm', 't') THEN pg_total_relation_size(r.oid) ELSE 0 END::text,
  'rowsEstimated', greatest(r.reltuples, 0)::bigint::text,
  'attributes', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'attnum', a.attnum,
      'name', a.attname,
      'type', format_type(a.atttypid, a.atttypmod),
      'notNull', a.attnotnull,
      'generated', a.attgenerated,
      'base', (
        SELECT jsonb_build_object('name', t.typname, 'schema', n.nspname, 'kind', t.typtype, 'modifier', b.modifier)
        FROM base b
        JOIN pg_catalog.pg_type t ON t.oid = b.type_oid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE b.attnum = a.attnum
        ORDER BY b.depth DESC LIMIT 1
      ),
      'contains', (
        SELECT jsonb_agg(DISTINCT CASE WHEN n.nspname = 'pg_catalog' THEN '' ELSE n.nspname || '.' END || t.typname)
        FROM contained c
        JOIN pg_catalog.pg_type t ON t.oid = c.type_oid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        WHERE c.attnum = a.attnum
      ),
      'unstable', (
        SELECT coalesce(jsonb_agg(DISTINCT t.typname), '[]')
        FROM contained c
        JOIN pg_catalog.pg_type t ON t.oid = c.type_oid
        JOIN pg_catalog.pg_proc p ON p.oid = t.typoutput
        WHERE c.attnum = a.attnum AND p.provolatile = 'v'
      )
    ) ORDER BY a.attnum), '[]')
    FROM attribute a
  ),
  'indexes', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', ic.relname,
      'unique', i.indisunique,
      'primary', i.indisprimary,
      'valid', i.indisvalid AND i.indisready AND i.indislive,
      'immediate', i.indimmediate,
      'partial', i.indpred IS NOT NULL,
      'expression', i.indexprs IS NOT NULL,
      'method', am.amname,
      'columns', (
        SELECT jsonb_agg(a.attname ORDER BY k.position)
        FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(attnum, position)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.attnum
        WHERE k.position <= i.indnkeyatts
      )
    ) ORDER BY i.indisprimary DESC, ic.relname), '[]')
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_catalog.pg_am am ON am.oid = ic.relam
    WHERE i.indrelid = r.oid
  ),
  -- Collations by which texts of other bytes may be equal. A domain's is that of its column, unless the column has its own.
  'looseCollations', jsonb_build_object(
    'columns', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('column', a.attname, 'collation', format('%I.%I', n.nspname, l.collname))
                                ORDER BY a.attnum), '[]')
      FROM attribute a
      JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
      JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
      WHERE NOT l.collisdeterministic
    ),
    'exist', EXISTS (SELECT FROM pg_catalog.pg_collation l WHERE NOT l.collisdeterministic)
  )
) AS facts
FROM relation r
