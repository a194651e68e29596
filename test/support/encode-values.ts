/**
 * From raw fields to Parquet's physical values, for one column of one row group. A field whose value Parquet cannot
 * hold bit for bit becomes an exception: it is written as null (a NaN with payload as NaN, a numeric's infinity as its
 * text) and its bytes go into the manifest. The way back is `decode-values.ts`, which shares no code with this file.
 * The encoder in `src/parquet/encode` must find exact what this finds exact.
 */
import type { Column, ValueKind } from "../../src/rows/column.ts";
import { indexFields, type RawColumn } from "../../src/rows/copy-binary.ts";
import { POSTGRES_EPOCH_DAY, POSTGRES_EPOCH_MICROS } from "../../src/rows/day.ts";
import { decodeNumeric, encodeNumeric, numericFromText, numericToText } from "../../src/rows/numeric.ts";
import { bytesEqual, toHex } from "../../src/rows/hex.ts";
import type { FieldException } from "../../src/segment/manifest.ts";

export type PhysicalValue = null | boolean | number | bigint | Uint8Array;

interface FieldView {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** A value and whether it alone restores the field; if not, the field is kept as an exception. */
interface Encoded {
  readonly value: PhysicalValue;
  readonly exact: boolean;
}

const exact = (value: PhysicalValue): Encoded => ({ value, exact: true });
const EXCEPTION: Encoded = { value: null, exact: false };

const INT64_MAX = 9_223_372_036_854_775_807n;
const INT64_MIN = -9_223_372_036_854_775_808n;
/** Above this the Unix epoch does not fit; infinity, the largest int64, is above it too. */
const TIMESTAMP_MAX = INT64_MAX - POSTGRES_EPOCH_MICROS;
/** The same for days in an int32. */
const DATE_MAX = 2_147_483_647 - POSTGRES_EPOCH_DAY;
const DATE_MINUS_INFINITY = -2_147_483_648;
const FLOAT4_NAN = 0x7fc0_0000;
const FLOAT8_NAN = 0x7ff8_0000_0000_0000n;
const encoder = new TextEncoder();

const payload = ({ bytes, start, length }: FieldView): Uint8Array => bytes.subarray(start, start + length);

const instant = ({ view, start }: FieldView): Encoded => {
  const micros = view.getBigInt64(start);
  if (micros > TIMESTAMP_MAX || micros === INT64_MIN) return EXCEPTION;
  return exact(micros + POSTGRES_EPOCH_MICROS);
};

const ENCODERS: Readonly<Record<Exclude<ValueKind, "decimal">, (field: FieldView) => Encoded>> = {
  bool: ({ bytes, start }) =>
    bytes[start] === 0 || bytes[start] === 1 ? exact(bytes[start] === 1) : EXCEPTION,
  int2: ({ view, start }) => exact(view.getInt16(start)),
  int4: ({ view, start }) => exact(view.getInt32(start)),
  int8: ({ view, start }) => exact(view.getBigInt64(start)),
  float4: ({ view, start }) => {
    const value = view.getFloat32(start);
    // JavaScript may change the payload of a NaN on its way; only the usual one is sure to survive.
    return { value, exact: !Number.isNaN(value) || view.getUint32(start) === FLOAT4_NAN };
  },
  float8: ({ view, start }) => {
    const value = view.getFloat64(start);
    return { value, exact: !Number.isNaN(value) || view.getBigUint64(start) === FLOAT8_NAN };
  },
  numeric: ({ bytes, start, length }) => {
    const parts = decodeNumeric(bytes, start, length);
    if (parts === null) return EXCEPTION;
    const text = numericToText(parts);
    const back = numericFromText(text);
    // An infinity comes with a scale that its text does not tell: readable, and an exception.
    const restored = back !== null && bytesEqual(encodeNumeric(back), bytes.subarray(start, start + length));
    return { value: encoder.encode(text), exact: restored };
  },
  timestamptz: instant,
  timestamp: instant,
  date: ({ view, start }) => {
    const day = view.getInt32(start);
    return day > DATE_MAX || day === DATE_MINUS_INFINITY ? EXCEPTION : exact(day + POSTGRES_EPOCH_DAY);
  },
  time: ({ view, start }) => exact(view.getBigInt64(start)),
  uuid: (field) => exact(payload(field)),
  bytea: (field) => exact(payload(field)),
  text: (field) => exact(payload(field)),
  json: (field) => exact(payload(field)),
  // jsonb_send puts a version byte in front, 1 in every release so far.
  jsonb: ({ bytes, start, length }) =>
    bytes[start] === 1 ? exact(bytes.subarray(start + 1, start + length)) : EXCEPTION,
  binary: (field) => exact(payload(field)),
};

/** The length that a field of this kind must have; 0 where any length is right. */
const FIELD_BYTES: Readonly<Partial<Record<ValueKind, number>>> = {
  bool: 1,
  int2: 2,
  int4: 4,
  int8: 8,
  float4: 4,
  float8: 8,
  timestamptz: 8,
  timestamp: 8,
  date: 4,
  time: 8,
  uuid: 16,
};

function decimalEncoder(column: Column): (field: FieldView) => Encoded {
  const scale = column.scale as number;
  const limit = 10n ** BigInt(column.precision as number);
  return ({ bytes, start, length }) => {
    const parts = decodeNumeric(bytes, start, length);
    if (parts === null || typeof parts.unscaled === "string" || parts.scale !== scale) return EXCEPTION;
    if (parts.unscaled >= limit || parts.unscaled <= -limit) return EXCEPTION;
    return bytesEqual(encodeNumeric(parts), bytes.subarray(start, start + length))
      ? exact(parts.unscaled)
      : EXCEPTION;
  };
}

export interface EncodedColumn {
  readonly values: PhysicalValue[];
  readonly exceptions: FieldException[];
}

/** A column that is infinity all the way down is one exception a chunk, not one a row (I10). */
function addException(exceptions: FieldException[], column: number, row: number, field: string): void {
  const last = exceptions.at(-1);
  if (last?.field === field && last.row + last.rows === row) last.rows += 1;
  else exceptions.push({ column, row, rows: 1, field });
}

/** Encodes the fields of one chunk; `columnIndex` goes into the exceptions. */
export function encodeColumn(
  column: Column,
  columnIndex: number,
  raw: RawColumn,
  rows: number,
): EncodedColumn {
  const encode = column.kind === "decimal" ? decimalEncoder(column) : ENCODERS[column.kind];
  const bytesExpected = FIELD_BYTES[column.kind] ?? 0;
  const { starts, lengths } = indexFields(raw, rows);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const values: PhysicalValue[] = [];
  const exceptions: FieldException[] = [];
  for (let row = 0; row < rows; row += 1) {
    const length = lengths[row] as number;
    if (length < 0) {
      values.push(null);
      continue;
    }
    const start = starts[row] as number;
    const encoded =
      bytesExpected !== 0 && length !== bytesExpected
        ? EXCEPTION
        : encode({ view, bytes: raw, start, length });
    values.push(encoded.value);
    if (!encoded.exact) {
      addException(exceptions, columnIndex, row, toHex(raw.subarray(start, start + length)));
    }
  }
  return { values, exceptions };
}
