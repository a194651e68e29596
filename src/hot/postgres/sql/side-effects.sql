-- What a DELETE on the table would do besides deleting rows. Read when the table is described, and again under lock in
-- every transaction that deletes: a deploy may add a cascade while a long run is at work.
-- $1 oids: the table, or the partitioned table and the partition that rows go from.
WITH target AS (
  SELECT o.oid FROM unnest($1::oid[]) AS o(oid)
  UNION
  -- What stands on a partition in between holds for the leaves below it.
  SELECT a.relid FROM unnest($1::oid[]) AS o(oid) CROSS JOIN LATERAL pg_partition_ancestors(o.oid) a
)
SELECT jsonb_build_object(
  -- Clones on partitions are left out: what they were cloned from stands on a table above them.
  'deleteTriggers', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', t.tgname, 'table', t.tgrelid::regclass::text)
                              ORDER BY t.tgname, t.tgrelid), '[]')
    FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid IN (SELECT oid FROM target) AND t.tgparentid = 0
      AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 8) <> 0
  ),
  'references', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'constraint', f.conname, 'table', f.conrelid::regclass::text, 'onDelete', f.confdeltype,
      'definition', pg_get_constraintdef(f.oid)) ORDER BY f.conname, f.conrelid), '[]')
    FROM pg_catalog.pg_constraint f
    WHERE f.contype = 'f' AND f.confrelid IN (SELECT oid FROM target) AND f.conparentid = 0
  ),
  'rules', (
    SELECT coalesce(jsonb_agg(jsonb_build_object('name', w.rulename, 'table', w.ev_class::regclass::text)
                              ORDER BY w.rulename, w.ev_class), '[]')
    FROM pg_catalog.pg_rewrite w
    WHERE w.ev_class IN (SELECT oid FROM target) AND w.rulename <> '_RETURN'
  ),
  'publications', (
    SELECT coalesce(jsonb_agg(DISTINCT p.pubname), '[]')
    FROM pg_catalog.pg_publication p
    WHERE p.pubdelete AND (
      p.puballtables
      OR EXISTS (
        SELECT FROM pg_catalog.pg_publication_rel pr
        WHERE pr.prpubid = p.oid AND pr.prrelid IN (SELECT oid FROM target))
      OR EXISTS (
        SELECT FROM pg_catalog.pg_publication_namespace pn
        JOIN pg_catalog.pg_class c ON c.relnamespace = pn.pnnspid AND c.oid IN (SELECT oid FROM target)
        WHERE pn.pnpubid = p.oid)
    )
  )
) AS facts
