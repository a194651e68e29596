/** The type table of DESIGN section 6 on real tables: instants, days, times of day and spans. */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../src/postgres/database.ts";
import {
  type DayUtc,
  type EpochMicros,
  formatPostgresDate,
  formatPostgresTimestamp,
  POSTGRES_EPOCH_DAY,
  POSTGRES_EPOCH_MICROS,
} from "../../src/rows/day.ts";
import { expectCaseLossless, rowsOf, type TypeCase, openScene } from "./types-lossless.ts";

let database: Database;
let client: pg.Client;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
});
afterAll(async () => await cleanup.disposeAsync());

const INSTANTS = [
  "'2026-01-03 12:34:56.789012+00'",
  "'1970-01-01 00:00:00+00'",
  "'1969-12-31 23:59:59.999999+00'",
  "'2000-01-01 00:00:00.000001+00'",
  "'0001-01-01 00:00:00+00'",
  "'0001-12-31 23:59:59.999999+00 BC'",
  "'4714-11-24 00:00:00+00 BC'",
  "'294247-01-10 04:00:54.775807+00'", // the last microsecond that an int64 of the Unix epoch holds
] as const;

/** What the Unix epoch has no room for, and what is no instant at all. */
const OUT_OF_RANGE = [
  "'294247-01-10 04:00:54.775808+00'",
  "'294276-12-31 23:59:59.999999+00'",
  "'infinity'",
  "'-infinity'",
] as const;

const plain = (texts: readonly string[]): string[] => texts.map((text) => text.replace("+00", ""));

const CASES: readonly TypeCase[] = [
  { type: "timestamptz", kind: "timestamptz", values: [...INSTANTS, ...OUT_OF_RANGE], exceptions: 4 },
  { type: "timestamp with time zone", kind: "timestamptz", values: ["'2026-03-29 02:30:00 Europe/Berlin'"] },
  { type: "timestamptz(3)", kind: "timestamptz", values: ["'2026-01-03 12:34:56.789512+00'"] },
  {
    type: "timestamp",
    kind: "timestamp",
    values: plain([...INSTANTS, ...OUT_OF_RANGE]),
    exceptions: 4,
  },
  { type: "timestamp without time zone", kind: "timestamp", values: ["'2026-03-29 02:30:00'"] },
  { type: "timestamp(0)", kind: "timestamp", values: ["'2026-01-03 12:34:56.5'"] },
  {
    type: "date",
    kind: "date",
    exceptions: 2,
    values: [
      "'1970-01-01'",
      "'2000-02-29'",
      "'1969-12-31'",
      "'0001-01-01'",
      "'0001-12-31 BC'",
      "'4714-11-24 BC'",
      "'9999-12-31'",
      "'5874897-12-31'",
      "'infinity'",
      "'-infinity'",
    ],
  },
  { type: "time", kind: "time", values: ["'00:00'", "'23:59:59.999999'", "'24:00:00'", "'00:00:00.000001'"] },
  { type: "time without time zone", kind: "time", values: ["'12:00'"] },
  { type: "time(2)", kind: "time", values: ["'12:34:56.789'"] },
];

/** A value and the text that stands beside it in the archive. */
const WITH_TEXT: Readonly<Record<string, readonly (readonly [value: string, text: string])[]>> = {
  interval: [
    ["'1 year 2 mons 3 days 04:05:06.789012'", "1 year 2 mons 3 days 04:05:06.789012"],
    ["'-1 mon +1 day -00:00:00.000001'", "-1 mons +1 day -00:00:00.000001"],
    ["'0'", "00:00:00"],
    ["'178000000 years'", "178000000 years"],
    ["'-2147483648 days'", "-2147483648 days"],
    ["'24:00:00'", "24:00:00"],
    ["'1 day'", "1 day"],
  ],
  "interval day to second(3)": [["'1 day 04:05:06.789012'", "1 day 04:05:06.789"]],
  timetz: [
    ["'12:34:56.789012+05:30'", "12:34:56.789012+05:30"],
    ["'24:00:00-15:59:59'", "24:00:00-15:59:59"],
    ["'00:00:00+15:59'", "00:00:00+15:59"],
  ],
  "time with time zone": [["'12:00 UTC'", "12:00:00+00"]],
  money: [
    ["'0'", "$0.00"],
    ["1234567.89", "$1,234,567.89"],
    ["'-92233720368547758.08'", "-$92,233,720,368,547,758.08"],
    ["'92233720368547758.07'", "$92,233,720,368,547,758.07"],
  ],
};

describe("a column of type", () => {
  it.each(CASES)("$type keeps every value", async (one) => {
    await expectCaseLossless(database, client, one);
  });

  it.each(Object.keys(WITH_TEXT))(
    "%s keeps its binary form, and a text for people beside it",
    async (type) => {
      const pairs = WITH_TEXT[type] ?? [];
      const values = pairs.map(([value]) => value);
      const { source, chunks } = await expectCaseLossless(database, client, { type, kind: "binary", values });
      expect(source.columns.slice(1, 3).map(({ name, kind, select }) => [name, kind, select])).toEqual([
        ["v", "binary", "value"],
        ["v__text", "text", "text"],
      ]);
      const texts = rowsOf(chunks).map(([, , text]) =>
        text === null ? null : new TextDecoder().decode(text),
      );
      expect(texts.slice(0, pairs.length + 2)).toEqual([null, ...pairs.map(([, text]) => text), null]);
    },
  );

  it("interval keeps the infinities of PostgreSQL 17, and two spans that are equal and not the same", async ({
    skip,
  }) => {
    const { rows } = await client.query("SELECT current_setting('server_version_num')::int AS version");
    if (rows[0].version < 170_000) skip("this server's intervals have no infinities");
    await expectCaseLossless(database, client, {
      type: "interval",
      kind: "binary",
      values: ["'infinity'", "'-infinity'", "'1 mon'", "'30 days'", "'720:00:00'"],
    });
  });
});

describe("the text that Firnline writes for a bound", () => {
  it("is read back by Postgres as the same instant, from the first to the last that it has", async () => {
    const instants = [
      -211_813_488_000_000_000n,
      -211_813_488_000_000_000n + 1n,
      -63_113_904_000_000_001n,
      -63_082_281_600_000_001n,
      -63_082_281_600_000_000n,
      -1n,
      0n,
      951_868_799_999_999n,
      252_455_615_999_999_999n,
      252_455_616_000_000_000n,
      9_223_371_331_199_999_999n,
    ];
    for (const micros of instants) {
      const text = formatPostgresTimestamp((micros + POSTGRES_EPOCH_MICROS) as EpochMicros);
      const zoned = text.endsWith(" BC") ? text.replace(" BC", "+00 BC") : `${text}+00`;
      const { rows } = await client.query(
        `SELECT encode(timestamp_send($1::text::timestamp), 'hex') AS plain,
                encode(timestamptz_send($2::text::timestamptz), 'hex') AS zoned`,
        [text, zoned],
      );
      const hex = BigInt.asUintN(64, micros).toString(16).padStart(16, "0");
      expect([text, rows[0]]).toEqual([text, { plain: hex, zoned: hex }]);
    }
  });

  it("is read back as the same day", async () => {
    for (const days of [-2_451_545, -730_120, -730_119, -1, 0, 59, 2_921_940, 2_145_031_948]) {
      const text = formatPostgresDate((days + POSTGRES_EPOCH_DAY) as DayUtc);
      const { rows } = await client.query("SELECT encode(date_send($1::text::date), 'hex') AS bytes", [text]);
      expect([text, rows[0].bytes]).toEqual([text, (days >>> 0).toString(16).padStart(8, "0")]);
    }
  });
});
