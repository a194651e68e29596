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
import { RawColumnWriter } from "../../rows/copy-binary.ts";
import { fromHex } from "../../rows/hex.ts";
import { decodeNumeric } from "../../rows/numeric.ts";
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

  async function flush(): Promise<Uint8Array> {
    const group = { rows, columns: gathered.map((column) => column.take()) };
    const { bytes: encoded, exceptions } = await encoder.rowGroup([group]);
    for (const { column, row, field } of exceptions.flat()) {
      requireHeld(columns[column] as Column, fromHex(field), rowsBefore + BigInt(row) + 1n);
    }
    rowsBefore += BigInt(rows);
    gathered = group.columns.map((column) => new RawColumnWriter(column.length));
    rows = 0;
    bytes = 0;
    return encoded;
  }

  return {
    header: () => NOTHING,
    row(row) {
      for (const [index, column] of gathered.entries()) {
        if (row.isNull(index)) column.null();
        else {
          const field = row.field(index);
          column.field(field);
          bytes += field.length;
        }
      }
      rows += 1;
      return rows >= rowGroupRowsMax || bytes >= rowGroupBytesMax ? flush() : NOTHING;
    },
    async end() {
      const last = rows === 0 ? NOTHING : await flush();
      const footer = await encoder.finish();
      const piece = new Uint8Array(last.length + footer.length);
      piece.set(last);
      piece.set(footer, last.length);
      return piece;
    },
  };
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
