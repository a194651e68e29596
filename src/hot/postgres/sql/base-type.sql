-- The type of a column below all domains, without its modifier.
-- $1 table oid, $2 attribute number.
WITH RECURSIVE base(oid) AS (
  SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attnum = $2
  UNION ALL
  SELECT t.typbasetype FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
)
SELECT format_type(b.oid, -1) AS type FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype <> 'd'
