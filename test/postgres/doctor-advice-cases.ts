/**
 * Tables and servers with which nothing is wrong, and yet something should be done. `sql` is run as in
 * `describe-hazards.ts`.
 */
import type { HealthFacts } from "../../src/hot/postgres/health.ts";
import type { HotAges } from "../../src/hot/port.ts";
import { COLUMNS, type Hazard, T } from "./describe-hazards.ts";

export interface AdviceCase extends Hazard {
  readonly ages?: Partial<HotAges>;
  /** What another session does meanwhile, in a transaction that stays open. */
  readonly beside?: string;
  /** Lets what was read grow old or large: an hour and a gibibyte are too much for a test. */
  readonly aged?: (facts: HealthFacts) => HealthFacts;
  /** False where only a person can do what the lines help with. */
  readonly isCured?: false;
}

const INDEXED = `${T} CREATE INDEX ON t (ts);`;
/** 64 MiB and more, of which three rows of four are due; the last row keeps vacuum from cutting pages off. */
const LARGE = `CREATE TABLE t (id bigint PRIMARY KEY, ts timestamptz NOT NULL, filler text STORAGE PLAIN);
  CREATE INDEX ON t (ts);
  INSERT INTO t SELECT n, '2026-02-01 00:00:00+00'::timestamptz - (12000 - n) * interval '15 minutes', repeat('x', 7000)
  FROM generate_series(1, 12000) n;`;
/** As large as autovacuum believes it to be. */
const believed = (rows: number): string =>
  `UPDATE pg_class SET reltuples = ${rows}, relpages = 1 WHERE oid = 't'::regclass;`;

export const ADVICE: Readonly<Record<string, AdviceCase>> = {
  // A_INDEX
  "no index": { sql: T },
  "an index that holds the time in second place": { sql: `${T} CREATE INDEX ON t (action, ts)` },
  "an index that begins with an expression": { sql: `${T} CREATE INDEX ON t (lower(action), ts)` },
  "an index over some of the rows": { sql: `${T} CREATE INDEX ON t (ts) WHERE action IS NULL` },
  "an index of a kind that knows no ranges": { sql: `${T} CREATE INDEX ON t USING hash (ts)` },
  "an index that was left invalid": {
    sql: `${INDEXED} UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_ts_idx'::regclass`,
    isCured: false, // the index is rebuilt, and a second one that was advised stands beside it
  },
  "an index that was left invalid beside a sound one": {
    sql: `${INDEXED} CREATE INDEX other ON t (action); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'other'::regclass`,
  },
  "names that need quoting, and another owner": {
    sql: `CREATE TABLE "a""; drop table x; --" (id bigint PRIMARY KEY, "t""s; --" timestamptz NOT NULL);
      GRANT SELECT, DELETE ON "a""; drop table x; --" TO %I`,
    request: { table: { schema: "", name: 'a"; drop table x; --' }, time: 't"s; --' },
    asRole: true,
  },
  "partitions by a hash": {
    sql: `CREATE TABLE t (${COLUMNS}) PARTITION BY HASH (id); CREATE TABLE t_0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE t_1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1)`,
  },
  "a DEFAULT partition beside those that have limits in time": {
    sql: `CREATE TABLE t (id bigint, ts timestamptz, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
      CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-01-02'); CREATE TABLE t_rest PARTITION OF t DEFAULT`,
  },
  "more partitions by a hash than are worth a line each": {
    sql: `CREATE TABLE t (${COLUMNS}) PARTITION BY HASH (id);
      DO $$ BEGIN FOR n IN 10..21 LOOP EXECUTE format(
        'CREATE TABLE t_%s PARTITION OF t FOR VALUES WITH (MODULUS 12, REMAINDER %s)', n, n - 10); END LOOP; END $$`,
    isCured: false, // two of them have no line
  },

  // A_VACUUM
  "autovacuum switched off for the table": { sql: `${INDEXED} ALTER TABLE t SET (autovacuum_enabled = no)` },
  "autovacuum that waits for six nights": { sql: `${INDEXED} ${believed(5e7)}` },
  "autovacuum that waits for a year": { sql: `${INDEXED} ${believed(1e8)}`, ages: { hotDays: 365 } },

  // A_SPACE
  "a backlog that will leave most of the table empty": { sql: `${LARGE} ANALYZE t`, isCured: false },
  "a pruned table that is mostly empty": { sql: `${LARGE} DELETE FROM t WHERE id < 9030; ANALYZE t` },

  // A_ROWS
  "rows without a day": {
    sql: `CREATE TABLE t (id bigint PRIMARY KEY, ts timestamptz); CREATE INDEX ON t (ts);
      INSERT INTO t VALUES (1, NULL), (2, NULL), (3, 'infinity'), (4, '-infinity'), (5, '0044-03-15 BC'), (6, '12026-01-01'), (7, '2026-01-01')`,
    isCured: false,
  },
  "rows without a day, of a plain timestamp": {
    sql: `CREATE TABLE t (id bigint PRIMARY KEY, ts timestamp); CREATE INDEX ON t (ts);
      INSERT INTO t SELECT n, '-infinity' FROM generate_series(1, 1001) n`,
    request: { zone: "Europe/Berlin" },
    isCured: false,
  },

  // A_TIMEOUT
  "a role whose statements are ended": {
    sql: `${INDEXED} GRANT SELECT, DELETE ON t TO %I; ALTER ROLE %I SET statement_timeout = '30s'`,
    asRole: true,
    after: "ALTER ROLE %I RESET statement_timeout",
  },
  "a role whose transactions are ended": {
    since: 17,
    sql: `${INDEXED} GRANT SELECT, DELETE ON t TO %I; ALTER ROLE %I SET transaction_timeout = '10min'`,
    asRole: true,
    after: "ALTER ROLE %I RESET transaction_timeout",
  },

  // A_HORIZON
  "a transaction that somebody forgot": {
    sql: INDEXED,
    beside: "SELECT txid_current()",
    aged: (facts) => ({ ...facts, sessions: facts.sessions.map((one) => ({ ...one, seconds: 7_200 })) }),
  },
  "a replication slot that nobody reads": {
    sql: `${INDEXED} SELECT pg_create_physical_replication_slot('firnline_test_left', true)`,
    aged: (facts) => ({
      ...facts,
      slots: facts.slots
        .filter(({ name }) => name === "firnline_test_left")
        .map((one) => ({ ...one, bytes: (50n * 1024n ** 3n).toString() })),
    }),
    after:
      "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'firnline_test_left'",
  },
};

/** Nothing is advised for these. */
export const WELL: Readonly<Record<string, AdviceCase>> = {
  "a table with an index on its time": { sql: INDEXED },
  "an index that begins with the time, downwards": { sql: `${T} CREATE INDEX ON t (ts DESC, action)` },
  "a BRIN index": { sql: `${T} CREATE INDEX ON t USING brin (ts)` },
  "partitions with limits in time": {
    sql: `CREATE TABLE t (id bigint, ts timestamptz, PRIMARY KEY (id, ts)) PARTITION BY RANGE (ts);
      CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')`,
  },
  "a small table": { sql: `${INDEXED} ${believed(90_000)}` },
  "autovacuum that was told to come": {
    sql: `${INDEXED} ALTER TABLE t SET (autovacuum_vacuum_scale_factor = 0.02); ${believed(5e7)}`,
  },
  "autovacuum with an upper limit": {
    since: 18,
    sql: `${INDEXED} ALTER TABLE t SET (autovacuum_vacuum_max_threshold = 1000000); ${believed(5e7)}`,
  },
  "a table that nothing is deleted from, whatever autovacuum does": {
    sql: `${INDEXED} ALTER TABLE t SET (autovacuum_enabled = off)`,
    request: { deletes: false },
  },
  "a transaction that began a moment ago": { sql: INDEXED, beside: "SELECT txid_current()" },
  "a slot that was made a moment ago": {
    sql: `${INDEXED} SELECT pg_create_physical_replication_slot('firnline_test_new', true)`,
    after: "SELECT pg_drop_replication_slot('firnline_test_new')",
  },
  "a slot that is being read, however far behind": {
    sql: `${INDEXED} SELECT pg_create_physical_replication_slot('firnline_test_read', true)`,
    aged: (facts) => ({
      ...facts,
      slots: facts.slots.map((one) => ({ ...one, active: true, holdsVacuum: true, bytes: "99999999999" })),
    }),
    after: "SELECT pg_drop_replication_slot('firnline_test_read')",
  },
  "a long statement_timeout": {
    sql: `${INDEXED} GRANT SELECT, DELETE ON t TO %I; ALTER ROLE %I SET statement_timeout = '2h'`,
    asRole: true,
    after: "ALTER ROLE %I RESET statement_timeout",
  },
};
