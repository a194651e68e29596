/**
 * PostgreSQL 15, 16 and 17 beside the 18 of all other tests: the main path, every type, and the same refusals in the
 * same words. What only 18 has (virtual generated columns, keys WITHOUT OVERLAPS) says so with `since`.
 */
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { fillShape, SHAPES } from "../support/partitioned-logs.ts";
import { createDatabase } from "../support/postgres.ts";
import { MAJORS, startMajor } from "../support/postgres-majors.ts";
import {
  AS_OF,
  instantOf,
  LAST_COLD,
  LAST_DUE,
  moved,
  Scenario,
  type ScenarioOptions,
} from "../support/scenario.ts";
import { connect, openDatabase } from "./connect.ts";
import { Cases, refusalsOf, told } from "./describe-case.ts";
import { HARMLESS } from "./describe-harmless.ts";
import { HAZARDS } from "./describe-hazards.ts";
import { expectLossless, NOON } from "./types-lossless.ts";

/** Every kind of column, and of each two values at the edge of what it holds. */
const TYPES: Readonly<Record<string, readonly [string, string]>> = {
  bool: ["true", "false"],
  int2: ["-32768", "32767"],
  int4: ["-2147483648", "2147483647"],
  int8: ["-9223372036854775808", "9223372036854775807"],
  float4: ["'-0'", "'NaN'"],
  float8: ["'-Infinity'", "5e-324"],
  "numeric(20, 4)": ["'NaN'", "-9999999999999999.9999"],
  numeric: ["1e-200", "'Infinity'"],
  text: ["E'\\uFEFF\\n\\u2028'", "''"],
  "varchar(9)": ["'größer'", "'  '"],
  "char(5)": ["'a'", "''"],
  bytea: ["'\\x'", "'\\x00ff'"],
  uuid: ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
  date: ["'infinity'", "'4713-01-01 BC'"],
  time: ["'24:00'", "'00:00:00.000001'"],
  timetz: ["'12:00+05:30'", "'24:00-12'"],
  timestamp: ["'-infinity'", "'294276-12-31 23:59:59.999999'"],
  timestamptz: ["'infinity'", "'1999-12-31 23:59:59.999999+00'"],
  interval: ["'1 year 2 mons -3 days 04:05:06.000007'", "'-178000000 years'"],
  money: ["'-92233720368547758.08'", "'1.50'"],
  json: [`'{"b": 1,  "a":[]}'`, "'null'"],
  jsonb: [`'{"b": 1.50, "a": [1e3]}'`, `'"☃"'`],
  inet: ["'10.0.0.1'", "'::1/64'"],
  cidr: ["'10.0.0.0/8'", "'::/0'"],
  macaddr: ["'08:00:2b:01:02:03'", "'ff:ff:ff:ff:ff:ff'"],
  "int4[]": ["'{1,NULL,-3}'", "'[0:1]={5,6}'"],
  "text[]": [`'{"a,b","NULL",NULL,""}'`, "'{}'"],
  tstzrange: ["'[2026-01-01 00:00+00,)'", "'empty'"],
  int4multirange: ["'{[1,3),[5,9)}'", "'{}'"],
  "bit(3)": ["B'101'", "B'000'"],
  varbit: ["B''", "B'1'"],
  xml: ["'<a>1</a>'", "'text'"],
  point: ["'(1,2)'", "'(-0.5,1e300)'"],
  tsvector: ["'a:1 b'", "''"],
  mood: ["'so so'", "''"],
  pair: [`'(1,"b c")'`, "'(,)'"],
  cheap: ["99.99", "0"],
};

async function makeWide(url: string): Promise<void> {
  await using client = await connect(url);
  const columns = Object.keys(TYPES);
  const row = (id: number, values: readonly string[]): string =>
    `(${id}, ${NOON}, ${values.map((value, at) => `CAST(${value} AS ${columns[at]})`).join(", ")})`;
  await client.query(`
    CREATE TYPE mood AS ENUM ('', 'so so'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN cheap AS numeric(10, 2);
    CREATE TABLE wide (id int PRIMARY KEY, ts timestamptz NOT NULL, ${columns.map((type, at) => `v${at} ${type}`).join(", ")});
    INSERT INTO wide VALUES ${row(
      1,
      Object.values(TYPES).map(([first]) => first),
    )},
      ${row(
        2,
        Object.values(TYPES).map(([, second]) => second),
      )}, ${row(
        3,
        columns.map(() => "NULL"),
      )}`);
}

/** What is written down for 18, by the title of the case. */
const written = new Map<string, string>();
beforeAll(async () => {
  const text = await readFile(new URL("../golden/refusals.txt", import.meta.url), "utf8");
  for (const section of text.split(/^## /m).slice(1)) {
    const end = section.indexOf("\n");
    written.set(section.slice(0, end), section.slice(end + 1).trimEnd());
  }
});

describe.each(MAJORS.filter((major) => major !== 18))("PostgreSQL %i", (major) => {
  let server: EmbeddedPostgres;
  let cases: Cases;
  beforeAll(async () => {
    server = await startMajor(major, { durable: false });
    cases = await Cases.on(await createDatabase(server.url()));
    expect(cases.version).toBe(major);
  });
  afterAll(async () => await server?.stop());

  const buildable = Object.entries(HAZARDS).filter(([, { since = 0 }]) => since <= major);

  it.each(buildable)("refuses it in the same words: %s", async (title, hazard) => {
    expect(cases.lacks(hazard)).toBeNull();
    const messages = await cases.build(hazard, async ({ hot, schema }) =>
      (await refusalsOf(hot)).map((one) => cases.masked(told(one), schema)),
    );
    expect(messages.join("\n")).toBe(written.get(title));
  });

  it.each(Object.entries(HARMLESS))("takes it: %s", async (_title, hazard) => {
    expect(await cases.build(hazard, async ({ hot }) => await refusalsOf(hot))).toEqual([]);
  });

  describe("the main path", () => {
    beforeAll(async () => {
      // Hundreds of small tables do without; a run refuses that.
      await using client = await connect(server.url());
      await client.query("ALTER SYSTEM SET fsync = on");
      await client.query("SELECT pg_reload_conf()");
      await vi.waitUntil(async () => (await client.query("SHOW fsync")).rows[0].fsync === "on");
    });

    async function createScenario(options: ScenarioOptions = {}): Promise<Scenario> {
      const scenario = await Scenario.on(await createDatabase(server.url()), options);
      await scenario.prepare();
      return scenario;
    }

    async function expectFit(scenario: Scenario): Promise<void> {
      await using pipeline = scenario.open();
      expect(await pipeline.doctor({ asOf: instantOf(AS_OF) })).toMatchObject({ findings: [], advice: [] });
    }

    it("keeps every byte of every type", async () => {
      await using owned = await createDatabase(server.url());
      await makeWide(owned.url);
      await using database = openDatabase(owned.url);
      await using client = await connect(owned.url);
      const { source } = await expectLossless(database, client, "wide");
      expect(source.columns.length).toBeGreaterThanOrEqual(2 + Object.keys(TYPES).length);
    });

    it("moves a table by rules through all tiers and back, with late rows and rows that changed meanwhile", async () => {
      await using scenario = await createScenario({
        rules: [
          { name: "denied", when: "action = 'denied'", hot: "7d", archive: false },
          { name: "small", when: "details @> '{\"n\": 3}' OR message IS NULL" },
        ],
      });
      await expectFit(scenario);
      await scenario.insert(auditRows(LAST_COLD, 1, 120));
      await scenario.insert(auditRows(LAST_DUE, 1001, 120));
      await scenario.insert(
        auditRows("2026-02-20", 2001, 20, "CASE WHEN n % 2 = 0 THEN 'denied' ELSE 'login' END"),
      );
      const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
      await expect(failing).rejects.toThrow("failpoint prune.started");
      await scenario.change(
        (table) => `UPDATE ${table} SET details = '{"changed": true}' WHERE id IN (5, 1005)`,
      );
      const summary = await scenario.run();
      expect({ state: summary.state, pruned: summary.pruned, deleted: summary.deleted }).toEqual({
        state: "done",
        pruned: 240n,
        deleted: 10n,
      });
      expect(summary.cooled).toBeGreaterThan(0n);
      await scenario.insert(auditRows(LAST_DUE, 3001, 10));
      expect(moved(await scenario.run())).toMatchObject({ exported: 10, pruned: 10 });
      await expectNothingLost(scenario, { deletable: "action = 'denied'" });
      await expectSettled(scenario);
      await expectFit(scenario);
    });

    it.each(SHAPES.filter(({ what }) => what === "days" || what === "sub-partitions"))(
      "moves whole native partitions: $what",
      async ({ what: _, leavesLeft, ...options }) => {
        await using scenario = await createScenario(options);
        await fillShape(scenario);
        await scenario.run();
        const left = await scenario.query(
          `SELECT c.relname FROM pg_partition_tree('audit_logs') t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf ORDER BY 1`,
        );
        expect(left.map(({ relname }) => relname)).toEqual(leavesLeft);
        await expectNothingLost(scenario);
        await expectSettled(scenario);
        await expectFit(scenario);
      },
    );
  });
});
