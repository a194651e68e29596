-- What decides the bytes that a row of the table has: compared under lock before rows are deleted, and again before
-- the COMMIT. Content can change under an unchanged key (hazard 13): enum RENAME VALUE, two columns swapped by RENAME,
-- ADD COLUMN DEFAULT, DROP + ADD, composite attributes, domain bases.
-- $1 table oid.
WITH RECURSIVE
attribute AS (
  SELECT a.attnum, a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attgenerated, a.attnotnull,
         pg_get_expr(d.adbin, d.adrelid) AS generated_expression,
         a.attmissingval::text AS missing_value
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''
  WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
),
involved(type_oid) AS (
  SELECT atttypid FROM attribute
  UNION
  SELECT inner_type.oid
  FROM involved i
  JOIN pg_catalog.pg_type t ON t.oid = i.type_oid
  CROSS JOIN LATERAL (
    SELECT t.typbasetype AS oid WHERE t.typbasetype <> 0
    UNION ALL SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid OR g.rngmultitypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
  ) inner_type
)
SELECT jsonb_build_object(
  'table', $1::oid::text,
  'accessMethod', (SELECT am.amname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am am ON am.oid = c.relam
                   WHERE c.oid = $1::oid),
  'columns', (
    SELECT jsonb_agg(jsonb_build_array(
      attnum, attname, format_type(atttypid, atttypmod), atttypid::text, attcollation::text, attgenerated,
      generated_expression, missing_value) ORDER BY attnum)
    FROM attribute
  ),
  'types', (
    SELECT jsonb_agg(jsonb_build_array(
      t.oid::text, n.nspname, t.typname, t.typtype, t.typbasetype::text, t.typtypmod,
      (SELECT jsonb_agg(jsonb_build_array(e.enumlabel, e.enumsortorder) ORDER BY e.oid)
       FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
      (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
       FROM pg_catalog.pg_attribute a
       WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
    ) ORDER BY t.oid)
    FROM involved i
    JOIN pg_catalog.pg_type t ON t.oid = i.type_oid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  )
)::text AS definition
