/**
 * One answer in every format, over hot, warm and cold rows: other programs read from it what the table held. Postgres
 * takes raw CSV back row by row, DuckDB and hyparquet read Parquet, and what cannot be said in a format is refused.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline as flow } from "node:stream/promises";
import { zstdDecompressSync } from "node:zlib";
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AnswerFormat } from "../../src/retrieve/formats/answer-format.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import type { RetrieveResult } from "../../src/retrieve/retrieve-range.ts";
import { LAST_COLD, LAST_DUE, moved, Scenario } from "../support/scenario.ts";

const DDL = `
  CREATE TYPE public.mood AS ENUM ('fine', '=bad');
  CREATE TABLE public.audit_logs (
    id bigint PRIMARY KEY, ts timestamptz NOT NULL, "=name" text, note text, amount numeric(12,2), exact numeric,
    ratio float8, took interval, ip inet, tags text[], mood public.mood, on_day date, at_time time, who uuid,
    raw bytea, details jsonb, ok boolean);
  CREATE INDEX ON public.audit_logs (ts)`;

const rowsOf = (day: string, id: number): string => `
  SELECT ${id} + n, '${day} 00:00+00'::timestamptz + n * interval '613.000007 seconds',
    (ARRAY['=1+1', '+1', '-1', '@a', E'\\ta', E'\\ra', 'plain', 'a "quoted", text', E'two\\nlines', '', NULL, '''=1'])[1 + n % 12],
    CASE WHEN n % 3 = 0 THEN '' WHEN n % 3 = 1 THEN NULL ELSE '\\.' END,
    CASE WHEN n % 4 > 0 THEN -n - 0.50 END, n * 1e30 - 0.000001, n / 8.0 - 3,
    make_interval(days => -n, secs => 0.5), ('10.0.' || n || '.1')::inet, ARRAY['a,b', 'x"' || n, NULL],
    (ARRAY['fine', '=bad'])[1 + n % 2]::public.mood, date '${day}' - n, time '23:59:59.999999' - n * interval '1 second',
    md5(n::text)::uuid, decode(md5(n::text), 'hex'), jsonb_build_object('n', n, 'text', '=1'), n % 2 = 0
  FROM generate_series(0, 119) n`;

let scenario: Scenario;
let duckdb: DuckDBConnection;
let answers = 0;

beforeAll(async () => {
  scenario = await Scenario.create({ ddl: DDL });
  for (const [tier, day] of [LAST_COLD, LAST_DUE, "2026-02-20"].entries()) {
    await scenario.insert(rowsOf(day, 1000 * tier));
  }
  expect(moved(await scenario.run())).toMatchObject({ pruned: 240, cooled: 120 });
  duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  await duckdb.run("SET TimeZone = 'UTC'");
});

afterAll(async () => {
  duckdb?.closeSync();
  await scenario?.[Symbol.asyncDispose]();
});

async function retrieve(
  format: AnswerFormat,
  range: { from?: string; to?: string } = {},
): Promise<{ result: RetrieveResult; out: string }> {
  await using pipeline = scenario.open();
  const out = join(scenario.folder, `answer-${(answers += 1)}.${format}`);
  const request = parseRange(range.from ?? "2025-01-01", range.to ?? "2026-12-31", []);
  return { result: await pipeline.retrieve(request, { out, format, requestedBy: "a test" }), out };
}

async function ask(sql: string): Promise<Record<string, unknown>[]> {
  return (await duckdb.runAndReadAll(sql)).getRowObjectsJson();
}

const readCsv = (file: string): string =>
  `read_csv('${file}', header = true, all_varchar = true, nullstr = '', allow_quoted_nulls = false, strict_mode = true)`;

/** What DuckDB reads from a CSV file, as Postgres writes it of the truth. */
const CSV_TRUTH = `SELECT id::text, "=name", note, amount::text, exact::text, tags::text, details::text, ok
  FROM truth.rows ORDER BY rows.id`;

describe.each(["ndjson", "csv", "csv-raw", "parquet"] as const)("an answer as %s", (format) => {
  it("is hashed, and its evidence names the format", async () => {
    const { result, out } = await retrieve(format);
    expect(result).toMatchObject({ format, rows: 360n, rowsFrom: { hot: 120n, warm: 120n, cold: 120n } });
    const file = await readFile(out);
    expect(createHash("sha256").update(file).digest("hex")).toBe(result.sha256);
    expect(BigInt(file.length)).toBe(result.bytes);
    const evidence = JSON.parse(await readFile(result.evidence, "utf8"));
    expect(evidence.answer).toEqual({
      format,
      rows: "360",
      bytes: String(file.length),
      sha256: result.sha256,
    });
  });
});

describe("raw CSV", () => {
  it("is taken back by Postgres: the same rows, NULL and the empty text apart", async () => {
    const { out } = await retrieve("csv-raw");
    const client = new pg.Client(scenario.url);
    await client.connect();
    try {
      await client.query("CREATE TEMPORARY TABLE back (LIKE public.audit_logs)");
      const copy = client.query(copyFrom("COPY back FROM STDIN (FORMAT csv, HEADER match)"));
      await flow(createReadStream(out), copy);
      const { rows } = await client.query(
        `SELECT (SELECT count(*)::int FROM back) AS rows,
           (SELECT count(*)::int FROM (SELECT * FROM back EXCEPT ALL SELECT * FROM truth.rows) a) AS more,
           (SELECT count(*)::int FROM (SELECT * FROM truth.rows EXCEPT ALL SELECT * FROM back) b) AS less`,
      );
      expect(rows).toEqual([{ rows: 360, more: 0, less: 0 }]);
    } finally {
      await client.end();
    }
  });
});

describe("CSV", () => {
  it("is what DuckDB reads, with a ' in front of what a spreadsheet would run, and nowhere else", async () => {
    const { out } = await retrieve("csv");
    const found = await ask(
      `SELECT id, "'=name" AS "=name", note, amount, exact, tags, details, ok = 'true' AS ok, took
       FROM ${readCsv(out)} ORDER BY id::BIGINT`,
    );
    const truth = await scenario.query(CSV_TRUTH);
    expect(found.map(({ took: _, ...row }) => row)).toEqual(
      truth.map((row) => {
        const name = row["=name"] as string | null;
        return { ...row, "=name": name !== null && /^[=+\-@\t\r]/.test(name) ? `'${name}` : name };
      }),
    );
    // Texts of types that have no other form are guarded too; numbers are not.
    expect(found.map(({ took }) => took).slice(0, 3)).toEqual([
      "00:00:00.5",
      "'-1 days +00:00:00.5",
      "'-2 days +00:00:00.5",
    ]);
    expect(found[1]?.["amount"]).toBe("-1.50");
  });
});

describe("Parquet", () => {
  it("is what DuckDB reads, value by value", async () => {
    const { out } = await retrieve("parquet");
    const found = await ask(
      `SELECT id::VARCHAR AS id, epoch_us(ts)::VARCHAR AS ts, "=name", note, amount::VARCHAR AS amount, exact,
         ratio::VARCHAR AS ratio, took__text, ip, tags, mood, on_day::VARCHAR AS on_day, at_time::VARCHAR AS at_time,
         who::VARCHAR AS who, lower(hex(raw)) AS raw, details, ok
       FROM '${out}'`,
    );
    const truth = await scenario.query(
      `SELECT id::text, (extract(epoch FROM ts) * 1000000)::bigint::text AS ts, "=name", note, amount::text, exact::text,
         to_char(ratio, 'FM990.099') AS ratio, took::text AS took__text, host(ip) AS ip, tags::text, mood::text, on_day::text,
         at_time::text, who::text, encode(raw, 'hex') AS raw, details::text, ok
       FROM truth.rows ORDER BY rows.ts, rows.id`,
    );
    expect(found).toEqual(truth);
    const types = await ask(`SELECT column_name, column_type FROM (DESCRIBE FROM '${out}')`);
    expect(
      Object.fromEntries(types.map(({ column_name, column_type }) => [column_name, column_type])),
    ).toMatchObject({
      id: "BIGINT",
      ts: "TIMESTAMP WITH TIME ZONE",
      amount: "DECIMAL(12,2)",
      ratio: "DOUBLE",
      on_day: "DATE",
      who: "UUID",
      ok: "BOOLEAN",
    });
  });

  it("is what hyparquet reads, in row groups of bounded size", async () => {
    const { out } = await retrieve("parquet");
    const file = await asyncBufferFromFile(out);
    const { row_groups: groups } = await parquetMetadataAsync(file);
    // FIRNLINE_ROW_GROUP_ROWS of the scenario.
    expect(groups.map(({ num_rows }) => num_rows)).toEqual([100n, 100n, 100n, 60n]);
    const compressors = { ZSTD: (input: Uint8Array) => new Uint8Array(zstdDecompressSync(input)) };
    const rows = await parquetReadObjects({ file, compressors, columns: ["id", "note"] });
    const truth = await scenario.query("SELECT id, note FROM truth.rows ORDER BY ts, id");
    expect(rows).toEqual(truth.map(({ id, note }) => ({ id: BigInt(id as string), note })));
  });

  it("is refused where a value does not fit, and the other formats take it", async () => {
    await using other = await Scenario.create({
      ddl: "CREATE TABLE public.audit_logs (id bigint PRIMARY KEY, ts timestamptz NOT NULL, until timestamptz)",
    });
    await other.insert(`SELECT n, '${LAST_DUE} 00:00+00'::timestamptz + n * interval '1 minute',
      CASE WHEN n = 130 THEN 'infinity'::timestamptz END FROM generate_series(1, 150) n`);
    await other.run();
    await using pipeline = other.open();
    const request = parseRange("2025-01-01", "2026-12-31", []);
    const options = { requestedBy: "a test" };
    await expect(
      pipeline.retrieve(request, { ...options, out: join(other.folder, "a.parquet") }),
    ).rejects.toMatchObject({
      code: "E_TYPE",
      message:
        "E_TYPE --format parquet, column until: row 130 of the answer holds a timestamp with time zone that " +
        "Parquet cannot (found infinity). Retrieve as ndjson or csv, which hold every value.",
    });
    expect(await other.answers()).toEqual([]);
    const out = join(other.folder, "a.csv");
    expect(await pipeline.retrieve(request, { ...options, out })).toMatchObject({
      format: "csv",
      rows: 150n,
    });
    expect((await readFile(out, "utf8")).split("\r\n")[130]).toBe("130,2026-01-29T02:10:00.000000Z,infinity");
  });
});

describe("an answer without rows", () => {
  const NOTHING = { from: "2024-01-01", to: "2024-01-31" };

  it("is an empty file of NDJSON, and a header in CSV", async () => {
    expect(await readFile((await retrieve("ndjson", NOTHING)).out, "utf8")).toBe("");
    const csv = await readFile((await retrieve("csv", NOTHING)).out, "utf8");
    expect(csv).toBe(
      "id,ts,'=name,note,amount,exact,ratio,took,ip,tags,mood,on_day,at_time,who,raw,details,ok\r\n",
    );
    const raw = await readFile((await retrieve("csv-raw", NOTHING)).out, "utf8");
    expect(raw).toBe(csv.replace("'=name", "=name"));
  });

  it("is a Parquet file with all columns that every reader takes", async () => {
    const { out } = await retrieve("parquet", NOTHING);
    expect(await ask(`SELECT count(*)::INT AS rows FROM '${out}'`)).toEqual([{ rows: 0 }]);
    expect(await ask(`SELECT count(*)::INT AS columns FROM (DESCRIBE FROM '${out}')`)).toEqual([
      { columns: 18 },
    ]);
    expect(await parquetReadObjects({ file: await asyncBufferFromFile(out) })).toEqual([]);
  });
});
