/**
 * Tables that must not be moved, each made dangerous in one way. `sql` is run with a schema of the case's own as the
 * only one on the search path; the table is `t` there.
 */
import type { SourceRequest } from "../../src/hot/postgres/describe.ts";

export interface Hazard {
  readonly sql: string;
  /** Overrides of what the policy says: time `ts`, the primary key, no rules, rows are deleted. */
  readonly request?: Partial<SourceRequest>;
  /** Asks as a role that is no superuser; `%I` in `sql` stands for its name. */
  readonly asRole?: true;
  /** The first major version that can build it. */
  readonly since?: number;
  /** An extension that the server must have to offer. */
  readonly extension?: string;
  /** Cleans up what does not go with the schema. */
  readonly after?: string;
}

/** Of most tables: a primary key, a time and something to select by. */
export const COLUMNS = "id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text";
export const T = `CREATE TABLE t (${COLUMNS});`;
const SUBPARTITIONED = `CREATE TABLE t (id bigint, ts timestamptz, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
  CREATE TABLE mid PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') PARTITION BY RANGE (ts);
  CREATE TABLE leaf PARTITION OF mid FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');`;
const keyless = (more: string): string =>
  `CREATE TABLE t (id bigint, ts timestamptz NOT NULL, action text${more});`;
const rule = (when: string, name = "r"): Hazard => ({
  sql: `${T} CREATE TABLE other (x int); CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql RETURN upper($1);`,
  request: {
    rules: [
      { name, when },
      { name: "default", when: null },
    ],
  },
});
const column = (type: string, before = ""): Hazard => ({
  sql: `${before} CREATE TABLE t (${COLUMNS}, v ${type});`,
});

export const HAZARDS: Readonly<Record<string, Hazard>> = {
  // E_RELATION
  "a table that is not there": { sql: "" },
  "a table in a schema that is not there": { sql: T, request: { table: { schema: "nowhere", name: "t" } } },
  "a name in another case": { sql: T, request: { table: { schema: "", name: "T" } } },
  "a view": { sql: `CREATE VIEW t AS SELECT 1::bigint AS id, now() AS ts` },
  "a materialized view": { sql: `CREATE MATERIALIZED VIEW t AS SELECT 1::bigint AS id, now() AS ts` },
  "a foreign table": {
    extension: "file_fdw",
    sql: `CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public;
      CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
      CREATE FOREIGN TABLE t (id bigint, ts timestamptz) SERVER files OPTIONS (filename '/nothing')`,
    after: "DROP EXTENSION file_fdw CASCADE",
  },
  "a sequence": { sql: "CREATE SEQUENCE t" },
  "an index": { sql: "CREATE TABLE x (ts timestamptz); CREATE INDEX t ON x (ts)" },
  "a composite type": { sql: "CREATE TYPE t AS (id bigint, ts timestamptz)" },
  "a partition": {
    sql: `CREATE TABLE parent (id bigint, ts timestamptz, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
      CREATE TABLE t PARTITION OF parent DEFAULT`,
  },
  "a table that inherits": {
    sql: `CREATE TABLE parent (ts timestamptz NOT NULL); CREATE TABLE t (id bigint PRIMARY KEY) INHERITS (parent)`,
  },
  "a table that others inherit from (hazard 9)": { sql: `${T} CREATE TABLE child (extra text) INHERITS (t)` },
  "an unlogged table": { sql: `CREATE UNLOGGED TABLE t (${COLUMNS})` },
  "a partition that is unlogged": {
    sql: `CREATE TABLE t (id bigint, ts timestamptz, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
      CREATE UNLOGGED TABLE leaf PARTITION OF t DEFAULT`,
  },
  "a partition that is foreign": {
    extension: "file_fdw",
    sql: `CREATE EXTENSION IF NOT EXISTS file_fdw WITH SCHEMA public; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
      CREATE TABLE t (id bigint, ts timestamptz) PARTITION BY RANGE (ts);
      CREATE FOREIGN TABLE leaf PARTITION OF t DEFAULT SERVER files OPTIONS (filename '/nothing')`,
    request: { drops: "only" },
    after: "DROP EXTENSION file_fdw CASCADE",
  },
  "a table without columns": { sql: "CREATE TABLE t ()" },

  // E_KEY
  "no key": { sql: keyless("") },
  "a nullable unique key": { sql: keyless(", UNIQUE (id)"), request: { key: ["id"] } },
  "a nullable unique key that nobody named": { sql: keyless(", UNIQUE (id)") },
  "a unique key of which one column may be NULL": {
    sql: keyless(", tenant bigint NOT NULL, UNIQUE NULLS NOT DISTINCT (tenant, id)"),
    request: { key: ["tenant", "id"] },
  },
  "a partial index": {
    sql: `${keyless("")} ALTER TABLE t ALTER id SET NOT NULL; CREATE UNIQUE INDEX t_id_idx ON t (id) WHERE action IS NULL`,
    request: { key: ["id"] },
  },
  "a deferrable primary key": { sql: keyless(", PRIMARY KEY (id) DEFERRABLE") },
  "an index on an expression": {
    sql: `${keyless("")} ALTER TABLE t ALTER id SET NOT NULL; CREATE UNIQUE INDEX t_id_idx ON t ((id + 1))`,
    request: { key: ["id"] },
  },
  "an index on a column and an expression": {
    sql: `${keyless("")} ALTER TABLE t ALTER id SET NOT NULL; CREATE UNIQUE INDEX t_id_idx ON t (id, lower(action))`,
    request: { key: ["id"] },
  },
  "an invalid index": {
    sql: `${keyless("")} ALTER TABLE t ALTER id SET NOT NULL; CREATE UNIQUE INDEX t_id_idx ON t (id);
      UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_id_idx'::regclass`,
    request: { key: ["id"] },
  },
  "an index that is not unique": {
    sql: `${keyless("")} ALTER TABLE t ALTER id SET NOT NULL; CREATE INDEX t_id_idx ON t (id)`,
    request: { key: ["id"] },
  },
  "a key without overlaps": {
    since: 18,
    sql: `CREATE TABLE t (id int4range, ts timestamptz NOT NULL, during tstzrange, PRIMARY KEY (id, during WITHOUT OVERLAPS))`,
  },
  "fewer columns than the index has": {
    sql: `CREATE TABLE t (tenant bigint, id bigint, ts timestamptz NOT NULL, PRIMARY KEY (tenant, id))`,
    request: { key: ["id"] },
  },
  "a key column that is not there": { sql: T, request: { key: ["uid"] } },
  "a key of type char(n)": { sql: "CREATE TABLE t (id char(8) PRIMARY KEY, ts timestamptz NOT NULL)" },
  "a key of type float": { sql: "CREATE TABLE t (id float8 PRIMARY KEY, ts timestamptz NOT NULL)" },
  "a key of type numeric": { sql: "CREATE TABLE t (id numeric(20, 0) PRIMARY KEY, ts timestamptz NOT NULL)" },
  "a key of type inet": { sql: "CREATE TABLE t (id inet PRIMARY KEY, ts timestamptz NOT NULL)" },

  // E_TYPE
  "a column of type regclass": column("regclass"),
  "an array of regtype": column("regtype[]"),
  "a large object": column("lo", "CREATE DOMAIN lo AS oid;"),
  "a composite with a role in it": column("pair", "CREATE TYPE pair AS (a int, b regrole);"),
  "a virtual generated column": { ...column("text GENERATED ALWAYS AS (upper(action)) VIRTUAL"), since: 18 },
  "a type whose text form is volatile": column(
    "v",
    `CREATE TYPE v; CREATE FUNCTION v_in(cstring) RETURNS v IMMUTABLE STRICT LANGUAGE internal AS 'int4in';
      CREATE FUNCTION v_out(v) RETURNS cstring VOLATILE STRICT LANGUAGE internal AS 'int4out';
      CREATE TYPE v (INPUT = v_in, OUTPUT = v_out, LIKE = int4);`,
  ),
  "several bad columns and a bad key: each is named": {
    sql: "CREATE TABLE t (id float8 PRIMARY KEY, ts date, a regclass, b regrole[])",
  },
  "a bad time column, which is named once": { sql: "CREATE TABLE t (id bigint PRIMARY KEY, ts regclass)" },
  "a text before the interval that needs its name": {
    sql: `CREATE TABLE t (${COLUMNS}, took__text text, took interval)`,
  },
  "a text beside an interval that would take its name": {
    sql: `CREATE TABLE t (${COLUMNS}, took interval, took__text text)`,
  },

  // E_VISIBILITY
  "row-level security": {
    sql: `${T} ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT, DELETE ON t TO %I`,
    asRole: true,
  },
  "row-level security that is forced on the owner": {
    sql: `${T} ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO %I`,
    asRole: true,
  },
  "no USAGE of its schema": {
    sql: `${T} GRANT SELECT, DELETE ON t TO %I; DO $$ BEGIN EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', current_schema()); END $$;
      DO $$ DECLARE grantee name; BEGIN
        SELECT a.grantee::regrole::name INTO grantee FROM pg_namespace n, aclexplode(n.nspacl) a
        WHERE n.nspname = current_schema() AND a.grantee <> n.nspowner LIMIT 1;
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', current_schema(), grantee); END $$`,
    asRole: true,
  },
  "no SELECT": { sql: `${T} GRANT DELETE ON t TO %I`, asRole: true },
  "SELECT on some columns only": { sql: `${T} GRANT SELECT (id, ts), DELETE ON t TO %I`, asRole: true },
  "no DELETE": { sql: `${T} GRANT SELECT ON t TO %I`, asRole: true },
  "no SELECT, with a rule": {
    ...rule("action = 'x'"),
    sql: `${T} GRANT DELETE ON t TO %I`,
    asRole: true,
  },

  "no temporary tables, with a rule": {
    ...rule("action = 'x'"),
    sql: `${T} GRANT SELECT, DELETE ON t TO %I;
      DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$`,
    asRole: true,
    after: `DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$`,
  },

  "no SELECT and no DELETE on a partition": {
    sql: `${SUBPARTITIONED} GRANT SELECT, DELETE ON t TO %I`,
    asRole: true,
  },

  // E_SIDE_EFFECT
  "ON DELETE CASCADE": {
    sql: `${T} CREATE TABLE child (t_id bigint CONSTRAINT child_t REFERENCES t ON DELETE CASCADE)`,
  },
  "ON DELETE SET NULL": {
    sql: `${T} CREATE TABLE child (t_id bigint CONSTRAINT child_t REFERENCES t ON DELETE SET NULL)`,
  },
  "ON DELETE SET DEFAULT": {
    sql: `${T} CREATE TABLE child (t_id bigint DEFAULT 0 CONSTRAINT child_t REFERENCES t ON DELETE SET DEFAULT)`,
  },
  "names that need quoting, a key of two columns, and an action on one of them": {
    sql: `CREATE TABLE t (a int, "b ON DELETE CASCADE" int, ts timestamptz NOT NULL, PRIMARY KEY (a, "b ON DELETE CASCADE"));
      CREATE TABLE "a""; b" (x int, "y)" int, CONSTRAINT "t's; --" FOREIGN KEY (x, "y)") REFERENCES t
        ON UPDATE CASCADE ON DELETE SET NULL (x) DEFERRABLE INITIALLY DEFERRED NOT VALID)`,
  },
  "a table that refers to itself": {
    sql: `${T} ALTER TABLE t ADD parent bigint CONSTRAINT t_parent REFERENCES t ON DELETE CASCADE`,
  },
  "a trigger before DELETE (hazard 20)": {
    sql: `${T} CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()`,
  },
  "a trigger after any statement, and one that fires on replicas only": {
    sql: `${T} CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER b_log AFTER INSERT OR DELETE ON t EXECUTE FUNCTION log();
      CREATE TRIGGER a_log AFTER DELETE ON t EXECUTE FUNCTION log();
      ALTER TABLE t ENABLE REPLICA TRIGGER a_log`,
  },
  "a rule on DELETE": { sql: `${T} CREATE RULE soft AS ON DELETE TO t DO INSTEAD NOTHING` },
  "a publication of the table": {
    sql: `${T} CREATE PUBLICATION cdc FOR TABLE t`,
    after: "DROP PUBLICATION cdc",
  },
  "a publication of all tables": {
    sql: `${T} CREATE PUBLICATION everything FOR ALL TABLES`,
    after: "DROP PUBLICATION everything",
  },
  "a publication of the schema": {
    sql: `${T} DO $$ BEGIN EXECUTE format('CREATE PUBLICATION per_schema FOR TABLES IN SCHEMA %I', current_schema()); END $$`,
    after: "DROP PUBLICATION per_schema",
  },

  "a publication of a partition in between": {
    sql: `${SUBPARTITIONED} CREATE PUBLICATION between_leaves FOR TABLE mid`,
    after: "DROP PUBLICATION between_leaves",
  },
  "a trigger on a partitioned table, which its partitions have as clones": {
    sql: `${SUBPARTITIONED} CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER log AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION log()`,
  },
  "a rule and a trigger on one leaf alone": {
    sql: `${SUBPARTITIONED} CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER log AFTER DELETE ON leaf FOR EACH ROW EXECUTE FUNCTION log();
      CREATE RULE soft AS ON DELETE TO leaf DO INSTEAD NOTHING`,
  },
  "a reference to a partitioned table, which its partitions have as clones": {
    sql: `${SUBPARTITIONED} CREATE TABLE child (a bigint, b timestamptz, CONSTRAINT child_t FOREIGN KEY (a, b) REFERENCES t ON DELETE CASCADE)`,
  },

  // E_POLICY
  "prune: partitions on a table that has none": { sql: T, request: { drops: "only" } },
  "a time column that is not there": { sql: T, request: { time: "at" } },
  "a time column in another case": { sql: T, request: { time: "TS" } },
  "a time column of type date": { sql: "CREATE TABLE t (id bigint PRIMARY KEY, ts date NOT NULL)" },
  "a time column of type text": { sql: "CREATE TABLE t (id bigint PRIMARY KEY, ts text NOT NULL)" },
  "a plain timestamp without a zone": {
    sql: "CREATE TABLE t (id bigint PRIMARY KEY, ts timestamp NOT NULL)",
  },
  "a zone for a timestamptz": { sql: T, request: { zone: "Europe/Berlin" } },
  "a volatile function": rule("ts < clock_timestamp()"),
  "a stable function": rule("ts < now()"),
  "a subquery": rule("id IN (SELECT x FROM other)"),
  "a syntax error": rule("action = = 'x'"),
  "no predicate": rule(""),
  "a second statement": rule("true; DROP TABLE other"),
  "a second statement behind a bracket": rule("true); DROP TABLE other; --"),
  "a comment that is not closed": rule("action = 'x' /*"),
  "a comment that hides the bracket": rule("action = 'x') --"),
  "another table": rule("other.x = 1"),
  "the table by its name": rule("t.action = 'x'"),
  "a whole row, by a name that a scratch table might have": rule("firnline_predicate IS NULL"),
  "a column that is not there": rule("actoin = 'x'"),
  "a system column": rule("xmin = '1'::xid"),
  "a parameter": rule("action = $1"),
  "an aggregate": rule("max(id) > 1"),
  "a predicate that is no boolean": rule("action"),
  "a predicate that matches all": rule("true"),
  "a predicate that matches all, in capitals and brackets": rule("((TRUE)) -- all"),
  "a function that is not on the search path": rule("shout(action) = 'X'"),
  "two bad predicates": {
    ...rule("true"),
    request: {
      rules: [
        { name: "one", when: "acton IS NULL" },
        { name: "two", when: "true" },
        { name: "default", when: null },
      ],
    },
  },

  "everything at once": {
    sql: `CREATE UNLOGGED TABLE t (id float8, ts timestamp, v regclass, UNIQUE (id));
      CREATE UNLOGGED TABLE child (t_id float8 CONSTRAINT child_t REFERENCES t (id) ON DELETE CASCADE);
      CREATE RULE soft AS ON DELETE TO t DO INSTEAD NOTHING;
      ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t OWNER TO %I; ALTER TABLE t FORCE ROW LEVEL SECURITY;
      REVOKE SELECT, DELETE ON t FROM %I`,
    request: {
      rules: [
        { name: "r", when: "v" },
        { name: "default", when: null },
      ],
    },
    asRole: true,
  },
};
