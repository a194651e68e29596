-- The type below all domains of a declared type, without its modifier. No row: there is no such type (any more).
-- $1 the declared type as format_type prints it, with pg_catalog alone on the search path.
WITH RECURSIVE base(oid) AS (
  SELECT to_regtype($1)::oid
  UNION ALL
  SELECT t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT format_type(b.oid, -1) AS type FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype <> 'd'
