-- The database roles of Firnline: what each of them may do with one table and with the control schema, and no more.
--
--   firnline migrate                       # as an administrator: who runs it owns the control schema
--   psql "$ADMIN_URL" -v table=public.audit_logs -f infra/roles.sql
--   psql "$ADMIN_URL" -c '\password firnline_pruner'       and so on: no password stands in here
--
-- As a superuser, or as who owns the table, the control schema and the database and may create roles. Run it for every
-- table that has a pipeline; again after `firnline migrate`, and for new partitions. What a role has too much on the table
-- or on the control schema it loses, so it may run any number of times.
--
--   role       commands                                   on the table        on objects (see terraform/)
--   exporter   plan, doctor, hold; run with prune: off    SELECT              writes, deletes none
--   pruner     run                                        SELECT, DELETE      writes, deletes none
--   retriever  retrieve, rehydrate, restores, verify,     SELECT              reads
--              status
--   collector  collect                                    nothing             deletes
--
-- `migrate`, `catalog rebuild` and `adopt` are the administrator's.
--
-- Variables (psql -v name=value):
--   table                                    as SQL writes it
--   exporter, pruner, retriever, collector   names of the roles; firnline_exporter and so on
--   drops        on: the pruner becomes a member of the table's owner, as `prune: auto` and `prune: partitions` need it to
--                drop whole native partitions. Nothing less will do: Postgres lets only the owner of a table and of its
--                partition detach and drop it. The owner can do all that with everything else that it owns, so give the
--                table an owner of its own (ALTER TABLE ... OWNER TO). Off: rows of partitions are deleted one by one.
--   future       on: tables that the owner makes in the table's schema later on are granted like its partitions. Off: run
--                this again for new partitions, or a run is refused and says so.
--   bypass_rls   on: BYPASSRLS for those who read the table. It takes a superuser. Firnline turns row security off, and
--                refuses to read what a policy would hide; these roles can read no table but yours.

\set ON_ERROR_STOP on
\if :{?exporter}
\else
  \set exporter firnline_exporter
\endif
\if :{?pruner}
\else
  \set pruner firnline_pruner
\endif
\if :{?retriever}
\else
  \set retriever firnline_retriever
\endif
\if :{?collector}
\else
  \set collector firnline_collector
\endif
\if :{?drops}
\else
  \set drops off
\endif
\if :{?future}
\else
  \set future off
\endif
\if :{?bypass_rls}
\else
  \set bypass_rls off
\endif

BEGIN;

-- Where the blocks below find them: psql puts no variable into a quoted body.
SET LOCAL firnline.of_table = :'table';
SET LOCAL firnline.exporter = :'exporter';
SET LOCAL firnline.pruner = :'pruner';
SET LOCAL firnline.retriever = :'retriever';
SET LOCAL firnline.collector = :'collector';
SET LOCAL firnline.drops = :'drops';
SET LOCAL firnline.future = :'future';
SET LOCAL firnline.bypass_rls = :'bypass_rls';

-- Each may log in, once it has a password or a certificate, and nothing else. Roles are the whole server's: another
-- database of it may have made them.
DO $roles$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY ARRAY['exporter', 'pruner', 'retriever', 'collector'] LOOP
    one := current_setting('firnline.' || one);
    BEGIN
      EXECUTE format('CREATE ROLE %I LOGIN', one);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    -- Firnline pins it in every transaction; this is for people who log in with the role.
    EXECUTE format('ALTER ROLE %I SET search_path = pg_catalog, pg_temp', one);
  END LOOP;
END $roles$;

GRANT CONNECT ON DATABASE :"DBNAME" TO :"exporter", :"pruner", :"retriever", :"collector";
-- Postgres judges the policy's predicates on an empty temporary copy of the table.
GRANT TEMPORARY ON DATABASE :"DBNAME" TO :"exporter", :"pruner", :"retriever";

-- The table and its partitions. Each partition is addressed by its own name, so a grant on the parent is not enough; a
-- partition that is on its way out is no part of the table any more, and is read and dropped all the same.
DO $table$
DECLARE
  of_source CONSTANT regclass := current_setting('firnline.of_table')::regclass;
  exporter CONSTANT text := quote_ident(current_setting('firnline.exporter'));
  pruner CONSTANT text := quote_ident(current_setting('firnline.pruner'));
  retriever CONSTANT text := quote_ident(current_setting('firnline.retriever'));
  collector CONSTANT text := quote_ident(current_setting('firnline.collector'));
  of_all CONSTANT text := concat_ws(', ', exporter, pruner, retriever, collector);
  readers CONSTANT text := concat_ws(', ', exporter, pruner, retriever);
  owner CONSTANT text := (SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = of_source);
  schema CONSTANT regnamespace := (SELECT relnamespace FROM pg_class WHERE oid = of_source);
  one record;
BEGIN
  FOR one IN
    SELECT c.oid::regclass AS name, c.relnamespace::regnamespace AS schema
    FROM pg_class c
    WHERE c.oid = of_source OR c.oid IN (SELECT relid FROM pg_partition_tree(of_source))
       OR c.oid IN (
         SELECT d.leaf_oid::oid FROM firnline.detaching d JOIN firnline.pipeline p USING (pipeline)
         WHERE p.source ->> 'tableOid' = of_source::oid::text)
  LOOP
    EXECUTE format('REVOKE ALL ON TABLE %s FROM %s', one.name, of_all);
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', one.schema, readers);
    EXECUTE format('GRANT SELECT ON TABLE %s TO %s', one.name, readers);
    EXECUTE format('GRANT DELETE ON TABLE %s TO %s', one.name, pruner);
  END LOOP;
  IF current_setting('firnline.drops')::boolean THEN
    EXECUTE format('GRANT %s TO %s', owner, pruner);
  ELSIF pg_has_role(current_setting('firnline.pruner'), owner::regrole, 'MEMBER') THEN
    EXECUTE format('REVOKE %s FROM %s', owner, pruner);
  END IF;
  IF current_setting('firnline.future')::boolean THEN
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT SELECT ON TABLES TO %s',
                   owner, schema, readers);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT DELETE ON TABLES TO %s',
                   owner, schema, pruner);
  END IF;
  IF current_setting('firnline.bypass_rls')::boolean THEN
    EXECUTE format('ALTER ROLE %s BYPASSRLS', exporter);
    EXECUTE format('ALTER ROLE %s BYPASSRLS', pruner);
    EXECUTE format('ALTER ROLE %s BYPASSRLS', retriever);
  END IF;
END $table$;

-- The control schema. What stands here is what src/catalog/postgres/grants.ts says; a test compares the two.
REVOKE ALL ON ALL TABLES IN SCHEMA firnline FROM :"exporter", :"pruner", :"retriever", :"collector";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA firnline FROM :"exporter", :"pruner", :"retriever", :"collector";
GRANT USAGE ON SCHEMA firnline TO :"exporter", :"pruner", :"retriever", :"collector";

-- A run's. The exporter writes the same checkpoints as the pruner: which rows go, the table's own grant says.
GRANT SELECT ON firnline.migration, firnline.pin, firnline.restore, firnline.retrieval TO :"exporter", :"pruner";
GRANT SELECT, INSERT, UPDATE ON firnline.hold, firnline.pipeline, firnline.run, firnline.segment
  TO :"exporter", :"pruner";
GRANT SELECT, INSERT, DELETE ON firnline.draft TO :"exporter", :"pruner";
GRANT SELECT, INSERT, UPDATE, DELETE ON firnline.chunk, firnline.detaching, firnline.history, firnline.outbox
  TO :"exporter", :"pruner";
GRANT USAGE ON SEQUENCE firnline.segment_sequence TO :"exporter", :"pruner";

-- A retrieval leaves a line in the catalog and one for the journal, pins what it reads, and asks for restored copies.
GRANT SELECT ON firnline.chunk, firnline.detaching, firnline.draft, firnline.history, firnline.hold,
  firnline.migration, firnline.pipeline, firnline.run, firnline.segment TO :"retriever";
GRANT SELECT, INSERT ON firnline.outbox TO :"retriever";
GRANT SELECT, INSERT, UPDATE ON firnline.restore, firnline.retrieval TO :"retriever";
GRANT SELECT, INSERT, DELETE ON firnline.pin TO :"retriever";

-- `collect` alone may write down what is garbage. What a killed run decided and did not journal, it journals first.
GRANT SELECT ON firnline.hold, firnline.migration TO :"collector";
GRANT SELECT, UPDATE ON firnline.pipeline, firnline.retrieval, firnline.run, firnline.segment TO :"collector";
GRANT SELECT, DELETE ON firnline.draft, firnline.pin TO :"collector";
GRANT SELECT, UPDATE, DELETE ON firnline.chunk TO :"collector";
GRANT SELECT, INSERT, DELETE ON firnline.garbage TO :"collector";
GRANT SELECT, INSERT, UPDATE, DELETE ON firnline.outbox TO :"collector";

COMMIT;
