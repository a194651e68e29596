/**
 * Parquet: the types of DESIGN section 6 through the archive's own encoder, in row groups of bounded size. An interval,
 * money or timetz is two columns, as in the archive.
 *
 * A segment keeps what Parquet cannot hold as exceptions in its manifest. An answer has no manifest that its readers
 * would open, and a null in the place of `infinity` would be a wrong answer, so it is refused (I8). A NaN stays a NaN
 * and a numeric's infinity its text, whatever their bits were: their value is in the file.
 */
import { FirnlineError } from "../../errors.ts";
import type { NewSegmentEncoder } from "../../parquet/segment-encoder.ts";
import type { Column } from "../../rows/column.ts";
import { type RawRows, RawColumnWriter } from "../../rows/copy-binary.ts";
import { fromHex } from "../../rows/hex.ts";
import { decodeNumeric } from "../../rows/numeric.ts";
import type { IndexedRows } from "../indexed-rows.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { VALUE_TEXTS } from "./value-text.ts";

export interface ParquetOptions {
  readonly newEncoder: NewSegmentEncoder;
  readonly rowGroupRowsMax: number;
  /** Of raw fields, in memory. */
  readonly rowGroupBytesMax: number;
  /** For the footer, besides the Postgres types of the columns. */
  readonly metadata: Readonly<Record<string, string>>;
}

const NOTHING = new Uint8Array(0);

export function parquetWriter(columns: readonly Column[], options: ParquetOptions): AnswerWriter {
  const { newEncoder, rowGroupBytesMax, rowGroupRowsMax, metadata } = options;
  const encoder = newEncoder(columns, {
    ...metadata,
    "firnline.postgres_types": JSON.stringify(
      Object.fromEntries(columns.map(({ name, type }) => [name, type])),
    ),
  });
  let gathered = columns.map(() => new RawColumnWriter());
  let rows = 0;
  let bytes = 0;
  let rowsBefore = 0n;
  let isFull = false;
  /** The row group that is being encoded; the next one is gathered meanwhile. */
  let encoding: Promise<Uint8Array> = Promise.resolve(NOTHING);

  async function encode(group: RawRows, first: bigint): Promise<Uint8Array> {
    const { bytes: encoded, exceptions } = await encoder.rowGroup([group]);
    for (const { column, row, field } of exceptions.flat()) {
      requireHeld(columns[column] as Column, fromHex(field), first + BigInt(row) + 1n);
    }
    return encoded;
  }

  /** Hands over the group before, and starts with what was gathered. */
  async function flush(): Promise<Uint8Array> {
    const before = await encoding;
    const group = { rows, columns: gathered.map((column) => column.take()) };
    encoding = encode(group, rowsBefore);
    // Its failure is told by whoever takes it.
    encoding.catch(() => {});
    rowsBefore += BigInt(rows);
    gathered = group.columns.map((column) => new RawColumnWriter(column.length));
    rows = 0;
    bytes = 0;
    isFull = false;
    return before;
  }

  /** Bytes of the rows' fields, without length words. */
  function bytesOf(chunk: IndexedRows, from: number, to: number): number {
    let sum = 0;
    for (const index of columns.keys()) sum += chunk.slice(index, from, to).length;
    return sum - 4 * columns.length * (to - from);
  }

  return {
    header: () => NOTHING,
    take(chunk, from, to) {
      let end = Math.min(to, from + rowGroupRowsMax - rows);
      let size = bytesOf(chunk, from, end);
      if (bytes + size >= rowGroupBytesMax) {
        // Somewhere in here is the row that fills the group.
        size = 0;
        for (end = from; bytes + size < rowGroupBytesMax; end += 1) size += bytesOf(chunk, end, end + 1);
      }
      for (const [index, column] of gathered.entries()) column.raw(chunk.slice(index, from, end));
      rows += end - from;
      bytes += size;
      isFull = rows >= rowGroupRowsMax || bytes >= rowGroupBytesMax;
      return end;
    },
    get isFull() {
      return isFull;
    },
    piece: flush,
    async end() {
      const before = rows === 0 ? NOTHING : await flush();
      return joined([before, await encoding, await encoder.finish()]);
    },
  };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Passes what stands in the file as a value, though not with these bits. */
function requireHeld(column: Column, field: Uint8Array, row: bigint): void {
  if (column.kind === "float4" || column.kind === "float8") return;
  if (column.kind === "numeric" && decodeNumeric(field, 0, field.length) !== null) return;
  throw new FirnlineError({
    code: "E_TYPE",
    subject: `--format parquet, column ${column.name}`,
    problem:
      `row ${row} of the answer holds a ${column.type} that Parquet cannot ` +
      `(found ${VALUE_TEXTS[column.kind](field)})`,
    hint: "Retrieve as ndjson or csv, which hold every value",
  });
}
