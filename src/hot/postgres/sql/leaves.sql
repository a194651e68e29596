-- The tables that hold the rows of a partitioned table, with what their bounds say about the time column.
-- $1 table oid, $2 name of the time column, $3 zone of a plain timestamp or null.
WITH RECURSIVE tree AS (
  SELECT i.inhrelid AS oid, i.inhparent AS parent, i.inhdetachpending AS pending FROM pg_catalog.pg_inherits i
  WHERE i.inhparent = $1::oid
  UNION ALL
  SELECT i.inhrelid, i.inhparent, i.inhdetachpending FROM tree t
  JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
),
-- Limits in time where the parent is partitioned by ranges of the time column alone; MINVALUE and MAXVALUE are none.
bounded AS (
  SELECT t.oid, t.parent, t.pending, pg_get_expr(c.relpartbound, c.oid) AS bound,
         p.partdefid, p.partdefid = t.oid AS is_default,
         CASE WHEN p.partstrat = 'r' AND p.partnatts = 1 AND a.attname = $2 THEN
           regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$^FOR VALUES FROM \((?:'([^']+)'|MINVALUE)\) TO \((?:'([^']+)'|MAXVALUE)\)$$re$)
         END AS limits
  FROM tree t
  JOIN pg_catalog.pg_class c ON c.oid = t.oid
  JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.parent
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = t.parent AND a.attnum = p.partattrs[0]
),
instants AS (
  SELECT b.oid, b.parent, b.pending, b.bound, b.partdefid, b.limits IS NOT NULL AS is_ranged,
         CASE WHEN $3::text IS NULL THEN b.limits[1]::timestamptz ELSE b.limits[1]::timestamp AT TIME ZONE $3 END AS first,
         CASE WHEN $3::text IS NULL THEN b.limits[2]::timestamptz ELSE b.limits[2]::timestamp AT TIME ZONE $3 END AS past
  FROM bounded b
),
-- A sub-partition lies within the limits of the partitions above it.
within AS (
  SELECT i.oid, i.is_ranged, i.first, i.past FROM instants i WHERE i.parent = $1::oid
  UNION ALL
  SELECT i.oid, i.is_ranged OR w.is_ranged, greatest(i.first, w.first), least(i.past, w.past)
  FROM within w JOIN instants i ON i.parent = w.oid
)
SELECT c.oid::text, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
       pn.nspname AS parent_schema, pc.relname AS parent_name, i.bound, i.pending,
       i.partdefid <> 0 AND i.partdefid <> i.oid AS has_default,
       w.is_ranged AND isfinite(w.first) AND isfinite(w.past) AS is_ranged,
       (extract(epoch FROM CASE WHEN isfinite(w.first) THEN w.first END) * 1000000)::bigint::text AS first,
       (extract(epoch FROM CASE WHEN isfinite(w.past) THEN w.past END) * 1000000)::bigint::text AS past,
       has_table_privilege(c.oid, 'SELECT') AS can_select, has_table_privilege(c.oid, 'DELETE') AS can_delete,
       pg_has_role(c.relowner, 'USAGE') AND pg_has_role(pc.relowner, 'USAGE') AS can_drop
FROM instants i
JOIN within w ON w.oid = i.oid
JOIN pg_catalog.pg_class c ON c.oid = i.oid AND c.relkind <> 'p'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class pc ON pc.oid = i.parent
JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
ORDER BY w.first NULLS LAST, n.nspname, c.relname
