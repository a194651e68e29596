/** Tables that look dangerous and are not; built like those in `describe-hazards.ts`. */
import { COLUMNS, type Hazard, T } from "./describe-hazards.ts";

export const HARMLESS: Readonly<Record<string, Hazard>> = {
  "a plain table": { sql: T },
  "a name that needs quoting": {
    sql: `CREATE TABLE "a""; drop table x; --" (${COLUMNS})`,
    request: { table: { schema: "", name: 'a"; drop table x; --' } },
  },
  "a composite key in another order than the index, with a column included": {
    sql: `CREATE TABLE t (tenant uuid, id text, ts timestamptz NOT NULL, note text, PRIMARY KEY (tenant, id) INCLUDE (note))`,
    request: { key: ["id", "tenant"] },
  },
  "a unique index over NOT NULL columns beside the primary key": {
    sql: `CREATE TABLE t (${COLUMNS}, uid uuid NOT NULL UNIQUE)`,
    request: { key: ["uid"] },
  },
  "a key of an enum, which is sorted as text": {
    sql: "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id mood PRIMARY KEY, ts timestamptz NOT NULL)",
  },
  "a plain timestamp with a zone": {
    sql: "CREATE TABLE t (id bigint PRIMARY KEY, ts timestamp NOT NULL)",
    request: { zone: "Europe/Berlin" },
  },
  "a reference that only forbids": {
    sql: `${T} CREATE TABLE child (t_id bigint REFERENCES t ON DELETE RESTRICT, u_id bigint REFERENCES t)`,
  },
  "triggers on other events, and a disabled one": {
    sql: `${T} CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER a AFTER INSERT OR UPDATE ON t EXECUTE FUNCTION f(); CREATE TRIGGER b AFTER TRUNCATE ON t EXECUTE FUNCTION f();
      CREATE TRIGGER c BEFORE DELETE ON t EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER c`,
  },
  "a publication without deletes": {
    sql: `${T} CREATE PUBLICATION additions FOR TABLE t WITH (publish = 'insert, update')`,
    after: "DROP PUBLICATION additions",
  },
  "a publication of another table": {
    sql: `${T} CREATE TABLE other (x int); CREATE PUBLICATION others FOR TABLE other`,
    after: "DROP PUBLICATION others",
  },
  "a partitioned table": {
    sql: `CREATE TABLE t (id bigint, ts timestamptz, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts)`,
  },
  "row-level security that this role bypasses": { sql: `${T} ALTER TABLE t ENABLE ROW LEVEL SECURITY` },
  "SELECT and DELETE, and nothing else": { sql: `${T} GRANT SELECT, DELETE ON t TO %I`, asRole: true },
  "SELECT alone, when nothing is deleted": {
    sql: `${T} GRANT SELECT ON t TO %I`,
    request: { deletes: false },
    asRole: true,
  },
  "cascades, triggers, rules and publications, when nothing is deleted": {
    sql: `${T} CREATE TABLE child (t_id bigint REFERENCES t ON DELETE CASCADE);
      CREATE RULE soft AS ON DELETE TO t DO INSTEAD NOTHING; CREATE PUBLICATION cdc2 FOR TABLE t`,
    request: { deletes: false },
    after: "DROP PUBLICATION cdc2",
  },
  "an enum called region, a domain called registration": {
    sql: `CREATE TYPE region AS ENUM ('eu'); CREATE DOMAIN registration AS text; CREATE TABLE t (${COLUMNS}, r region, g registration[])`,
  },
  "predicates with comments, casts and immutable functions": {
    sql: T,
    request: {
      rules: [
        { name: "one", when: "lower(action) = 'a' -- and more" },
        { name: "two", when: "/* x */ action ~ '^b' OR id BETWEEN 1 AND 9" },
        { name: "three", when: "ts < '2020-01-01 00:00:00+00'" },
        { name: "four", when: "NULL" },
        { name: "default", when: null },
      ],
    },
  },
};
