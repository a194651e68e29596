/**
 * An archive in a folder as the real pipeline makes it, from a table of every interesting type: several days, rules,
 * chunks, row groups and segments, late rows, a cold tier. What the table held is kept as text, as the truth.
 */
import { pathToFileURL } from "node:url";
import pg from "pg";
import { readSettings, type Settings } from "../../src/config.ts";
import { parsePolicy, type Policy } from "../../src/policy/policy.ts";
import { parseFailpoint } from "../../src/failpoint.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import { type EpochMs, parseDay, parseInstant } from "../../src/rows/day.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { migrateDatabase, systemClock } from "../../src/wiring.ts";

export const PIPELINE = "events";
/** 2023 is cold by then, February warm, the last day of March hot. */
const AS_OF = parseInstant("2024-04-01T02:00:00Z");
/** What came late for its expiry has been in the archive for the recovery window; no other day is due by then. */
const LATER = parseInstant("2024-04-20T02:00:00Z");

const TABLE = `
  CREATE TYPE mood AS ENUM ('calm', 'loud');
  CREATE DOMAIN price AS numeric(12,2) CHECK (value > -1000000);
  CREATE TABLE public.events (
    id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text, flag boolean, small smallint, whole integer,
    f4 float4, f8 float8, d4 numeric(6,2), d8 numeric(18,4), d16 numeric(38,10), free numeric, cost price,
    local timestamp, day date, clock time, guid uuid, raw bytea, short varchar(20), fixed char(5), said json,
    details jsonb, mood mood, span interval, paid money, at_zone timetz, list int[], ip inet, seen timestamptz)`;

/** Edges of each type, a column at a time; the row i of a day has the entry i of each, from the front again. */
const EDGES: Readonly<Record<string, readonly (string | null)[]>> = {
  action: ["denied", "", "naïve ☃ 𝄞", "\ufeffbom", null, "a\nb\tc\\N", "'quoted' \"twice\""],
  flag: ["t", "f", null],
  small: ["-32768", "32767", null, "0"],
  whole: ["-2147483648", "2147483647", null, "0"],
  f4: ["-0", "NaN", "Infinity", "-Infinity", "1.1754944e-38", "3.4028235e38", null, "0"],
  f8: ["NaN", "-0", "-Infinity", "Infinity", "5e-324", "1.7976931348623157e308", null, "0.1"],
  d4: ["NaN", "-9999.99", "9999.99", "0.00", "-0.01", null],
  d8: ["-99999999999999.9999", "NaN", "99999999999999.9999", "0", null, "10000"],
  d16: [
    "-9999999999999999999999999999.9999999999",
    "9999999999999999999999999999.9999999999",
    "NaN",
    "-0.0000000001",
    null,
    "-1",
    "255",
  ],
  free: [
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "0.000",
    "10000",
    "1e40",
    "-1e-40",
    "123456.7800",
    "-0.00010000",
    null,
  ],
  cost: ["-12.30", "NaN", null, "99999.99"],
  local: [
    "infinity",
    "-infinity",
    "4713-01-01 00:00:00 BC",
    "294276-12-31 23:59:59.999999",
    null,
    "1999-12-31",
  ],
  day: ["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", null, "1970-01-01", "1969-12-31"],
  clock: ["00:00:00", "24:00:00", "23:59:59.999999", null],
  guid: [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    null,
    "7f000000-0000-4000-8000-000000000001",
    "80000000-0000-4000-8000-000000000001",
  ],
  // The last one has no upper bound that is shorter: its statistics must not be cut.
  raw: ["\\x", "\\x00ff80", null, "\\xc328", `\\x${"ff".repeat(80)}`],
  short: ["", "x", null, "  padded  "],
  fixed: ["a", "", null, "abcde"],
  said: ['{"b": 1,  "a":[]}', "null", null, '"\\u0000"'],
  details: ['{"b": 1, "a": [1.50, 1e3]}', "null", null, '"☃"', "{}"],
  mood: ["calm", "loud", null],
  span: ["1 year 2 mons -3 days 04:05:06.000007", "0", "-178000000 years", null],
  paid: ["-$92,233,720,368,547,758.08", "$1.50", null],
  at_zone: ["12:00:00+05:30", "24:00:00-12", null],
  list: ["{1,NULL,-3}", "{}", null, "{{1,2},{3,4}}", "[0:1]={5,6}"],
  ip: ["10.0.0.1", "::1/64", null],
  seen: ["infinity", "-infinity", "4713-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", null],
};

/** Expressions that give the same text from Postgres and, over the Parquet column, from DuckDB. */
interface Comparison {
  readonly postgres: string;
  readonly duck: string;
}

const sameText = (column: string): Comparison => ({
  postgres: `${column}::text`,
  duck: `${column}::VARCHAR`,
});

const float = (column: string): Comparison => ({
  postgres: `replace(lower(${column}::text), 'infinity', 'inf')`,
  duck: `regexp_replace(${column}::VARCHAR, '\\.0$', '')`,
});

/** What is an exception is NULL for an engine, says FORMAT.md: here a NaN in a DECIMAL. */
const decimal = (column: string): Comparison => ({
  postgres: `nullif(${column}, 'NaN')::text`,
  duck: `${column}::VARCHAR`,
});

/** And here infinities, and what as microseconds since 1970 is no int64 any more. */
const instant = (column: string): Comparison => ({
  postgres: `CASE WHEN isfinite(${column}) AND ${column} < '294247-01-01'
             THEN (extract(epoch FROM ${column}) * 1000000)::bigint::text END`,
  duck: `epoch_us(${column})::VARCHAR`,
});

const binary = (column: string, send: string): Comparison => ({
  postgres: `encode(${send}(${column}), 'hex')`,
  duck: `lower(hex(${column}))`,
});

const TEXTS = ["id", "flag", "small", "whole", "free", "clock", "guid", "short", "said"];

/** By column of the Parquet files. */
export const COMPARISONS: Readonly<Record<string, Comparison>> = {
  ...Object.fromEntries([...TEXTS, "details", "mood", "list"].map((name) => [name, sameText(name)])),
  ip: { postgres: "abbrev(ip)", duck: "ip" },
  ...Object.fromEntries(["f4", "f8"].map((name) => [name, float(name)])),
  ...Object.fromEntries(["d4", "d8", "d16", "cost"].map((name) => [name, decimal(name)])),
  ...Object.fromEntries(["ts", "seen", "local"].map((name) => [name, instant(name)])),
  day: {
    postgres: "CASE WHEN isfinite(day) THEN (day - '1970-01-01')::text END",
    duck: "date_diff('day', DATE '1970-01-01', day)::VARCHAR",
  },
  // A cast to text takes the padding away, and a decoder in JavaScript a byte order mark.
  fixed: { postgres: "fixed", duck: "fixed" },
  action: { postgres: "encode(convert_to(action, 'UTF8'), 'hex')", duck: "lower(hex(encode(action)))" },
  raw: binary("raw", ""),
  span: binary("span", "interval_send"),
  paid: binary("paid", "cash_send"),
  at_zone: binary("at_zone", "timetz_send"),
  ...Object.fromEntries(
    ["span", "paid", "at_zone"].map((name) => [
      `${name}__text`,
      { postgres: `${name}::text`, duck: `${name}__text` },
    ]),
  ),
};

export interface TruthRow {
  readonly day: string;
  readonly rule: string;
  readonly values: Readonly<Record<string, string | null>>;
}

export interface OutsiderArchive {
  /** The folder, as an outsider gets it. */
  readonly root: string;
  /** The rows that left the table, by id, as they were then. */
  readonly truth: ReadonlyMap<string, TruthRow>;
  /** Ids of rows that are in a file which is not to be read: archived and not pruned yet, or superseded. */
  readonly besides: readonly string[];
}

/** Builds the archive below `root`, which need not be there. Its journal has every event that there is. */
export async function buildArchive(url: string, root: string): Promise<OutsiderArchive> {
  const client = new pg.Client(url);
  client.on("error", () => {}); // a lost connection also rejects the query
  await client.connect();
  try {
    const years = new Years(client, url, root);
    await years.prepare();
    await years.move();
    await years.drift();
    await years.expire();
    await years.repair();
    return await years.end();
  } finally {
    await client.end();
  }
}

/** What befalls a table and its archive. */
class Years {
  readonly #client: pg.Client;
  readonly #url: string;
  readonly #root: string;
  readonly #truth = new Map<string, TruthRow>();
  readonly #deleted: string[] = [];

  constructor(client: pg.Client, url: string, root: string) {
    this.#client = client;
    this.#url = url;
    this.#root = root;
  }

  async prepare(): Promise<void> {
    await migrateDatabase(this.#url, smallPieces());
    await this.#client.query(TABLE);
  }

  async move(): Promise<void> {
    await insertDay(this.#client, 1, "2023-01-10", 18);
    await insertDay(this.#client, 101, "2024-02-01", 40);
    await insertDay(this.#client, 201, "2024-02-02", 11);
    await insertDay(this.#client, 301, "2024-03-31", 5);
    await this.#client
      .query(`INSERT INTO public.events (id, ts, action) SELECT 900 + n, '2024-02-01 06:00+00', 'noise'
                              FROM generate_series(1, 3) n`);
    await this.#run("auto");
    await using pipeline = this.#open();
    const out = `${this.#root}.answer.ndjson`;
    await pipeline.retrieve(parseRange("2024-02-01", "2024-02-01", []), { out, requestedBy: "an auditor" });
  }

  /** Rows that come late, change or go between their export and their deletion. */
  async drift(): Promise<void> {
    await insertDay(this.#client, 150, "2024-02-01", 1);
    await insertDay(this.#client, 401, "2024-02-03", 10);
    await this.#run("off");
    await this.#client.query("UPDATE public.events SET action = 'changed' WHERE id = 410");
    await this.#run("auto");
    // What that superseded is removed; what the next one supersedes is not.
    for (const days of [0, 15]) {
      await using pipeline = this.#open("auto", { now: () => (Date.now() + days * 86_400_000) as EpochMs });
      await pipeline.collect();
    }
    await insertDay(this.#client, 501, "2024-02-04", 12);
    await this.#run("off");
    await this.#client.query("UPDATE public.events SET action = 'changed' WHERE id = 511");
    await this.#delete(512);
    // All that a segment holds.
    await this.#delete(501, 508);
    await this.#run("auto");
  }

  /** Rows of a rule that keeps nothing for long: held, released, gone. They are no part of the truth. */
  async expire(): Promise<void> {
    await this.#client
      .query(`INSERT INTO public.events (id, ts, action) SELECT 950 + n, '2023-06-01 06:00+00', 'passing'
                              FROM generate_series(1, 4) n`);
    await this.#run("auto");
    const day = parseDay("2023-06-01");
    await using pipeline = this.#open();
    const { hold } = await pipeline.holds.place({
      dayFrom: day,
      dayTo: day,
      reason: "case 17",
      placedBy: "jane",
    });
    await this.#run("auto", undefined, LATER);
    await pipeline.holds.release({ hold: hold.hold, reason: "settled", releasedBy: "joe" });
    // A copy of what is cold is asked for.
    const out = `${this.#root}.cold.ndjson`;
    await pipeline.retrieve(parseRange("2023-01-10", "2023-01-10", []), { out, requestedBy: "an auditor" });
    await this.#run("auto", undefined, LATER);
  }

  /** The catalog is lost in the middle of a run; the archive is adopted; one day is archived and stays in the table. */
  async repair(): Promise<void> {
    await insertDay(this.#client, 601, "2024-02-05", 12);
    await this.#run("auto", "prune.committed:error");
    await this.#delete(612);
    await this.#client.query("DROP SCHEMA firnline CASCADE");
    await migrateDatabase(this.#url, smallPieces());
    {
      await using pipeline = this.#open();
      await pipeline.rebuildCatalog();
    }
    await this.#run("auto");
    {
      await using pipeline = this.#open();
      await pipeline.adopt({ isConfirmed: true });
    }
    await insertDay(this.#client, 701, "2024-02-06", 6);
    await this.#run("auto", "seal.sealed:error");
  }

  async end(): Promise<OutsiderArchive> {
    const left = await readTruth(this.#client);
    const moved = [...this.#truth].filter(([id]) => !left.has(id) && !this.#deleted.includes(id));
    const superseded = ["502", "503", "504", "505", "506", "507", "509", "510", "511"];
    return {
      root: this.#root,
      truth: new Map(moved),
      // Of the last day one rule was not exported yet.
      besides: [...left.keys(), ...this.#deleted, ...superseded].filter((id) => id !== "701").sort(),
    };
  }

  async #delete(...ids: readonly number[]): Promise<void> {
    await this.#client.query("DELETE FROM public.events WHERE id = ANY ($1)", [ids]);
    this.#deleted.push(...ids.map(String));
  }

  #open(prune: "auto" | "off" = "auto", clock = {}, settings = smallPieces()): Pipeline {
    return new Pipeline({
      policy: policyOf(this.#root, prune),
      connectionString: this.#url,
      settings,
      clock: { ...systemClock, ...clock },
    });
  }

  /** A run that is cut fails with the name of the place. */
  async #run(prune: "auto" | "off", cut?: string, asOf = AS_OF): Promise<void> {
    await this.#remember();
    const failpoint = cut === undefined ? null : parseFailpoint(cut);
    await using pipeline = this.#open(prune, {}, { ...smallPieces(), failpoint });
    await pipeline.run({ asOf, backfill: true, confirmSooner: true }).catch((error: unknown) => {
      if (failpoint === null || !String(error).includes(failpoint.name)) throw error;
    });
  }

  async #remember(): Promise<void> {
    for (const [id, row] of await readTruth(this.#client)) this.#truth.set(id, row);
  }
}

function smallPieces(): Settings {
  const settings = readSettings({
    FIRNLINE_CHUNK_ROWS: "5",
    FIRNLINE_ROW_GROUP_ROWS: "10",
    // A run that is stopped has to stop at the same place each time.
    FIRNLINE_CONCURRENCY: "1",
  });
  return { ...settings, limits: { ...settings.limits, segmentBytesMax: 5_000 } };
}

function policyOf(root: string, prune: "auto" | "off"): Policy {
  const lines = [
    "version: 1",
    `pipeline: ${PIPELINE}`,
    "source: { connection: DATABASE_URL, table: public.events, time: ts }",
    `archive: { url: "${pathToFileURL(root).href}" }`,
    "tiers:",
    "  hot: { keep: 30d }",
    "  warm: { keep: 365d }",
    "  cold: { storageClass: DEEP_ARCHIVE, keep: forever }",
    "rules:",
    `  - { name: noise, when: "action = 'noise'", hot: 30d, archive: false }`,
    `  - { name: passing, when: "action = 'passing'", warm: 60d, cold: 90d }`,
    `  - { name: denied, when: "action = 'denied'", hot: 30d }`,
    `prune: ${prune}`,
  ];
  return parsePolicy(lines.join("\n"), "events.yaml");
}

async function insertDay(client: pg.Client, firstId: number, day: string, rows: number): Promise<void> {
  const columns = Object.keys(EDGES);
  const places = columns.map((_, index) => `$${index + 3}`).join(", ");
  await client.query("BEGIN"); // one wait for the disk, not one a row
  for (let row = 0; row < rows; row += 1) {
    const values = columns.map((column) => EDGES[column]?.[row % EDGES[column].length]);
    await client.query(
      `INSERT INTO public.events (id, ts, ${columns.join(", ")})
       VALUES ($1, $2::timestamptz + ${row} * interval '7 minutes 13.000001 seconds', ${places})`,
      [firstId + row, `${day} 00:00:00+00`, ...values],
    );
  }
  await client.query("COMMIT");
}

/** The rows that are due, as text; without those of the delete-only rule. */
async function readTruth(client: pg.Client): Promise<Map<string, TruthRow>> {
  const columns = Object.entries(COMPARISONS).map(([name, { postgres }]) => `${postgres} AS "${name}"`);
  const { rows } = await client.query(
    `SELECT (ts AT TIME ZONE 'UTC')::date::text AS "day of row",
            CASE WHEN action = 'denied' THEN 'denied' ELSE 'default' END AS "rule of row", ${columns.join(", ")}
     FROM public.events WHERE ts < '2024-03-01 00:00+00' AND action IS DISTINCT FROM 'noise'
       AND action IS DISTINCT FROM 'passing'`,
  );
  return new Map(
    rows.map(({ "day of row": day, "rule of row": rule, ...values }) => [values.id, { day, rule, values }]),
  );
}
