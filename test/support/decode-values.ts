/**
 * From physical values, as a Parquet library gives them, back to raw fields in COPY layout, a JavaScript value at a time:
 * what `schemas/FORMAT.md` says of every kind. The reader in `src/parquet/decode` does the same to bytes.
 */
import { FirnlineError } from "../../src/errors.ts";
import type { Column, ValueKind } from "../../src/rows/column.ts";
import { type RawColumn, RawColumnWriter } from "../../src/rows/copy-binary.ts";
import { fromHex } from "../../src/rows/hex.ts";
import { encodeNumeric, numericFromText } from "../../src/rows/numeric.ts";
import type { FieldException } from "../../src/segment/manifest.ts";

type Decoder = (out: RawColumnWriter, value: never, column: Column) => void;

/** Microseconds and days between 1970-01-01 and 2000-01-01; written out here, not shared with the encoder. */
const EPOCH_MICROS = 946_684_800_000_000n;
const EPOCH_DAYS = 10_957;

const asText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function int64(out: RawColumnWriter, value: bigint): void {
  const { view, at } = out.reserve(8);
  view.setBigInt64(at, value);
}

function int32(out: RawColumnWriter, value: number): void {
  const { view, at } = out.reserve(4);
  view.setInt32(at, value);
}

const bytes = (out: RawColumnWriter, value: Uint8Array): void => out.field(value);

const DECODERS: Readonly<Record<ValueKind, Decoder>> = {
  bool: (out: RawColumnWriter, value: boolean) => {
    const { view, at } = out.reserve(1);
    view.setUint8(at, value ? 1 : 0);
  },
  int2: (out: RawColumnWriter, value: number) => {
    const { view, at } = out.reserve(2);
    view.setInt16(at, value);
  },
  int4: int32,
  int8: int64,
  float4: (out: RawColumnWriter, value: number) => {
    const { view, at } = out.reserve(4);
    view.setFloat32(at, value);
  },
  float8: (out: RawColumnWriter, value: number) => {
    const { view, at } = out.reserve(8);
    view.setFloat64(at, value);
  },
  decimal: (out: RawColumnWriter, value: number | bigint | Uint8Array, column: Column) => {
    const unscaled = value instanceof Uint8Array ? bigEndian(value) : BigInt(value);
    out.field(encodeNumeric({ unscaled, scale: column.scale as number }));
  },
  numeric: (out: RawColumnWriter, value: Uint8Array, column: Column) => {
    const parts = numericFromText(asText.decode(value));
    if (parts === null) throw unreadable(column, "is not the text of a numeric");
    out.field(encodeNumeric(parts));
  },
  timestamptz: (out: RawColumnWriter, value: bigint) => int64(out, value - EPOCH_MICROS),
  timestamp: (out: RawColumnWriter, value: bigint) => int64(out, value - EPOCH_MICROS),
  date: (out: RawColumnWriter, value: number) => int32(out, value - EPOCH_DAYS),
  time: int64,
  uuid: bytes,
  bytea: bytes,
  text: bytes,
  json: bytes,
  jsonb: (out: RawColumnWriter, value: Uint8Array) => {
    const place = out.reserve(value.length + 1);
    place.bytes[place.at] = 1;
    place.bytes.set(value, place.at + 1);
  },
  binary: bytes,
};

/** What a reader must deliver for each kind; a file whose types differ is foreign, not merely wrong. */
const EXPECTED: Readonly<Record<ValueKind, (value: unknown) => boolean>> = {
  bool: (value) => typeof value === "boolean",
  int2: Number.isInteger,
  int4: Number.isInteger,
  int8: (value) => typeof value === "bigint",
  float4: (value) => typeof value === "number",
  float8: (value) => typeof value === "number",
  decimal: (value) => typeof value === "bigint" || value instanceof Uint8Array || Number.isInteger(value),
  numeric: (value) => value instanceof Uint8Array,
  timestamptz: (value) => typeof value === "bigint",
  timestamp: (value) => typeof value === "bigint",
  date: Number.isInteger,
  time: (value) => typeof value === "bigint",
  uuid: (value) => value instanceof Uint8Array,
  bytea: (value) => value instanceof Uint8Array,
  text: (value) => value instanceof Uint8Array,
  json: (value) => value instanceof Uint8Array,
  jsonb: (value) => value instanceof Uint8Array,
  binary: (value) => value instanceof Uint8Array,
};

function unreadable(column: Column, problem: string): FirnlineError {
  return new FirnlineError({
    code: "E_FORMAT",
    subject: `column ${column.name}`,
    problem: `a value ${problem}`,
    hint: "The object was damaged or written by something else; compare its SHA-256 with the journal",
    op: "parquet.decode",
  });
}

/** Two's complement, as DECIMAL is stored in a byte array. */
function bigEndian(value: Uint8Array): bigint {
  let result = 0n;
  for (const byte of value) result = (result << 8n) | BigInt(byte);
  return BigInt.asIntN(value.length * 8, result);
}

function fieldsByRow(exceptions: readonly FieldException[], chunkRows: number): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  for (const { row, rows, field } of exceptions) {
    const payload = fromHex(field);
    for (let at = row; at < Math.min(row + rows, chunkRows); at += 1) fields.set(at, payload);
  }
  return fields;
}

/**
 * The fields of rows `[from, to)` of a column in COPY layout. `exceptions` are those of this column and chunk, by row
 * within the chunk; each replaces what the file holds.
 */
export function decodeColumn(
  column: Column,
  values: ArrayLike<unknown>,
  from: number,
  to: number,
  exceptions: readonly FieldException[],
): RawColumn {
  const out = new RawColumnWriter((to - from) * 12);
  const decode = DECODERS[column.kind] as (out: RawColumnWriter, value: unknown, column: Column) => void;
  const isExpected = EXPECTED[column.kind];
  const replaced = exceptions.length === 0 ? null : fieldsByRow(exceptions, to - from);
  for (let index = from; index < to; index += 1) {
    const field = replaced?.get(index - from);
    if (field !== undefined) {
      out.field(field);
      continue;
    }
    const value = values[index];
    if (value === null || value === undefined) {
      out.null();
      continue;
    }
    if (!isExpected(value)) throw unreadable(column, `is a ${typeof value}`);
    decode(out, value, column);
  }
  return out.take();
}
