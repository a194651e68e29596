/** Fields of every kind, as Postgres sends them and as fast-check makes them up. */
import fc from "fast-check";
import type { Column, ValueKind } from "../../src/rows/column.ts";
import { fromHex } from "../../src/rows/hex.ts";
import { encodeNumeric } from "../../src/rows/numeric.ts";
import { bytesOf, int32, int64, joined } from "./copy-stream.ts";
import { columnOf } from "./segment-bytes.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const fixed = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

const numericField = (scale?: number): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      unscaled: fc.oneof(
        fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
        fc.constantFrom<bigint | "NaN" | "Infinity" | "-Infinity">(0n, "NaN", "Infinity", "-Infinity"),
      ),
      scale: scale === undefined ? fc.nat({ max: 45 }) : fc.constant(scale),
    })
    .map(encodeNumeric);

/** Fields as Postgres sends them; `decimal` is a `numeric(20,3)` here. */
export const FIELDS: Readonly<Record<ValueKind, fc.Arbitrary<Uint8Array>>> = {
  bool: fc.constantFrom(bytesOf(0), bytesOf(1)),
  int2: fixed(2),
  int4: fixed(4),
  int8: fixed(8),
  // Zero and negative zero are one value to a careless dictionary.
  float4: fc.oneof(fixed(4), fc.constantFrom("00000000", "80000000", "7fc00000").map(fromHex)),
  float8: fc.oneof(fixed(8), fc.constantFrom(`00${"0".repeat(14)}`, `80${"0".repeat(14)}`).map(fromHex)),
  decimal: numericField(3),
  numeric: numericField(),
  timestamptz: fc.oneof(fixed(8), fc.bigInt({ min: 0n, max: 10n ** 15n }).map(int64)),
  timestamp: fc.oneof(fixed(8), fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 0n).map(int64)),
  date: fc.oneof(fixed(4), fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 10_957, 0).map(int32)),
  time: fixed(8),
  uuid: fixed(16),
  bytea: fc.uint8Array({ maxLength: 30 }),
  text: fc.string({ unit: "binary", maxLength: 20 }).map(utf8),
  json: fc.json({ maxDepth: 2 }).map(utf8),
  jsonb: fc.json({ maxDepth: 2 }).map((text) => joined([bytesOf(1), utf8(text)])),
  binary: fc.uint8Array({ maxLength: 20 }),
};

/** Fields of a `numeric(p,s)`, nearly all of which are within its digits. */
export const decimalField = (precision: number, scale: number): fc.Arbitrary<Uint8Array> => {
  const limit = 10n ** BigInt(precision);
  const within = fc.oneof(
    fc.bigInt({ min: 1n - limit, max: limit - 1n }),
    fc.bigInt({ min: -99_999n, max: 99_999n }),
    fc.constantFrom(0n, 1n - limit, limit - 1n, 10_000n, -10_000n),
  );
  return fc.oneof(
    { weight: 9, arbitrary: within.map((unscaled) => encodeNumeric({ unscaled, scale })) },
    { weight: 1, arbitrary: numericField(scale) },
  );
};

/** A column of the kind, with the digits of the fields above. */
export const columnFor = (kind: ValueKind, name = "v"): Column =>
  kind === "decimal" ? columnOf(name, kind, [20, 3]) : columnOf(name, kind);
