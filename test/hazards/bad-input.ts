/** The cases of section 3 that a database, a policy and a command line make: how each is built, and what is asked then. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ErrorCode } from "../../src/errors.ts";
import { auditRows } from "../support/audit-rows.ts";
import { days, PARENT } from "../support/partitioned-logs.ts";
import { AS_OF, type Environ, type Scenario, type ScenarioOptions } from "../support/scenario.ts";
import { leaveHalfDetached } from "./half-detached.ts";
import type { SECTION_3 } from "./section-3.ts";

export interface BadInput {
  readonly code: keyof typeof SECTION_3;
  /** As section 3 has it. */
  readonly what: string;
  /** In one transaction, by a superuser; `ROLE` is the one that asks, if `asRole`. */
  readonly sql?: string;
  /** What SQL in one transaction cannot do. */
  readonly build?: (scenario: Scenario) => Promise<void>;
  /** Of the policy. */
  readonly options?: ScenarioOptions;
  readonly environ?: Environ;
  /** Asks as a role that is no superuser, and may use the control schema. */
  readonly asRole?: true;
  /** `doctor` and `run` unless others are named. Words of the command line. */
  readonly commands?: readonly (readonly string[])[];
  /** Another code than section 3's, or none, and why that is right. */
  readonly told?: { readonly code: ErrorCode | "A_ROWS" | "held"; readonly why: string };
}

export const RUN = ["run", "--as-of", AS_OF, "--backfill"];
export const DOCTOR = ["doctor"];

const NO_KEY = "ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_pkey, ALTER id SET NOT NULL;";
const KEY = { source: { key: ["id"] } } as const;
/** The table's own columns, under the name that the policy has. */
const INSTEAD = "ALTER TABLE audit_logs RENAME TO logs;";
const TRIGGER = `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';`;
const PARTITIONED = `DROP TABLE audit_logs; ${PARENT} ${days("2026-01-10", 2)}`;
const GRANT = "GRANT SELECT, DELETE ON audit_logs TO ROLE;";
const rules = (...when: string[]): ScenarioOptions => ({
  rules: when.map((text, at) => ({ name: `rule_${at + 1}`, when: text })),
});
const retrieve = (from: string, to: string): string[] => [
  "retrieve",
  "audit-logs",
  "--from",
  from,
  "--to",
  to,
];

export const BAD_INPUT: readonly BadInput[] = [
  { code: "E_KEY", what: "none", sql: NO_KEY },
  {
    code: "E_KEY",
    what: "nullable",
    options: KEY,
    sql: `${NO_KEY} ALTER TABLE audit_logs ALTER id DROP NOT NULL, ADD UNIQUE (id)`,
  },
  {
    code: "E_KEY",
    what: "partial",
    options: KEY,
    sql: `${NO_KEY} CREATE UNIQUE INDEX some_ids ON audit_logs (id) WHERE action IS NOT NULL`,
  },
  {
    code: "E_KEY",
    what: "deferrable",
    sql: `${NO_KEY} ALTER TABLE audit_logs ADD PRIMARY KEY (id) DEFERRABLE`,
  },
  {
    code: "E_KEY",
    what: "invalid",
    options: KEY,
    build: async (scenario) => {
      await scenario.query(`${NO_KEY} INSERT INTO audit_logs TABLE audit_logs`);
      // As it really comes about: the build fails, and its index stays behind.
      await scenario
        .query("CREATE UNIQUE INDEX CONCURRENTLY half_built ON audit_logs (id)")
        .catch((error: Error) => error);
    },
  },
  {
    code: "E_KEY",
    what: "expression",
    options: KEY,
    sql: `${NO_KEY} CREATE UNIQUE INDEX by_expression ON audit_logs ((id + 0))`,
  },

  { code: "E_RELATION", what: "view", sql: `${INSTEAD} CREATE VIEW audit_logs AS TABLE logs` },
  {
    code: "E_RELATION",
    what: "foreign",
    sql: `${INSTEAD} CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
      CREATE FOREIGN TABLE audit_logs (id bigint NOT NULL, ts timestamptz NOT NULL) SERVER nowhere`,
  },
  { code: "E_RELATION", what: "unlogged", sql: "ALTER TABLE audit_logs SET UNLOGGED" },
  {
    code: "E_RELATION",
    what: "temporary",
    sql: "CREATE TEMPORARY TABLE audit_logs (LIKE public.audit_logs INCLUDING ALL)",
  },
  { code: "E_RELATION", what: "inherited", sql: "CREATE TABLE more_logs (extra text) INHERITS (audit_logs)" },

  { code: "E_TYPE", what: "unsupported", sql: "ALTER TABLE audit_logs ADD owner regrole" },
  {
    code: "E_TYPE",
    what: "NULL times",
    sql: "ALTER TABLE audit_logs ALTER ts DROP NOT NULL; INSERT INTO audit_logs (id) VALUES (9001), (9002)",
    commands: [DOCTOR],
    told: {
      code: "A_ROWS",
      why: "rows without a time belong to no day and stay (hazard 28); they must not keep all others",
    },
  },

  {
    code: "E_VISIBILITY",
    what: "RLS without bypass",
    sql: `${GRANT} ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY`,
    asRole: true,
  },
  { code: "E_VISIBILITY", what: "missing SELECT", sql: "GRANT DELETE ON audit_logs TO ROLE", asRole: true },
  { code: "E_VISIBILITY", what: "missing DELETE", sql: "GRANT SELECT ON audit_logs TO ROLE", asRole: true },

  {
    code: "E_SIDE_EFFECT",
    what: "cascades",
    sql: `CREATE TABLE comments (log_id bigint CONSTRAINT of_log REFERENCES audit_logs ON DELETE CASCADE);
      CREATE TABLE marks (log_id bigint CONSTRAINT of_mark REFERENCES audit_logs ON DELETE SET NULL);
      INSERT INTO comments SELECT id FROM audit_logs; INSERT INTO marks SELECT id FROM audit_logs`,
  },
  {
    code: "E_SIDE_EFFECT",
    what: "delete triggers",
    sql: `${TRIGGER} CREATE TRIGGER keep BEFORE DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION note()`,
  },
  {
    code: "E_SIDE_EFFECT",
    what: "rules",
    sql: "CREATE RULE soft AS ON DELETE TO audit_logs DO INSTEAD NOTHING",
  },
  {
    code: "E_SIDE_EFFECT",
    what: "publication with deletes",
    sql: "CREATE PUBLICATION cdc FOR TABLE audit_logs",
  },

  {
    code: "E_DETACH",
    what: "DEFAULT partition",
    options: { prune: "partitions" },
    sql: `DROP TABLE audit_logs; ${PARENT} CREATE TABLE public.rest PARTITION OF public.audit_logs DEFAULT;
      INSERT INTO audit_logs ${auditRows("2026-01-10", 1, 60)}`,
    commands: [DOCTOR, ["plan", "--as-of", AS_OF]],
    told: {
      code: "held",
      why: "only prune: partitions cannot go on there, and it holds the rows with the reason; prune: auto deletes them by rows",
    },
  },
  {
    code: "E_DETACH",
    what: "pending FINALIZE",
    build: async (scenario) => {
      await scenario.query(PARTITIONED);
      await scenario.query(`INSERT INTO audit_logs ${auditRows("2026-01-10", 1, 60)}`);
      await leaveHalfDetached(scenario, "public.day_2026_01_10");
    },
  },

  {
    code: "E_POLICY",
    what: "retention below the floor",
    options: { tiers: { hot: { keep: "0d" }, warm: { keep: "60d" } } },
  },
  {
    code: "E_POLICY",
    what: "a plain timestamp without source.zone",
    sql: "ALTER TABLE audit_logs ALTER ts TYPE timestamp",
  },
  { code: "E_POLICY", what: "a rule after one that matches all", options: rules("true", "action = 'login'") },
  {
    code: "E_POLICY",
    what: "two pipelines on one table",
    build: async ({ policies, policyText }) => {
      const second = policyText.replace('"pipeline": "audit_logs"', '"pipeline": "second"');
      await writeFile(join(policies, "second.yaml"), second);
    },
  },
  {
    code: "E_POLICY",
    what: "a predicate that is not immutable",
    options: rules("ts < now() - interval '1 year'", "action = random()::text"),
  },
  {
    code: "E_POLICY",
    what: "batch <= 0",
    environ: { FIRNLINE_CHUNK_ROWS: "0", FIRNLINE_PRUNE_CHUNKS: "-1" },
    told: {
      code: "E_INPUT",
      why: "batches are no policy: they come from the environment, which says how, not what",
    },
  },
  {
    code: "E_POLICY",
    what: "a first run over too many days without --backfill",
    sql: `INSERT INTO audit_logs SELECT 1000 + n, '2025-11-01 12:00:00+00'::timestamptz + n * interval '1 day'
      FROM generate_series(0, 40) n`,
    commands: [["run", "--as-of", AS_OF]],
  },

  { code: "E_INPUT", what: "unknown config key", environ: { FIRNLINE_CHUNK_ROW: "50" } },
  {
    code: "E_INPUT",
    what: "unknown config key",
    options: { tiers: { hot: { keep: "30d", keeep: "3d" }, warm: { keep: "60d" } } },
    told: { code: "E_POLICY", why: "in a policy file everything that is wrong has its line and this code" },
  },
  {
    code: "E_INPUT",
    what: "malformed dates",
    commands: [
      ["run", "--as-of", "2024-02-30"],
      ["plan", "--as-of", "30.01.2024"],
      [...retrieve("2024-02-30", "2024-03-01"), "--out", "OUT"],
      [...retrieve("2024-01-01", "2024-1-2"), "--out", "OUT"],
      [...retrieve("2024-01-01T25:00:00Z", "2024-01-02"), "--out", "OUT"],
    ],
  },
  {
    code: "E_INPUT",
    what: "reversed dates",
    commands: [[...retrieve("2024-03-01", "2024-02-01"), "--out", "OUT"]],
  },
];
