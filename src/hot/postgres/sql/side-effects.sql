-- What a DELETE on the table would do besides deleting rows. Read when the table is described, and again under lock in
-- every transaction that deletes: a deploy may add a cascade while a long run is at work.
-- $1 table oid.
SELECT jsonb_build_object(
  'deleteTriggers', (
    SELECT coalesce(jsonb_agg(t.tgname ORDER BY t.tgname), '[]')
    FROM pg_catalog.pg_trigger t
    WHERE t.tgrelid = $1::oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND (t.tgtype & 8) <> 0
  ),
  'references', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
      'constraint', f.conname, 'table', f.conrelid::regclass::text, 'onDelete', f.confdeltype) ORDER BY f.conname), '[]')
    FROM pg_catalog.pg_constraint f
    WHERE f.contype = 'f' AND f.confrelid = $1::oid
  ),
  'rules', (
    SELECT coalesce(jsonb_agg(w.rulename ORDER BY w.rulename), '[]')
    FROM pg_catalog.pg_rewrite w
    WHERE w.ev_class = $1::oid AND w.rulename <> '_RETURN'
  ),
  'publications', (
    SELECT coalesce(jsonb_agg(DISTINCT p.pubname), '[]')
    FROM pg_catalog.pg_publication p
    WHERE p.pubdelete AND (
      p.puballtables
      OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel pr WHERE pr.prpubid = p.oid AND pr.prrelid = $1::oid)
      OR EXISTS (
        SELECT FROM pg_catalog.pg_publication_namespace pn
        JOIN pg_catalog.pg_class c ON c.relnamespace = pn.pnnspid AND c.oid = $1::oid
        WHERE pn.pnpubid = p.oid)
    )
  )
) AS facts
