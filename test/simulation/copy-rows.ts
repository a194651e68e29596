/** Rows as COPY sends them in binary. Source: PostgreSQL manual, COPY, "Binary Format". */
import { POSTGRES_EPOCH_MICROS } from "../../src/rows/day.ts";
import type { Row } from "./sql/compile-expression.ts";
import type { Columns } from "./sql/compile-select.ts";
import type { Outcome } from "./sql/compile-statement.ts";
import { INFINITY } from "./sql/values.ts";

export type Take = (bytes: Uint8Array, start: number, end: number) => boolean;

const SIGNATURE = Buffer.from("5047434f50590aff0d0a00", "hex");

/** A header, then so many rows at a time, and the trailer with the last ones. */
export function* copyBinary({ rows, columns }: Outcome, rowsAtOnce: number): Generator<Uint8Array> {
  yield Buffer.concat([SIGNATURE, Buffer.alloc(8)]);
  for (let at = 0; at < rows.length; at += rowsAtOnce)
    yield Buffer.concat(rows.slice(at, at + rowsAtOnce).map((row) => tuple(row, columns)));
  yield Buffer.from([0xff, 0xff]);
}

function tuple(row: Row, columns: Columns): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.size);
  return Buffer.concat([count, ...[...columns].map(([name, type]) => field(row[name] ?? null, type))]);
}

function field(value: unknown, type: string): Buffer {
  const length = Buffer.alloc(4);
  const bytes = value === null ? null : bytesOf(value, type);
  length.writeInt32BE(bytes?.length ?? -1);
  return bytes === null ? length : Buffer.concat([length, bytes]);
}

function bytesOf(value: unknown, type: string): Buffer {
  switch (type) {
    case "bigint":
      return eight(value as bigint);
    case "int": {
      const four = Buffer.alloc(4);
      four.writeInt32BE(Number(value));
      return four;
    }
    case "timestamptz": {
      const micros = value as bigint;
      if (micros === INFINITY) return eight(2n ** 63n - 1n);
      if (micros === -INFINITY) return eight(-(2n ** 63n));
      return eight(micros - POSTGRES_EPOCH_MICROS);
    }
    case "text":
      return Buffer.from(value as string, "utf8");
    default:
      throw new Error(`COPY of a ${type}`);
  }
}

function eight(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
