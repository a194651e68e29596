/** The texts of inets that we make, against those that Postgres makes: every place that zeros can have in an address. */
import { expect, test } from "vitest";

import { readAtMost } from "../../src/hot/postgres/copy-reader.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { fieldsOf } from "../support/copy-stream.ts";
import { openScene } from "./types-lossless.ts";

const WORDS = ["1", "a", "ffff", "10", "c0ff", "203", "1000", "99"];
const LIMITS = { rowsMax: 10_000, bytesMax: 1 << 24 };

/** Each word zero or not, in all 256 ways, with words that are short, long and look like the beginning of an IPv4 address. */
const V6 = Array.from({ length: 256 }, (_, zeros) =>
  [0, 3].map((shift) =>
    WORDS.map((_word, index) => ((zeros >> index) & 1 ? "0" : WORDS[(index + shift) % WORDS.length])).join(
      ":",
    ),
  ),
).flat();
const V4 = ["0.0.0.0", "255.255.255.255", "10.0.0.1", "1.20.100.9", "99.100.9.10"];
const VALUES = [
  ...V6,
  ...V6.map((address, index) => `${address}/${index % 129}`),
  ...V4.flatMap((address) => [address, ...[0, 1, 8, 31].map((bits) => `${address}/${bits}`)]),
  "::ffff:1.2.3.4",
  "::1.2.3.4",
  "::ffff",
  "0:0:0:0:0:0:1:1",
];

test("texts of inets are those of Postgres, and NULL is NULL", async () => {
  await using cleanup = new AsyncDisposableStack();
  const { database } = await openScene(cleanup);
  const rows = ["NULL", ...VALUES.map((value) => `'${value}'`)].map((value, at) => `(${at}, ${value}::inet)`);
  const copy = (expression: string): string =>
    `COPY (SELECT ${expression} FROM (VALUES ${rows.join(", ")}) r(n, v) ORDER BY n) TO STDOUT (FORMAT binary)`;
  const [ours, theirs] = await database.transaction("repeatable read, read only", "test", async (tx) => [
    await readAtMost(tx, copy("v"), ["inet"], LIMITS, "test"),
    await readAtMost(tx, copy("abbrev(v)"), ["value"], LIMITS, "test"),
  ]);
  const texts = (found: RawRows | null | undefined): (string | null)[] =>
    fieldsOf((found as RawRows).columns[0] as Uint8Array, rows.length).map((field) =>
      field === null ? null : Buffer.from(field).toString("latin1"),
    );
  expect(texts(theirs)).toHaveLength(VALUES.length + 1);
  expect(texts(theirs)[0]).toBeNull();
  expect(texts(ours)).toEqual(texts(theirs));
});
