-- Tables that were partitions of the source and are on their way out.
-- $1 oids, $2 oid of the source.
SELECT c.oid::text, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relpersistence AS persistence,
       has_table_privilege(c.oid, 'SELECT') AS can_select, has_table_privilege(c.oid, 'DELETE') AS can_delete,
       pg_has_role(c.relowner, 'USAGE') AS can_drop,
       -- What the source got, lost or changed since cannot be read from both at once.
       (SELECT a.attname FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = $2::oid AND a.attnum > 0 AND NOT a.attisdropped
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute l
                          WHERE l.attrelid = c.oid AND NOT l.attisdropped AND l.attname = a.attname
                            AND l.atttypid = a.atttypid AND l.atttypmod = a.atttypmod)
        ORDER BY a.attnum LIMIT 1) AS other_column
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::oid[])
