-- The largest tables of the database, with what a policy needs to know of them, as JSON documents: largest first.
-- $1 how many at most, $2 schema and $3 name of the one table that is asked for, or null for all.
WITH RECURSIVE
relation AS (
  SELECT c.oid, c.relnamespace, n.nspname, c.relname, c.relkind
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'firnline') AND n.nspname !~ '^pg_(toast|temp)'
    -- Tables of an extension are its own business.
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    AND ($2::text IS NULL OR (n.nspname = $2 AND c.relname = $3))
),
-- The tables that hold the rows: itself, or the leaves of its partition tree.
leaf AS (
  SELECT r.oid AS root, r.oid FROM relation r WHERE r.relkind = 'r'
  UNION ALL
  SELECT r.oid, t.relid FROM relation r CROSS JOIN LATERAL pg_partition_tree(r.oid) t
  WHERE r.relkind = 'p' AND t.isleaf
),
sized AS (
  SELECT leaf.root, count(*) AS leaves, sum(pg_total_relation_size(c.oid)) AS bytes,
         sum(pg_relation_size(c.oid) / current_setting('block_size')::bigint) AS pages,
         sum(greatest(c.reltuples, 0))::bigint AS rows
  FROM leaf
  JOIN pg_catalog.pg_class c ON c.oid = leaf.oid AND c.relkind = 'r'
  GROUP BY leaf.root
),
largest AS (
  SELECT r.*, coalesce(s.leaves, 0) AS leaves, coalesce(s.bytes, 0) AS bytes, coalesce(s.pages, 0) AS pages,
         coalesce(s.rows, 0) AS rows, count(*) OVER () AS found
  FROM relation r
  LEFT JOIN sized s ON s.root = r.oid
  ORDER BY bytes DESC, r.nspname, r.relname LIMIT $1
),
-- From a domain down to its base type.
base(oid, attnum, type_oid, depth) AS (
  SELECT a.attrelid, a.attnum, a.atttypid, 0
  FROM largest l
  JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v'
  UNION ALL
  SELECT b.oid, b.attnum, t.typbasetype, b.depth + 1
  FROM base b
  JOIN pg_catalog.pg_type t ON t.oid = b.type_oid AND t.typtype = 'd'
),
-- Columns by their type below all domains. An enum's values have an order and a text.
typed AS (
  SELECT DISTINCT ON (b.oid, b.attnum) b.oid, b.attnum, a.attname, a.attnotnull,
         CASE WHEN t.typtype = 'e' THEN 'enum' WHEN n.nspname = 'pg_catalog' THEN t.typname END AS base
  FROM base b
  JOIN pg_catalog.pg_attribute a ON a.attrelid = b.oid AND a.attnum = b.attnum
  JOIN pg_catalog.pg_type t ON t.oid = b.type_oid
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  ORDER BY b.oid, b.attnum, b.depth DESC
),
sound AS (
  SELECT i.indrelid AS oid, ic.relname AS name, am.amname AS method, i.indkey::smallint[] AS columns, i.indnkeyatts,
         i.indisunique AND i.indimmediate AND am.amname = 'btree' AS is_key, i.indisprimary
  FROM largest l
  JOIN pg_catalog.pg_index i ON i.indrelid = l.oid
  JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
  JOIN pg_catalog.pg_am am ON am.oid = ic.relam
  WHERE i.indisvalid AND i.indisready AND i.indislive AND i.indpred IS NULL AND i.indexprs IS NULL
)
SELECT jsonb_build_object(
  'schema', l.nspname,
  'name', l.relname,
  'isPartitioned', l.relkind = 'p',
  'leaves', l.leaves,
  'bytes', l.bytes::text,
  'pages', l.pages::text,
  'rows', l.rows::text,
  'canRead', has_schema_privilege(l.relnamespace, 'USAGE') AND has_table_privilege(l.oid, 'SELECT'),
  'isHidden', row_security_active(l.oid),
  'isInherited', EXISTS (SELECT FROM pg_catalog.pg_inherits i
                         WHERE i.inhrelid = l.oid OR (i.inhparent = l.oid AND l.relkind = 'r')),
  'times', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'name', t.attname,
      'type', t.base,
      'notNull', t.attnotnull,
      'index', (SELECT s.name FROM sound s
                WHERE s.oid = l.oid AND s.method IN ('btree', 'brin') AND s.columns[0] = t.attnum
                ORDER BY s.method = 'brin', cardinality(s.columns), s.name LIMIT 1)
    ) ORDER BY t.attnum), '[]')
    FROM typed t WHERE t.oid = l.oid AND t.base IN ('timestamptz', 'timestamp')
  ),
  'keys', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('index', s.name, 'isPrimary', s.indisprimary, 'columns', k.names)
                              ORDER BY s.indisprimary DESC, cardinality(s.columns), s.name), '[]')
    FROM sound s
    CROSS JOIN LATERAL (
      SELECT jsonb_agg(t.attname ORDER BY c.position) AS names,
             bool_and(t.attnotnull AND (
               t.base IN ('int2', 'int4', 'int8', 'uuid', 'bytea', 'date', 'time', 'timestamp', 'timestamptz')
               OR (t.base IN ('text', 'varchar', 'name', 'enum') AND current_setting('server_encoding') = 'UTF8')
             ) IS TRUE) AS is_usable
      FROM unnest(s.columns) WITH ORDINALITY AS c(attnum, position)
      LEFT JOIN typed t ON t.oid = s.oid AND t.attnum = c.attnum
      WHERE c.position <= s.indnkeyatts
    ) k
    WHERE s.oid = l.oid AND s.is_key AND k.is_usable
  )
) AS facts, l.found::int AS found
FROM largest l
ORDER BY l.bytes DESC, l.nspname, l.relname
