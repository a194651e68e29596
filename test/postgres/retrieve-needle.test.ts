/**
 * What a retrieval reads of the archive: of a day in which nobody is found little more than its manifest, of one with a row
 * its chunk; of an hour the row groups that have it. And how often it asks Postgres.
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openFileArchive } from "../../src/archive/file/file-archive.ts";
import type { Archive } from "../../src/archive/port.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import { systemClock } from "../../src/wiring.ts";
import { CountingArchive } from "../support/counting-archive.ts";
import { Scenario } from "../support/scenario.ts";

const DAYS = 6;
const DAY_ROWS = 20_000;
/** Has one row, on the third day. */
const RARE = "00000000-0000-4000-8000-000000000001";
const OBJECTS = /\.parquet$/;

let scenario: Scenario;
let counting: CountingArchive;
/** Of the archive's objects. */
let bytes = 0;

beforeAll(async () => {
  scenario = await Scenario.create({
    ddl: `CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL, actor uuid, action text,
            resource text, ip inet, message text, details jsonb);
          CREATE INDEX ix_audit_logs_ts ON public.audit_logs (ts DESC)`,
    bloomFilters: ["actor"],
    environ: {
      FIRNLINE_CHUNK_ROWS: "5000",
      FIRNLINE_ROW_GROUP_ROWS: "20000",
      FIRNLINE_SEGMENT_MIB: "256",
      FIRNLINE_PRUNE_CHUNKS: "10",
    },
  });
  await scenario.insert(
    `SELECT n, '2026-01-05 00:00+00'::timestamptz + n * (${DAYS} * 86400.0 / ${DAYS * DAY_ROWS}) * interval '1 second',
       CASE WHEN n = ${2.4 * DAY_ROWS} THEN '${RARE}' ELSE md5((n * 7919 % 6000)::text)::uuid END,
       'action' || n % 30, 'resource/' || n * 31 % 50000, format('10.%s.%s.%s', n % 250, n % 240, n % 99)::inet,
       'message number ' || n || ' ' || md5(n::text),
       jsonb_build_object('request', md5((n * 7)::text), 'session', md5((n % 4000)::text), 'status', n % 500,
         'trace', jsonb_build_object('id', md5((n * 3)::text), 'span', left(md5((n * 5)::text), 16)))
     FROM generate_series(0, ${DAYS * DAY_ROWS - 1}) n`,
  );
  await scenario.run();
  await using archive = openArchive();
  for await (const object of archive.list("")) if (OBJECTS.test(object.key)) bytes += Number(object.bytes);
}, 300_000);
afterAll(async () => await scenario[Symbol.asyncDispose]());

const openArchive = (): Archive =>
  openFileArchive({
    root: scenario.archive,
    now: systemClock.now,
    random: (count) => randomBytes(count),
    restoreDelayMs: 0,
  });

async function retrieve(
  where: readonly string[],
  from = "0001-01-01",
  to = "9999-12-31",
): Promise<{ result: RetrieveResult; lines: string[]; read: number; evidence: { segments: unknown[] } }> {
  counting = new CountingArchive(openArchive());
  const out = join(scenario.folder, `answer-${randomBytes(4).toString("hex")}.ndjson`);
  await using pipeline = scenario.open({ archive: counting.archive });
  const result = await pipeline.retrieve(parseRange(from, to, where), { out, requestedBy: "a test" });
  const lines = (await readFile(out, "utf8")).split("\n").filter((line) => line !== "");
  const evidence = JSON.parse(await readFile(result.evidence, "utf8")) as { segments: unknown[] };
  return { result, lines, read: counting.bytesOf(), evidence };
}

/** What the truth has, as ids in order. */
async function idsWhere(condition: string): Promise<number[]> {
  const rows = await scenario.query(`SELECT id FROM truth.rows WHERE ${condition} ORDER BY ts, id`);
  return rows.map(({ id }) => Number(id));
}

const idsOf = (lines: readonly string[]): number[] =>
  lines.map((line) => (JSON.parse(line) as { id: number }).id);

describe("a filter on a column with a bloom filter", () => {
  test("for nobody reads manifests once, and a part of each filter: less than 0.5% of the bytes", async () => {
    const { result, lines, read, evidence } = await retrieve(["actor=00000000-0000-4000-8000-000000000000"]);
    expect([result.rows, lines]).toEqual([0n, []]);
    expect(result.segments).toHaveLength(DAYS);
    expect(evidence.segments).toHaveLength(DAYS);
    expect(counting.reads.filter(({ key }) => /manifests/.test(key))).toHaveLength(DAYS);
    const ofObjects = counting.reads.filter(({ key }) => OBJECTS.test(key));
    expect(ofObjects.map((one) => one.bytes)).toEqual(Array.from({ length: DAYS }, () => 1024));
    expect(read / bytes).toBeLessThan(0.005);
  });

  test("for one row reads one chunk besides: a dozen over 300 such days is less than 2%", async () => {
    const nobody = await retrieve(["actor=00000000-0000-4000-8000-000000000000"]);
    const rare = await retrieve([`actor=${RARE}`]);
    expect(idsOf(rare.lines)).toEqual([2.4 * DAY_ROWS]);
    expect(rare.result).toMatchObject({ rows: 1n, rowsFrom: { hot: 0n, warm: 1n, cold: 0n } });
    const ofOneRow = rare.read - nobody.read;
    expect(ofOneRow).toBeLessThan((bytes / DAYS) * 0.31);
    // Each day and each row adds its own bytes.
    const days = 300;
    const share = (days * (nobody.read / DAYS) + 12 * ofOneRow) / (days * (bytes / DAYS));
    expect(share).toBeLessThan(0.02);
  });

  test("looks into several segments at a time, and not into all", async () => {
    await retrieve(["actor=00000000-0000-4000-8000-000000000000"]);
    expect(counting.mostAtOnce).toBeGreaterThan(1);
    expect(counting.mostAtOnce).toBeLessThanOrEqual(16);
  });

  test("for somebody who is everywhere gives all of the rows", async () => {
    const [actor] = await scenario.query("SELECT md5('4321')::uuid::text AS actor");
    const { lines } = await retrieve([`actor=${actor?.["actor"]}`]);
    expect(idsOf(lines)).toEqual(await idsWhere("actor = md5('4321')::uuid"));
    expect(lines).toHaveLength((DAYS * DAY_ROWS) / 6000);
  });

  test("together with others is all of them", async () => {
    const { lines } = await retrieve([`actor=${RARE}`, "action=action0", "ip=10.0.0.84"]);
    expect(idsOf(lines)).toEqual(
      await idsWhere(`actor = '${RARE}' AND action = 'action0' AND ip = '10.0.0.84'`),
    );
    expect(idsOf((await retrieve([`actor=${RARE}`, "action=action1"])).lines)).toEqual([]);
  });
});

describe("Postgres", () => {
  test("is asked the same few statements, however many segments there are", async () => {
    const query = vi.spyOn(pg.Client.prototype, "query");
    try {
      const counts: number[] = [];
      for (const to of ["2026-01-05", "2026-01-10"]) {
        query.mockClear();
        const { result } = await retrieve([`actor=${RARE}`], "2026-01-05", to);
        counts.push(query.mock.calls.length);
        expect(result.segments).toHaveLength(counts.length === 1 ? 1 : DAYS);
      }
      expect(counts[1]).toBe(counts[0]);
      expect(counts[0]).toBeLessThan(100);
    } finally {
      query.mockRestore();
    }
  });
});

describe("a filter without a bloom filter", () => {
  test("by the key reads the indexes apart from the filters, and the one chunk that can have it", async () => {
    const { lines, read } = await retrieve(["id=54321"]);
    expect(idsOf(lines)).toEqual([54_321]);
    expect(read / bytes).toBeLessThan(0.058);
  });

  test("gives all rows of the table's own comparison", async () => {
    const { lines } = await retrieve(["action=action7"], "2026-01-06", "2026-01-06");
    expect(idsOf(lines)).toEqual(
      await idsWhere("action = 'action7' AND (ts AT TIME ZONE 'UTC')::date = '2026-01-06'"),
    );
  });
});

describe("a range of hours", () => {
  test("is all of its rows, and filters within it too", async () => {
    const [from, to] = ["2026-01-06T05:00:00Z", "2026-01-06T06:30:00Z"];
    const inRange = `ts >= '${from}' AND ts < '${to}'`;
    const { lines } = await retrieve([], from, to);
    expect(idsOf(lines)).toEqual(await idsWhere(inRange));
    const { lines: some } = await retrieve(["action=action3"], from, to);
    expect(idsOf(some)).toEqual(await idsWhere(`${inRange} AND action = 'action3'`));
    // Of the day's four chunks one has the range.
    const { read } = await retrieve(["action=action3"], from, "2026-01-06T05:45:00Z");
    expect(read).toBeLessThan((bytes / DAYS) * 0.45);
  });

  test("in which the day has no rows reads nothing of it", async () => {
    const { result } = await retrieve([], "2026-01-10T23:59:59.999Z", "2026-01-11T01:00:00Z");
    expect(result.rows).toBe(0n);
  });
});
